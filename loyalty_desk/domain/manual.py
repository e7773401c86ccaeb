"""What the cashier takes off by hand, before any rule and never below a floor price."""

from __future__ import annotations

from loyalty_desk.domain.errors import BadInput
from loyalty_desk.domain.money import BASIS_POINTS, percent_off
from loyalty_desk.domain.quote import MANUAL_RULE
from loyalty_desk.domain.tally import Tally


def take_manual(tally: Tally) -> None:
    """Take the manual discounts off the tally; raises `BadInput` for one that no cashier can mean."""
    for manual in tally.choices.manual_discounts:
        if manual.amount < 0 or not 0 <= manual.rate_bp <= BASIS_POINTS or bool(manual.amount) == bool(manual.rate_bp):
            raise BadInput("manual_discount", amount=manual.amount, rate_bp=manual.rate_bp)
        lines = [i for i in tally.all if tally.may[i] and manual.line in (None, tally.lines[i].id)]
        if manual.line is not None and not any(line.id == manual.line for line in tally.lines):
            raise BadInput("manual_discount_line", line=manual.line)
        cost = sum(tally.left[i] for i in lines)
        tally.take_split(lines, MANUAL_RULE, manual.amount or percent_off(cost, manual.rate_bp))
    tally.original = tally.left.copy()
