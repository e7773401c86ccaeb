"""A check priced in one stroke is what the general way makes of it, in every number."""

import pytest
from hypothesis import given, settings

from tests.loyalty_desk.domain.properties.breaking import break_kernel, must_fall
from tests.loyalty_desk.domain.properties.cases import any_cases
from tests.loyalty_desk.domain.properties.plain_cases import agrees, plain_cases

EXAMPLES = max(300, settings.default.max_examples)


@settings(max_examples=EXAMPLES)
@given(plain_cases)
def test_a_check_priced_in_one_stroke_comes_out_as_in_general(case):
    agrees(case)


@settings(max_examples=EXAMPLES)
@given(any_cases())
def test_any_check_comes_out_as_in_general(case):
    agrees(case)


BROKEN = {
    "turns": ("plain:_take_rate", lambda *_: 0),
    "shares": ("plain:_share_out", lambda left, cuts, lines, rule, amount: 0),
    "tier": ("plain:_take_better", lambda *_: False),
    "asked": ("plain:PlainPlan.refused", lambda *_: 0),
    "earning": ("plain:_tier_rate", lambda *_: (0, 1)),
    "alone": ("plain:_goes_alone", lambda _: True),
}


@pytest.mark.parametrize("name", BROKEN)
def test_each_falls_where_the_stroke_is_wrong(monkeypatch, name):
    break_kernel(monkeypatch, *BROKEN[name])
    must_fall(agrees, plain_cases)
