"""`stamp`: every Nth matching unit, or something on every Nth visit, for nothing."""

from __future__ import annotations

from collections.abc import Sequence

from loyalty_desk.domain.conditions.base import Reason
from loyalty_desk.domain.effects.base import Acting, Effect, payable
from loyalty_desk.domain.effects.unit_prices import lower_units
from loyalty_desk.domain.fields import Fields
from loyalty_desk.domain.tally import Tally
from loyalty_desk.domain.units import pick


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
        by_line = {i: tally.runs(i) for i in payable(tally, acting, positions) if not tally.lines[i].is_weighed}
        paid = sum(run.units for runs in by_line.values() for run in runs if run.price > 0)
        if not paid:
            return Reason("nothing_left")
        come = 1 if self.per_visit else paid
        free = max(0, had + come) // self.every
        tally.given.stamps.append((acting.rule, come - free * self.every))
        if free:
            priced = [(i, tuple(run for run in runs if run.price > 0)) for i, runs in by_line.items()]
            places = {i: [k for k, run in enumerate(runs) if run.price > 0] for i, runs in by_line.items()}
            picks = {
                i: {places[i][k]: units for k, units in picked.items()} for i, picked in pick(priced, free).items()
            }
            lower_units(tally, acting, picks, lambda *_: 0, acting.cap)
            tally.given.free_units += free
        return None
