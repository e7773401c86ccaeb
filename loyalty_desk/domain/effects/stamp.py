"""`stamp`: every Nth matching unit, or something on every Nth visit, for nothing."""

from __future__ import annotations

from collections.abc import Sequence

from loyalty_desk.domain.conditions.base import Reason
from loyalty_desk.domain.effects.base import Acting, Effect, payable
from loyalty_desk.domain.effects.unit_prices import lower_units
from loyalty_desk.domain.fields import Fields
from loyalty_desk.domain.tally import Tally
from loyalty_desk.domain.units import Picks


class Stamp(Effect):
    """Every `every`th unit of the rule's lines is free, the cheapest; or (`per: visit`) one unit on every Nth check.

    The guest's stamps count on from check to check; a free unit earns none. `expires_days` without a stamp end them,
    which is the ledger's business.
    """

    __slots__ = ("every", "expires_days", "per_visit")

    def __init__(self, f: Fields) -> None:
        self.every = f.integer("every", None, low=2)
        self.per_visit = f.text("per", "unit", one_of=("unit", "visit")) == "visit"
        self.expires_days = f.optional("expires_days", low=1)

    def apply(self, tally: Tally, acting: Acting, positions: Sequence[int]) -> Reason | None:
        """Collect the stamps of this check and free what they have earned."""
        if tally.guest is None:
            return Reason("no_guest")
        had = tally.guest.stamps.get(acting.rule, 0)
        lines = frozenset([i for i in payable(tally, acting, positions) if not tally.lines[i].is_weighed])
        rows = [row for row in tally.unit_order(dearest=False).rows() if row[0] > 0 and row[1] in lines]
        paid = sum([units for _, _, _, units, _ in rows])
        if not paid:
            return Reason("nothing_left")
        come = 1 if self.per_visit else paid
        free = max(0, had + come) // self.every
        tally.given.stamps.append((acting.rule, come - free * self.every))
        if free:
            picks: Picks = {}
            freed = free
            for _, i, k, units, _ in rows:
                if freed <= 0:
                    break
                picks.setdefault(i, {})[k] = min(units, freed)
                freed -= units
            lower_units(tally, acting, picks, lambda *_: 0, acting.cap)
            tally.given.free_units += free
        return None
