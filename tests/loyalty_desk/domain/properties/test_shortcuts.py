"""What is written out or passed over for speed gives what the plain way gives: tests, picks, turns, claims."""

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loyalty_desk.domain import pricing
from loyalty_desk.domain.conditions import CONDITIONS, Chooser
from loyalty_desk.domain.conditions.usage import Usage
from loyalty_desk.domain.earning import Earnings
from loyalty_desk.domain.effects.base import Acting, Effect
from loyalty_desk.domain.effects.earning import BonusMultiplier
from loyalty_desk.domain.effects.fixed_amount import SharedAmount
from loyalty_desk.domain.effects.percentage import LinePercentage
from loyalty_desk.domain.fields import Fields
from loyalty_desk.domain.guest import GuestFacts
from loyalty_desk.domain.plan import Plan, picker
from loyalty_desk.domain.program import Program
from loyalty_desk.domain.tally import Tally, in_order
from loyalty_desk.domain.turns import NOT_ITS_TURN, earning_written_out, written_out
from tests.loyalty_desk.domain.properties import cases
from tests.loyalty_desk.domain.properties.breaking import break_kernel, must_fall
from tests.loyalty_desk.domain.properties.cases import SEEDS, Case, any_cases

EXAMPLES = max(300, settings.default.max_examples)


def tally_of(case: Case) -> Tally:
    tally = Tally(case.basket, case.guest, case.program, case.at, case.choices)
    r = Random(len(tally.lines))
    for i in tally.all:
        if r.random() < 0.4:
            tally.take_each([i], "r0", [r.randint(0, tally.room(i))])
    return tally


def condition(r: Random, name: str):
    return CONDITIONS[name](Fields({"type": name, **cases.CONDITIONS[name](r)}, "rule r0", "r0"))


# conditions


def check_tests(case: Case, seed: int) -> None:
    tally, r = tally_of(case), Random(seed)
    for name in cases.CONDITIONS:
        made = condition(r, name)
        test = made.test()
        some = tuple(i for i in tally.all if r.random() < 0.6)
        for positions in (tally.all, some, ()):
            assert (test is None or test(tally, positions)) == made.holds(tally, positions), name


@settings(max_examples=EXAMPLES)
@given(any_cases(), SEEDS)
def test_the_test_of_a_condition_says_what_it_holds(case, seed):
    check_tests(case, seed)


# the lines of a rule


def check_picks(case: Case, seed: int) -> None:
    tally, r = tally_of(case), Random(seed)
    names = r.choices(["products", "categories", "excluded", "unit_price", "hours"], k=r.choice([0, 1, 1, 2]))
    choosers = [condition(r, name) for name in names]
    assert all(isinstance(chooser, Chooser) for chooser in choosers)
    plain = [i for i in tally.all if all(chooser.picks(tally, i) for chooser in choosers)]
    assert list(picker(choosers)(tally)) == plain


@settings(max_examples=EXAMPLES)
@given(any_cases(), SEEDS)
def test_a_picker_finds_the_lines_that_every_chooser_picks(case, seed):
    check_picks(case, seed)


# limits of a guest


def limited_case(seed: int) -> Case:
    """Return a case whose rules are mostly limited for one guest, who has used some of them."""
    r = Random(seed)
    parts = [cases.rule(r, n) for n in range(r.randint(1, 8))]
    for part in parts:
        part["conditions"] += [{"type": "usage", "per_guest": r.randint(1, 3)} for _ in range(r.choice([0, 1, 1, 2]))]
    uses = {(part["id"], r.choice(["", "day:2026-03-02"])): r.randint(0, 4) for part in parts if r.random() < 0.6}
    guest = None if r.random() < 0.2 else GuestFacts(uses=uses)
    goods = cases.basket(r, r.randint(1, 5))
    return Case(Program.from_dict(cases.snapshot(r, parts)), goods, guest, cases.NOW, cases.choices(r, goods.lines))


def check_limits(case: Case) -> None:
    tally = Tally(case.basket, case.guest, case.program, case.at, case.choices)
    plan = case.program.compiled.plans.plan(tally)
    candidates = {rule.id for rule in plan.listed(plan.candidates(tally))}
    plan.limits = {}
    shown = {rule.id for rule in plan.listed(plan.candidates(tally))}
    for rule in case.program.compiled.rules:
        limits = [c for c in rule.parts.fixed if isinstance(c, Usage) and c.of_one_guest]
        if all(limit.holds(tally, ()) for limit in limits):
            assert (rule.rule.id in candidates) == (rule.rule.id in shown)
        else:
            assert rule.rule.id not in candidates


limited_cases = st.builds(limited_case, SEEDS)


@settings(max_examples=EXAMPLES)
@given(limited_cases)
def test_no_rule_that_the_guest_has_used_up_is_a_candidate(case):
    check_limits(case)


# turns written out


def check_turns(case: Case, seed: int) -> None:
    quick, plain, r = tally_of(case), tally_of(case), Random(seed)
    effect: Effect
    if r.random() < 0.5:
        effect = LinePercentage(Fields({"type": "percentage", "rate_bp": cases._rate(r)}, "rule r9", "r9"))
    else:
        effect = SharedAmount(
            Fields({"type": "fixed_amount", "amount": cases._money(r)}, "rule r9", "r9"), level="line"
        )
    chooser = condition(r, "categories")
    conditions = [condition(r, name) for name in r.choices(["usage", "amount", "guest", "nth_visit", "quantity"], k=2)]
    spares = r.random() < 0.5
    turn = written_out("r9", chooser.categories, conditions, effect, spares=spares)
    if turn is None or quick.has_floors:
        return
    reason = turn(quick)
    positions = [i for i in plain.all if chooser.picks(plain, i)]
    if positions and all(c.holds(plain, positions) for c in conditions):
        assert effect.apply(plain, Acting("r9", None, spares), positions) == reason
    else:
        assert reason is NOT_ITS_TURN
    assert (quick.left, quick.cuts) == (plain.left, plain.cuts)


