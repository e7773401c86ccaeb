"""Whether one machine wrote what the server holds of a till, or two that work with copies of one journal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from heapq import heappop, heappush
from typing import NamedTuple


@dataclass(frozen=True, slots=True)
class Line:
    """One line of records of a till: an epoch, or what parted from it.

    `parent` is the hash that its first record is chained to, None where that is nothing; `head` that of its last.
    `began` and `ended` say when its first and last record came here, None where none of them tells anything: what
    somebody else brought does not, nor what had to wait for another record.
    """

    epoch: int
    branch: int
    parent: bytes | None
    head: bytes
    began: datetime | None
    ended: datetime | None


def grow_in_turns(lines: Sequence[Line]) -> bool:
    """Return whether a line has grown behind the beginning of a newer one: then two machines write them.

    A till that is put back from a copy leaves its old line where it was. Lines of which one has grown out of the
    other's end are one journal, whichever comes first: a server that was put back gets the old one again behind the
    new one. A second machine that sells on in the old one gives it another end. Of two that began at one moment nobody
    knows which is older: where both grew later, it was in turns; where one did not, it may have ended before.
    """
    growing: list[tuple[int, _Grown]] = []
    for line in sorted(_grown(lines), key=lambda one: (one.began, one.ended)):
        while growing and growing[0][1].ended <= line.began:
            heappop(growing)
        # Those that grow still are one journal: who belongs to its latest line belongs to all of it.
        if growing and not growing[0][1].is_one_journal_with(line):
            return True
        heappush(growing, (-line.number, line))
    return False


class _Grown(NamedTuple):
    """When a line grew. What has grown out of its end has the numbers behind its own, up to `last`."""

    number: int
    last: int
    began: datetime
    ended: datetime

    def is_one_journal_with(self, other: _Grown) -> bool:
        """Return whether one of two lines has grown out of the other's end, or out of one that has."""
        return self.number <= other.number <= self.last or other.number <= self.number <= other.last


def _grown(lines: Iterable[Line]) -> list[_Grown]:
    """Return the lines that tell when they grew, numbered by what they have grown out of.

    Heads that name one another, which no honest till makes, are taken one after another.
    """
    written = [one for one in lines if one.parent != one.head]
    heads = {one.head for one in written}
    out_of: dict[bytes | None, list[Line]] = {}
    for one in written:
        out_of.setdefault(one.parent, []).append(one)
    numbers: dict[Line, int] = {}
    last: dict[Line, int] = {}
    way = [*written, *(one for one in written if one.parent not in heads)]
    while way:
        line = way[-1]
        if line not in numbers:
            numbers[line] = len(numbers)
            way += out_of.pop(line.head, ())
        else:
            way.pop()
            last.setdefault(line, len(numbers) - 1)
    return [
        _Grown(number, last[line], line.began, line.ended)
        for line, number in numbers.items()
        if line.began is not None and line.ended is not None
    ]
