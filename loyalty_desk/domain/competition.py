"""Rules take their turns: alone, against the others of their group, or alone in the check."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from loyalty_desk.domain.claims import Claims
from loyalty_desk.domain.conditions.base import Reason
from loyalty_desk.domain.earning import Earnings, exact_sum
from loyalty_desk.domain.effects.base import NOTHING_LEFT
from loyalty_desk.domain.plan import Bits, PlannedRule
from loyalty_desk.domain.trace import Trace
from loyalty_desk.domain.turns import NOT_ITS_TURN

OTHER_BETTER = "other_better"
EXCLUDED_BY = "excluded_by"
# Earnings are compared to a millionth of the smallest point unit.
FINE = 1_000_000


def sole_rule(trace: Trace) -> PlannedRule | None:
    """Return the rule that will be alone in the check, if any of those that ask for it qualifies, and note it."""
    plan = trace.plan
    rules = plan.listed(trace.candidates & plan.discounts & plan.soles)
    first = trace.tally.program.settings.exclusive == "first"
    sole = _best(rules, lambda rule: _worth(trace, rule), first=first) if rules else None
    trace.sole_discount = "" if sole is None else sole.id
    return sole


def run_discounts(trace: Trace, sole: PlannedRule | None = None) -> None:
    """Let every rule that takes money off, or gives goods, take its turn on the tally; `sole` would be the only one."""
    if sole is not None:
        _turn(trace, sole)
        return
    plan = trace.plan
    waiting = trace.candidates & plan.discounts
    rules, tally, outcomes = plan.rules, trace.tally, trace.outcomes
    claiming = 0 if trace.every_rule else waiting & plan.claims
    claims = Claims(plan, tally) if claiming else None
    has_floors = tally.has_floors
    while waiting:
        rule = rules[waiting.bit_length() - 1]
        if not rule.is_alone:
            group = waiting & plan.groups[rule.group]
            waiting ^= group
            winner = _winner(trace, plan.listed(group))
            outcomes = trace.outcomes
            if winner is not None:
                _turn(trace, winner)
            continue
        waiting ^= rule.bit
        turn = None if has_floors else rule.written_out
        if turn is None or (reason := turn(tally)) is NOT_ITS_TURN:
            _turn(trace, rule)
        else:
            outcomes[rule.rank] = reason
        if claims is not None and rule.bit & claiming:
            still = claims.waiting_after(rule, waiting)
            if still != waiting:
                waiting, trace.passed_over = still, True


def run_stage(trace: Trace, stage: Bits) -> None:
    """Let the rules of another stage (exclusions before, rewards after the others) take their turns one by one."""
    for rule in trace.plan.listed(trace.candidates & stage):
        _turn(trace, rule)


def run_earning(trace: Trace, earnings: Earnings) -> None:
    """Let every rule that gives points add to the earnings."""
    for rule, positions in trace.acted:
        _earn(trace, rule, positions, earnings)
    plan = trace.plan
    waiting = trace.candidates & plan.earning
    soles = waiting & plan.soles
    alone = _best_earning(trace, plan.listed(soles), earnings) if soles else None
    if alone is not None:
        trace.sole_earning = alone.id
        earnings.shares.clear()
        earnings.multipliers.clear()
        _earn_turn(trace, alone, earnings)
        return
    rules, outcomes = plan.rules, trace.outcomes
    while waiting:
        rule = rules[waiting.bit_length() - 1]
        group = rule.bit if rule.is_alone else waiting & plan.groups[rule.group]
        waiting ^= group
        if group != rule.bit:
            _earning_group(trace, plan.listed(group), earnings)
            outcomes = trace.outcomes
            continue
        turn = rule.earning_written_out
        if turn is not None and turn(earnings):
            outcomes[rule.rank] = None
        else:
            _earn_turn(trace, rule, earnings)


def ready(trace: Trace, rule: PlannedRule) -> Sequence[int] | None:
    """Return the lines of a rule whose conditions hold, None where one does not; a moving one leaves its reason."""
    tally = trace.tally
    positions = rule.pick(tally)
    if not positions and rule.has_choosers:
        return None
    for test in rule.tests:
        if not test(tally, positions):
            _leave_reason(trace, rule, positions)
            return None
    return positions


def _leave_reason(trace: Trace, rule: PlannedRule, positions: Sequence[int]) -> None:
    """Note why a rule did not apply where only this moment knows: what it asks of prices as they stand."""
    tally = trace.tally
    if not all(condition.holds(tally, positions) for condition in rule.fixed):
        return
    for k, condition in enumerate(rule.moving):
        if not condition.holds(tally, positions):
            reason = condition.why(tally, positions)
            if any(not other.holds(tally, positions) for other in rule.moving[k + 1 :]):
                reason = reason._replace(kind="", missing=0)
            trace.outcomes[rule.rank] = reason
            return


def _turn(trace: Trace, rule: PlannedRule) -> None:
    positions = ready(trace, rule)
    if positions is None:
        return
    reason = _act(trace, rule, positions)
    if rule.earning and _stands(reason):
        trace.acted.append((rule, positions))
    trace.outcomes[rule.rank] = reason


def _stands(reason: Reason | None) -> bool:
    """Return whether a rule's points come: it applied, or nothing was left to lower. Not if declined or not claimed."""
    return reason is None or reason.code == NOTHING_LEFT.code


