"""Which keys of a snapshot nobody reads: a mistyped `max_unit` would be passed over, and give without a limit.

Found by reading: the snapshot is understood once over an object that notes what it is asked for, so that no list of
known keys can fall behind the code.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from loyalty_desk.domain.bonuses import birthday_bonus
from loyalty_desk.domain.canonical import Json
from loyalty_desk.domain.compiled import compile_program
from loyalty_desk.domain.expiry import ExpiryPolicy
from loyalty_desk.domain.program import Program

# What the network itself is asked for, and what a snapshot says of its own form.
_OF_THE_SNAPSHOT = frozenset({"v", "network", "version", "zone"})


class _Noting(Mapping[str, Json]):
    """An object that notes which of its keys are asked for; what is inside notes them too."""

    def __init__(self, data: Mapping[str, Json], place: str) -> None:
        self._data = data
        self._place = place
        self._asked: set[str] = set()
        self._inside: dict[str, Json] = {}

    def __getitem__(self, key: str) -> Json:
        value = self._data[key]
        self._asked.add(key)
        if key not in self._inside:
            self._inside[key] = self._noting(value, f"{self._place}.{key}" if self._place else key)
        return self._inside[key]

    def __iter__(self) -> Iterator[str]:
        # Whoever goes through all keys reads them all: texts by language are such.
        self._asked.update(self._data)
        return iter(self._data)

    def __len__(self) -> int:
        return len(self._data)

    def unasked(self) -> Iterator[tuple[str, str]]:
        """Yield place and key of everything that nobody has asked for."""
        for key in sorted(set(self._data) - self._asked):
            yield self._place, key
        for value in self._inside.values():
            for one in value if isinstance(value, list) else [value]:
                if isinstance(one, _Noting):
                    yield from one.unasked()

    def _noting(self, value: Json, place: str) -> Json:
        if isinstance(value, Mapping):
            return _Noting(value, place)
        if isinstance(value, list | tuple):
            named = (one.get("id") if isinstance(one, Mapping) else None for one in value)
            places = [f"rule {name}" if isinstance(name, str) else f"{place}[{n}]" for n, name in enumerate(named, 1)]
            return [
                _Noting(one, where) if isinstance(one, Mapping) else one
                for one, where in zip(value, places, strict=True)
            ]
        return value


def unread_keys(data: Mapping[str, Json]) -> list[tuple[str, str]]:
    """Return (place, key) of what means nothing in a sound snapshot; raises `BadInput` as reading it does."""
    noting = _Noting(data, "")
    program = Program.from_dict(noting)
    compile_program(program)
    ExpiryPolicy.of(program)
    birthday_bonus(program)
    return [(place or "program", key) for place, key in noting.unasked() if place or key not in _OF_THE_SNAPSHOT]
