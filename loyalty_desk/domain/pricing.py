"""Pricing: one pure function from a check, a guest, a program, a moment and choices to a quote.

Manual discounts, then rules by group, then the tier's discount, then points, then payments; earning is worked out on
what is left. The same code runs at the till and, to verify, on the server.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any

from loyalty_desk.domain.basket import Basket, LineFlag
from loyalty_desk.domain.competition import run_discounts, run_earning, run_stage, sole_rule
from loyalty_desk.domain.compiled import CompiledProgram
from loyalty_desk.domain.conditions.base import Reason
from loyalty_desk.domain.conditions.when import Birthday
from loyalty_desk.domain.earning import Earnings, earning_base, split_points, total_points
from loyalty_desk.domain.errors import BadInput
from loyalty_desk.domain.explain import amounts_by_rule, explained, points_by_rule, why_not
from loyalty_desk.domain.guest import GuestFacts
from loyalty_desk.domain.manual import take_manual
from loyalty_desk.domain.money import BASIS_POINTS, allocate
from loyalty_desk.domain.plain import plain_fields
from loyalty_desk.domain.program import Program
from loyalty_desk.domain.quote import (
    NO_CHOICES,
    TIER_RULE,
    Choices,
    Explanation,
    Gift,
    Hint,
    ManualDiscount,
    Note,
    Payment,
    Quote,
    QuoteLine,
    RedemptionNote,
    Working,
)
from loyalty_desk.domain.redemption import redeem
from loyalty_desk.domain.tally import Tally, in_order
from loyalty_desk.domain.tier_discount import best_of_tier, guest_tier, take_tier
from loyalty_desk.domain.tiers import tier_with_check
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


type Asked = tuple[Basket, GuestFacts | None, Program, datetime, Choices]
"""All that a quote is a function of."""


def quote(
    basket: Basket, guest: GuestFacts | None, program: Program, at: datetime, choices: Choices = NO_CHOICES
) -> Quote:
    """Return the check priced at `at` (aware). Money in minor units, points in smallest point units.

    Raises `BadInput` for a basket that cannot be priced (`line`, `field`) or is not in the program's currency. A rule
    that is not understood is left out, and the explanation says so.
    """
    if basket.currency != program.currency:
        raise BadInput("currency_differs", basket=basket.currency, program=program.currency)
    if at.tzinfo is None:
        raise ValueError("a naive time has no place here")
    fields, trace = plain_fields(basket, guest, program, at, choices), None
    if not isinstance(fields, dict):
        trace = _worked_out(basket, guest, program, at, choices, begun=fields)
        fields = _fields(trace)
    if choices.payments:
        fields["payments"] = _payments(choices.payments, fields["total"])
    fields["working"] = _Worked((basket, guest, program, at, choices), trace)
    return Quote.made(fields)


def _fields(trace: Trace) -> dict[str, Any]:
    """Return the fields of a quote but its payments and its working."""
    tally, note, program = trace.tally, trace.redemption, trace.tally.program
    total = sum(tally.left)
    lines = _lines(trace)
    gross = sum(tally.gross)
    if not tally.all_plain:
        charges = sum([line.charge for line in lines])
        total, gross = total + charges, gross + charges
    fields: dict[str, Any] = {
        "currency": program.currency,
        "program_version": program.version,
        "program_hash": program.hash_text,
        "at": tally.at,
        "lines": lines,
        "gross": gross,
        "discount_total": gross - total - note.money,
        "redeemed_points": note.points,
        "redeemed_money": note.money,
        "total": total,
        "earned_points": trace.earned,
        "earning_base": sum(trace.earnings.base),
        "redemption": note,
    }
    if tally.guest is not None:
        fields["tier"] = tally.guest.tier
    if trace.compiled.counted:
        fields["uses"] = _uses(trace)
    if tally.has_given:
        given = tally.given
        fields |= {
            "redeemed_points": note.points + sum([cost for _, cost in given.rewards]),
            "gifts": tuple(given.gifts),
            "coupons_issued": _summed(given.coupons),
            "stamps": _summed(given.stamps),
            "rewards": tuple(given.rewards),
            "loads": _summed(given.loads),
            "free_units": given.free_units,
            "units_consumed": given.units_consumed,
        }
    for share in trace.earnings.shares:
        if share.expires_days is not None:
            named = (share.rule, share.points, share.expires_days)
            fields["own_expiry"] = (*fields.get("own_expiry", ()), named)
    return fields


class _Worked(Working):
    """How a quote came about, worked out when somebody asks where that was not needed for its numbers."""

    __slots__ = ("_asked", "_trace")

    def __init__(self, asked: Asked, trace: Trace | None) -> None:
        self._asked, self._trace = asked, trace

    def explained(self) -> Explanation:
        """Return why each rule applied or did not; where rules were passed over, with every rule at its turn."""
        if self._trace is None or self._trace.passed_over:
            self._trace = _worked_out(*self._asked, every_rule=True)
        return explained(self._trace)

    def facts(self) -> GuestFacts | None:
        """Return the guest's facts that the program can look at."""
        guest = self._asked[1]
        return None if guest is None else facts_used(guest, self._traced())

    def units(self, position: int) -> Runs:
        """Return what each unit of a line costs, by the line's place in the basket."""
        tally = self._traced().tally
        return tally.runs(position if tally.order is None else tally.order.index(position))

    def _traced(self) -> Trace:
        if self._trace is None:
            self._trace = _worked_out(*self._asked)
        return self._trace


