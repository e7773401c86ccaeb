"""P1 to P12 of tests/invariants.md on generated cases, each shown to fall where the kernel is broken."""

from __future__ import annotations

import hashlib
import itertools
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loyalty_desk.domain.basket import Basket, Line
from loyalty_desk.domain.check import check_from_payload, check_to_payload
from loyalty_desk.domain.conditions import CONDITIONS
from loyalty_desk.domain.effects import EFFECTS
from loyalty_desk.domain.errors import Refused
from loyalty_desk.domain.guest import GuestFacts
from loyalty_desk.domain.money import allocate
from loyalty_desk.domain.pricing import quote
from loyalty_desk.domain.program import Program, Settings
from loyalty_desk.domain.quote import MANUAL_RULE, TIER_RULE, Choices, Note
from loyalty_desk.domain.refund import NOTHING_YET, Return, Sale, line_id, refund, refund_amount, void
from loyalty_desk.domain.tally import Tally
from loyalty_desk.services.explanation import explain
from loyalty_desk.services.wording import Words
from tests.loyalty_desk.domain.properties import cases
from tests.loyalty_desk.domain.properties.breaking import break_kernel, must_fall
from tests.loyalty_desk.domain.properties.cases import NOW, SEEDS, Case, any_case, any_cases

EXAMPLES = max(200, settings.default.max_examples)
examples = settings(max_examples=EXAMPLES)
RULES, LINES = st.integers(0, 6), st.integers(0, 5)


def sold(case: Case) -> Sale:
    return Sale.priced(case.basket, case.guest, case.program, case.at, case.choices)


# P1: sums


def check_p01(case: Case) -> None:
    quoted = case.quote()
    assert sum(line.net for line in quoted.lines) == quoted.total
    assert quoted.total == quoted.gross - quoted.discount_total - quoted.redeemed_money
    assert quoted.gross == case.basket.gross
    assert sum(line.discount for line in quoted.lines) == quoted.discount_total <= quoted.gross
    assert sum(line.points_money for line in quoted.lines) == quoted.redeemed_money
    for line in quoted.lines:
        assert line.net == line.gross + line.charge - line.discount - line.points_money
        assert all(amount >= 0 for _, amount in line.discounts)
        assert min(line.net - line.charge, line.charge, line.points_money, line.points, line.earned) >= 0
    assert quoted.earned_points >= 0
    assert 0 <= quoted.due <= quoted.total


@examples
@given(any_cases())
def test_p01_lines_sum_to_the_total_and_no_part_is_below_zero(case):
    check_p01(case)


# P2: splits


@examples
@given(
    st.integers(-5_000, 5_000),
    st.lists(st.tuples(st.integers(0, 2_000), st.integers(0, 2_000)), max_size=8),
    st.booleans(),
)
def test_p02_a_split_sums_exactly(amount, parts, has_ceilings):
    weights, ceilings = [w for w, _ in parts], [c for _, c in parts]
    found = allocate(amount, weights, ceilings if has_ceilings else None)
    room = sum(ceilings) if has_ceilings else abs(amount)
    assert sum(found) == (max(-room, min(room, amount)) if parts else 0)
    assert allocate(-amount, weights, ceilings if has_ceilings else None) == [-part for part in found]
    if has_ceilings:
        assert all(abs(part) <= ceiling for part, ceiling in zip(found, ceilings, strict=True))
    elif sum(weights):
        exact = [amount * weight / sum(weights) for weight in weights]
        assert all(abs(part - share) < 1 for part, share in zip(found, exact, strict=True))


def check_p02(case: Case) -> None:
    quoted = case.quote()
    for position, line in enumerate(quoted.lines):
        runs = quoted.units(position)
        assert sum(run.price * run.units for run in runs) == line.net - line.charge
        assert sum(run.units for run in runs) == case.basket.lines[position].units
        assert all(run.price >= 0 and run.units > 0 for run in runs)
    assert sum(line.points for line in quoted.lines) == quoted.redeemed_points
    # A check of nothing may still bring a fixed bonus, which then lies on no line.
    assert not quoted.lines or sum(line.earned for line in quoted.lines) == quoted.earned_points


@examples
@given(any_cases())
def test_p02_units_and_points_sum_to_their_lines_and_their_check(case):
    check_p02(case)


# P3: all of it is nothing


