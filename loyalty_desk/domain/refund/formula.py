"""Points taken back by the earning rule on the returned price (`points_reversal: formula`, rule 17)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from loyalty_desk.domain.basket import MILLI, Line, LineFlag
from loyalty_desk.domain.canonical import Json
from loyalty_desk.domain.effects import EFFECTS, EarningEffect
from loyalty_desk.domain.money import divide_half_up
from loyalty_desk.domain.pricing import quote
from loyalty_desk.domain.program import Program
from loyalty_desk.domain.refund.sale import Sale

EARNING = {name for name, made in EFFECTS.items() if isinstance(made, type) and issubclass(made, EarningEffect)}
WEIGHED = frozenset({LineFlag.WEIGHED.value})


def earned_by_formula(sale: Sale, quantities: Mapping[str, int]) -> int:
    """Return what the earning rules give for the units returned so far, at their price before points came off."""
    lines: list[Line] = []
    for sold in sale.lines:
        left = quantities.get(sold.id, 0)
        if sold.line.is_weighed:
            if left:
                price = divide_half_up(sold.before[0].price * left, sold.line.quantity_milli)
                lines.append(_priced(sold.line, len(lines), price, 1, WEIGHED))
            continue
        left //= MILLI
        for run in reversed(sold.before):
            taken = min(left, run.units)
            left -= taken
            if taken:
                lines.append(_priced(sold.line, len(lines), run.price, taken, frozenset()))
    return formula_points(sale, lines)


def formula_points(sale: Sale, lines: Sequence[Line]) -> int:
    """Return the points (smallest units) that the earning rules alone give for lines at their prices (minor units)."""
    program = _earning_alone(sale.program)
    basket = replace(sale.basket, lines=tuple(lines))
    choices = replace(sale.choices, points_asked=0, rewards=(), manual_discounts=(), payments=())
    return quote(basket, sale.guest, program, sale.quote.at, choices).earned_points


def _priced(line: Line, number: int, price: int, units: int, flags: frozenset[str]) -> Line:
    tax = None
    if line.tax is not None and line.gross:
        tax = divide_half_up(line.tax * price * units, line.gross)
    return replace(
        line,
        id=f"{number}",
        unit_price=price,
        quantity_milli=units * MILLI,
        flags=line.flags | flags,
        tax=tax,
        charge=0,
        floor=0,
    )


def _earning_alone(program: Program) -> Program:
    """Return the program without anything that takes money off."""
    rules: list[Json] = []
    for rule in program.rules:
        effects = [effect.data for effect in rule.effects if effect.data["type"] in EARNING]
        if effects:
            rules.append(
                {
                    "id": rule.id,
                    "effects": effects,
                    "conditions": [condition.data for condition in rule.conditions],
                    **({} if rule.group is None else {"group": rule.group}),
                    **({} if rule.order is None else {"order": rule.order}),
                    **({"exclusive": rule.exclusive if rule.exclusive == "check" else True} if rule.exclusive else {}),
                }
            )
    tiers: list[Json] = [
        {"code": tier.code, "threshold": tier.threshold, "earn_bp": tier.earn_bp} for tier in program.tiers
    ]
    data = {key: value for key, value in program.data.items() if key != "redemption"}
    return Program.from_dict({**data, "rules": rules, "tiers": tiers})
