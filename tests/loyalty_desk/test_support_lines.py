"""Sentences of the commands about a sale: everything a cashier has to key in and to say."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from loyalty_desk.domain.guest import GuestFacts
from loyalty_desk.domain.pricing import quote
from loyalty_desk.domain.quote import NO_CHOICES
from loyalty_desk.domain.refund import Refund, Refunded
from loyalty_desk.services.checkout import SaleDone
from loyalty_desk.services.counter_lines import exchange_lines
from loyalty_desk.services.returns import ExchangeDone
from loyalty_desk.services.wording import Words
from loyalty_desk.support_lines import sale_line
from tests.loyalty_desk.domain.pricing_parts import AT, basket, program

NBSP = "\u00a0"
TIERS = [{"code": "GOLD", "discount_bp": 1000, "earn_bp": 500}]


def sold(guest: GuestFacts | None) -> SaleDone:
    priced = quote(basket(55_050), guest, program(tiers=TIERS, model="mixed"), AT, NO_CHOICES)
    return SaleDone(UUID(int=1), "A-1", priced, None, None, datetime(2026, 3, 2, tzinfo=UTC))


def said(guest: GuestFacts | None, language: str) -> str:
    return sale_line(sold(guest), Words(language)).replace(NBSP, " ")


def test_a_sale_in_a_line_says_the_discount_for_the_pos() -> None:
    gold = GuestFacts(tier="GOLD")
    assert said(gold, "en") == "A-1: discount to key into the POS 55.05, to pay 495.45, earned 24 points"
    assert said(gold, "ru") == "A-1: скидка для кассы 55,05, к оплате 495,45, начислено 24 балла"


def test_a_sale_without_a_discount_names_none() -> None:
    assert said(None, "en") == "A-1: to pay 550.50"


@pytest.mark.parametrize(
    ("moved", "lines"),
    [
        ({"earned_reversed": 10, "spent_returned": 0}, [("Points taken back", "10 points")]),
        ({"earned_reversed": 0, "spent_returned": 1}, [("Points given back", "1 point")]),
    ],
)
def test_an_exchange_says_what_points_it_moved(moved: dict[str, Any], lines: list[tuple[str, str]]) -> None:
    back = Refund("lines", 13_300, lines=(), is_whole=False, after=Refunded(), **moved)
    shown = exchange_lines(ExchangeDone(sold(GuestFacts(tier="GOLD")), back, 36_245), Words("en"))
    assert shown[3] == ("To pay", "362.45")
    assert [(caption, value.replace(NBSP, " ")) for caption, value in shown[4:]] == [
        ("Discount to key into the POS", "55.05"),
        *lines,
        ("Points earned", "24 points"),
    ]
