"""What a guest shows and what a till accepts (guest-code.md): LD1 card codes and member numbers, from any scanner.

Parsing never decides who somebody is: it says what kind of code this is and what is in it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256

from loyalty_desk.domain.errors import BadInput

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
HANDLE_BYTES = 8
MAX_SCAN_BYTES = 4096
_VALUES = {letter: value for value, letter in enumerate(ALPHABET)}
_READ_AS = str.maketrans({"I": "1", "L": "1", "O": "0"})
# A Russian layout turns LD1AB into ДВ1ФИ: the same keys, other letters.
_CYRILLIC = "йцукенгшщзхъфывапролджэячсмитьбюё"
_LATIN = "qwertyuiop[]asdfghjkl;'zxcvbnm,.`"
_LAYOUT = str.maketrans(_CYRILLIC + _CYRILLIC.upper(), (_LATIN + _LATIN).upper())
_HAS_CYRILLIC = re.compile("[А-Яа-яЁё]")
# AIM symbology identifiers of QR, Code 128, Data Matrix, EAN, ITF, PDF417, Aztec: `]Q1` and the like.
_AIM = re.compile(r"\A\][A-Za-z][0-9A-Za-z]")
_FRAMING = "\x02\x03\x00\r\n\t \ufeff"


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
    """A well-formed code. `handle` (64 bits) for LD codes, `digits` for what is typed as digits."""

    kind: CodeKind
    handle: int | None = None
    digits: str = ""


def clean_scan(data: bytes | str) -> str:
    """Return what a scanner meant: framing, AIM identifier and a foreign keyboard layout removed.

    Raises `BadInput`: `scan_empty`, `scan_too_long`, `scan_not_text`.
    """
    if len(data) > MAX_SCAN_BYTES:
        raise BadInput("scan_too_long", limit=MAX_SCAN_BYTES)
    if isinstance(data, bytes):
        try:
            text = data.decode()
        except UnicodeDecodeError as error:
            raise BadInput("scan_not_text") from error
    else:
        text = data
    text = _AIM.sub("", text.strip(_FRAMING)).strip(_FRAMING)
    if not text:
        raise BadInput("scan_empty")
    return text.translate(_LAYOUT) if _HAS_CYRILLIC.search(text) else text


def parse(data: bytes | str) -> GuestCode:
    """Return the guest's code in a scan or in typed text.

    Raises `BadInput`: what `clean_scan` raises, `code_foreign` for a text that is no code of ours, `code_malformed`
    for one that begins like ours and is damaged (`part` says where), `code_kind_unknown` for a newer kind (`kind`).
    """
    text = clean_scan(data)
    typed = re.sub(r"[\s-]", "", text).upper()
    prefix = typed[:2].translate({ord("1"): "L", ord("I"): "L"}) + typed[2:3]
    if re.fullmatch(r"LD[0-9]", prefix):
        return _parse_ld(int(prefix[2]), typed[3:])
    if re.fullmatch(r"[0-9]+", typed):
        return _parse_digits(typed)
    raise BadInput("code_foreign")


def ld1(handle: int) -> str:
    """Return the 18 characters of a card code for a 64-bit handle."""
    raw = handle.to_bytes(HANDLE_BYTES, "big")
    return f"LD1{encode32(raw)}{_ld1_check(raw)}"


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
    """Return whether ten digits are a member number."""
    return len(digits) == 10 and digits[0] != "0" and luhn_digit(digits[:-1]) == digits[-1]


def encode32(data: bytes) -> str:
    """Return Crockford base32, most significant bit first, zero padding at the end."""
    bits = len(data) * 8
    length = -(-bits // 5)
    number = int.from_bytes(data, "big") << (length * 5 - bits)
    return "".join(ALPHABET[(number >> shift) & 31] for shift in range((length - 1) * 5, -1, -5))


def decode32(text: str, size: int) -> bytes:
    """Return `size` bytes of base32 text; raises `BadInput` `code_malformed` for anything but their one spelling."""
    if len(text) != -(-size * 8 // 5):
        raise BadInput("code_malformed", part="length")
    number = 0
    for letter in text:
        if letter not in _VALUES:
            raise BadInput("code_malformed", part="letter")
        number = number << 5 | _VALUES[letter]
    padding = len(text) * 5 - size * 8
    if number & ((1 << padding) - 1):
        raise BadInput("code_malformed", part="padding")
    return (number >> padding).to_bytes(size, "big")


def _parse_ld(kind: int, body: str) -> GuestCode:
    if kind != 1:
        raise BadInput("code_kind_unknown", kind=f"LD{kind}")
    body = body.translate(_READ_AS)
    if len(body) != 15:
        raise BadInput("code_malformed", part="length")
    raw = decode32(body[:13], HANDLE_BYTES)
    if body[13:] != _ld1_check(raw):
        raise BadInput("code_malformed", part="check")
    return GuestCode(CodeKind.LD1, handle=int.from_bytes(raw, "big"))


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