def gratis_case(seed: int, lines: int, of_check: bool, units: int | None) -> Case:
    r = Random(seed)
    effect: cases.Part = {"type": "percentage", "rate_bp": 10_000}
    if of_check:
        effect["of"] = "check"
    elif units is not None:
        effect["max_units"] = units
    goods = cases.basket(r, lines, plain=True)
    program = Program.from_dict({"version": 1, "currency": "RUB", "rules": [{"id": "all", "effects": [effect]}]})
    return Case(program, goods, None, NOW, Choices())


def check_p03(case: Case) -> None:
    data = case.program.rules[0].effects[0].data
    quoted = case.quote()
    if "max_units" not in data:
        assert quoted.total == 0
        assert all(line.net == 0 for line in quoted.lines)
    else:
        # The cheapest units that cost anything are free now, and no other has lost a kopeck.
        prices = sorted(
            price
            for line in case.basket.lines
            for price in ([line.gross] if line.is_weighed else [line.unit_price] * line.units)
            if price
        )
        assert quoted.total == sum(prices[data["max_units"] :])


@examples
@given(st.builds(gratis_case, SEEDS, LINES, st.booleans(), st.none() | st.integers(0, 6)))
def test_p03_a_hundred_percent_off_is_exactly_nothing(case):
    check_p03(case)


# P4: a function


def check_p04(case: Case) -> None:
    data = case.quote().to_bytes()
    again = Program.from_bytes(case.program.to_bytes())
    guest = None if case.guest is None else GuestFacts.from_dict(case.guest.to_dict())
    assert quote(case.basket, guest, again, case.at, case.choices).to_bytes() == data
    # The other side prices the record's check, which holds only the facts that the program can look at.
    payload = check_to_payload(case.basket, case.guest, case.choices, case.quote())
    contents = check_from_payload(payload)
    assert contents.quoted(again, case.at).to_bytes() == case.quote().to_bytes()
    assert contents.claimed.total == case.quote().total


@examples
@given(any_cases())
def test_p04_a_quote_is_a_function_on_both_sides(case):
    check_p04(case)


DIGEST = """
import hashlib
from tests.loyalty_desk.domain.properties.cases import any_case
digest = hashlib.sha256()
for seed in range(400):
    digest.update(any_case(seed, seed % 7, seed % 6).quote().to_bytes())
print(digest.hexdigest())
"""


def test_p04_the_hash_seed_does_not_matter():
    root = Path(__file__).parents[4]
    mine = hashlib.sha256()
    for seed in range(400):
        mine.update(any_case(seed, seed % 7, seed % 6).quote().to_bytes())
    for hash_seed in ("0", "1"):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
        found = subprocess.run(
            [sys.executable, "-c", DIGEST], env=environment, cwd=root, capture_output=True, text=True, check=True
        )
        assert found.stdout.strip() == mine.hexdigest()


# P5: order of lines


def nameless_case(seed: int, rules: int, lines: int) -> tuple[Case, list[int]]:
    case = any_case(seed, rules, lines)
    goods = tuple(replace(line, id="") for line in case.basket.lines)
    manual = tuple(replace(one, line=None) for one in case.choices.manual_discounts)
    order = list(range(len(goods)))
    Random(seed + 1).shuffle(order)
    basket = replace(case.basket, lines=goods)
    return replace(case, basket=basket, choices=replace(case.choices, manual_discounts=manual)), order


def check_p05(given_case: tuple[Case, list[int]]) -> None:
    case, order = given_case
    shuffled = replace(case, basket=replace(case.basket, lines=tuple(case.basket.lines[i] for i in order)))
    one, other = case.quote(), shuffled.quote()

    def lines(quoted, basket: Basket) -> Counter:
        return Counter(
            (line, priced.net, priced.points, priced.earned)
            for line, priced in zip(basket.lines, quoted.lines, strict=True)
        )

    assert lines(one, case.basket) == lines(other, shuffled.basket)
    assert (one.total, one.earned_points, one.redeemed_points) == (
        other.total,
        other.earned_points,
        other.redeemed_points,
    )
    assert [(n.rule, n.applied, n.code, n.amount) for n in one.explanation] == [
        (n.rule, n.applied, n.code, n.amount) for n in other.explanation
    ]


@examples
@given(st.builds(nameless_case, SEEDS, RULES, LINES))
def test_p05_the_order_of_lines_does_not_matter(given_case):
    check_p05(given_case)


# P6: a line that nothing sees