@settings(max_examples=EXAMPLES)
@given(any_cases(), SEEDS)
def test_a_turn_written_out_does_what_its_parts_do(case, seed):
    check_turns(case, seed)


def check_earning_turns(case: Case, seed: int) -> None:
    tally, r = tally_of(case), Random(seed)
    earning = [BonusMultiplier(Fields({"type": "bonus_multiplier", "rate_bp": 10_000 + seed % 3}, "rule r9", "r9"))]
    conditions = [condition(r, name) for name in r.choices(["usage", "amount", "guest", "nth_visit", "quantity"], k=2)]
    turn = earning_written_out("r9", conditions, earning)
    if turn is None:
        return
    quick, plain = Earnings(tally, tally.left.copy()), Earnings(tally, tally.left.copy())
    holds = all(c.holds(tally, tally.all) for c in conditions)
    if holds:
        earning[0].earn(plain, "r9", tally.all)
    assert turn(quick) is holds
    assert quick == plain


@settings(max_examples=EXAMPLES)
@given(any_cases(), SEEDS)
def test_an_earning_turn_written_out_does_what_its_parts_do(case, seed):
    check_earning_turns(case, seed)


# rules passed over


def claiming_case(seed: int, rules: int, lines: int) -> Case:
    """Return a case whose rules mostly claim goods, with some of every other kind between."""
    r = Random(seed)
    parts = []
    for n in range(rules):
        part = cases.rule(r, n)
        if r.random() < 0.8:
            part["effects"] = [cases.effect(r, ("percentage", "fixed_amount", "fixed_price"))]
            names = r.choice(["categories", "products"])
            part["conditions"] = [{"type": names, **cases.CONDITIONS[names](r)}]
            part["conditions"] += [cases.condition(r) for _ in range(r.choice([0, 0, 1]))]
            part["skip_discounted_lines"] = True
        parts.append(part)
    goods = cases.basket(r, lines)
    program = Program.from_dict(cases.snapshot(r, parts))
    return Case(program, goods, cases.guest(r), cases.NOW, cases.choices(r, goods.lines))


def traced(case: Case, *, every_rule: bool):
    return pricing._worked_out(
        case.basket, case.guest, case.program, case.at, case.choices, every_rule=every_rule
    )  # fmt: skip


def check_passed_over(case: Case) -> None:
    quick, whole = traced(case, every_rule=False), traced(case, every_rule=True)
    assert quick.tally.left == whole.tally.left
    assert [in_order(cuts) for cuts in quick.tally.cuts] == [in_order(cuts) for cuts in whole.tally.cuts]
    assert [quick.tally.runs(i) for i in quick.tally.all] == [whole.tally.runs(i) for i in whole.tally.all]
    assert (quick.earned, quick.redemption, quick.tally.given) == (whole.earned, whole.redemption, whole.tally.given)
    applied = [rank for rank, reason in quick.outcomes.items() if reason is None]
    assert applied == [rank for rank, reason in whole.outcomes.items() if reason is None]
    assert not whole.passed_over
    if not quick.passed_over:
        assert quick.outcomes == whole.outcomes


claiming_cases = st.builds(claiming_case, SEEDS, st.integers(0, 14), st.integers(0, 6))


@settings(max_examples=EXAMPLES)
@given(claiming_cases)
def test_passing_rules_over_changes_nothing(case):
    check_passed_over(case)


def test_rules_are_passed_over_and_explained_all_the_same():
    passed = 0
    for seed in range(300):
        case = claiming_case(seed, 10, 3)
        if traced(case, every_rule=False).passed_over:
            passed += 1
            notes = case.quote().explanation
            assert {note.rule for note in notes} >= {rule.id for rule in case.program.rules}
    assert passed > 50


class _TooMany:
    """All rules claim, also those that do more than lower goods that nobody has lowered."""

    def __get__(self, plan: Plan, owner: type) -> int:
        return (1 << len(plan.rules)) - 1

    def __set__(self, plan: Plan, value: int) -> None:
        pass


BROKEN = {
    "tests": ("conditions.size:Amount.test", lambda self: lambda tally, _: sum(tally.left) > self.low, check_tests,
              (any_cases(), SEEDS)),
    "picks": ("plan:_merged", lambda parts: [i for part in parts for i in part], check_picks, (any_cases(), SEEDS)),
    "limits": ("plan:_is_settled", lambda *_: False, check_limits, (limited_cases,)),
    "turns": ("effects.percentage:payable", lambda tally, acting, positions, **_: list(positions), check_turns,
              (any_cases(), SEEDS)),
    "claims": ("plan:Plan.claims", _TooMany(), check_passed_over, (claiming_cases,)),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_each_of_these_falls_where_the_short_way_is_wrong(monkeypatch, name):
    where, broken, check, strategies = BROKEN[name]
    break_kernel(monkeypatch, where, broken)
    must_fall(check, *strategies)
