"""What a guest shows and what a till accepts: any kind of code, from any scanner, or typed.

Parsing never decides who somebody is or what is allowed: it says what kind of code this is and what is in it
(`code_proof` says what it is worth).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256

from loyalty_desk.domain.base32 import ALPHABET, decode32, encode32, length32
from loyalty_desk.domain.errors import BadInput
from loyalty_desk.domain.scan_text import clean_scan
from loyalty_desk.domain.signed_codes import SignedCode, read_issued, read_rotating

HANDLE_BYTES = 8
COUNTER_DIGITS = 8
_HANDLE_LETTERS = length32(HANDLE_BYTES)
_READ_AS = str.maketrans({"I": "1", "L": "1", "O": "0"})
_MEMBER_NUMBER = re.compile(r"[1-9][0-9]{9}")
_BEGINS_LIKE_OURS = re.compile(r"[L1I]D[0-9]")
# `+` and as many digits as E.164 allows, or what people write in Russia: 8 or 7 and ten digits, or the ten alone.
_INTERNATIONAL = re.compile(r"\+[1-9][0-9]{7,14}")
_PHONE_SIGNS = re.compile(r"[\s().-]")
_NATIONAL = re.compile(r"[78]?[0-9]{10}")


class CodeKind(StrEnum):
    """What a code is, as a record's `credential.code` names it."""

    LD1 = "ld1"
    LD2 = "ld2"
    LD3 = "ld3"
    LD4 = "ld4"
    SHORT = "short"
    NUMBER = "number"
    PHONE = "phone"


@dataclass(frozen=True, slots=True)
class GuestCode:
    """A well-formed code. `handle` (64 bits) for LD codes; `signed` what LD3 and LD4 say, unverified.

    `digits` are what is typed as digits: a member number, a short code, a phone as it was written (with its `+`),
    and the 8 digits that an LD2 shows now.
    """

    kind: CodeKind
    handle: int | None = None
    digits: str = ""
    signed: SignedCode | None = None

    @property
    def evidence(self) -> bytes | None:
        """Return the raw bytes that prove an LD3 or LD4 to whoever was not there, None for the others."""
        return None if self.signed is None else self.signed.to_bytes()


def parse(data: bytes | str) -> GuestCode:
    """Return the guest's code in a scan or in typed text.

    Raises `BadInput`: what `clean_scan` raises, `code_foreign` for a text that is no code of ours, `code_malformed`
    for one that begins like ours and is damaged (`part` says where), `code_kind_unknown` for a newer kind (`kind`).
    """
    text = clean_scan(data)
    typed = re.sub(r"[\s-]", "", text).upper()
    if _BEGINS_LIKE_OURS.match(typed):
        return _parse_ld(int(typed[2]), typed[3:])
    if re.fullmatch(r"[0-9]+", typed):
        return _parse_digits(typed)
    phone = _PHONE_SIGNS.sub("", text)
    if _INTERNATIONAL.fullmatch(phone) or (phone != text and _NATIONAL.fullmatch(phone)):
        return GuestCode(CodeKind.PHONE, digits=phone)
    raise BadInput("code_foreign")


def ld1(handle: int) -> str:
    """Return the 18 characters of a card code for a 64-bit handle."""
    raw = handle.to_bytes(HANDLE_BYTES, "big")
    return f"LD1{encode32(raw)}{_ld1_check(raw)}"


def ld2(handle: int, digits: str) -> str:
    """Return the 24 characters of a wallet pass that shows the 8 digits of `rotating_digits` now."""
    if not re.fullmatch(r"[0-9]{8}", digits):
        raise ValueError(f"a wallet pass shows {COUNTER_DIGITS} digits: {digits!r}")
    return f"LD2{encode32(handle.to_bytes(HANDLE_BYTES, 'big'))}{digits}"


def member_number(serial: int) -> str:
    """Return the 10 digits of a member number: nine (first 1 to 9) and a Luhn digit."""
    if not 100_000_000 <= serial <= 999_999_999:
        raise ValueError(f"a member number's serial has nine digits, first 1 to 9: {serial}")
    return f"{serial}{luhn_digit(str(serial))}"


def luhn_digit(digits: str) -> str:
    """Return the digit that makes `digits` and itself pass Luhn."""
    total = 0
    for position, digit in enumerate(reversed(digits)):
        doubled = int(digit) * (2 if position % 2 == 0 else 1)
        total += doubled - 9 if doubled > 9 else doubled
    return str(-total % 10)


def is_member_number(digits: str) -> bool:
    """Return whether a text is the ten digits of a member number."""
    return bool(_MEMBER_NUMBER.fullmatch(digits)) and luhn_digit(digits[:-1]) == digits[-1]


def _parse_ld(kind: int, body: str) -> GuestCode:
    body = body.translate(_READ_AS)
    if kind == 1:
        return _parse_card(body)
    if kind == 2:
        return _parse_wallet(body)
    if kind == 3:
        issued = read_issued(body)
        return GuestCode(CodeKind.LD3, handle=issued.handle, signed=issued)
    if kind == 4:
        rotating = read_rotating(body)
        return GuestCode(CodeKind.LD4, handle=rotating.handle, signed=rotating)
    raise BadInput("code_kind_unknown", kind=f"LD{kind}")


def _parse_card(body: str) -> GuestCode:
    if len(body) != _HANDLE_LETTERS + 2:
        raise BadInput("code_malformed", part="length")
    raw = decode32(body[:_HANDLE_LETTERS], HANDLE_BYTES)
    if body[_HANDLE_LETTERS:] != _ld1_check(raw):
        raise BadInput("code_malformed", part="check")
    return GuestCode(CodeKind.LD1, handle=int.from_bytes(raw, "big"))


def _parse_wallet(body: str) -> GuestCode:
    if len(body) != _HANDLE_LETTERS + COUNTER_DIGITS:
        raise BadInput("code_malformed", part="length")
    raw, digits = decode32(body[:_HANDLE_LETTERS], HANDLE_BYTES), body[_HANDLE_LETTERS:]
    if not re.fullmatch(r"[0-9]+", digits):
        raise BadInput("code_malformed", part="digits")
    return GuestCode(CodeKind.LD2, handle=int.from_bytes(raw, "big"), digits=digits)


def _ld1_check(raw: bytes) -> str:
    digest = sha256(b"LD1" + raw).digest()
    return ALPHABET[digest[0] >> 3] + ALPHABET[(digest[0] & 7) << 2 | digest[1] >> 6]


def _parse_digits(digits: str) -> GuestCode:
    if is_member_number(digits):
        return GuestCode(CodeKind.NUMBER, digits=digits)
    if len(digits) == 6:
        return GuestCode(CodeKind.SHORT, digits=digits)
    if len(digits) in (10, 11):
        return GuestCode(CodeKind.PHONE, digits=digits)
    raise BadInput("code_foreign")
