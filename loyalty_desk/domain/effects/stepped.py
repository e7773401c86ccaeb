"""`stepped`: the highest step reached counts, by amount or quantity, as a rate or an amount off."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from loyalty_desk.domain.conditions.base import MONEY, UNITS, Reason
from loyalty_desk.domain.effects.base import Acting, Effect
from loyalty_desk.domain.effects.fixed_amount import amount_per
from loyalty_desk.domain.effects.percentage import percentage_of
from loyalty_desk.domain.fields import Fields
from loyalty_desk.domain.tally import Tally


class Step(NamedTuple):
    """From which size which effect counts."""

    start: int
    effect: Effect


class Stepped(Effect):
    """`steps` of `from` and `rate_bp` or `amount`, `by` amount (minor units as they stand) or quantity of the lines.

    `of: lines` takes a rate off each line, `of: check` off their sum; an amount is taken off once.
    """

    __slots__ = ("by_amount", "level", "steps")

    def __init__(self, f: Fields) -> None:
        of = f.text("of", "check", one_of=("lines", "check"))
        self.level = "line" if of == "lines" else "check"
        self.by_amount = f.text("by", "amount", one_of=("amount", "quantity")) == "amount"
        steps = []
        for step in f.objects("steps"):
            if (step.optional("rate_bp") is None) == (step.optional("amount") is None):
                raise step.wrong("rate_bp", "one_of:rate_bp,amount")
            start = step.integer("from", None, low=0)
            per = {"of": of} if "rate_bp" in step.data else {"per": of}
            made = Fields({**step.data, **per, "cap": f.data.get("cap")}, step.place, step.owner)
            steps.append(Step(start, percentage_of(made) if "rate_bp" in step.data else amount_per(made)))
        if not steps:
            raise f.wrong("steps", "list_of_objects")
        self.steps = sorted(steps, key=lambda step: -step.start)

    def apply(self, tally: Tally, acting: Acting, positions: Sequence[int]) -> Reason | None:
        """Apply the highest step that the lines reach."""
        sizes = tally.left if self.by_amount else tally.quantity
        size = sum(sizes[i] for i in positions)
        for start, effect in self.steps:
            if size >= start:
                return effect.apply(tally, acting, positions)
        missing = self.steps[-1].start - size
        kind = MONEY if self.by_amount else UNITS
        code = "step_not_reached" if self.by_amount else "step_units_not_reached"
        return Reason(code, {"has": size, "missing": missing}, kind, missing)
