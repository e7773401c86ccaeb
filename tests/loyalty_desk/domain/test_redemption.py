"""Points that pay: how many may, how many do, and which limit binds."""

import pytest

from loyalty_desk.domain.guest import GuestFacts
from loyalty_desk.domain.pricing import Choices, quote
from tests.loyalty_desk.domain.pricing_parts import AT, GUEST, basket, program

REDEEM = {"redemption": {"min": 100, "block": 50, "max_share_bp": 5000}, "point_value": 10}


@pytest.mark.parametrize(
    ("points", "gross", "asked", "taken", "most", "binding"),
    [
        (10_000, 100_00, 300, 300, 500, "share"),
        (10_000, 100_00, 10_000, 500, 500, "share"),
        (320, 100_00, 10_000, 300, 300, "available"),
        (99, 100_00, 10_000, 0, 0, "minimum"),
        (-5, 100_00, 100, 0, 0, "available"),
        (10_000, 100_00, 120, 100, 500, "share"),
        (10_000, 100_00, 99, 0, 500, "share"),
        (10_000, 100_00, 0, 0, 500, "share"),
        (10_000, 15_00, 100, 0, 0, "minimum"),
    ],
)
def test_points_pay_within_their_limits(points, gross, asked, taken, most, binding):
    quoted = quote(basket(gross), GuestFacts(points=points), program(**REDEEM), AT, Choices(points_asked=asked))
    note = quoted.redemption
    assert (quoted.redeemed_points, note.max_points, note.binding) == (taken, most, binding)
    assert quoted.redeemed_money == taken * 10
    assert quoted.total == gross - taken * 10


def test_the_tills_offline_cap_binds_with_its_reason():
    choices = Choices(points_asked=400, redemption_cap=230, redemption_cap_reason="floor_limit")
    note = quote(basket(100_00), GuestFacts(points=10_000), program(**REDEEM), AT, choices).redemption
    assert (note.points, note.max_points, note.binding, note.reason) == (200, 200, "cap", "floor_limit")


def test_no_points_are_burnt_for_less_than_they_are_worth():
    rules = program(redemption={}, point_value=1000)
    quoted = quote(basket(2050), GuestFacts(points=30), rules, AT, Choices(points_asked=30))
    assert (quoted.redeemed_points, quoted.redeemed_money) == (2, 2000)
    small = program(redemption={}, point_value=3, point_decimals=1)
    quoted = quote(basket(2050), GuestFacts(points=9), small, AT, Choices(points_asked=9))
    assert (quoted.redeemed_points, quoted.redeemed_money) == (7, 2)


def test_the_minimum_is_kept_even_where_fewer_points_would_buy_as_much():
    def redeemed(points, **policy):
        rules = program(redemption=policy, point_value=3, point_decimals=1)
        note = quote(basket(2050), GuestFacts(points=points), rules, AT, Choices(points_asked=points)).redemption
        return note.points, note.money, note.binding

    assert redeemed(9) == (7, 2, "available")
    assert redeemed(9, min=9) == (9, 2, "available")
    assert redeemed(9, min=8) == (8, 2, "available")
    assert redeemed(12, min=8, block=5) == (10, 3, "available")
    assert redeemed(19, block=5) == (15, 4, "available")
    assert redeemed(9, min=9, block=10) == (0, 0, "block")
    assert redeemed(8, min=9, block=10) == (0, 0, "minimum")


def test_nobody_redeems_where_it_is_not_offered_or_without_a_guest():
    asked = Choices(points_asked=10)
    assert quote(basket(100), GUEST, program(), AT, asked).redemption.binding == "not_offered"
    assert quote(basket(100), GUEST, program(redemption={}, point_value=0), AT, asked).redeemed_points == 0
    assert quote(basket(100), None, program(redemption={}), AT, asked).redemption.binding == "no_guest"
