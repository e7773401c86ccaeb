"""`unit_series`: the first units one amount off, further units another, up to a most."""

from __future__ import annotations

from collections.abc import Sequence

from loyalty_desk.domain.conditions.base import Reason
from loyalty_desk.domain.effects.base import Acting, Effect, lower, payable
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
        first = tally.pick(lines, min(count, self.first_units))

        def price(i: int, k: int, n: int, now: int) -> int:
            return now - (self.first if i in first and n < first[i].get(k, 0) else self.further)

        return lower_units(tally, acting, tally.pick(lines, count), price, lower(self.cap, acting.cap), split_at=first)
