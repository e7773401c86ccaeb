"""Points taken back by the earning rule on the returned price (`points_reversal: formula`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from loyalty_desk.domain.basket import MILLI, Line
from loyalty_desk.domain.effects import EFFECTS, EarningEffect
from loyalty_desk.domain.money import divide_half_up
from loyalty_desk.domain.pricing import quote
from loyalty_desk.domain.program import Program
from loyalty_desk.domain.refund.sale import Sale

_NOT_EARNING = {
    name for name, made in EFFECTS.items() if not (isinstance(made, type) and issubclass(made, EarningEffect))
}


def earned_by_formula(sale: Sale, quantities: Mapping[str, int]) -> int:
    """Return what the earning rules give for the units returned so far, at their price before points came off."""
    lines: list[Line] = []
    for sold in sale.lines:
        left = quantities.get(sold.id, 0)
        if sold.line.is_weighed:
            if left:
                price = divide_half_up(sold.before[0].price * left, sold.line.quantity_milli)
                lines.append(_priced(sold.line, price))
            continue
        left //= MILLI
        for run in reversed(sold.before):
            taken = min(left, run.units)
            left -= taken
            if taken:
                lines.append(_priced(sold.line, run.price, taken))
    return _points(sale, lines)


def earned_on_amount(sale: Sale, amount: int) -> int:
    """Return what the earning rules give for `amount` minor units of a bare total."""
    return _points(sale, [_priced(sale.basket.lines[0], amount)])


def _points(sale: Sale, lines: Sequence[Line]) -> int:
    basket = replace(sale.basket, lines=tuple(lines))
    choices = replace(sale.choices, points_asked=0, manual_discounts=())
    return quote(basket, sale.guest, _earning_alone(sale.program), sale.quote.at, choices).earned_points


def _priced(line: Line, price: int, units: int = 1) -> Line:
    """Return units of a line at another price, without an id: two prices of one line would share it."""
    tax = divide_half_up(line.tax * price * units, line.gross) if line.tax and line.gross else None
    return replace(line, id="", unit_price=price, quantity_milli=units * MILLI, tax=tax)


def _earning_alone(program: Program) -> Program:
    """Return the program without anything that takes money off; a rule not understood stays so, and gives nothing."""
    rules = [
        replace(rule, effects=tuple(one for one in rule.effects if one.data["type"] not in _NOT_EARNING))
        for rule in program.rules
    ]
    tiers = tuple(replace(tier, discount_bp=0) for tier in program.tiers)
    return replace(program, rules=tuple(rule for rule in rules if rule.effects), tiers=tiers)