def _worked_out(
    basket: Basket, guest: GuestFacts | None, program: Program, at: datetime, choices: Choices, *,
    begun: Tally | None = None,
    every_rule: bool = False,
) -> Trace:  # fmt: skip
    """Return the trace of a check from manual discounts to points; `every_rule`: also of turns that change nothing."""
    compiled = program.compiled
    tally = begun or Tally(basket, guest, program, at, choices)
    if choices.manual_discounts:
        take_manual(tally)
    if guest is not None and program.settings.tier_counts_current:
        tally.guest = replace(guest, tier=tier_with_check(program, guest, sum(tally.original)))
    trace = Trace(tally, compiled, compiled.plans.plan(tally), every_rule=every_rule)
    plan = trace.plan
    gives_discount = program.model != "points"
    if plan.exclusions:
        run_stage(trace, plan.exclusions)
    sole = sole_rule(trace) if plan.soles else None
    if gives_discount and program.tier_stacking == "before":
        take_tier(trace)
        tally.original = tally.left.copy()
    run_discounts(trace, sole)
    if gives_discount and program.tier_stacking != "before":
        (take_tier if program.tier_stacking == "stack" else best_of_tier)(trace)
    trace.redemption, trace.paid_by_points = _spend_points(trace)
    trace.earnings = Earnings(tally, earning_base(tally, program, trace.paid_by_points))
    trace.earned = _earn(trace, trace.earnings)
    return trace


def _spend_points(trace: Trace) -> tuple[RedemptionNote, list[int]]:
    """Claim the rewards asked for, then let points pay, with the points at hand.

    Where points count at once, those of this very check are at hand too, as many as it still earns after spending.
    """
    tally, choices = trace.tally, trace.tally.choices
    own = 0 if tally.guest is None else max(0, tally.guest.points)
    if tally.guest is None or tally.program.settings.points_usable != "at_once":
        return _spend(trace, own, choices.points_asked)
    saved, outcomes, acted = tally.save(), trace.outcomes.copy(), trace.acted.copy()
    earned = _earned_after(trace, [0] * len(tally.lines))
    while True:
        # With all that could be asked for, so that what is offered on the screen can also be had.
        note, parts = _spend(trace, own + earned, own + earned)
        spent = note.points + _cost_of_rewards(tally)
        enough = _earned_after(trace, parts)
        tally.restore(saved)
        trace.outcomes, trace.acted = outcomes.copy(), acted.copy()
        if spent <= own + enough or earned == 0:
            return _spend(trace, own + earned, choices.points_asked)
        earned = min(enough, earned - 1)


def _spend(trace: Trace, at_hand: int, asked: int) -> tuple[RedemptionNote, list[int]]:
    tally = trace.tally
    cap = tally.choices.redemption_cap
    tally.points_at_hand = at_hand if cap is None else min(at_hand, max(0, cap))
    if trace.plan.rewards:
        run_stage(trace, trace.plan.rewards)
    spent = _cost_of_rewards(tally)
    return redeem(tally, asked, at_hand - spent, None if cap is None else cap - spent)


def _cost_of_rewards(tally: Tally) -> int:
    return sum([cost for _, cost in tally.given.rewards]) if tally.has_given else 0


