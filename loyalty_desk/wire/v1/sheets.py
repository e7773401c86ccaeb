"""Private keys on paper: what `create-network` prints once and a person types or scans back in years later."""

from __future__ import annotations

import re
from enum import StrEnum
from hashlib import sha256

from loyalty_desk.domain.base32 import decode32, encode32
from loyalty_desk.domain.errors import BadInput

KEY_BYTES = 32
_CHECK_BYTES = 3
_GROUP = 4
_READ_AS = str.maketrans("ILO", "110")


class SheetKind(StrEnum):
    """Which key a sheet holds: the prefix of its text."""

    ROOT = "LDSR"
    RECOVERY = "LDSX"


def sheet_text(kind: SheetKind, key: bytes) -> str:
    """Return the key as groups of four base32 letters behind the kind; the last three bytes are a check."""
    if len(key) != KEY_BYTES:
        raise ValueError("a sheet holds a key of 32 bytes")
    letters = encode32(key + _check(kind, key))
    return "-".join([kind.value, *(letters[at : at + _GROUP] for at in range(0, len(letters), _GROUP))])


def sheet_key(kind: SheetKind, text: str) -> bytes:
    """Return the key of a sheet's text, however it was spaced or typed.

    Raises `BadInput`: `sheet_kind` for the other sheet or something else, `sheet_malformed` with the `part` that is
    wrong (`length`, `letter`, `check`: a letter was mistyped).
    """
    typed = re.sub(r"[\s-]", "", text).upper()
    if not typed.startswith(kind.value):
        raise BadInput("sheet_kind", wants=kind.value)
    try:
        raw = decode32(typed[len(kind.value) :].translate(_READ_AS), KEY_BYTES + _CHECK_BYTES)
    except BadInput as error:
        raise BadInput("sheet_malformed", part=error.facts.get("part")) from error
    key, check = raw[:KEY_BYTES], raw[KEY_BYTES:]
    if check != _check(kind, key):
        raise BadInput("sheet_malformed", part="check")
    return key


def _check(kind: SheetKind, key: bytes) -> bytes:
    return sha256(kind.value.encode() + key).digest()[:_CHECK_BYTES]