def _act(trace: Trace, rule: PlannedRule, positions: Sequence[int]) -> Reason | None:
    """Apply all effects of a rule in their order; return None when any came to something."""
    tally, acting = trace.tally, rule.acting
    if rule.sole_effect is not None:
        return rule.sole_effect.apply(tally, acting, positions)
    before = sum(tally.left)
    budget = min((budget.left(tally) for budget in rule.budgets), default=None)
    reasons: list[Reason | None] = []
    for effect in rule.effects:
        cap = None if budget is None else max(0, budget - (before - sum(tally.left)))
        spares = acting.skip_discounted and not reasons
        reasons.append(effect.apply(tally, acting._replace(cap=cap, skip_discounted=spares), positions))
    return None if None in reasons else reasons[0]


def _worth(trace: Trace, rule: PlannedRule) -> int | None:
    """Return what a rule would give the guest now, in minor units, None where it would not apply; undo it."""
    tally = trace.tally
    outcomes = trace.outcomes.copy()
    saved = tally.save()
    positions = ready(trace, rule)
    worth = None
    if positions is not None:
        reason = _act(trace, rule, positions)
        trace.outcomes[rule.rank] = reason
        if reason is None or (rule.earning and _stands(reason)):
            worth = sum(saved.left) - sum(tally.left)
            if tally.has_given:
                before = 0 if saved.given is None else len(saved.given.gifts)
                worth += sum(gift.value * gift.quantity for gift in tally.given.gifts[before:])
            worth += _points_worth(trace, rule, positions)
        tally.restore(saved)
    if worth is None:
        return None
    trace.outcomes = outcomes
    return worth


