"""Crockford's base32 as every code and sheet of ours is written: letters and digits that any scanner keeps."""

from __future__ import annotations

from loyalty_desk.domain.errors import BadInput

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_VALUES = {letter: value for value, letter in enumerate(ALPHABET)}


def length32(size: int) -> int:
    """Return how many characters `size` bytes take."""
    return -(-size * 8 // 5)


def encode32(data: bytes) -> str:
    """Return Crockford base32, most significant bit first, zero padding at the end."""
    length = length32(len(data))
    number = int.from_bytes(data, "big") << (length * 5 - len(data) * 8)
    return "".join(ALPHABET[(number >> shift) & 31] for shift in range((length - 1) * 5, -1, -5))


def decode32(text: str, size: int) -> bytes:
    """Return `size` bytes of base32 text; raises `BadInput` `code_malformed` for anything but their one spelling."""
    if len(text) != length32(size):
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
