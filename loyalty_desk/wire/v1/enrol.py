"""How a till joins a network, and the pairing text that starts it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import sha256
from typing import Annotated, Any
from uuid import UUID

import msgspec
from msgspec import Meta

from loyalty_desk.domain.base32 import ALPHABET, encode32
from loyalty_desk.domain.errors import BadInput

_PREFIX = "LDP1"
_CHECK_LETTERS = 2
_LOOKALIKE = str.maketrans("ILO", "110")
_PLAIN_HTTP = bytes(32)
_LAYOUT_BYTES = 1 + 16 + 16 + 32 + 32
_LOOPBACK = re.compile(r"http://(127(\.\d{1,3}){3}|localhost|\[::1\])(:\d{1,5})?/?\Z")


@dataclass(frozen=True, slots=True)
class Pairing:
    """What a pairing QR or its text carries. `code` is one-time; `root` signs the network's key set."""

    code: bytes
    network: UUID
    root: bytes
    spki_pin: bytes
    address: str

    def to_text(self) -> str:
        """Return ``LDP1``, base32 of version, code, network, root, pin and address, and two check characters."""
        raw = b"\x01" + self.code + self.network.bytes + self.root + self.spki_pin + self.address.encode("ascii")
        return _PREFIX + encode32(raw) + _check(raw)

    @classmethod
    def from_text(cls, text: str) -> Pairing:
        """Return the pairing of pasted or scanned text; raises `BadInput` `pairing_malformed` with the part.

        Plain http (a pin of zeros) is accepted for the loopback address alone: `pairing_insecure`.
        """
        typed = re.sub(r"[\s-]", "", text).upper()
        if not typed.startswith(_PREFIX) or len(typed) < len(_PREFIX) + _CHECK_LETTERS:
            raise BadInput("pairing_malformed", part="prefix")
        body = typed[len(_PREFIX) :].translate(_LOOKALIKE)
        raw = _decode_any(body[:-_CHECK_LETTERS])
        if body[-_CHECK_LETTERS:] != _check(raw):
            raise BadInput("pairing_malformed", part="check")
        if len(raw) <= _LAYOUT_BYTES or raw[0] != 1:
            raise BadInput("pairing_malformed", part="version" if raw[:1] != b"\x01" else "length")
        try:
            address = raw[_LAYOUT_BYTES:].decode("ascii")
        except UnicodeDecodeError as error:
            raise BadInput("pairing_malformed", part="address") from error
        pairing = cls(raw[1:17], UUID(bytes=raw[17:33]), raw[33:65], raw[65:97], address)
        if not re.match(r"https?://[A-Za-z0-9.\[\]:-]+/?\Z", address):
            raise BadInput("pairing_malformed", part="address")
        if address.startswith("http://") and not (_LOOPBACK.match(address) and pairing.spki_pin == _PLAIN_HTTP):
            raise BadInput("pairing_insecure", address=address)
        return pairing


class EnrolStart(msgspec.Struct, frozen=True):
    """A till asks to join: the one-time code, its new public key, and what people call it."""

    network: UUID
    code: Annotated[bytes, Meta(min_length=16, max_length=16)]
    pubkey: Annotated[bytes, Meta(min_length=32, max_length=32)]
    name: Annotated[str, Meta(min_length=1, max_length=60)]


class EnrolPending(msgspec.Struct, frozen=True):
    """Both screens now show `signing.fingerprint(pubkey, nonce, network)` and a person confirms."""

    pending: UUID
    nonce: Annotated[bytes, Meta(min_length=16, max_length=16)]


class EnrolFinish(msgspec.Struct, frozen=True):
    """Asks for the result; answered 202 until a person has confirmed. `sig` over `signing.enrol_message`."""

    network: UUID
    pending: UUID
    sig: Annotated[bytes, Meta(min_length=64, max_length=64)]


class EnrolledStore(msgspec.Struct, frozen=True):
    """The store the till now stands in. `zone` is an IANA name."""

    id: UUID
    name: str
    zone: str
    currency: str


class EnrolAnswer(msgspec.Struct, frozen=True):
    """The till is a device of the network. `token` is a bearer; `keyset` and `profile` as their feed rows."""

    device: UUID
    token: str
    store: EnrolledStore
    keyset: dict[str, Any]
    recovery_pub: Annotated[bytes, Meta(min_length=32, max_length=32)]
    profile: dict[str, Any]
    incarnation: UUID
    name: str = ""
    network_name: str = ""


def _check(raw: bytes) -> str:
    first = int.from_bytes(sha256(_PREFIX.encode() + raw).digest()[:2], "big") >> 6
    return ALPHABET[first >> 5] + ALPHABET[first & 31]


def _decode_any(text: str) -> bytes:
    number = 0
    for letter in text:
        value = ALPHABET.find(letter)
        if value < 0:
            raise BadInput("pairing_malformed", part="letter")
        number = number << 5 | value
    size = len(text) * 5 // 8
    padding = len(text) * 5 - size * 8
    if padding > 4 or number & ((1 << padding) - 1):
        raise BadInput("pairing_malformed", part="length")
    return (number >> padding).to_bytes(size, "big")
