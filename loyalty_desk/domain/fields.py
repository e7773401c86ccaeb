"""Reading checked values out of a JSON object: the place of a mistake is named, nothing is guessed."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from uuid import UUID

from loyalty_desk.domain.canonical import Json, text_to_bytes
from loyalty_desk.domain.clock import from_ms
from loyalty_desk.domain.errors import BadInput

MAX_INTEGER = (1 << 53) - 1
_CLOCK = re.compile(r"([01][0-9]|2[0-4]):([0-5][0-9])")


@dataclass(frozen=True, slots=True)
class Fields:
    """An object, where it stands (`rule happy_hour.effects[1]`) and whose it is, with typed access to its fields.

    Every method raises `BadInput` `field_missing` or `field_wrong` with `place`, `field` and, where it helps, `wants`.
    """

    data: Mapping[str, Json]
    place: str
    owner: str = ""

    def wrong(self, field: str, wants: str) -> BadInput:
        """Return the error that says what `field` should have been."""
        return BadInput("field_wrong", place=self.place, field=field, wants=wants)

    def _get(self, field: str, *, needed: bool) -> Json:
        value = self.data.get(field)
        if value is None and needed:
            raise BadInput("field_missing", place=self.place, field=field)
        return value

    def integer(self, field: str, default: int | None = 0, *, low: int = -MAX_INTEGER, high: int = MAX_INTEGER) -> int:
        """Return an integer within bounds; `default` None makes the field required."""
        plain = self.data.get(field)
        if type(plain) is int and low <= plain <= high:
            return plain
        if plain is None and default is not None:
            return default
        value = self._get(field, needed=True)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            wants = "integer" if low == -MAX_INTEGER and high == MAX_INTEGER else f"integer_from_{low}_to_{high}"
            raise self.wrong(field, wants)
        return value

    def optional(self, field: str, *, low: int = -MAX_INTEGER, high: int = MAX_INTEGER) -> int | None:
        """Return an integer within bounds, None where absent."""
        return None if self.data.get(field) is None else self.integer(field, low=low, high=high)

    def text(self, field: str, default: str | None = "", *, one_of: Sequence[str] = ()) -> str:
        """Return a string; `default` None makes the field required."""
        plain = self.data.get(field)
        if type(plain) is str and (not one_of or plain in one_of):
            return plain
        if plain is None and default is not None:
            return default
        value = self._get(field, needed=True)
        if not isinstance(value, str) or (one_of and value not in one_of):
            raise self.wrong(field, "one_of:" + ",".join(one_of) if one_of else "text")
        return value

    def natural(self, field: str) -> int:
        """Return an integer that is not negative. Required."""
        return self.integer(field, None, low=0)

    def instant(self, field: str) -> datetime:
        """Return the UTC time of milliseconds since 1970. Required."""
        moment = self.moment(field)
        if moment is None:
            raise BadInput("field_missing", place=self.place, field=field)
        return moment

    def identifier(self, field: str) -> UUID:
        """Return an identifier in its one spelling. Required."""
        text, value = self.text(field, None), self.uuid(field)
        if value is None or str(value) != text:
            raise self.wrong(field, "uuid")
        return value

    def raw(self, field: str) -> bytes:
        """Return the bytes of base64url without padding. Required."""
        try:
            return text_to_bytes(self.text(field, None))
        except ValueError:
            raise self.wrong(field, "base64url") from None

    def flag(self, field: str, *, default: bool = False) -> bool:
        """Return true or false."""
        value = self._get(field, needed=False)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise self.wrong(field, "true_or_false")
        return value

    def texts(self, field: str, *, needed: bool = False) -> tuple[str, ...]:
        """Return a list of strings; required and not empty where `needed`."""
        value = self._get(field, needed=needed)
        if value is None:
            return ()
        items = value if isinstance(value, list | tuple) else None
        if items is None or (needed and not items):
            raise self.wrong(field, "list_of_texts")
        found = tuple([item for item in items if isinstance(item, str)])
        if len(found) < len(items):
            raise self.wrong(field, "list_of_texts")
        return found

    def integers(self, field: str, *, low: int = -MAX_INTEGER, high: int = MAX_INTEGER) -> tuple[int, ...]:
        """Return a list of integers within bounds."""
        value = self._get(field, needed=False)
        if value is None:
            return ()
        items = value if isinstance(value, list | tuple) else None
        if items is None:
            raise self.wrong(field, "list_of_integers")
        found = tuple(
            item for item in items if isinstance(item, int) and not isinstance(item, bool) and low <= item <= high
        )
        if len(found) != len(items):
            raise self.wrong(field, "list_of_integers")
        return found

    def object(self, field: str) -> Fields:
        """Return the object in a field, an empty one where absent."""
        value = self._get(field, needed=False)
        if value is None:
            return Fields({}, f"{self.place}.{field}", self.owner)
        if type(value) is not dict and not isinstance(value, Mapping):
            raise self.wrong(field, "object")
        return Fields(value, f"{self.place}.{field}", self.owner)

    def objects(self, field: str) -> tuple[Fields, ...]:
        """Return the objects of a list, none where absent."""
        items = self.data.get(field)
        if items is None:
            return ()
        if not isinstance(items, list | tuple):
            raise self.wrong(field, "list_of_objects")
        found = []
        for position, item in enumerate(items, start=1):
            # Nearly always a dict: to ask about Mapping takes a microsecond, and a check has dozens of objects.
            if type(item) is not dict and not isinstance(item, Mapping):
                raise self.wrong(field, "list_of_objects")
            found.append(Fields(item, f"{self.place}.{field}[{position}]", self.owner))
        return tuple(found)

    def moment(self, field: str) -> datetime | None:
        """Return the UTC time of milliseconds since 1970."""
        value = self.optional(field, low=-62_135_596_800_000, high=253_402_300_799_999)
        return None if value is None else from_ms(value)

    def day(self, field: str) -> date | None:
        """Return the date of `2026-03-02`."""
        text = self.text(field)
        if not text:
            return None
        try:
            return date.fromisoformat(text)
        except ValueError:
            raise self.wrong(field, "date") from None

    def clock(self, field: str) -> int:
        """Return minutes since midnight of `08:30`; `24:00` is the end of the day. Required."""
        found = _CLOCK.fullmatch(self.text(field, None))
        if not found or (found[1] == "24" and found[2] != "00"):
            raise self.wrong(field, "time_of_day")
        return int(found[1]) * 60 + int(found[2])

    def uuid(self, field: str) -> UUID | None:
        """Return an identifier, None where absent."""
        text = self.text(field)
        try:
            return UUID(text) if text else None
        except ValueError:
            raise self.wrong(field, "uuid") from None


def minutes(moment: time) -> int:
    """Return whole minutes since midnight."""
    return moment.hour * 60 + moment.minute
