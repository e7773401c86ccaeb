"""A file, or standard input, as one object with typed access; every mistake is told with its place.

Numbers with a fraction are kept as `Decimal`, never as float. TOML and JSON need the standard library alone; YAML is
read by PyYAML with the words of YAML 1.2, where `18:30` is no number and `no` no falsehood.
"""

from __future__ import annotations

import json
import os
import re
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, tzinfo
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import cast
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from loyalty_desk.domain.errors import BadInput
from loyalty_desk.domain.money import MAX_MAJOR, Currency, parse_amount

MAX_BYTES = 1_000_000
MAX_NODES = 200_000
MAX_DEPTH = 40
STDIN = "-"
_SUFFIXES = {".json": "json", ".toml": "toml", ".yaml": "yaml", ".yml": "yaml"}
MAX_NUMBER = 10**12
# Of more than 4 300 digits Python makes no integer; what is no number stands in JSON without quotes.
_REFUSED = re.compile(r"[0-9_]{4301}|(?<=[\s:,\[])-?(?:NaN|Infinity)\b")
_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]+)?")

type Value = object


@dataclass(frozen=True, slots=True)
class Node:
    """An object of a document and where it stands (`lines[2]`), with access that names the place of a mistake.

    Methods raise `BadInput` with `file`, `place`, `field` and, where it helps, `wants`.
    """

    file: str
    place: str
    data: Mapping[str, Value]

    def wrong(self, field: str, wants: str) -> BadInput:
        """Return the error that says what `field` should have been."""
        return BadInput("file_field_wrong", file=self.file, place=_joined(self.place, field), wants=wants)

    def missing(self, field: str) -> BadInput:
        """Return the error that says that `field` is absent."""
        return BadInput("file_field_missing", file=self.file, place=self.place, field=field)

    def only(self, *known: str) -> None:
        """Refuse a field that is none of `known`: a mistyped name must not be passed over."""
        for field in self.data:
            if field not in known:
                raise BadInput("file_field_unknown", file=self.file, place=self.place, field=str(field)[:40])

    def has(self, field: str) -> bool:
        """Return whether a field is there."""
        return self.data.get(field) is not None

    def text(self, field: str, default: str | None = "") -> str:
        """Return a text; a number is taken as it is written. `default` None makes the field required."""
        value = self.data.get(field)
        if value is None:
            if default is None:
                raise self.missing(field)
            return default
        if isinstance(value, bool) or not isinstance(value, str | int):
            raise self.wrong(field, "text")
        return str(value)

    def flag(self, field: str) -> bool:
        """Return true or false."""
        value = self.data.get(field, False)
        if not isinstance(value, bool):
            raise self.wrong(field, "true_or_false")
        return value

    def integer(self, field: str, default: int | None = 0, *, low: int = 0, high: int = (1 << 53) - 1) -> int:
        """Return a whole number within bounds."""
        value = self.data.get(field)
        if value is None:
            if default is None:
                raise self.missing(field)
            return default
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise self.wrong(field, f"integer_from_{low}_to_{high}")
        return value

    def money(self, field: str, of: Currency, default: int | None = 0) -> int:
        """Return minor units of an amount in whole units: 220, 220.5, "1 220,50" or, as in a program, "220 RUB"."""
        value = self.data.get(field)
        if value is None:
            if default is None:
                raise self.missing(field)
            return default
        if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
            raise self.wrong(field, "amount")
        if not isinstance(value, str):
            exact = Decimal(value)
            if not exact.is_finite():
                raise self.wrong(field, "amount")
            if exact < 0:
                raise self._money_error(field, BadInput("amount_negative"))
            if exact >= MAX_MAJOR + 1:
                raise self._money_error(field, BadInput("amount_too_large", limit=MAX_MAJOR))
            scaled = _shifted(exact, of.decimals)
            if scaled is None:
                raise self._money_error(field, BadInput("amount_too_precise", decimals=of.decimals))
            return scaled
        try:
            return parse_amount(value.strip().removesuffix(of.code), of)
        except BadInput as error:
            raise self._money_error(field, error) from error

    def _money_error(self, field: str, error: BadInput) -> BadInput:
        return BadInput(error.code, file=self.file, place=_joined(self.place, field), **error.facts)

    def scaled(
        self, field: str, decimals: int, default: int | None = 0, *, signed: bool = False, unit: str = ""
    ) -> int:
        """Return a number with up to `decimals` decimals in units of the last one: 1.5 with 3 is 1500.

        A text may have `unit` after its number.
        """
        value = self.data.get(field)
        if value is None:
            if default is None:
                raise self.missing(field)
            return default
        if isinstance(value, str):
            text = value.strip().removesuffix(unit).rstrip()
            value = Decimal(text) if _NUMBER.fullmatch(text) else value
        if isinstance(value, bool) or not isinstance(value, int | Decimal):
            raise self.wrong(field, "number")
        exact = Decimal(value)
        if not exact.is_finite() or abs(exact) >= MAX_NUMBER or (exact < 0 and not signed):
            raise self.wrong(field, "number")
        units = _shifted(exact, decimals)
        if units is None:
            raise self.wrong(field, f"number_with_{decimals}_decimals")
        return units

    def texts(self, field: str) -> tuple[str, ...]:
        """Return a list of texts."""
        value = self.data.get(field, ())
        if (
            isinstance(value, str)
            or not isinstance(value, Sequence)
            or not all(isinstance(v, str | int) for v in value)
        ):
            raise self.wrong(field, "list_of_texts")
        return tuple(str(item) for item in value)

    def nodes(self, field: str) -> list[Node]:
        """Return the objects of a list."""
        value = self.data.get(field, ())
        if isinstance(value, str | Mapping) or not isinstance(value, Sequence):
            raise self.wrong(field, "list_of_objects")
        found = []
        for position, item in enumerate(value, start=1):
            place = f"{_joined(self.place, field)}[{position}]"
            if not isinstance(item, Mapping):
                raise BadInput("file_field_wrong", file=self.file, place=place, wants="object")
            found.append(Node(self.file, place, item))
        return found

    def node(self, field: str) -> Node:
        """Return the object in a field, an empty one where absent."""
        value = self.data.get(field, {})
        if not isinstance(value, Mapping):
            raise self.wrong(field, "object")
        return Node(self.file, _joined(self.place, field), value)

    def moment(self, field: str, zone: tzinfo) -> datetime | None:
        """Return an instant in UTC, None where absent; a time without an offset is one of `zone`."""
        value = self.data.get(field)
        if value is None:
            return None
        found = value if isinstance(value, datetime) else moment_of(value, zone)
        if found is None:
            raise self.wrong(field, "moment")
        return _in_utc(found, zone)

    def day(self, field: str) -> date | None:
        """Return a date, None where absent."""
        value = self.data.get(field)
        if value is None:
            return None
        if isinstance(value, date) and not isinstance(value, datetime):
            return value
        try:
            return date.fromisoformat(value) if isinstance(value, str) else _refuse(self.wrong(field, "date"))
        except ValueError:
            raise self.wrong(field, "date") from None

    def zone(self, default: tzinfo = UTC) -> tzinfo:
        """Return the time zone named by the field `zone`."""
        name = self.text("zone")
        if not name:
            return default
        try:
            return UTC if name == "UTC" else ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise self.wrong("zone", "time_zone") from None


