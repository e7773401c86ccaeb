"""Reading amounts, rounding and splitting."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loyalty_desk.domain.errors import BadInput
from loyalty_desk.domain.money import CURRENCIES, allocate, currency, divide_half_up, parse_amount, percent_off

RUB, JPY, KWD = currency("RUB"), currency("JPY"), currency("KWD")


@pytest.mark.parametrize(
    ("text", "minor"),
    [
        ("1234.56", 123456),
        ("1,234.56", 123456),
        ("1 234,56", 123456),
        ("1\u00a0234,56", 123456),
        ("1\u202f234.56", 123456),
        ("12 345 678,90", 1234567890),
        ("1.234,56", 123456),
        ("1,234,567", 123456700),
        ("1.234.567", 123456700),
        ("1234.5", 123450),
        ("1234,5", 123450),
        ("1234.", 123400),
        (".50", 50),
        (",5", 50),
        ("0", 0),
        ("007", 700),
        ("0.100", 10),
        ("  42 ", 4200),
        ("99999999.99", 9999999999),
        ("99 999 999,99", 9999999999),
    ],
)
def test_an_amount_is_read_as_people_type_it(text, minor):
    assert parse_amount(text, RUB) == minor


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "amount_empty"),
        (" \u00a0 ", "amount_empty"),
        ("1,234", "amount_ambiguous"),
        ("1.234", "amount_ambiguous"),
        ("123.456", "amount_ambiguous"),
        ("-5", "amount_negative"),
        ("\u22125.00", "amount_negative"),
        ("- 5", "amount_negative"),
        ("1e9", "amount_malformed"),
        ("1.2.3", "amount_malformed"),
        ("12,34,56", "amount_malformed"),
        ("1 23", "amount_malformed"),
        ("abc", "amount_malformed"),
        ("5 rub", "amount_malformed"),
        ("--5", "amount_malformed"),
        ("+5", "amount_malformed"),
        (".", "amount_malformed"),
        ("٣", "amount_malformed"),
        ("1_000", "amount_malformed"),
        ("0.001", "amount_too_precise"),
        ("1234.567", "amount_too_precise"),
        ("100000000", "amount_too_large"),
        ("100000000.00", "amount_too_large"),
        ("9" * 5000, "amount_too_large"),
    ],
)
def test_an_amount_that_cannot_be_meant_is_refused_with_its_reason(text, code):
    with pytest.raises(BadInput) as refused:
        parse_amount(text, RUB)
    assert refused.value.code == code


@pytest.mark.parametrize(
    ("text", "code", "facts"),
    [
        ("1,234", "amount_ambiguous", {"text": "1,234"}),
        ("0.001", "amount_too_precise", {"decimals": 2}),
        ("123456789", "amount_too_large", {"limit": 99_999_999}),
        ("x" * 60, "amount_malformed", {"text": "x" * 40}),
        (" ", "amount_empty", {}),
        ("-1", "amount_negative", {}),
    ],
)
def test_a_refused_amount_says_what_a_person_needs(text, code, facts):
    with pytest.raises(BadInput) as refused:
        parse_amount(text, RUB)
    assert (refused.value.code, dict(refused.value.facts)) == (code, facts)


def test_decimals_are_those_of_the_currency():
    assert parse_amount("500", JPY) == 500
    assert parse_amount("1.234", KWD) == 1234
    with pytest.raises(BadInput, match="amount_too_precise"):
        parse_amount("5.5", JPY)


def test_an_unknown_currency_is_refused():
    with pytest.raises(BadInput) as refused:
        currency("ROUBLES IN FULL")
    assert (refused.value.code, dict(refused.value.facts)) == ("currency_unknown", {"currency": "ROUBLES "})
    assert CURRENCIES["USD"].unit == 100


@given(st.integers(0, 9_999_999_999))
def test_what_is_written_is_read_back(minor):
    whole, fraction = divmod(minor, 100)
    for text in (
        f"{whole}.{fraction:02d}",
        f"{whole:,}.{fraction:02d}",
        f"{whole:,}".replace(",", " ") + f",{fraction:02d}",
    ):
        assert parse_amount(text, RUB) == minor


@given(st.text(max_size=20))
def test_any_text_is_read_or_refused(text):
    try:
        assert parse_amount(text, RUB) >= 0
    except BadInput as refused:
        assert refused.code.startswith("amount_")


@given(st.integers(-(10**15), 10**15), st.integers(1, 10**9))
def test_halves_round_away_from_zero(numerator, denominator):
    exact = Fraction(numerator, denominator)
    rounded = divide_half_up(numerator, denominator)
    assert abs(rounded - exact) <= Fraction(1, 2)
    if abs(rounded - exact) == Fraction(1, 2):
        assert abs(rounded) > abs(exact)


def test_rounding_is_exact_where_a_float_is_not():
    large = 3 * 10**17 + 1
    assert divide_half_up(2 * large - 1, 2) == large
    assert divide_half_up(-(2 * large - 1), 2) == -large
    assert type(divide_half_up(-3, 2)) is int
    assert [divide_half_up(n, 2) for n in (-1, 0, 1)] == [-1, 0, 1]


@pytest.mark.parametrize(
    ("amount", "rate_bp", "off"),
    [(5, 1000, 0), (350, 3500, 122), (2025, 1500, 304), (1750, 300, 52), (999, 10_000, 999)],
)
def test_the_price_left_rounds_half_up(amount, rate_bp, off):
    assert percent_off(amount, rate_bp) == off


WEIGHTS = st.lists(st.integers(0, 10**7), min_size=1, max_size=12)


@given(st.integers(-(10**9), 10**9), WEIGHTS)
def test_parts_sum_to_the_whole_and_lie_within_one_of_their_share(amount, weights):
    parts = allocate(amount, weights)
    assert sum(parts) == amount
    even = weights if any(weights) else [1] * len(weights)
    for part, weight in zip(parts, even, strict=True):
        assert abs(part - Fraction(amount * weight, sum(even))) < 1
    assert parts == [-part for part in allocate(-amount, weights)]


@given(st.integers(0, 10**9), WEIGHTS)
def test_the_largest_remainders_get_the_rest_and_ties_go_to_the_earlier(amount, weights):
    even = weights if any(weights) else [1] * len(weights)
    parts = allocate(amount, weights)
    remainders = [amount * weight % sum(even) for weight in even]
    extra = [part - amount * weight // sum(even) for part, weight in zip(parts, even, strict=True)]
    assert set(extra) <= {0, 1}
    for i, got in enumerate(extra):
        for j, other in enumerate(extra):
            if got > other:
                assert (remainders[i], -i) > (remainders[j], -j)


@given(st.data())
def test_no_part_exceeds_its_ceiling_and_nothing_is_lost(data):
    weights = data.draw(WEIGHTS)
    ceilings = [data.draw(st.integers(0, weight)) for weight in weights]
    amount = data.draw(st.integers(0, 2 * sum(weights) + 1))
    parts = allocate(amount, weights, ceilings)
    assert sum(parts) == min(amount, sum(ceilings))
    assert all(0 <= part <= ceiling for part, ceiling in zip(parts, ceilings, strict=True))


def test_what_does_not_fit_is_spread_by_the_same_weights():
    assert allocate(20, [10, 20, 50, 30], [10, 1, 0, 4]) == [10, 1, 0, 4]
    assert allocate(1400, [5000, 2000], [500, 2000]) == [500, 900]
    assert allocate(0, [3, 1], [3, 1]) == [0, 0]
    assert allocate(5, []) == []
    assert allocate(7, [0, 0, 0]) == [3, 2, 2]
    assert allocate(7, []) == []


def test_what_is_owed_is_split_under_the_same_ceilings_as_what_is_given():
    assert allocate(-20, [10, 20, 50, 30], [10, 1, 0, 4]) == [-10, -1, 0, -4]


def test_the_last_unit_is_given_and_a_full_part_takes_no_share():
    assert allocate(1, [5, 5], [0, 9]) == [0, 1]
    assert allocate(3, [1, 1], [2, 2]) == [2, 1]
    assert allocate(2, [0, 0, 0], [0, 3, 9]) == [0, 1, 1]
