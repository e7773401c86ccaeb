"""Pricing: one pure function from a check, a guest, a program, a moment and choices to a quote.

Manual discounts, then rules by group, then the tier's discount, then points, then payments; earning is worked out on
what is left (pricing.md, rules 5 to 12). The same code runs at the till and, to verify, on the server.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime

from loyalty_desk.domain.basket import Basket
from loyalty_desk.domain.competition import run_discounts, run_earning
from loyalty_desk.domain.compiled import CompiledProgram
from loyalty_desk.domain.conditions.base import Reason
from loyalty_desk.domain.conditions.when import Birthday
from loyalty_desk.domain.earning import Earnings, earning_base, split_points, total_points
from loyalty_desk.domain.errors import BadInput
from loyalty_desk.domain.explain import explained
from loyalty_desk.domain.guest import GuestFacts
from loyalty_desk.domain.manual import take_manual
from loyalty_desk.domain.money import BASIS_POINTS, allocate
from loyalty_desk.domain.program import Program
from loyalty_desk.domain.quote import (
    NO_CHOICES,
    TIER_RULE,
    Choices,
    Gift,
    Hint,
    ManualDiscount,
    Note,
    Payment,
    Quote,
    QuoteLine,
    RedemptionNote,
)
from loyalty_desk.domain.redemption import POINTS, redeem
from loyalty_desk.domain.tally import Tally
from loyalty_desk.domain.tier_discount import best_of_tier, guest_tier, take_tier
from loyalty_desk.domain.trace import Trace
from loyalty_desk.domain.units import Runs

__all__ = [
    "Choices",
    "Gift",
    "Hint",
    "ManualDiscount",
    "Note",
    "Payment",
    "Quote",
    "QuoteLine",
    "RedemptionNote",
    "quote",
]


def quote(
    basket: Basket, guest: GuestFacts | None, program: Program, at: datetime, choices: Choices = NO_CHOICES
) -> Quote:
    """Return the check priced at `at` (aware). Money in minor units, points in smallest point units.

    Raises `BadInput` for a basket that cannot be priced (`line`, `field`) or is not in the program's currency, and for
    a rule whose fields cannot be understood (`place`, `field`).
    """
    if basket.currency != program.currency:
        raise BadInput("currency_differs", basket=basket.currency, program=program.currency)
    if at.tzinfo is None:
        raise ValueError("a naive time has no place here")
    basket.validated()
    compiled = program.compiled
    tally = Tally(basket, guest, program, at, choices)
    take_manual(tally)
    trace = Trace(tally, compiled, compiled.candidates(tally))
    gives_discount = program.model != "points"
    if gives_discount and program.tier_stacking == "before":
        take_tier(trace)
        tally.original = tally.left.copy()
    run_discounts(trace)
    if gives_discount and program.tier_stacking != "before":
        (take_tier if program.tier_stacking == "stack" else best_of_tier)(trace)
    note, paid_by_points = redeem(tally, program)
    earnings = Earnings(tally, earning_base(tally, program, paid_by_points))
    trace.earnings = earnings
    earned = _earn(trace, earnings)
    total = sum(tally.left) + sum(line.charge_total for line in tally.lines)
    lines = _lines(tally, paid_by_points, note.points, split_points(earnings, earned) if earned else None)
    gross = sum(tally.gross) + sum(line.charge for line in lines)
    return Quote(
        currency=program.currency,
        program_version=program.version,
        program_hash=program.hash_text,
        at=at,
        lines=lines,
        gross=gross,
        discount_total=gross - total - note.money,
        redeemed_points=note.points,
        redeemed_money=note.money,
        total=total,
        earned_points=earned,
        earning_base=sum(earnings.base),
        redemption=note,
        facts=None if guest is None else facts_used(guest, trace),
        gifts=tuple(tally.gifts),
        payments=_payments(choices.payments, total),
        explain=lambda: explained(trace),
        runs=_runs_by_place(tally),
    )


def _earn(trace: Trace, earnings: Earnings) -> int:
    """Return the points earned; nobody earns nothing."""
    tally = trace.tally
    program = tally.program
    if tally.guest is None:
        trace.tier_earn_reason = Reason("no_guest")
        return 0
    run_earning(trace, earnings)
    if program.model != "discount" and not trace.sole_earning:
        tier = guest_tier(tally)
        if tier is None or tier.earn_bp == 0:
            trace.tier_earn_reason = Reason("tier_gives_nothing", {"tier": tally.guest.tier})
        elif program.point_value == 0:
            trace.tier_earn_reason = Reason("zero_divisor")
        else:
            per = BASIS_POINTS * program.point_value
            if not earnings.add_rate(TIER_RULE, tally.all, tier.earn_bp * program.point_unit, per):
                trace.tier_earn_reason = Reason("earns_nothing")
    return total_points(earnings, program)


def _lines(
    tally: Tally, paid_by_points: Sequence[int], points: int, earned: Sequence[int] | None
) -> tuple[QuoteLine, ...]:
    spent = allocate(points, paid_by_points) if points else paid_by_points
    lines = []
    for i, line in enumerate(tally.lines):
        charge = line.charge_total if line.charge else 0
        cuts = tally.cuts[i]
        discounts = tuple([(cut.rule, cut.amount) for cut in cuts if cut.amount and cut.rule != POINTS]) if cuts else ()
        lines.append(
            QuoteLine(
                line.id,
                tally.gross[i],
                charge,
                discounts,
                paid_by_points[i],
                tally.left[i] + charge,
                spent[i],
                earned[i] if earned else 0,
            )
        )
    if tally.order is not None:
        lines = [lines[tally.order.index(position)] for position in tally.all]
    return tuple(lines)


def _runs_by_place(tally: Tally) -> Callable[[int], Runs]:
    order = tally.order
    return tally.runs if order is None else lambda position: tally.runs(order.index(position))


def _payments(payments: Sequence[Payment], total: int) -> tuple[tuple[str, int], ...]:
    used = []
    for payment in payments:
        amount = min(max(payment.amount, 0), total)
        if amount:
            used.append((payment.id, amount))
        total -= amount
    return tuple(used)


def facts_used(guest: GuestFacts, trace: Trace) -> GuestFacts:
    """Return the facts that the program can look at: no birthday, no name, no tag that no rule asks for."""
    compiled: CompiledProgram = trace.compiled
    tally = trace.tally
    satisfied = frozenset(
        rule.rule.id
        for rule in compiled.birthday_rules
        if all(c.holds(tally, ()) for c in rule.fixed if isinstance(c, Birthday))
    )
    known = {rule.id for rule in compiled.program.rules}
    return replace(
        guest,
        guest_id=guest.guest_id if compiled.names_guests else None,
        birthday=None,
        birthday_rules=satisfied if compiled.birthday_rules else None,
        segments=guest.segments & compiled.segments,
        tags=guest.tags & compiled.tags,
        uses={key: used for key, used in guest.uses.items() if key[0] in known},
        coupons=tuple(c for c in guest.coupons if c.code.strip().casefold() in tally.coupons),
        stamps={rule: count for rule, count in guest.stamps.items() if rule in known},
        expiries=(),
    )
