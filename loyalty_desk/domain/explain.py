"""The explanation: a note for every rule, of codes and numbers, made when asked for; and the nearest offer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from loyalty_desk.domain.canonical import Json
from loyalty_desk.domain.compiled import CompiledRule
from loyalty_desk.domain.conditions.base import MONEY, NO_MATCHING_LINES, UNITS, Condition, Reason
from loyalty_desk.domain.effects.base import RULES
from loyalty_desk.domain.quote import MANUAL_RULE, TIER_RULE, Explanation, Hint, Note
from loyalty_desk.domain.tally import Tally, folded, in_order
from loyalty_desk.domain.tier_discount import guest_tier
from loyalty_desk.domain.trace import Trace

NO_NAME: Mapping[str, str] = {}
HINT_LIMIT = 2


def explained(trace: Trace) -> Explanation:
    """Return a note for every rule in the order they run, between manual and tier discounts, and the nearest offer."""
    tally = trace.tally
    amounts = amounts_by_rule(tally)
    points = points_by_rule(trace)
    notes: list[Note] = []
    if MANUAL_RULE in amounts:
        notes.append(_applied(MANUAL_RULE, NO_NAME, "manual", {}, amounts.get(MANUAL_RULE, {}), 0, tally))
    offers: list[tuple[int, int, Hint]] = []
    for rule in trace.compiled.rules:
        identifier, name = rule.rule.id, rule.rule.name
        reason = why_not(trace, rule, amounts, points)
        if reason is None:
            parts = amounts.get(identifier, {})
            facts = _given_facts(trace, identifier)
            notes.append(_applied(identifier, name, "applied", facts, parts, points.get(identifier, 0), tally))
            continue
        notes.append(Note(identifier, name, False, reason.code, reason.facts))
        if reason.kind:
            offer = _offer(rule, reason, tally)
            if offer is not None:
                offers.append(offer)
    notes += _tier_notes(trace, amounts, points)
    hint = min(offers, key=lambda offer: offer[:2])[2] if offers else None
    return Explanation(tuple(notes), hint, _rejected(trace, notes))


def _rejected(trace: Trace, notes: Sequence[Note]) -> tuple[tuple[str, str], ...]:
    """Return the keys that were presented and opened no rule, with the first reason."""
    choices = trace.tally.choices
    if not (choices.codes or choices.coupons or choices.rewards):
        return ()
    by_rule = {note.rule: note for note in notes}
    openers: dict[str, list[Note]] = {}
    for rule in trace.compiled.rules:
        for key in trace.compiled.keys_of(rule):
            openers.setdefault(key, []).append(by_rule[rule.rule.id])
    for coupon in trace.tally.guest.coupons if trace.tally.guest is not None else ():
        if coupon.rule in by_rule:
            openers.setdefault(f"coupon:{folded(coupon.code)}", []).append(by_rule[coupon.rule])
    found: list[tuple[str, str]] = []
    for kind, presented in (("code", choices.codes), ("coupon", choices.coupons)):
        for text in presented:
            opened = openers.get(f"{kind}:{folded(text)}", [])
            if not opened:
                found.append((text, f"{kind}_unknown"))
            elif not any(note.applied for note in opened):
                found.append((text, opened[0].code))
    for reward in choices.rewards:
        note = by_rule.get(reward)
        if note is None or not note.applied:
            found.append((reward, note.code if note is not None else "reward_unknown"))
    return tuple(found)


def why_not(
    trace: Trace, rule: CompiledRule, amounts: Mapping[str, Mapping[int, int]], points: Mapping[str, int]
) -> Reason | None:
    """Return why a rule did not apply, None where it did."""
    parts = rule.parts
    if parts.unknown is not None:
        return parts.unknown
    identifier = rule.rule.id
    if rule.rank in trace.outcomes:
        reason = trace.outcomes[rule.rank]
        if reason is None and trace.tier_lines and _lost_to_tier(trace, rule, amounts, points):
            return Reason("tier_better")
        return reason
    failed = _failed(trace.tally, rule)
    if failed is not None:
        return failed
    sole = trace.sole_discount if parts.effects else trace.sole_earning
    if sole and sole != identifier:
        return Reason("excluded_by", {"rule": sole})
    return Reason("no_guest" if trace.tally.guest is None and parts.earning else "nothing_left")


def _failed(tally: Tally, rule: CompiledRule) -> Reason | None:
    """Return the first condition that fails whatever the prices, with what is missing where it is the only one.

    Conditions that need not know the rule's lines come first: most rules that do not apply are told by one of them.
    """
    parts = rule.parts
    for condition in parts.fixed:
        if not condition.of_lines and not condition.holds(tally, ()):
            reason = condition.why(tally, ())
            return _alone(tally, rule, condition, reason) if reason.kind else reason
    for chooser in parts.choosers:
        if not chooser.picks_any(tally):
            return chooser.why(tally, ())
    positions = rule.positions(tally)
    if parts.choosers and not positions:
        return NO_MATCHING_LINES
    for condition in parts.fixed:
        if condition.of_lines and not condition.holds(tally, positions):
            reason = condition.why(tally, positions)
            return _alone(tally, rule, condition, reason) if reason.kind else reason
    return None


def _alone(tally: Tally, rule: CompiledRule, failed: Condition, reason: Reason) -> Reason:
    """Return a reason with what is missing only if nothing else fails."""
    positions = rule.positions(tally)
    others = [condition for condition in (*rule.parts.fixed, *rule.parts.moving) if condition is not failed]
    if (rule.parts.choosers and not positions) or any(not condition.holds(tally, positions) for condition in others):
        return reason._replace(kind="", missing=0)
    return reason


def _lost_to_tier(
    trace: Trace, rule: CompiledRule, amounts: Mapping[str, Mapping[int, int]], points: Mapping[str, int]
) -> bool:
    identifier = rule.rule.id
    if rule.parts.stage != RULES or identifier in amounts or points.get(identifier):
        return False
    return not trace.tally.gave(identifier)


def amounts_by_rule(tally: Tally) -> dict[str, dict[int, int]]:
    """Return what each rule took off each line."""
    amounts: dict[str, dict[int, int]] = {}
    for i, cuts in enumerate(tally.cuts):
        for rule, amount in in_order(cuts):
            parts = amounts.setdefault(rule, {})
            parts[i] = parts.get(i, 0) + amount
    return amounts


def points_by_rule(trace: Trace) -> dict[str, int]:
    """Return the whole smallest point units that each rule brought, before multipliers."""
    points: dict[str, int] = {}
    for share in trace.earnings.shares:
        points[share.rule] = points.get(share.rule, 0) + share.points // share.per
    return points


def _applied(
    rule: str,
    name: Mapping[str, str],
    code: str,
    facts: Mapping[str, Json],
    parts: Mapping[int, int],
    points: int,
    tally: Tally,
) -> Note:
    per_line = tuple((tally.name(i), amount) for i, amount in sorted(parts.items()))
    return Note(rule, name, True, code, facts, sum(parts.values()), points, per_line)


def _given_facts(trace: Trace, rule: str) -> Mapping[str, Json]:
    """Return what a rule gave beside money off."""
    facts: dict[str, Json] = {}
    factors = [rate for by, rate in trace.earnings.multipliers if by == rule]
    if factors:
        facts["factor_bp"] = factors[0]
    if not trace.tally.has_given:
        return facts
    given = trace.tally.given
    gifts = [gift for gift in given.gifts if gift.rule == rule]
    if gifts:
        facts["gifts"] = [{"product": gift.product, "quantity": gift.quantity} for gift in gifts]
        facts["gift_value"] = sum(gift.value * gift.quantity for gift in gifts)
    for name, pairs in (
        ("stamps", given.stamps),
        ("coupons", given.coupons),
        ("loads", given.loads),
        ("cost", given.rewards),
    ):
        numbers = [number for identifier, number in pairs if identifier == rule]
        if numbers:
            facts[name] = sum(numbers)
    return facts


def _tier_notes(trace: Trace, amounts: Mapping[str, Mapping[int, int]], points: Mapping[str, int]) -> list[Note]:
    tally = trace.tally
    program = tally.program
    tier = guest_tier(tally)
    if not program.tiers:
        return []
    notes = []
    code = tier.code if tier is not None else ""
    name = tier.name if tier is not None else NO_NAME
    if program.model != "points":
        if TIER_RULE in amounts and tier is not None:
            facts: Mapping[str, Json] = {"tier": code, "rate_bp": tier.discount_bp}
            notes.append(_applied(TIER_RULE, name, "tier_discount", facts, amounts[TIER_RULE], 0, tally))
        else:
            reason = trace.tier_reason or Reason("nothing_left")
            notes.append(Note(TIER_RULE, name, applied=False, code=reason.code, facts=reason.facts))
    if program.model != "discount":
        if points.get(TIER_RULE) and tier is not None:
            facts = {"tier": code, "rate_bp": tier.earn_bp}
            notes.append(_applied(TIER_RULE, name, "tier_points", facts, {}, points[TIER_RULE], tally))
        else:
            reason = trace.tier_earn_reason or Reason(
                "excluded_by" if trace.sole_earning else "earns_nothing",
                {"rule": trace.sole_earning} if trace.sole_earning else {},
            )
            notes.append(Note(TIER_RULE, name, applied=False, code=reason.code, facts=reason.facts))
    return notes


def _offer(rule: CompiledRule, reason: Reason, tally: Tally) -> tuple[int, int, Hint] | None:
    """Return (what it would cost the guest, rank, the offer) of a rule that lacks one thing only."""
    if not reason.kind or reason.missing <= 0:
        return None
    check = sum(tally.gross)
    if reason.kind == MONEY:
        cost = reason.missing
        if cost > HINT_LIMIT * check:
            return None
    elif reason.kind == UNITS:
        units = sum(tally.quantity)
        if not units or reason.missing > HINT_LIMIT * units:
            return None
        cost = check * reason.missing // units
    else:
        cost = HINT_LIMIT * check + reason.missing
    return cost, rule.rank, Hint(rule.rule.id, rule.rule.name, reason.kind, reason.missing)
