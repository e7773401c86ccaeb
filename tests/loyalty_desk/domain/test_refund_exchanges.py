"""Voids and exchanges, and what a return leaves a guest with."""

from dataclasses import replace
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from loyalty_desk.domain.basket import Basket
from loyalty_desk.domain.errors import Refused
from loyalty_desk.domain.guest import Coupon, GuestFacts
from loyalty_desk.domain.quote import Choices
from loyalty_desk.domain.refund import Sale, exchange, guest_after, refund, void
from tests.loyalty_desk.domain.refund_parts import ANNA, EARN, NOON, line, one, program, sold, tenth_off


def test_a_void_gives_back_all_that_is_left_and_leaves_the_guest_as_before():
    sale = sold(program(EARN, tenth_off()), line("a", 5_000, 2), choices=Choices(points_asked=1_000))
    back = void(sale)
    assert back.is_whole
    assert (back.money, back.spent_returned, back.earned_reversed) == (8_000, 1_000, 80)
    q = sale.quote
    after_sale = replace(ANNA, points=ANNA.points - 1_000 + q.earned_points, visits=4, spend=8_000, earned=80)
    assert guest_after(after_sale, sale, back) == ANNA
    assert guest_after(None, sale, back) is None


def test_an_exchange_prices_the_new_check_for_the_guest_as_the_return_leaves_them():
    of = program(EARN)
    guest = GuestFacts(points=100)
    sale = sold(of, line("a", 10_000), guest=guest, choices=Choices(points_asked=100))
    swap = exchange(
        sale, one("a"), Basket("RUB", (line("b", 12_000),)), of, NOON,
        guest=replace(guest, points=sale.quote.earned_points), choices=Choices(points_asked=100),
    )  # fmt: skip
    assert swap.refund.money == 9_900
    assert swap.sale.quote.redeemed_points == 100
    assert swap.to_pay == 11_900 - 9_900


def test_what_a_guest_has_after_a_return():
    daily = {"type": "usage", "times": 5, "period": "day"}
    of = program(EARN, tenth_off(conditions=[daily]), {"effects": [{"type": "stamp", "every": 9}]})
    before = GuestFacts(points=10, visits=2, visits_ever=7, spend=5_000, stamps={"r3": 1})
    sale = sold(of, line("a", 1_000, 2), guest=before)
    now = GuestFacts(
        points=10 + sale.quote.earned_points, visits=3, visits_ever=8, spend=6_800, earned=sale.quote.earned_points,
        stamps={"r3": 3},
        uses={("r2", ""): 4, ("r2", "day:2026-03-02"): 1, ("r2", "day:2026-03-01"): 3, ("r9", ""): 2},
    )  # fmt: skip
    part = refund(sale, one("a"))
    assert guest_after(now, sale, part) == replace(
        now, points=10 + 9, spend=5_900, earned=9, stamps={"r3": 2}
    )  # fmt: skip
    whole = void(sale)
    assert dict(whole.uses) == {"r2": 1}
    assert guest_after(now, sale, whole) == replace(
        now, points=10, visits=2, visits_ever=7, spend=5_000, earned=0, stamps={"r3": 1},
        uses={("r2", ""): 3, ("r2", "day:2026-03-02"): 0, ("r2", "day:2026-03-01"): 3, ("r9", ""): 2},
    )  # fmt: skip
    poor = GuestFacts(points=0, stamps={})
    assert guest_after(poor, sale, whole) == GuestFacts(points=-18, stamps={"r3": -2})


def test_an_own_coupon_that_a_void_keeps_is_not_given_back():
    mine = GuestFacts(points=5, coupons=(Coupon("OWN", "r1"), Coupon("OTHER", "r2")))
    once = {"type": "coupon", "reusable_after_void": False}
    of = program(tenth_off(conditions=[once]), tenth_off(conditions=[{"type": "coupon"}]))
    sale = sold(of, line("a", 1_000), guest=mine, choices=Choices(coupons=("own", "Other")))
    assert sale.quote.discount_total == 190
    assert void(sale).coupons_freed == ("Other",)
    nobody = sold(program(tenth_off()), line("a", 1_000), guest=None, choices=Choices(coupons=("x",)))
    assert void(nobody).coupons_freed == ("x",)


def test_a_second_exchange_goes_on_from_the_first_return():
    of = program()
    sale = sold(of, line("a", 1_000, 2), guest=None)
    first = refund(sale, one("a"))
    swap = exchange(sale, one("a"), Basket("RUB", (line("b", 300),)), of, NOON, before=first.after)
    assert (swap.refund.is_whole, swap.to_pay) == (True, -700)
    with pytest.raises(Refused, match="return_more_than_left"):
        exchange(sale, one("a"), Basket("RUB", (line("b", 300),)), of, NOON, before=swap.refund.after)


def test_uses_go_from_the_stores_day_and_a_first_visit_is_none_again():
    daily = {"type": "usage", "times": 5, "period": "day"}
    late = datetime(2026, 3, 2, 23, tzinfo=UTC)
    basket = Basket("RUB", (line("a", 1_000),), zone=ZoneInfo("Europe/Moscow"))
    sale = Sale.priced(basket, GuestFacts(), program(tenth_off(conditions=[daily])), late)
    uses = {("r1", "day:2026-03-02"): 1, ("r1", "day:2026-03-03"): 1}
    after = guest_after(GuestFacts(visits=1, visits_ever=1, uses=uses), sale, void(sale))
    assert after is not None
    assert (after.visits, after.visits_ever) == (0, 0)
    assert after.uses == {("r1", "day:2026-03-02"): 1, ("r1", "day:2026-03-03"): 0}
