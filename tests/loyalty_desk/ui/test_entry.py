from __future__ import annotations

import pytest

from loyalty_desk.domain.money import currency
from loyalty_desk.ui.sale.entry import Reading, read_entry
from loyalty_desk.ui.sale.state import FieldMode

RUB = currency("RUB")


@pytest.mark.parametrize(
    ("text", "reading", "units"),
    [
        ("", Reading.NOTHING, None),
        ("   ", Reading.NOTHING, None),
        ("1240", Reading.AMOUNT, 124_000),
        ("1 240,50", Reading.AMOUNT, 124_050),
        ("1,234.56", Reading.AMOUNT, 123_456),
        (".5", Reading.AMOUNT, 50),
        ("124000", Reading.SHORT, None),
        ("124 000", Reading.AMOUNT, 12_400_000),
        ("124000.00", Reading.AMOUNT, 12_400_000),
        ("1000000016", Reading.NUMBER, None),
        ("1000000017", Reading.PHONE, None),
        ("9161234567", Reading.PHONE, None),
        ("79161234567", Reading.PHONE, None),
        ("+7 916 123-45-67", Reading.PHONE, None),
        ("8 (916) 123-45-67", Reading.PHONE, None),
        ("LD104HMASW9NF6YY54", Reading.CARD, None),
        ("ld1 04hm asw9 nf6y y54", Reading.CARD, None),
        ("ДВ104РЬФЫЦ9ТА6НН54", Reading.CARD, None),
        ("LD1 damaged", Reading.CARD, None),
        ("SPRING", Reading.CODE, None),
        ("https://example.com", Reading.CODE, None),
    ],
)
def test_what_is_typed_with_no_guest_is_read_by_its_shape(text: str, reading: Reading, units: int | None) -> None:
    entry = read_entry(text, FieldMode.AUTO, has_guest=False, of=RUB)
    assert (entry.reading, entry.units, entry.problem) == (reading, units, None)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("1,234", "amount_ambiguous"),
        ("1.234", "amount_ambiguous"),
        ("-5", "amount_negative"),
        ("\u22125", "amount_negative"),
        ("1e9", "amount_malformed"),
        ("1.2.3", "amount_malformed"),
        (".", "amount_malformed"),
        ("100000000", "amount_too_large"),
        ("1.999", "amount_ambiguous"),
        ("12345.999", "amount_too_precise"),
    ],
)
def test_an_amount_that_cannot_be_read_says_why(text: str, code: str) -> None:
    entry = read_entry(text, FieldMode.AUTO, has_guest=False, of=RUB)
    assert entry.reading is Reading.AMOUNT
    assert entry.units is None
    assert entry.problem is not None
    assert entry.problem.code == code


@pytest.mark.parametrize("text", ["124000", "1000000016", "9161234567"])
def test_with_a_guest_digits_are_an_amount(text: str) -> None:
    entry = read_entry(text, FieldMode.AUTO, has_guest=True, of=RUB)
    assert entry.reading is Reading.AMOUNT


def test_f3_reads_six_digits_as_an_amount_and_f2_reads_few_digits_as_a_code() -> None:
    assert read_entry("124000", FieldMode.AMOUNT, has_guest=False, of=RUB).units == 12_400_000
    assert read_entry("12", FieldMode.GUEST, has_guest=True, of=RUB).reading is Reading.CODE
    assert read_entry("1000 0000 16", FieldMode.GUEST, has_guest=True, of=RUB).reading is Reading.NUMBER


@pytest.mark.parametrize(
    ("text", "decimals", "units"),
    [("100", 0, 100), ("1 000", 0, 1000), ("12,5", 1, 125), ("12.50", 2, 1250), ("0", 0, 0)],
)
def test_points_are_read_in_the_programs_units(text: str, decimals: int, units: int) -> None:
    entry = read_entry(text, FieldMode.POINTS, has_guest=True, of=RUB, point_decimals=decimals)
    assert (entry.reading, entry.units) == (Reading.POINTS, units)


@pytest.mark.parametrize(("text", "decimals"), [("1.5", 0), ("-3", 0), ("ten", 0), ("1.234", 2), ("9999999999", 0)])
def test_points_that_cannot_be_read_are_refused(text: str, decimals: int) -> None:
    entry = read_entry(text, FieldMode.POINTS, has_guest=True, of=RUB, point_decimals=decimals)
    assert entry.units is None
    assert entry.problem is not None
    assert entry.problem.code == "points_malformed"