def _earned_after(trace: Trace, paid_by_points: Sequence[int]) -> int:
    """Return what the check would earn as it stands, and leave no trace of the trial."""
    tally = trace.tally
    outcomes, acted = trace.outcomes.copy(), trace.acted.copy()
    earned = _earn(trace, Earnings(tally, earning_base(tally, tally.program, paid_by_points)))
    trace.outcomes, trace.acted, trace.sole_earning, trace.tier_earn_reason = outcomes, acted, "", None
    return earned


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
            excluded = tally.no_tier_points
            lines = [i for i in tally.all if i not in excluded] if excluded else tally.all
            earnings.add_rate(TIER_RULE, lines, tier.earn_bp * program.point_unit, per)
    return total_points(earnings, program)


def _lines(trace: Trace) -> tuple[QuoteLine, ...]:
    tally, paid = trace.tally, trace.paid_by_points
    points = trace.redemption.points
    spent = allocate(points, paid) if points else paid
    if tally.has_given and tally.given.rewards:
        spent = _with_rewards(tally, spent)
    if trace.earned:
        earned: Sequence[int] = split_points(trace.earnings, trace.earned)
    else:
        earned = [0] * len(paid)
    nets, charges = tally.left, [0] * len(paid)
    if not tally.all_plain:
        charges = [line.charge_total for line in tally.lines]
        nets = [left + charge for left, charge in zip(nets, charges, strict=True)]
    # `in_order` written out for no cut and one.
    cuts = [() if last is None else (last[1],) if last[0] is None else in_order(last) for last in tally.cuts]
    lines = tuple(map(_quote_line, zip(tally.ids, tally.gross, charges, cuts, paid, nets, spent, earned, strict=True)))
    if tally.order is not None:
        lines = tuple([lines[tally.order.index(position)] for position in tally.all])
    return lines


# `QuoteLine._make` without a Python frame for each line.
_quote_line: Callable[[tuple[object, ...]], QuoteLine] = partial(tuple.__new__, QuoteLine)


def _with_rewards(tally: Tally, spent: Sequence[int]) -> list[int]:
    """Return the points of each line with its rewards', by what each took off; a reward item bears its own."""
    total = list(spent)
    amounts = amounts_by_rule(tally)
    for rule, cost in tally.given.rewards:
        by_line = amounts.get(rule, {})
        off = [by_line.get(i, 0) for i in tally.all]
        if not any(off):
            off = [1 if LineFlag.REWARD in line.flags else 0 for line in tally.lines]
        for i, part in enumerate(allocate(cost, off)):
            total[i] += part
    return total


def _uses(trace: Trace) -> tuple[tuple[str, int], ...]:
    """Return a use of each rule that is counted and gave something."""
    counted, outcomes = trace.compiled.counted, trace.outcomes
    ranks = [rank for rank, reason in outcomes.items() if reason is None and rank in counted]
    ranks.sort()
    if trace.tier_lines:
        # Where the tier was better on every line, a rule gave nothing after all.
        amounts, points, rules = amounts_by_rule(trace.tally), points_by_rule(trace), trace.compiled.rules
        ranks = [rank for rank in ranks if why_not(trace, rules[rank], amounts, points) is None]
    return tuple([counted[rank] for rank in ranks])


def _summed(pairs: Sequence[tuple[str, int]]) -> tuple[tuple[str, int], ...]:
    """Return one number for each rule, in the order the rules came."""
    numbers: dict[str, int] = {}
    for rule, number in pairs:
        numbers[rule] = numbers.get(rule, 0) + number
    return tuple(numbers.items())


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
        if all(c.holds(tally, ()) for c in rule.parts.fixed if isinstance(c, Birthday))
    )
    known = {rule.id for rule in compiled.program.rules}
    # An unknown birthday must stay unknown on the other side, or the reason there is another.
    is_known = guest.birthday is not None or guest.birthday_rules is not None
    return replace(
        guest,
        guest_id=guest.guest_id if compiled.names_guests else None,
        birthday=None,
        birthday_rules=satisfied if compiled.birthday_rules and is_known else None,
        segments=guest.segments & compiled.segments,
        tags=guest.tags & compiled.tags,
        uses={key: used for key, used in guest.uses.items() if key[0] in known},
        coupons=tuple(c for c in guest.coupons if c.code.strip().casefold() in tally.coupons),
        stamps={rule: count for rule, count in guest.stamps.items() if rule in known},
        expiries=(),
    )
