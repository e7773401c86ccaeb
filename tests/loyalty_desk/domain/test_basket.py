"""Lines, weighed goods and what cannot be priced."""

import pytest

from loyalty_desk.domain.basket import Basket, Line, LineFlag
from loyalty_desk.domain.errors import BadInput


def test_a_weighed_line_rounds_half_up_once_and_is_one_unit():
    line = Line("a", quantity_milli=1_235, unit_price=10_990)
    assert line.gross == 13_573
    assert line.is_weighed
    assert line.units == 1
    assert Line("b", quantity_milli=500, unit_price=5).gross == 3


def test_a_whole_kilogram_is_weighed_when_it_says_so():
    assert Line("a", quantity_milli=2_000).units == 2
    assert Line("a", quantity_milli=2_000, flags=frozenset({LineFlag.WEIGHED})).units == 1


def test_a_bare_total_is_one_line():
    basket = Basket.of_amount("RUB", 123_456, store="s1")
    assert (basket.gross, len(basket.lines), basket.store) == (123_456, 1, "s1")
    assert Basket.of_amount("RUB", 1, no_points=True).lines[0].flags == {LineFlag.NO_POINTS}


@pytest.mark.parametrize(
    ("basket", "code"),
    [
        (Basket("XXX"), "currency_unknown"),
        (Basket("RUB", (Line("a", unit_price=-1),)), "line_negative"),
        (Basket("RUB", (Line("a", charge=-1),)), "line_negative"),
        (Basket("RUB", (Line("a", quantity_milli=0),)), "line_quantity"),
        (Basket("RUB", (Line("a", unit_price=10**11),)), "line_too_large"),
        (Basket("RUB", (Line("a"), Line("a"))), "line_id_twice"),
        (Basket("RUB", (Line("a", flags=frozenset({"free"})),)), "line_flag_unknown"),
        (Basket("RUB", (Line("a", unit_price=9_000_000_000), Line("b", unit_price=9_000_000_000))), "amount_too_large"),
        (Basket("RUB", (Line("a", product="cafe\u0301"),)), "line_text"),
        (Basket("RUB", (Line("a", category="\ud800"),)), "line_text"),
        (Basket("RUB", (Line("a\x00"),)), "line_text"),
        (Basket("RUB", tuple(Line(str(n)) for n in range(1001))), "lines_too_many"),
    ],
)
def test_a_basket_that_cannot_be_priced_says_where(basket, code):
    with pytest.raises(BadInput) as refused:
        basket.validated()
    assert refused.value.code == code


def test_an_empty_basket_and_a_free_line_are_fine():
    assert Basket("RUB").validated().gross == 0
    assert Basket("RUB", (Line("a", unit_price=0),)).validated().gross == 0
