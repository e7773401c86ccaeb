"""The kernel and the slow model of stacking and splitting agree to the last kopeck, line by line and unit by unit."""

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loyalty_desk.domain.program import Program
from tests.loyalty_desk.domain.properties import cases
from tests.loyalty_desk.domain.properties.breaking import break_kernel, must_fall
from tests.loyalty_desk.domain.properties.cases import SEEDS, Case
from tests.loyalty_desk.domain.properties.reference import Model

EXAMPLES = max(200, settings.default.max_examples)


def _effect(r: Random) -> cases.Part:
    money = cases._money(r)
    part: cases.Part = r.choice(
        [
            {"type": "percentage", "rate_bp": cases._rate(r)},
            {"type": "percentage", "rate_bp": cases._rate(r), "base": "original"},
            {"type": "percentage", "rate_bp": cases._rate(r), "max_units": r.randint(0, 4)},
            {"type": "percentage", "of": "check", "rate_bp": cases._rate(r)},
            {"type": "percentage", "of": "check", "rate_bp": cases._rate(r), "base": "original"},
            {"type": "fixed_amount", "per": "check", "amount": money},
            {"type": "fixed_amount", "per": "lines", "amount": money},
            {"type": "fixed_amount", "per": "line", "amount": money},
            {"type": "fixed_amount", "per": "unit", "amount": money},
            {"type": "fixed_amount", "per": "unit", "amount": money, "max_units": r.randint(0, 4)},
        ]
    )
    if r.random() < 0.3 and (part["type"] == "percentage" or part["per"] == "line"):
        part["cap"] = cases._money(r)
    return part


def _condition(r: Random) -> cases.Part:
    return r.choice(
        [
            {"type": "categories", "categories": cases._some(r, cases.CATEGORIES)},
            {"type": "products", "products": cases._some(r, cases.PRODUCTS)},
            {"type": "amount", "of": r.choice(["check", "lines"]), "min": cases._money(r), "over": r.random() < 0.5},
            {"type": "amount", "of": "check", "max": r.randint(0, 9_000)},
            {"type": "tiers", "tiers": cases._some(r, cases.TIERS)},
        ]
    )


def stacking_case(seed: int, rules: int, lines: int) -> Case:
    r = Random(seed)
    parts = []
    for n in range(rules):
        part = cases.rule(r, n, ("percentage",), ())
        part["effects"] = [_effect(r) for _ in range(r.choice([1, 1, 2]))]
        part["conditions"] = [_condition(r) for _ in range(r.choice([0, 0, 1, 2]))]
        parts.append(part)
    data = {
        "version": 1, "currency": "RUB", "rules": parts, "model": r.choice(["discount", "points"]),
        "tier_stacking": r.choice(["best_of", "stack"]), "settings": {"exclusive": r.choice(["best", "first"])},
        "tiers": [{"code": code, "discount_bp": cases._rate(r)} for code in cases.TIERS],
    }  # fmt: skip
    if r.random() < 0.3:
        data["exclusions"] = {"discounts": {"categories": cases._some(r, cases.CATEGORIES)}}
    goods = cases.basket(r, lines)
    manual = cases.choices(r, goods.lines).manual_discounts
    program = Program.from_dict(data)
    return Case(program, goods, cases.guest(r), cases.NOW, cases.Choices(manual_discounts=manual))


def agrees(case: Case) -> None:
    model = Model(case)
    nets = model.nets()
    quoted = case.quote()
    assert [line.net - line.charge for line in quoted.lines] == nets
    for position, line in enumerate(model.lines):
        units = [run.price for run in quoted.units(position) for _ in range(run.units)]
        assert sorted(units) == sorted(line.units)


@settings(max_examples=EXAMPLES)
@given(st.builds(stacking_case, SEEDS, st.integers(0, 5), st.integers(0, 4)))
def test_the_kernel_stacks_and_splits_as_the_model_does(case):
    agrees(case)


BROKEN = {
    "rounding down": ("effects.percentage:percent_off", lambda amount, rate: amount * rate // 10_000),
    "last of a group": ("competition:_winner", lambda trace, group: group[-1]),
    "no split": ("tally:allocate", lambda amount, weights, rooms: [amount, *[0] * len(weights)][: len(weights)]),
    "nothing skipped": ("tally:Tally.is_discounted", lambda self, i: False),
    "no tier": ("pricing:best_of_tier", lambda trace: None),
}


@pytest.mark.parametrize("name", BROKEN)
def test_the_model_notices_a_broken_kernel(monkeypatch, name):
    break_kernel(monkeypatch, *BROKEN[name])
    must_fall(agrees, st.builds(stacking_case, SEEDS, st.integers(0, 5), st.integers(0, 4)))
