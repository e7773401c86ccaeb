"""`gift`: an extra unit for nothing, outside every total; the cashier may decline it."""

from __future__ import annotations

from collections.abc import Sequence

from loyalty_desk.domain.conditions.base import UNITS, Reason
from loyalty_desk.domain.effects.base import Acting, Effect, lower, take_from_picked
from loyalty_desk.domain.fields import Fields
from loyalty_desk.domain.quote import Gift
from loyalty_desk.domain.tally import Tally

DECLINED = Reason("declined")


class GiftUnit(Effect):
    """`quantity` (1) units of one of `products`, worth `price` minor units each (absent: what it costs in the check).

    Once, or for every `per_units` units bought of the rule's lines, which are then consumed, up to `max_repeats`. The
    guest chooses among several products, the first being the default.
    """

    __slots__ = ("max_repeats", "per_units", "price", "products", "quantity")

    def __init__(self, f: Fields) -> None:
        self.products = f.texts("products", needed=True)
        self.price = f.optional("price", low=0)
        self.quantity = f.integer("quantity", 1, low=1)
        self.per_units = f.optional("per_units", low=1)
        self.max_repeats = f.optional("max_repeats", low=1)

    def apply(self, tally: Tally, acting: Acting, positions: Sequence[int]) -> Reason | None:
        """Add the gift unless it was declined."""
        if acting.rule in tally.choices.declined:
            return DECLINED
        times = 1
        if self.per_units is not None:
            bought = sum([units for _, _, _, units, _ in tally.offered(positions, dearest=True)])
            times = bought // self.per_units
            times = lower(times, self.max_repeats, acting.repeats) or 0
            if not times:
                missing = self.per_units - bought
                return Reason("set_incomplete", {"missing": missing}, UNITS, missing)
            picks = tally.pick_free(positions, times * self.per_units)
            for i, picked in picks.items():
                tally.consume(i, take_from_picked(tally.runs(i), picked, 0, 0, consume=True))
            tally.given.units_consumed += times * self.per_units
        chosen = tally.choices.gifts.get(acting.rule, self.products[0])
        product = chosen if chosen in self.products else self.products[0]
        price = self.price
        if price is None:
            price = next((line.unit_price for line in tally.lines if line.product == product), 0)
        tally.given.gifts.append(Gift(acting.rule, product, self.quantity * times, price))
        return None