def local_case(seed: int, rules: int, lines: int) -> Case:
    """Return a case whose rules look at categories alone, act on lines, and never at the whole check."""
    r = Random(seed)
    parts = []
    for n in range(rules):
        effects = ("percentage", "fixed_amount", "fixed_price", "unit_series", "free_unit", "bundle")
        part = cases.rule(r, n, effects, ())
        for effect in part["effects"]:
            effect.pop("of", None)
            if effect.get("per") == "check":
                effect["per"] = "lines"
        named = {"type": "categories", "categories": cases._some(r, cases.CATEGORIES)}
        least = {"type": "amount", "of": "lines", "min": cases._money(r)}
        part["conditions"] = [named, *r.choice([[], [least]])]
        parts.append(part)
    program = Program.from_dict({"version": 1, "currency": "RUB", "model": "points", "rules": parts})
    return Case(program, cases.basket(r, lines), cases.guest(r), NOW, Choices())


def check_p06(case: Case, place: int, price: int) -> None:
    unseen = Line(id="unseen", product="unseen", category="unseen", unit_price=price, quantity_milli=2_000)
    at = place % (len(case.basket.lines) + 1)
    lines = case.basket.lines
    more = replace(case, basket=replace(case.basket, lines=(*lines[:at], unseen, *lines[at:])))
    one, other = case.quote(), more.quote()
    assert [line for line in other.lines if line.id != "unseen"] == list(one.lines)
    assert other.total == one.total + 2 * price


@examples
@given(st.builds(local_case, SEEDS, RULES, LINES), st.integers(0, 5), st.integers(0, 5_000))
def test_p06_a_line_that_no_rule_sees_changes_no_other(case, place, price):
    check_p06(case, place, price)


# P7: the best of a group


def group_case(seed: int, rules: int, lines: int) -> Case:
    r = Random(seed)
    parts = [cases.rule(r, n, cases.MONEY_EFFECTS) | {"group": 1, "exclusive": False} for n in range(rules)]
    data = {"version": 1, "currency": "RUB", "model": "points", "rules": parts}
    goods = cases.basket(r, lines)
    return Case(Program.from_dict(data), goods, cases.guest(r), NOW, cases.choices(r, goods.lines))


def check_p07(case: Case) -> None:
    together = case.quote().total
    for rule in case.program.data["rules"]:
        alone = replace(case, program=Program.from_dict({**case.program.data, "rules": [rule]}))
        assert together <= alone.quote().total


@examples
@given(st.builds(group_case, SEEDS, st.integers(1, 6), LINES))
def test_p07_in_a_group_no_single_rule_would_be_better(case):
    check_p07(case)


# P8: a sale and its full refund


def default_case(seed: int, rules: int, lines: int) -> Case:
    """Return a case under default refund settings."""
    case = any_case(seed, rules, lines)
    names = ("points_reversal", "spent_back", "partial_bundle_return")
    left = {key: value for key, value in case.program.data["settings"].items() if key not in names}
    return replace(case, program=Program.from_dict({**case.program.data, "settings": left}))


def check_p08(case: Case) -> None:
    sale = sold(case)
    back = void(sale)
    q = sale.quote
    assert (q.total - back.money, q.earned_points - back.earned_reversed, q.redeemed_points - back.spent_returned) == (
        0,
        0,
        0,
    )
    counters = Counter(dict(q.uses))
    counters.subtract(dict(back.uses))
    assert not any(counters.values())
    assert summed(q.stamps) == summed(back.stamps)
    assert summed(q.coupons_issued) == summed(back.coupons_withdrawn)
    assert summed(q.payments) == summed(back.back_to)
    assert back.is_whole


def summed(pairs) -> dict[str, int]:
    found: Counter[str] = Counter()
    for key, count in pairs:
        found[key] += count
    return {key: count for key, count in found.items() if count}


@examples
@given(st.builds(default_case, SEEDS, RULES, LINES))
def test_p08_a_sale_and_its_full_refund_leave_nothing(case):
    check_p08(case)


# P9: partial refunds


