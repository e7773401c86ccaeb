"""`unit_series`: the first units one amount off, further units another, up to a most."""

from __future__ import annotations

from collections.abc import Sequence

from loyalty_desk.domain.conditions.base import Reason
from loyalty_desk.domain.effects.base import Acting, Effect, lower, off_each, payable
from loyalty_desk.domain.effects.unit_prices import lower_units
from loyalty_desk.domain.fields import Fields
from loyalty_desk.domain.tally import Tally


class UnitSeries(Effect):
    """`first` minor units off the first `first_units` (1), `further` off each one more, of `max_units` the cheapest."""

    __slots__ = ("cap", "first", "first_units", "further", "max_units")

    def __init__(self, f: Fields) -> None:
        self.first = f.integer("first", None, low=0)
        self.first_units = f.integer("first_units", 1, low=1)
        self.further = f.integer("further", None, low=0)
        self.max_units = f.optional("max_units", low=0)
        self.cap = f.optional("cap", low=0)

    def apply(self, tally: Tally, acting: Acting, positions: Sequence[int]) -> Reason | None:
        """Take the amounts off, the cheapest unit being the first."""
        lines = payable(tally, acting, positions)
        count = sum([tally.quantity[i] for i in lines])
        count = count if self.max_units is None else min(count, self.max_units)
        first, covered = tally.pick(lines, min(count, self.first_units)), tally.pick(lines, count)
        for i, units in first.items():
            if units is not None and covered[i] is None:
                covered[i] = {k: run.units for k, run in enumerate(tally.runs(i))}

        def price(i: int, k: int, n: int, now: int) -> int:
            units = first.get(i)
            return now - (self.first if units is not None and n < units.get(k, 0) else self.further)

        begun = dict.fromkeys([i for i, units in first.items() if units is None])
        # Of a line that stands in both, the first amount; it keeps its place in the order.
        whole = off_each(tally, covered, self.further) | off_each(tally, begun, self.first)
        return lower_units(tally, acting, covered, price, lower(self.cap, acting.cap), whole=whole, split_at=first)
