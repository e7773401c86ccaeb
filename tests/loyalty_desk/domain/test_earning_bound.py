"""No quote earns more than the bound says, and the bound is no larger than the rules make it."""

from __future__ import annotations

import pytest
from hypothesis import given

from loyalty_desk.domain.basket import MILLI
from loyalty_desk.domain.earning_bound import EarningBound
from loyalty_desk.domain.program import Program
from tests.loyalty_desk.domain.properties.cases import any_cases


@given(any_cases())
def test_no_quote_earns_more(case):
    quoted = case.quote()
    units = sum(-(-line.quantity_milli // MILLI) for line in case.basket.lines)
    is_before = case.program.settings.earning_base == "before_redemption"
    money = max(quoted.total, quoted.gross if is_before else 0)
    bound = EarningBound.of(case.program)
    assert quoted.earned_points <= bound.most(money, units)
    assert bound.gives or quoted.earned_points == 0


def program(*effects, **fields):
    rules = [
        {"id": f"r{number}", "name": {"en": "R"}, "effects": [effect], "conditions": []}
        for number, effect in enumerate(effects)
    ]
    return Program.from_dict({"currency": "RUB", "version": 1, "rules": rules} | fields)


@pytest.mark.parametrize(
    ("effects", "most"),
    [
        ([], 0),
        ([{"type": "earn_rate", "rate_bp": 500}], 5),
        ([{"type": "earn_rate", "points": 2, "per": 1_000}], 20),
        ([{"type": "earn_rate", "points": 2, "per": 0}], 0),
        ([{"type": "earn_blocks", "points": 3, "per": 6_000}], 5),
        ([{"type": "earn_per_unit", "points": 4}], 12),
        ([{"type": "bonus_fixed", "points": 7}], 7),
        ([{"type": "earn_rate", "rate_bp": 500}, {"type": "bonus_multiplier", "rate_bp": 30_000}], 15),
        ([{"type": "earn_rate", "rate_bp": 500}, {"type": "bonus_multiplier", "rate_bp": 5_000}], 5),
        ([{"type": "of_tomorrow", "points": 1_000}], 0),
    ],
)
def test_what_rules_give_for_100_rubles_of_three_units(effects, most):
    assert EarningBound.of(program(*effects)).most(10_000, 3) == most


def test_the_best_tier_counts_and_multipliers_have_their_limit():
    tiers = [{"code": "A", "earn_bp": 300}, {"code": "B", "threshold": 1, "earn_bp": 700}]
    assert program(model="points", tiers=tiers).earning_bound.most(10_000, 1) == 7
    assert program(model="discount", tiers=tiers).earning_bound.most(10_000, 1) == 0
    double = {"type": "bonus_multiplier", "rate_bp": 40_000}
    limited = program(double, model="points", tiers=tiers, settings={"max_multiplier_bp": 20_000})
    assert limited.earning_bound.most(10_000, 1) == 14


def test_nothing_paid_earns_nothing_and_no_money_is_below_nothing():
    bound = program({"type": "earn_rate", "rate_bp": 500}).earning_bound
    assert (bound.most(0, 0), bound.most(-5, -5), bound.most(1, 0)) == (0, 0, 1)