def moment_of(text: object, zone: tzinfo) -> datetime | None:
    """Return the instant (UTC) of `2026-03-02T12:00+03:00`, or of a time in `zone`; None for anything else."""
    if not isinstance(text, str):
        return None
    try:
        return _in_utc(datetime.fromisoformat(text.strip()), zone)
    except (ValueError, OverflowError):
        return None


def read_document(path: str) -> Node:
    """Return the document of a file, or of standard input for `-`. Raises `BadInput`."""
    name = "standard input" if path == STDIN else path
    return parse_document(_bytes(path, name), name, _SUFFIXES.get(Path(path).suffix.lower(), ""))


def parse_document(data: bytes, name: str, kind: str = "") -> Node:
    """Return the document of bytes of a `kind` (`json`, `toml`, `yaml`), guessed where empty. Raises `BadInput`."""
    if len(data) > MAX_BYTES:
        raise BadInput("file_too_large", file=name, limit=MAX_BYTES)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadInput("file_not_text", file=name) from error
    if not text.strip():
        raise BadInput("file_empty", file=name)
    try:
        value = _parsed(text, name, kind or _guess(text))
    except RecursionError as error:
        raise BadInput("file_too_deep", file=name) from error
    if not isinstance(value, Mapping):
        raise BadInput("file_not_object", file=name)
    _measure(value, name)
    return Node(name, "", cast("Mapping[str, Value]", value))


def _bytes(path: str, name: str) -> bytes:
    try:
        if path == STDIN:
            # Python has none where it was started with its standard input closed.
            return sys.stdin.buffer.read(MAX_BYTES + 1) if sys.stdin is not None else b""
        # A pipe into which nobody writes is empty; opened the usual way it would be waited for, for ever.
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0))
        with os.fdopen(handle, "rb") as file:
            if os.name == "posix":
                os.set_blocking(handle, True)
            return file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else type(error).__name__
        raise BadInput("file_unreadable", file=name, reason=reason) from error


