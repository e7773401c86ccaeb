"""The arithmetic of lots, for whoever keeps them: the kernel with times, the server with milliseconds.

Which lot can be spent, which goes first, what dies next, and how paid checks lengthen lives under `inactivity`.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

# More separate lives than these nobody has whose points are not long expired.
SPANS_KEPT = 64


class AnyLot[T: (int, datetime)](Protocol):
    """A lot by its times and what is left of it, smallest point units."""

    @property
    def remaining(self) -> int:
        """Return the points left."""

    @property
    def earned_at(self) -> T:
        """Return when the points came."""

    @property
    def expires_at(self) -> T | None:
        """Return from when they are dead, None for never."""

    @property
    def usable_at(self) -> T | None:
        """Return from when they can be spent, None for at once."""


def is_live[T: (int, datetime)](lot: AnyLot[T], at: T) -> bool:
    """Return whether a lot is alive at `at`; its expiry instant is already too late."""
    return lot.expires_at is None or at < lot.expires_at


def is_spendable[T: (int, datetime)](lot: AnyLot[T], at: T) -> bool:
    """Return whether a lot is alive and no longer pending at `at`."""
    return is_live(lot, at) and (lot.usable_at is None or lot.usable_at <= at)


def spending_order[T: (int, datetime)](lot: AnyLot[T]) -> tuple[bool, T | None, T]:
    """Return what lots are sorted by: earliest end first, never-expiring last, the elder of equals first."""
    return (lot.expires_at is None, lot.expires_at, lot.earned_at)


def drawn[L](order: Iterable[L], points: int, has: Callable[[L], int]) -> Iterator[tuple[L, int]]:
    """Yield how much each lot of `order` gives until `points` are together; each part is above zero."""
    for lot in order:
        part = min(points, has(lot))
        if part > 0:
            points -= part
            yield lot, part


def next_expiries[T: (int, datetime)](lots: Iterable[AnyLot[T]], at: T, count: int = 3) -> list[tuple[T, int]]:
    """Return the next instants after `at` at which points die, with how many, soonest first."""
    sums: dict[T, int] = {}
    for lot in lots:
        if lot.remaining and lot.expires_at is not None and at < lot.expires_at:
            sums[lot.expires_at] = sums.get(lot.expires_at, 0) + lot.remaining
    return sorted(sums.items())[:count]


@dataclass(slots=True)
class Activity[T: (int, datetime)]:
    """When paid checks kept a guest's points alive: spans from a check to the end it gives, None for never.

    Spans that overlap are one, so that the ends found do not depend on the order in which checks became known (INV-19).
    """

    spans: list[tuple[T, T | None]] = field(default_factory=list)

    def note(self, at: T, until: T | None) -> None:
        """Add a paid check of `at` that gives points alive then a life until `until`."""
        merged: list[tuple[T, T | None]] = []
        spans = self.spans.copy()
        insort(spans, (at, until), key=lambda span: span[0])
        for start, end in spans:
            last = merged[-1][1] if merged else start
            # Not at the very instant of the end: points are dead by then.
            if last is None or start < last:
                merged[-1] = (merged[-1][0], _later(last, end))
            else:
                merged.append((start, end))
        self.spans = merged[-SPANS_KEPT:]

    def end_of(self, end: T | None) -> T | None:
        """Return when points die that would die at `end`; it is never sooner."""
        for start, until in self.spans:
            if end is not None and start < end:
                end = _later(end, until)
        return end

    def join(self, spans: Sequence[tuple[T, T | None]]) -> None:
        """Add the spans of another account of the same guest."""
        for start, until in spans:
            self.note(start, until)


def _later[T: (int, datetime)](one: T | None, other: T | None) -> T | None:
    return None if one is None or other is None else max(one, other)
