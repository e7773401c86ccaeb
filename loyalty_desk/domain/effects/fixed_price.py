"""`fixed_price`: matching units cost so much, a happy hour's price."""

from __future__ import annotations

from collections.abc import Sequence

from loyalty_desk.domain.basket import MILLI
from loyalty_desk.domain.conditions.base import Reason
from loyalty_desk.domain.effects.base import Acting, Effect, lower, payable
from loyalty_desk.domain.effects.unit_prices import lower_units
from loyalty_desk.domain.fields import Fields
from loyalty_desk.domain.money import divide_half_up
from loyalty_desk.domain.tally import Tally


class FixedPrice(Effect):
    """`price` minor units for each unit (of weighed goods: for the measure of one), of `max_units` the cheapest.

    A unit that costs less already keeps its price.
    """

    __slots__ = ("cap", "dearest", "max_units", "price")
    of_payable = True

    def __init__(self, f: Fields) -> None:
        self.price = f.integer("price", None, low=0)
        self.max_units = f.optional("max_units", low=0)
        self.cap = f.optional("cap", low=0)
        self.dearest = f.text("choose", "cheapest", one_of=("cheapest", "dearest")) == "dearest"

    def apply(self, tally: Tally, acting: Acting, positions: Sequence[int]) -> Reason | None:
        """Lower the units to the price."""
        lines = payable(tally, acting, positions)
        count = sum([tally.quantity[i] for i in lines])
        count = count if self.max_units is None else min(count, self.max_units)
        covered = tally.pick(lines, count, dearest=self.dearest)

        def price(i: int, _k: int = 0, _n: int = 0, _now: int = 0) -> int:
            line = tally.lines[i]
            return divide_half_up(self.price * line.quantity_milli, MILLI) if line.is_weighed else self.price

        lines = [i for i, picked in covered.items() if picked is None]
        left, quantity = tally.left, tally.quantity
        whole = {
            i: max(0, min(room, left[i] - price(i) * quantity[i]))
            for i, room in zip(lines, tally.rooms(lines), strict=True)
        }
        return lower_units(tally, acting, covered, price, lower(self.cap, acting.cap), whole=whole)