def _guess(text: str) -> str:
    if text.lstrip()[0] == "{":
        return "json"
    if re.search(r"(?m)^\s*(\[\[?[A-Za-z][\w.\" -]*\]\]?\s*(#.*)?$|[\w.\"-]+\s*=)", text):
        return "toml"
    return "json" if text.lstrip()[0] == "[" else "yaml"


def _parsed(text: str, name: str, kind: str) -> object:
    if kind == "json":
        try:
            return json.loads(
                text, parse_float=Decimal, parse_constant=_no_constant, object_pairs_hook=lambda p: _unique(p, name)
            )
        except json.JSONDecodeError as error:
            raise _malformed(name, "JSON", error.lineno) from error
        except (ValueError, InvalidOperation) as error:
            raise _unread(text, name, "JSON") from error
    if kind == "toml":
        try:
            return tomllib.loads(text, parse_float=Decimal)
        except tomllib.TOMLDecodeError as error:
            line = re.search(r"line (\d+)", str(error))
            raise _malformed(name, "TOML", int(line[1]) if line else text.count("\n") + 1) from error
        except (ValueError, InvalidOperation) as error:
            raise _unread(text, name, "TOML") from error
    return _yaml(text, name)


def _yaml(text: str, name: str) -> object:
    try:
        import yaml

        from loyalty_desk.readable.yaml_loader import Loader
    except ImportError as error:
        raise BadInput("yaml_absent", file=name) from error
    try:
        return cast("object", yaml.load(text, Loader))  # noqa: S506 - a safe loader with the words of YAML 1.2
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise _malformed(name, "YAML", mark.line + 1 if mark else 1) from error
    except (yaml.YAMLError, ValueError, InvalidOperation, TypeError) as error:
        raise _unread(text, name, "YAML") from error


def _malformed(name: str, kind: str, line: int) -> BadInput:
    return BadInput("file_malformed", file=name, kind=kind, line=line)


def _unread(text: str, name: str, kind: str) -> BadInput:
    """Return where a text is that a parser refuses without saying where."""
    found = _REFUSED.search(text)
    return _malformed(name, kind, text.count("\n", 0, found.start()) + 1 if found else 1)


def _unique(pairs: list[tuple[str, object]], name: str) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        keys = [key for key, _ in pairs]
        raise BadInput("file_field_twice", file=name, field=next(key for key in keys if keys.count(key) > 1)[:40])
    return found


def _no_constant(text: str) -> object:
    raise ValueError(text)


def _measure(value: object, name: str) -> None:
    """Refuse what is too deep or, by references of YAML, far larger than its text."""
    for count, (item, depth) in enumerate(_walk(value, 0)):
        if depth > MAX_DEPTH or count > MAX_NODES:
            raise BadInput("file_too_deep", file=name)
        if isinstance(item, Mapping) and not all(isinstance(key, str) for key in item):
            key = next(key for key in item if not isinstance(key, str))
            raise BadInput("file_field_unknown", file=name, place="", field=str(key)[:40])


def _walk(value: object, depth: int) -> Iterator[tuple[object, int]]:
    yield value, depth
    if depth > MAX_DEPTH:
        return
    children: Sequence[object] = ()
    if isinstance(value, Mapping):
        children = list(value.values())
    elif isinstance(value, Sequence) and not isinstance(value, str | bytes):
        children = value
    for child in children:
        yield from _walk(child, depth + 1)


def _in_utc(moment: datetime, zone: tzinfo) -> datetime:
    try:
        return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).astimezone(UTC)
    except (OverflowError, ValueError) as error:
        raise BadInput("moment_out_of_range", moment=moment.isoformat()) from error


def _shifted(exact: Decimal, decimals: int) -> int | None:
    """Return a bounded number in units of its last decimal, None where it has more decimals than that."""
    # Far below the context's smallest exponent a decimal would silently become nothing.
    if exact and exact.adjusted() < -decimals:
        return None
    shifted = exact.scaleb(decimals)
    return int(shifted) if shifted == shifted.to_integral_value() else None


def _joined(place: str, field: str) -> str:
    return f"{place}.{field}" if place else field


def _refuse(error: BadInput) -> date:
    raise error


def plain(value: object) -> object:
    """Return a value with dates and times as the texts that a program snapshot holds."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, time):
        return f"{value:%H:%M}"
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [plain(item) for item in value]
    return value