def _points_worth(trace: Trace, rule: PlannedRule, positions: Sequence[int]) -> int:
    if not rule.earning:
        return 0
    tally = trace.tally
    earnings = Earnings(tally, tally.left.copy())
    for effect in rule.earning:
        effect.earn(earnings, rule.id, positions)
    points, per = exact_sum(earnings.shares)
    return tally.program.points_money(points // per)


def _winner(trace: Trace, group: list[PlannedRule]) -> PlannedRule | None:
    """Return the rule of a group that takes its turn; those that lost against it leave that as their reason."""
    failed: set[int] = set()

    def worth_of(rule: PlannedRule) -> int | None:
        worth = _worth(trace, rule)
        if worth is None:
            failed.add(rule.rank)
        return worth

    first = trace.tally.program.settings.exclusive == "first"
    winner = _best([rule for rule in group if rule.exclusive], worth_of, first=first)
    code = EXCLUDED_BY
    if winner is None:
        winner = _best(group, worth_of)
        code = OTHER_BETTER
    if winner is not None:
        for rule in group:
            # What would not apply alone lost against nobody: it has its reason, or a condition of its own to look up.
            if rule is not winner and rule.rank not in failed and rule.rank not in trace.outcomes:
                trace.outcomes[rule.rank] = Reason(code, {"rule": winner.id})
    return winner


def _best(
    rules: list[PlannedRule], worth_of: Callable[[PlannedRule], int | None], *, first: bool = False
) -> PlannedRule | None:
    best, best_worth = None, -1
    for rule in rules:
        worth = worth_of(rule)
        if worth is not None and worth > best_worth:
            best, best_worth = rule, worth
            if first:
                break
    return best


def _earn_turn(trace: Trace, rule: PlannedRule, earnings: Earnings) -> None:
    positions = ready(trace, rule)
    if positions is not None:
        _earn(trace, rule, positions, earnings)


def _earn(trace: Trace, rule: PlannedRule, positions: Sequence[int], earnings: Earnings) -> None:
    if len(rule.earning) == 1 and rule.rank not in trace.outcomes:
        trace.outcomes[rule.rank] = rule.earning[0].earn(earnings, rule.id, positions)
        return
    reasons = [effect.earn(earnings, rule.id, positions) for effect in rule.earning]
    if None in reasons:
        trace.outcomes[rule.rank] = None
    else:
        trace.outcomes.setdefault(rule.rank, reasons[0])


def _trial(trace: Trace, rule: PlannedRule, earnings: Earnings) -> Earnings | None:
    outcomes = trace.outcomes.copy()
    positions = ready(trace, rule)
    if positions is None:
        return None
    trial = Earnings(trace.tally, earnings.base)
    for effect in rule.earning:
        effect.earn(trial, rule.id, positions)
    trace.outcomes = outcomes
    return trial if trial.shares or trial.multipliers else None


def _points_of(trial: Earnings | None) -> int | None:
    if trial is None:
        return None
    points, per = exact_sum(trial.shares)
    return points * FINE // per


def _best_earning(trace: Trace, rules: list[PlannedRule], earnings: Earnings) -> PlannedRule | None:
    if not rules:
        return None
    first = trace.tally.program.settings.exclusive == "first"
    return _best(rules, lambda rule: _points_of(_trial(trace, rule, earnings)), first=first)


def _earning_group(trace: Trace, group: list[PlannedRule], earnings: Earnings) -> None:
    """In a group the rule that gives most counts; of its multipliers the largest, beside it."""
    exclusive = [rule for rule in group if rule.exclusive]
    winner = _best_earning(trace, exclusive, earnings)
    if winner is not None:
        group, code = [winner, *(rule for rule in group if rule is not winner)], EXCLUDED_BY
    else:
        code = OTHER_BETTER
    trials = {rule.rank: trial for rule in group if (trial := _trial(trace, rule, earnings)) is not None}
    if winner is None:
        winner = _best(
            [r for r in group if r.rank in trials and trials[r.rank].shares], lambda r: _points_of(trials[r.rank])
        )
    largest = max(
        (rule for rule in group if rule.rank in trials and trials[rule.rank].multipliers),
        key=lambda rule: (max(rate for _, rate in trials[rule.rank].multipliers), -rule.rank),
        default=None,
    )
    keep = [winner] if code == EXCLUDED_BY else [rule for rule in (winner, largest) if rule is not None]
    for rule in group:
        if rule in keep:
            _earn_turn(trace, rule, earnings)
        elif rule.rank in trials and keep[0] is not None:
            trace.outcomes[rule.rank] = Reason(code, {"rule": keep[0].id})
