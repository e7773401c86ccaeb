"""The units of a whole check in order of price, kept from rule to rule for the rules that touch a few of many."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import compress
from operator import and_, is_not, or_
from typing import TYPE_CHECKING

from loyalty_desk.domain.units import Picks

if TYPE_CHECKING:
    from loyalty_desk.domain.tally import Cuts, Known, Tally

# (price, negative for the dearest first; line; run; units; whether they are consumed)
type Row = tuple[int, int, int, int, bool]


class UnitOrder:
    """All units of a tally, cheapest or `dearest` first, ties to the earlier line and unit.

    What changed since the last look is told by the identity of each line's cuts and known units, which nothing changes
    in place; only such lines are placed again. A thousand rules on three units each thus sort a thousand lines once.
    Looking at a line's units makes them known, so its known units as they were before count as unchanged too: a tally
    that is restored after a trial has them again.
    """

    __slots__ = ("_before", "_cuts", "_dearest", "_known", "_rows", "_tally")

    def __init__(self, tally: Tally, *, dearest: bool) -> None:
        self._tally, self._dearest = tally, dearest
        self._rows: list[Row] = []
        self._cuts: list[Cuts] = []
        self._before: list[Known | None] = []
        self._known: list[Known | None] = []

    def rows(self) -> list[Row]:
        """Return the runs of all lines as they cost now."""
        tally = self._tally
        changed: Sequence[int]
        if self._cuts:
            known = map(and_, map(is_not, tally.known, self._known), map(is_not, tally.known, self._before))
            changed = list(compress(tally.all, map(or_, map(is_not, tally.cuts, self._cuts), known)))
            if not changed:
                return self._rows
            gone = frozenset(changed)
            rows = [row for row in self._rows if row[1] not in gone]
        else:
            changed, rows = tally.all, []
        self._before = tally.known.copy()
        sign = -1 if self._dearest else 1
        for i in changed:
            for k, (price, units, consumed) in enumerate(tally.runs(i)):
                rows.append((sign * price, i, k, units, consumed))
        rows.sort()
        self._rows, self._cuts, self._known = rows, tally.cuts.copy(), tally.known.copy()
        return rows

    def offered(self, lines: Collection[int]) -> list[Row]:
        """Return the runs of these lines that no set rule has consumed, in order."""
        wanted = frozenset(lines)
        return [row for row in self.rows() if row[1] in wanted and not row[4]]

    def pick_free(self, lines: Collection[int], count: int) -> Picks:
        """Return which units are the first `count` of these lines that no set rule has consumed."""
        picks: Picks = {}
        wanted = frozenset(lines)
        for _, i, k, units, consumed in self.rows():
            if count <= 0:
                break
            if i in wanted and not consumed:
                taken = min(units, count)
                picks.setdefault(i, {})[k] = taken
                count -= taken
        return picks
