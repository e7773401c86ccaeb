"""The guest's tier discount: before the rules, after them, or per line where it is more than they gave."""

from __future__ import annotations

from loyalty_desk.domain.conditions.base import Reason
from loyalty_desk.domain.money import allocate, largest_remainder, percent_off
from loyalty_desk.domain.program import Tier
from loyalty_desk.domain.quote import MANUAL_RULE, TIER_RULE
from loyalty_desk.domain.tally import GOODS, Tally, in_order
from loyalty_desk.domain.trace import Trace


def guest_tier(tally: Tally) -> Tier | None:
    """Return the tier of the guest's facts, None for an anonymous or unlevelled guest."""
    return None if tally.guest is None else tally.program.tier(tally.guest.tier)


def take_tier(trace: Trace) -> None:
    """Take the tier's rate off what is left of the check."""
    rate = _rate(trace)
    if rate:
        tally = trace.tally
        lines = _lines(tally)
        amount = percent_off(sum(tally.left[i] for i in lines), rate)
        if not tally.take_split(lines, TIER_RULE, amount):
            trace.tier_reason = Reason("nothing_left")


def best_of_tier(trace: Trace) -> None:
    """Put the tier's share in the place of the promotions on every line where it is larger.

    The tier's discount is that of the whole check at its prices before rules, rounded once and split.
    """
    rate = _rate(trace)
    if not rate:
        return
    tally = trace.tally
    lines = _lines(tally)
    original = tally.original
    weights = [original[i] for i in lines]
    amount = percent_off(sum(weights), rate)
    if tally.has_floors:
        parts = allocate(amount, weights, [max(0, original[i] - tally.least[i]) for i in lines])
    else:
        parts = largest_remainder(amount, weights) if lines else []
    for i, part in zip(lines, parts, strict=True):
        if part > original[i] - tally.left[i]:
            by_hand = [cut for cut in in_order(tally.cuts[i]) if cut[0] == MANUAL_RULE]
            tally.replace_cuts(i, [*by_hand, (TIER_RULE, part)])
            trace.tier_lines.append(i)
    if not trace.tier_lines:
        trace.tier_reason = Reason("promotions_better" if amount else "nothing_left")


def _rate(trace: Trace) -> int:
    tally = trace.tally
    if trace.sole_discount:
        trace.tier_reason = Reason("excluded_by", {"rule": trace.sole_discount})
        return 0
    if tally.guest is None:
        trace.tier_reason = Reason("no_guest")
        return 0
    tier = guest_tier(tally)
    if tier is None or tier.discount_bp == 0:
        trace.tier_reason = Reason("tier_gives_nothing", {"tier": tally.guest.tier})
        return 0
    if tally.choices.tier_withheld:
        trace.tier_reason = Reason("tier_withheld", {"tier": tier.code})
        return 0
    return tier.discount_bp


def _lines(tally: Tally) -> list[int]:
    return [i for i in tally.all if tally.may[i] == GOODS and i not in tally.no_tier_discount]
