r"""Canonical JSON: one value, one sequence of bytes, on every machine.

UTF-8, keys ASCII ``[a-z0-9_]`` sorted by byte, no spaces, integers within int64, no floats, strings NFC without
NUL or lone surrogates, escaped only ``\"`` ``\\`` and below U+0020 as ``\u00xx`` in lower case.
"""

from __future__ import annotations

import json
import re
import unicodedata
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping, Sequence
from typing import cast

type Json = bool | int | str | Sequence[Json] | Mapping[str, Json] | None

INT64_MIN = -(1 << 63)
INT64_MAX = (1 << 63) - 1
MAX_DEPTH = 64
_KEY = re.compile(r"[a-z0-9_]+\Z")
_KEY_BYTES = b"abcdefghijklmnopqrstuvwxyz0123456789_"
_DIGITS = bytes(0x30 if byte in b"0123456789" else 0x20 for byte in range(256))
_LONGEST = str(INT64_MAX).encode()
_AS_LONG = b"0" * len(_LONGEST)
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_C_ENCODER = json.JSONEncoder(ensure_ascii=False, check_circular=False, sort_keys=True, separators=(",", ":"))
_TEXT = {str}
_SCALARS = {str, int, bool, type(None)}
_NESTED = {dict, list, tuple}
_ESCAPED = re.compile(r'["\\\x00-\x1f]')


class NotCanonical(ValueError):
    """The value has no canonical form, or the bytes are not the canonical form of their value."""


def encode(value: Json) -> bytes:
    """Return the canonical bytes of `value`; raises `NotCanonical` where it has none."""
    try:
        if _is_simple(value) and is_plain(quick := _C_ENCODER.encode(value).encode()):
            return quick
    except (UnicodeEncodeError, RecursionError):
        pass
    return _written(value)


def decode(data: bytes) -> Json:
    """Return the value of canonical bytes; raises `NotCanonical` for any other spelling of it."""
    try:
        value = cast("Json", json.loads(data.decode(), parse_float=_no_float, parse_constant=_no_float))
    except (ValueError, RecursionError) as error:
        raise NotCanonical("not JSON") from error
    if not (is_plain(data) and _C_ENCODER.encode(value).encode() == data) and _written(value) != data:
        raise NotCanonical("not in canonical form")
    return value


def decode_object(data: bytes) -> dict[str, Json]:
    """Return the object of canonical bytes; anything but an object raises `NotCanonical`."""
    value = decode(data)
    if not isinstance(value, dict):
        raise NotCanonical("not an object")
    return value


def is_text(text: str) -> bool:
    """Return whether a string has a place in canonical JSON: NFC, without NUL or lone surrogates."""
    if "\x00" in text:
        return False
    if text.isascii():
        return True
    return unicodedata.is_normalized("NFC", text) and not any("\ud800" <= letter <= "\udfff" for letter in text)


def readable(text: str) -> str:
    """Return what a person typed as canonical JSON can hold it: NFC, and what has no place in it as question marks."""
    made = unicodedata.normalize("NFC", text)
    return made if is_text(made) else made.encode("utf-8", "replace").decode().replace("\x00", "?")


def bytes_to_text(data: bytes) -> str:
    """Return bytes as base64url without padding, the form bytes take inside canonical JSON."""
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def text_to_bytes(text: str) -> bytes:
    """Return the bytes of base64url without padding; a second spelling of the same bytes is refused."""
    data = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if bytes_to_text(data) != text:
        raise NotCanonical("not base64url")
    return data


def is_plain(data: bytes) -> bool:
    """Return whether compact JSON with sorted keys and without floats is canonical for sure, whoever wrote it.

    A twentieth of the time of writing a value in Python: without a backslash there is nothing to escape, and what other
    encoders do not look at is looked for in the bytes. False says nothing: `encode` decides.
    """
    if b"\\" in data or b'"":' in data:
        return False
    # Without the bytes that keys are made of, a key of ours is nothing between two quotes before a colon.
    bare = data.translate(None, _KEY_BYTES)
    if bare.count(b'":') != bare.count(b'"":') or not _fits(data):
        return False
    brackets, depth = bare.translate(None, _NO_BRACKETS), 0
    while brackets and depth < MAX_DEPTH:
        brackets, depth = brackets.replace(b"{}", b"").replace(b"[]", b""), depth + 1
    return not brackets and (data.isascii() or unicodedata.is_normalized("NFC", data.decode()))


def _fits(data: bytes) -> bool:
    """Return whether no run of digits is beyond 64 bits, wherever it stands."""
    digits = data.translate(_DIGITS)
    at = digits.find(_AS_LONG)
    while at >= 0:
        end = at + len(_AS_LONG)
        if data[at:end] > _LONGEST or digits[end : end + 1] == b"0":
            return False
        at = digits.find(_AS_LONG, end)
    return True


def _is_simple(value: object) -> bool:
    """Return whether a value is of texts, integers, lists and objects keyed by text alone.

    The standard library's encoder also takes floats, and makes texts of other keys.
    """
    kind = type(value)
    if kind not in _NESTED:
        return kind in _SCALARS
    if isinstance(value, dict):
        if not {*map(type, value)} <= _TEXT:
            return False
        value = value.values()
    kinds = {*map(type, value)}  # type: ignore[call-overload]  # all that is nested is iterable
    return kinds <= _SCALARS or all(_is_simple(one) for one in value if type(one) not in _SCALARS)  # type: ignore[attr-defined]


def _no_float(text: str) -> Json:
    raise NotCanonical(f"not an integer: {text[:40]}")


def _written(value: Json) -> bytes:
    """Return what `encode` returns, written in Python: what decides where the short cut does not know."""
    parts: list[str] = []
    _write(value, parts, 0)
    try:
        return "".join(parts).encode()
    except UnicodeEncodeError as error:
        raise NotCanonical("a lone surrogate") from error


def _write(value: Json, parts: list[str], depth: int) -> None:
    if depth > MAX_DEPTH:
        raise NotCanonical("nested too deep")
    if value is None or isinstance(value, bool):
        parts.append({None: "null", True: "true", False: "false"}[value])
    elif isinstance(value, int):
        if not INT64_MIN <= value <= INT64_MAX:
            raise NotCanonical("an integer beyond 64 bits")
        parts.append(str(value))
    elif isinstance(value, str):
        parts.append(_quoted(value))
    elif isinstance(value, Mapping):
        _write_object(value, parts, depth)
    elif isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
        parts.append("[")
        for position, item in enumerate(value):
            if position:
                parts.append(",")
            _write(item, parts, depth + 1)
        parts.append("]")
    else:
        raise NotCanonical(f"{type(value).__name__} has no place in canonical JSON")


def _write_object(value: Mapping[str, Json], parts: list[str], depth: int) -> None:
    parts.append("{")
    for position, key in enumerate(sorted(value)):
        if not _KEY.match(key):
            raise NotCanonical(f"the key {key[:40]!r}")
        if position:
            parts.append(",")
        parts.append(f'"{key}":')
        _write(value[key], parts, depth + 1)
    parts.append("}")


def _quoted(text: str) -> str:
    if "\x00" in text:
        raise NotCanonical("NUL in a string")
    if not text.isascii() and not unicodedata.is_normalized("NFC", text):
        raise NotCanonical("a string that is not NFC")
    return f'"{_ESCAPED.sub(_escape, text)}"'


def _escape(found: re.Match[str]) -> str:
    character = found.group()
    return f"\\{character}" if character in '"\\' else f"\\u{ord(character):04x}"