def check_p09(case: Case, seed: int) -> None:
    sale = sold(case)
    r = Random(seed)
    state, money, earned, spent = NOTHING_YET, 0, 0, 0
    for _ in range(8):
        if sale.is_bare_total and r.random() < 0.7:
            left = sale.quote.total - state.money
            if left <= 0:
                break
            back = refund_amount(sale, r.randint(1, left), state)
        else:
            rest = [
                (line_id(line, n), line, line.quantity_milli - state.quantities.get(line_id(line, n), 0))
                for n, line in enumerate(case.basket.lines)
            ]
            rest = [one for one in rest if one[2]]
            if not rest:
                break
            name, line, left = r.choice(rest)
            part = r.randint(1, left) if line.is_weighed else 1_000 * r.randint(1, left // 1_000)
            try:
                back = refund(sale, [Return(name, part)], state)
            except Refused as refusal:
                assert refusal.code == "return_splits_set"
                assert sale.program.settings.partial_bundle_return == "refuse"
                back = void(sale, state)
        assert min(back.money, back.earned_reversed, back.spent_returned, back.cash) >= 0
        money, earned, spent = money + back.money, earned + back.earned_reversed, spent + back.spent_returned
        assert (money, earned, spent) == (back.after.money, back.after.earned_reversed, back.after.spent_returned)
        assert money <= sale.quote.total
        assert earned <= sale.quote.earned_points
        assert spent <= sale.quote.redeemed_points
        state = back.after
        if back.is_whole:
            assert (money, earned, spent) == (sale.quote.total, sale.quote.earned_points, sale.quote.redeemed_points)


@examples
@given(any_cases(), SEEDS)
def test_p09_partial_refunds_never_give_more_than_was_paid_or_spent(case, seed):
    check_p09(case, seed)


# P10: redemption


def check_p10(case: Case) -> None:
    quoted, note, policy = case.quote(), case.quote().redemption, case.program.redemption
    rewards = sum(points for _, points in quoted.rewards)
    held = max(0, case.guest.points) if case.guest else 0
    more = quoted.earned_points if case.program.settings.points_usable == "at_once" else 0
    assert quoted.redeemed_points == note.points + rewards
    assert note.points + rewards <= held + more
    assert note.points <= max(case.choices.points_asked, 0)
    if case.choices.redemption_cap is not None:
        assert note.points + rewards <= case.choices.redemption_cap
    if policy is None or case.guest is None:
        assert note.points == 0
        return
    assert note.points == 0 or (note.points >= policy.minimum and note.points % policy.block == 0)
    assert note.money == case.program.points_money(note.points)
    charges = sum(line.charge for line in quoted.lines)
    cost = quoted.total - charges + note.money
    assert note.money * 10_000 <= cost * policy.max_share_bp
    assert note.points <= note.max_points
    most = replace(case, choices=replace(case.choices, points_asked=note.max_points)).quote()
    assert most.redemption.points == note.max_points


@examples
@given(any_cases())
def test_p10_points_taken_are_there_and_within_the_share(case):
    check_p10(case)


# P11: caps, floors, budgets


def check_p11(case: Case) -> None:
    quoted = case.quote()
    for position, line in enumerate(case.basket.lines):
        floor = -(-line.floor * line.quantity_milli // 1_000) if line.is_weighed else line.floor
        price = line.gross if line.is_weighed else line.unit_price
        reward = any(rule for rule, _ in quoted.lines[position].discounts) and "reward" in line.flags
        if not reward:
            assert all(run.price >= min(floor, price) for run in quoted.units(position))
    amounts = {note.rule: note.amount for note in quoted.explanation}
    for rule in case.program.rules:
        amount = amounts[rule.id]
        if len(rule.effects) == 1 and rule.effects[0].data.get("cap") is not None:
            assert amount <= rule.effects[0].data["cap"]
        for limit in rule.conditions:
            if limit.data["type"] == "budget":
                quotas = case.choices.quotas
                left = limit.data["amount"] if quotas is None else quotas.get(rule.id, 0)
                assert amount <= left
            if limit.data["type"] == "usage" and case.guest is not None and limit.data.get("per_guest"):
                used = case.guest.uses.get((rule.id, ""), 0)
                assert used < limit.data["per_guest"] or not amount


@examples
@given(any_cases())
def test_p11_caps_floors_and_budgets_hold(case):
    check_p11(case)


# P12: the explanation


def check_p12(case: Case) -> None:
    quoted = case.quote()
    notes = quoted.explanation
    rules = [note for note in notes if note.rule not in (TIER_RULE, MANUAL_RULE)]
    assert sorted(note.rule for note in rules) == sorted(rule.id for rule in case.program.rules)
    assert sum(note.amount for note in notes) == quoted.discount_total
    assert all(note.applied for note in notes if note.amount or note.points)
    assert all(sum(amount for _, amount in note.per_line) == note.amount for note in notes)
    by_line: Counter[str] = Counter()
    for note in notes:
        by_line.update(dict(note.per_line))
    names = [line_id(line, n) for n, line in enumerate(case.basket.lines)]
    assert all(by_line[name] == line.discount for name, line in zip(names, quoted.lines, strict=True))
    if quoted.hint is not None:
        assert quoted.hint.missing > 0
        assert all(not note.applied for note in notes if note.rule == quoted.hint.rule)


def has_words(note: Note) -> None:
    for language in ("ru", "en"):
        said = explain(note, WORDS[language])
        assert said
        assert f"({note.code})" not in said
        assert "{" not in said


WORDS = {language: Words(language) for language in ("ru", "en")}


@examples
@given(any_cases())
def test_p12_every_rule_is_explained_and_amounts_sum_to_the_discount(case):
    check_p12(case)
    for note in case.quote().explanation:
        has_words(note)


# each shown to fall

_calls = itertools.count()


def _less_one(amount: int, most: int) -> int:
    return max(0, min(amount, most) - 1)


def _take_and_tell_nobody(tally: Tally, positions: Sequence[int], _rule: str, amounts: Sequence[int]) -> bool:
    for i, amount in zip(positions, amounts, strict=True):
        tally.left[i] -= amount
    return any(amounts)


BROKEN = {
    "p01": ("tally:Tally.take_each", _take_and_tell_nobody, check_p01, (any_cases(),)),
    "p02": ("tally:spread", lambda runs, amount, floor=0: runs, check_p02, (any_cases(),)),
    "p03": ("effects.percentage:percent_off", lambda amount, rate: amount * (rate - 1) // 10_000, check_p03,
            (st.builds(gratis_case, SEEDS, LINES, st.booleans(), st.none() | st.integers(0, 6)),)),
    "p04": ("effects.percentage:percent_off", lambda amount, rate: amount * rate // 10_000 // (1 + next(_calls) % 2),
            check_p04, (any_cases(),)),
    "p05": ("tally:by_canonical_order", lambda lines: list(range(len(list(lines)))), check_p05,
            (st.builds(nameless_case, SEEDS, RULES, LINES),)),
    "p06": ("plan:picker", lambda choosers: lambda tally: tally.all, check_p06,
            (st.builds(local_case, SEEDS, RULES, LINES), st.integers(0, 5), st.integers(0, 5_000))),
    "p07": ("competition:_winner", lambda trace, group: group[-1], check_p07,
            (st.builds(group_case, SEEDS, st.integers(1, 6), LINES),)),
    "p08": ("refund.settlement:_between", _less_one, check_p08, (st.builds(default_case, SEEDS, RULES, LINES),)),
    "p09": ("refund.settlement:_between", lambda amount, most: amount + 1, check_p09, (any_cases(), SEEDS)),
    "p10": ("redemption:_usable", lambda points, policy, program: points, check_p10, (any_cases(),)),
    "p11": ("effects.percentage:cut", lambda amounts, cap: amounts, check_p11, (any_cases(),)),
    "p12": ("explain:amounts_by_rule", lambda tally: {}, check_p12, (any_cases(),)),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_each_property_falls_where_the_kernel_is_broken(monkeypatch, name):
    where, broken, check, strategies = BROKEN[name]
    break_kernel(monkeypatch, where, broken)
    must_fall(check, *strategies)


# what the generators reach


def test_the_generators_reach_every_effect_condition_and_setting(capsys):
    shown: Counter[str] = Counter()
    worked: Counter[str] = Counter()
    for seed in range(2_500):
        case = any_case(seed, seed % 7, seed % 6)
        applied = {note.rule for note in case.quote().explanation if note.applied}
        for rule in case.program.rules:
            parts = [f"effect {one.data['type']}" for one in rule.effects]
            parts += [f"condition {one.data['type']}" for one in rule.conditions]
            shown.update(parts)
            worked.update(parts if rule.id in applied else ())
        for key, value in (*case.program.data["settings"].items(), *case.program.data.items()):
            if key in cases.SETTINGS or key in cases.TOP:
                shown[f"setting {key} = {value}"] += 1
    wanted = [f"effect {name}" for name in EFFECTS] + [f"condition {name}" for name in CONDITIONS]
    settings_wanted = [f"setting {k} = {v}" for k, values in (cases.SETTINGS | cases.TOP).items() for v in values]
    with capsys.disabled():
        print("\nreached in 2 500 cases (in a rule that applied):")
        for name in wanted:
            print(f"  {name:28} {shown[name]:6} ({worked[name]})")
    assert [name for name in wanted if not worked[name]] == []
    assert [name for name in settings_wanted if not shown[name]] == []
    assert set(cases.SETTINGS) == set(Settings.__slots__) - {"points_rounding"}
