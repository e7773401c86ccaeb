"""Reading a case strictly: every key must be asked for, and what is not understood is named, never passed over."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any


class Inexpressible(Exception):
    """The case asks for something that the product has no word for: which `field`, and why."""

    def __init__(self, field: str, why: str) -> None:
        super().__init__(f"{field}: {why}")


class Keys:
    """An object of a case whose keys are ticked off as they are read."""

    def __init__(self, data: Mapping[str, Any], place: str) -> None:
        if not isinstance(data, Mapping):
            raise Inexpressible(place, "not an object")
        self._data = data
        self._place = place
        self._read: set[str] = set()

    def __contains__(self, key: str) -> bool:
        return key in self._data

    def get(self, key: str, default: Any = None) -> Any:
        self._read.add(key)
        return self._data.get(key, default)

    def keys(self) -> list[str]:
        return list(self._data)

    def all_items(self) -> list[tuple[str, Any]]:
        self._read.update(self._data)
        return list(self._data.items())

    def field(self, key: str) -> str:
        return f"{self._place}.{key}"

    def text(self, key: str) -> str:
        value = self.get(key)
        if not isinstance(value, str):
            raise Inexpressible(self.field(key), f"not a text: {value!r}")
        return value

    def texts(self, key: str) -> list[str]:
        value = self.get(key, [])
        found = [value] if isinstance(value, str) else value
        if not isinstance(found, list) or not all(isinstance(item, str) for item in found):
            raise Inexpressible(self.field(key), f"not texts: {value!r}")
        return found

    def whole(self, key: str, default: int = 0, *, low: int = 0) -> int:
        value = self.get(key, default)
        number = decimal_of(value, self.field(key))
        if number != number.to_integral_value() or number < low:
            raise Inexpressible(self.field(key), f"not a whole number from {low}: {value!r}")
        return int(number)

    def flag(self, key: str, default: bool = False) -> bool:
        value = self.get(key, default)
        if not isinstance(value, bool):
            raise Inexpressible(self.field(key), f"not true or false: {value!r}")
        return value

    def money(self, key: str, default: Any = "0") -> int:
        return money_of(self.get(key, default), self.field(key))

    def rate_bp(self, key: str) -> int:
        return scaled(self.get(key), 100, self.field(key))

    def inner(self, key: str) -> Keys:
        return Keys(self.get(key) or {}, self.field(key))

    def left(self) -> list[str]:
        return [key for key in self._data if key not in self._read]

    def ignore(self, *keys: str) -> None:
        self._read.update(keys)

    def must_be_read(self) -> None:
        for key in self.left():
            raise Inexpressible(self.field(key), "unknown field")


def decimal_of(value: Any, field: str) -> Decimal:
    """Return an exact number; a binary fraction of the file is read as it is written."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise Inexpressible(field, f"not a number: {value!r}")
    try:
        number = Decimal(repr(value) if isinstance(value, float) else value)
    except InvalidOperation:
        raise Inexpressible(field, f"not a number: {value!r}") from None
    if not number.is_finite():
        raise Inexpressible(field, f"not a number: {value!r}")
    return number


def scaled(value: Any, scale: int, field: str) -> int:
    """Return a number times `scale`; it must come out whole."""
    number = decimal_of(value, field) * scale
    if number != number.to_integral_value():
        raise Inexpressible(field, f"finer than 1/{scale}: {value!r}")
    return int(number)


def money_of(value: Any, field: str) -> int:
    """Return minor units of an amount with two decimals."""
    return scaled(value, 100, field)


def decimals_of(value: Any) -> int:
    """Return how many decimals a number is written with, trailing zeros left out."""
    number = decimal_of(value, "number").normalize()
    exponent = number.as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0
