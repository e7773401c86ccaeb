"""Pricing a check: what each rule takes off, in which order, and what it says."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loyalty_desk.domain.basket import Basket, Line, LineFlag
from loyalty_desk.domain.errors import BadInput
from loyalty_desk.domain.guest import Coupon, GuestFacts
from loyalty_desk.domain.pricing import Choices, ManualDiscount, Payment, quote
from tests.loyalty_desk.domain.pricing_parts import AT, basket, off, percent, program, rule

GUEST = GuestFacts(tier="GOLD", points=1_000)
TIERS = [{"code": "BRONZE", "discount_bp": 500, "earn_bp": 300}, {"code": "GOLD", "discount_bp": 1000, "earn_bp": 500}]


def notes(quoted):
    return {note.rule: note for note in quoted.explanation}


def discounts(quoted):
    return [line.discount for line in quoted.lines]


def test_an_empty_basket_costs_nothing_and_still_explains():
    quoted = quote(basket(), None, program(rule("ten", percent(1000))), AT)
    assert (quoted.total, quoted.gross, quoted.discount_total) == (0, 0, 0)
    assert notes(quoted)["ten"].code == "nothing_left"


def test_another_currency_is_refused_and_a_naive_time_is_our_fault():
    with pytest.raises(BadInput, match="currency_differs"):
        quote(Basket("USD"), None, program(), AT)
    with pytest.raises(ValueError, match="naive"):
        quote(basket(), None, program(), AT.replace(tzinfo=None))


def test_percentages_of_lines_round_per_line_and_of_the_check_once():
    lines = (106, 206, 306, 406)
    assert quote(basket(*lines), None, program(rule("a", percent(1000))), AT).discount_total == 104
    assert quote(basket(*lines), None, program(rule("a", percent(1000, of="check"))), AT).discount_total == 102


def test_each_rule_works_on_what_the_one_before_left():
    priced = quote(basket(10_000), None, program(rule("a", percent(1000)), rule("b", percent(1000, of="check"))), AT)
    assert priced.lines[0].discounts == (("a", 1000), ("b", 900))
    original = quote(
        basket(10_000), None, program(rule("a", percent(1000)), rule("b", percent(1000, base="original"), order=1)), AT
    )
    assert original.discount_total == 2000


def test_lines_before_check_unless_a_number_says_otherwise():
    line, check = percent(5000), off(1_000)
    assert quote(basket(10_000), None, program(rule("a", check), rule("b", line)), AT).total == 4_000
    numbered = program(rule("a", check, order=1), rule("b", line, order=2))
    assert quote(basket(10_000), None, numbered, AT).total == 4_500


def test_in_a_group_the_best_for_the_guest_wins_and_the_others_say_so():
    many = program(rule("a", off(500), group=1), rule("b", percent(1000), group=1), rule("c", percent(100), group=2))
    quoted = quote(basket(10_000), None, many, AT)
    assert quoted.discount_total == 1000 + 90
    assert (notes(quoted)["a"].code, notes(quoted)["a"].facts) == ("other_better", {"rule": "b"})


def test_what_fails_on_its_own_lost_against_nobody_in_its_group():
    third = [{"type": "nth_visit", "every": 3}]
    used_up = [{"type": "usage", "per_guest": 2}]
    for fails, code in (
        (third, "visit_every"),
        (used_up, "limit_guest"),
        ([{"type": "amount", "min": 20_000}], "money_below"),
    ):
        group = program(
            rule("a", off(500), when=fails, group=1), rule("b", off(100), group=1), rule("c", off(50), group=1)
        )
        quoted = quote(basket(10_000), replace(GUEST, visits=1, uses={("a", ""): 2}), group, AT)
        assert quoted.discount_total == 100
        assert notes(quoted)["a"].code == code
        assert (notes(quoted)["c"].code, notes(quoted)["c"].facts) == ("other_better", {"rule": "b"})


def test_points_and_gifts_count_in_the_contest_of_a_group():
    points = {"type": "bonus_fixed", "points": 100}
    both = program(rule("money", off(500), group=1), rule("both", off(400), points, group=1), point_value=100)
    quoted = quote(basket(10_000), GUEST, both, AT)
    assert quoted.discount_total == 400
    assert quoted.earned_points == 100


def test_an_exclusive_rule_is_alone_in_its_group_or_in_the_check():
    small, big = percent(500), percent(2000)
    group = program(rule("x", small, group=1, exclusive=True), rule("y", big, group=1), rule("z", big, group=2))
    assert quote(basket(10_000), None, group, AT).discount_total == 500 + 1900
    check = program(rule("x", small, exclusive="check"), rule("y", big), rule("w", percent(600), exclusive="check"))
    quoted = quote(basket(10_000), None, check, AT)
    assert quoted.discount_total == 600
    assert notes(quoted)["y"].code == "excluded_by"
    first = program(
        rule("x", small, exclusive="check"), rule("y", percent(600), exclusive="check"), settings={"exclusive": "first"}
    )
    assert quote(basket(10_000), None, first, AT).discount_total == 500


@pytest.mark.parametrize("stacking", ["best_of", "stack", "before"])
def test_what_is_alone_in_the_check_leaves_the_tier_out_too(stacking):
    rules = program(rule("x", percent(500), exclusive="check"), tiers=TIERS, tier_stacking=stacking)
    quoted = quote(basket(10_000), GUEST, rules, AT)
    assert quoted.discount_total == 500
    assert (notes(quoted)["tier"].code, notes(quoted)["tier"].facts) == ("excluded_by", {"rule": "x"})


def test_an_exclusive_rule_that_does_not_qualify_excludes_nobody():
    rules = program(rule("x", percent(500, cap=0), exclusive="check"), rule("y", percent(2000)))
    assert quote(basket(10_000), None, rules, AT).discount_total == 2000


def test_a_cap_is_split_by_the_discounts_it_cuts():
    capped = program(rule("a", percent(10_000, cap=4000), when=[{"type": "products", "products": ["A", "B"]}]))
    assert discounts(quote(basket(3000, 2500, 3450), None, capped, AT)) == [2182, 1818, 0]


def test_no_line_falls_below_its_floor_and_the_rest_carries_what_does_not_fit():
    lines = (Line("a", unit_price=5000, floor=4500), Line("b", unit_price=2000))
    assert discounts(quote(basket(*lines), None, program(rule("x", percent(2000, of="check"))), AT)) == [500, 900]
    assert discounts(quote(basket(*lines), None, program(rule("x", percent(5000))), AT)) == [500, 1000]
    assert discounts(quote(basket(*lines), None, program(rule("x", off(1000, "unit"))), AT)) == [500, 1000]


def test_a_charge_and_a_closed_line_are_paid_in_full():
    lines = (Line("a", unit_price=1500, charge=50), Line("b", unit_price=1000, flags=frozenset({LineFlag.NO_DISCOUNT})))
    quoted = quote(basket(*lines), None, program(rule("x", percent(10_000, of="check"))), AT)
    assert [line.net for line in quoted.lines] == [50, 1000]
    assert (quoted.gross, quoted.total) == (2550, 1050)


def test_delivery_is_outside_unless_a_rule_says_otherwise():
    lines = (Line("a", unit_price=1000), Line("d", unit_price=500, flags=frozenset({LineFlag.DELIVERY})))
    assert quote(basket(*lines), None, program(rule("x", percent(5000, of="check"))), AT).discount_total == 500
    both = program(rule("x", percent(5000, of="check", includes_delivery=True)))
    assert quote(basket(*lines), None, both, AT).discount_total == 750


def test_excluded_goods_get_no_discount_no_points_and_no_redemption():
    tobacco = Line("t", category="tobacco", unit_price=20_000)
    goods = Line("g", category="food", unit_price=10_000)
    left_out = {"categories": ["tobacco"]}
    rules = program(
        tiers=TIERS,
        model="mixed",
        redemption={},
        exclusions={"discounts": left_out, "earning": left_out, "redemption": left_out},
    )
    quoted = quote(basket(tobacco, goods), GUEST, rules, AT, Choices(points_asked=1000))
    assert discounts(quoted) == [0, 1000]
    assert quoted.redeemed_money == 9_000
    assert quoted.earned_points == 0


def test_the_cheapest_units_are_covered_and_keep_what_they_won():
    lines = (Line("a", quantity_milli=2000, unit_price=200), Line("b", quantity_milli=2000, unit_price=100))
    quoted = quote(basket(*lines), None, program(rule("x", percent(5000, max_units=3))), AT)
    assert discounts(quoted) == [100, 100]
    assert [(run.price, run.units) for run in quoted.units(0)] == [(100, 1), (200, 1)]
    dearest = quote(basket(*lines), None, program(rule("x", percent(5000, max_units=1, choose="dearest"))), AT)
    assert discounts(dearest) == [100, 0]


def test_amounts_off_units_stay_on_their_units():
    line = Line("a", quantity_milli=3000, unit_price=1000)
    quoted = quote(basket(line), None, program(rule("x", off(300, "unit", max_units=2))), AT)
    assert [(run.price, run.units) for run in quoted.units(0)] == [(700, 2), (1000, 1)]
    capped = quote(basket(line), None, program(rule("x", off(300, "unit", cap=500))), AT)
    assert capped.discount_total == 500
    grouped = quote(basket(line), None, program(rule("x", off(300, "unit", group_size=2))), AT)
    assert grouped.discount_total == 600


def test_an_amount_off_each_line_and_off_lines_together():
    when = [{"type": "products", "products": ["A", "B"]}]
    assert discounts(quote(basket(500, 100, 900), None, program(rule("x", off(200, "line"), when=when)), AT)) == [
        200,
        100,
        0,
    ]
    together = program(rule("x", off(300, "lines"), when=when))
    assert discounts(quote(basket(500, 100, 900), None, together, AT)) == [250, 50, 0]


def test_a_rule_may_leave_lowered_lines_alone():
    first = rule("a", percent(2500), when=[{"type": "products", "products": ["A"]}])
    second = rule("b", off(1000), skip_discounted_lines=True)
    assert discounts(quote(basket(2000, 4000, 1000), None, program(first, second), AT)) == [500, 800, 200]


def test_manual_discounts_come_first_and_are_no_rule():
    rules = program(rule("a", off(1000), skip_discounted_lines=True))
    manual = Choices(manual_discounts=(ManualDiscount(amount=500, reason="cold soup", operator="s1"),))
    quoted = quote(basket(2000), None, rules, AT, manual)
    assert (quoted.total, notes(quoted)["manual"].amount, notes(quoted)["a"].amount) == (500, 500, 1000)
    line = Choices(manual_discounts=(ManualDiscount(rate_bp=5000, line="b"),))
    assert discounts(quote(basket(2000, 1000), None, program(), AT, line)) == [0, 500]
    floor = Line("a", unit_price=1000, floor=900)
    assert quote(basket(floor), None, program(), AT, manual).total == 900


@pytest.mark.parametrize("manual", [ManualDiscount(), ManualDiscount(amount=-1), ManualDiscount(rate_bp=10_001)])
def test_a_manual_discount_nobody_can_mean_is_refused(manual):
    with pytest.raises(BadInput, match="manual_discount"):
        quote(basket(100), None, program(), AT, Choices(manual_discounts=(manual,)))
    lost = ManualDiscount(amount=1, line="zz")
    with pytest.raises(BadInput, match="manual_discount_line"):
        quote(basket(100), None, program(), AT, Choices(manual_discounts=(lost,)))


def test_models_give_the_tier_as_discount_as_points_or_as_both():
    def priced(model):
        quoted = quote(basket(10_000), GUEST, program(model=model, tiers=TIERS), AT)
        return quoted.discount_total, quoted.earned_points

    assert priced("discount") == (1000, 0)
    assert priced("points") == (0, 5)
    assert priced("mixed") == (1000, 4)


def test_the_larger_of_promotion_and_tier_counts_line_by_line():
    rules = [rule("a", percent(3000), when=[{"type": "products", "products": ["A"]}])]
    best = quote(basket(1000, 1000), GUEST, program(*rules, tiers=TIERS), AT)
    assert [line.discounts for line in best.lines] == [(("a", 300),), (("tier", 100),)]
    stack = quote(basket(1000, 1000), GUEST, program(*rules, tiers=TIERS, tier_stacking="stack"), AT)
    assert discounts(stack) == [370, 100]
    before = quote(basket(1000, 1000), GUEST, program(*rules, tiers=TIERS, tier_stacking="before"), AT)
    assert discounts(before) == [100 + 270, 100]


def test_a_promotion_beaten_on_every_line_says_the_tier_was_better():
    rules = [rule("a", percent(100), when=[{"type": "promo_code", "codes": ["SPRING"]}])]
    quoted = quote(basket(1000), GUEST, program(*rules, tiers=TIERS), AT, Choices(codes=("spring",)))
    assert notes(quoted)["a"].code == "tier_better"
    assert quoted.rejected == (("spring", "tier_better"),)


def test_thresholds_are_inclusive_strict_when_over_and_look_at_what_is_left():
    def applies(gross, **amount):
        rules = program(rule("a", off(1), when=[{"type": "amount", **amount}]))
        return quote(basket(gross), None, rules, AT).discount_total == 1

    assert applies(1000, min=1000)
    assert not applies(999, min=1000)
    assert not applies(1000, min=1000, over=True)
    assert applies(1001, min=1000, over=True)
    assert not applies(1001, max=1000)
    after = program(rule("a", off(1), order=1), rule("b", off(1), order=2, when=[{"type": "amount", "min": 1000}]))
    quoted = quote(basket(1000), None, after, AT)
    assert notes(quoted)["b"].code == "money_below"
    assert notes(quoted)["b"].facts == {"of": "check", "has": 999, "needs": 1000, "missing": 1}


def test_the_nearest_offer_is_the_one_least_missing_and_never_over_twice_the_check():
    near = rule("near", off(1), when=[{"type": "amount", "min": 1200}])
    far = rule("far", off(1), when=[{"type": "amount", "min": 1500}])
    units = rule("units", off(1), when=[{"type": "quantity", "min": 2}])
    quoted = quote(basket(1000), None, program(far, near, units), AT)
    assert (quoted.hint.rule, quoted.hint.kind, quoted.hint.missing) == ("near", "money", 200)
    assert (
        quote(basket(1000), None, program(rule("x", off(1), when=[{"type": "amount", "min": 3001}])), AT).hint is None
    )
    assert (
        quote(basket(1000), None, program(rule("x", off(1), when=[{"type": "amount", "min": 3000}])), AT).hint
        is not None
    )
    visit = program(rule("v", off(1), when=[{"type": "nth_visit", "every": 5}]))
    assert quote(basket(1000), GuestFacts(visits=2), visit, AT).hint.missing == 2


def test_the_reason_is_the_one_that_really_fails():
    coffee = Line("a", category="coffee", unit_price=1000)
    when = [{"type": "categories", "categories": ["coffee"]}, {"type": "stores", "stores": ["s2"]}]
    quoted = quote(basket(coffee, store="s1"), None, program(rule("x", off(1), when=when)), AT)
    assert notes(quoted)["x"].code == "other_store"
    tea = Line("a", category="tea", unit_price=1000)
    quoted = quote(basket(tea, store="s2"), None, program(rule("x", off(1), when=when)), AT)
    assert notes(quoted)["x"].code == "no_matching_lines"


def test_what_lacks_two_things_is_no_offer():
    both = [{"type": "amount", "min": 1200}, {"type": "quantity", "min": 5}]
    assert quote(basket(1000), None, program(rule("x", off(1), when=both)), AT).hint is None


WEEKEND = {"type": "weekdays", "days": [6, 7]}


@pytest.mark.parametrize(
    ("when", "at", "holds"),
    [
        (WEEKEND, datetime(2026, 3, 6, 20, 59, tzinfo=UTC), False),
        (WEEKEND, datetime(2026, 3, 6, 21, 0, tzinfo=UTC), True),
        ({"type": "hours", "from": "10:00", "to": "14:00"}, datetime(2026, 3, 2, 7, 0, tzinfo=UTC), True),
        ({"type": "hours", "from": "10:00", "to": "14:00"}, datetime(2026, 3, 2, 11, 0, tzinfo=UTC), False),
        ({"type": "hours", "from": "22:00", "to": "02:00"}, datetime(2026, 3, 2, 22, 59, tzinfo=UTC), True),
        (
            {"type": "hours", "from": "22:00", "to": "02:00", "days": [1]},
            datetime(2026, 3, 2, 22, 59, tzinfo=UTC),
            True,
        ),
        (
            {"type": "hours", "from": "22:00", "to": "02:00", "days": [2]},
            datetime(2026, 3, 2, 22, 59, tzinfo=UTC),
            False,
        ),
        ({"type": "hours", "from": "20:00", "to": "24:00"}, datetime(2026, 3, 2, 20, 59, tzinfo=UTC), True),
        ({"type": "date", "from": "2026-03-03"}, datetime(2026, 3, 2, 20, 59, tzinfo=UTC), False),
        ({"type": "date", "from": "2026-03-03"}, datetime(2026, 3, 2, 21, 0, tzinfo=UTC), True),
        ({"type": "date", "to": "2026-03-02"}, datetime(2026, 3, 2, 20, 59, tzinfo=UTC), True),
        ({"type": "date", "to": "2026-03-02"}, datetime(2026, 3, 2, 21, 0, tzinfo=UTC), False),
    ],
)
def test_times_are_those_of_the_store(when, at, holds):
    checked = basket(1000, zone=ZoneInfo("Europe/Moscow"))
    assert (quote(checked, None, program(rule("x", off(1), when=[when])), at).discount_total == 1) is holds


def test_happy_hours_count_lines_by_the_time_they_were_added():
    early, late = AT.replace(hour=9), AT.replace(hour=15)
    lines = (Line("a", unit_price=1000, added_at=early), Line("b", unit_price=1000, added_at=late))
    happy = program(rule("x", percent(1000), when=[{"type": "hours", "from": "08:00", "to": "10:00"}]))
    assert discounts(quote(basket(*lines), None, happy, late)) == [100, 0]


@pytest.mark.parametrize(
    ("born", "day", "holds"),
    [
        ("1990-03-05", "2026-03-02", True),
        ("1990-03-06", "2026-03-02", False),
        ("1990-02-28", "2026-03-02", False),
        ("1990-03-01", "2026-03-02", True),
        ("2000-02-29", "2026-02-28", True),
        ("2000-02-29", "2026-02-24", False),
        ("2000-02-29", "2028-02-29", True),
        ("1990-01-01", "2025-12-31", True),
        ("1990-12-31", "2026-01-01", True),
    ],
)
def test_a_birthday_counts_days_before_and_after_over_the_year_end(born, day, holds):
    rules = program(rule("x", off(1), when=[{"type": "birthday", "before": 3, "after": 1}]))
    guest = GuestFacts(birthday=datetime.fromisoformat(born).date())
    at = datetime.fromisoformat(day).replace(hour=12, tzinfo=UTC)
    assert (quote(basket(1000), guest, rules, at).discount_total == 1) is holds


WHO = [
    ({"type": "guest"}, GuestFacts(), True),
    ({"type": "tiers", "tiers": ["GOLD"]}, GUEST, True),
    ({"type": "tiers", "tiers": ["SILVER"]}, GUEST, False),
    ({"type": "segments", "segments": ["vip"]}, GuestFacts(segments=frozenset({"vip", "x"})), True),
    ({"type": "segments", "segments": ["vip"]}, GuestFacts(segments=frozenset({"x"})), False),
    ({"type": "tags", "tags": ["press"]}, GuestFacts(tags=frozenset({"press"})), True),
    ({"type": "tags", "tags": ["press"]}, GuestFacts(), False),
    ({"type": "new_guest"}, GuestFacts(), True),
    ({"type": "new_guest"}, GuestFacts(visits=1), False),
    ({"type": "nth_visit", "n": 3}, GuestFacts(visits=2), True),
    ({"type": "nth_visit", "n": 3}, GuestFacts(visits=3), False),
    ({"type": "nth_visit", "every": 3}, GuestFacts(visits=5), True),
    ({"type": "nth_visit", "every": 3}, GuestFacts(visits=1, visits_ever=5), True),
    ({"type": "referral"}, GuestFacts(referred=True), True),
    ({"type": "referral"}, GuestFacts(referred=True, visits=1), False),
    ({"type": "referral"}, GuestFacts(), False),
    ({"type": "usage", "per_guest": 2}, GuestFacts(uses={("x", ""): 1}), True),
    ({"type": "usage", "per_guest": 2}, GuestFacts(uses={("x", ""): 2}), False),
    ({"type": "usage", "times": 1, "period": "day"}, GuestFacts(uses={("x", "day:2026-03-01"): 1}), True),
    ({"type": "usage", "times": 1, "period": "day"}, GuestFacts(uses={("x", "day:2026-03-02"): 1}), False),
    ({"type": "usage", "times": 1, "period": "week"}, GuestFacts(uses={("x", "week:2026-w10"): 1}), False),
    ({"type": "usage", "times": 1, "period": "month"}, GuestFacts(uses={("x", "month:2026-03"): 1}), False),
    ({"type": "usage", "times": 1, "period": "year"}, GuestFacts(uses={("x", "year:2026"): 1}), False),
]


@pytest.mark.parametrize(("when", "guest", "holds"), WHO)
def test_who_may_have_it(when, guest, holds):
    rules = program(rule("x", off(1), when=[when]))
    quoted = quote(basket(1000), guest, rules, AT)
    assert (quoted.discount_total == 1) is holds
    assert notes(quoted)["x"].applied is holds
    anonymous = quote(basket(1000), None, rules, AT)
    assert (anonymous.discount_total, notes(anonymous)["x"].code) == (0, "no_guest")


@pytest.mark.parametrize(
    ("when", "checked", "holds"),
    [
        ({"type": "stores", "stores": ["s1"]}, basket(1000, store="s1"), True),
        ({"type": "stores", "stores": ["s1"]}, basket(1000, store="s2"), False),
        ({"type": "channels", "channels": ["web"]}, basket(1000, channel="web"), True),
        ({"type": "channels", "channels": ["web"]}, basket(1000), False),
        ({"type": "excluded", "products": ["A"]}, basket(1000), False),
        ({"type": "excluded", "products": ["A"]}, basket(1000, 1), True),
        ({"type": "unit_price", "min": 1000, "max": 2000}, basket(2000), True),
        ({"type": "unit_price", "min": 1000, "max": 2000}, basket(2001), False),
        ({"type": "unit_price", "min": 1000, "over": True}, basket(1000), False),
        ({"type": "quantity", "min": 2}, basket(5, 5), True),
        ({"type": "quantity", "min": 2}, basket(5), False),
        ({"type": "quantity", "of": "line", "min": 2}, basket(5, 5), False),
        ({"type": "quantity", "max": 1}, basket(5, 5), False),
        ({"type": "presence", "products": ["A", "B"]}, basket(5), True),
        ({"type": "presence", "products": ["A", "B"], "all": True}, basket(5), False),
        ({"type": "presence", "products": ["A"], "quantity": 2}, basket(5, 5), False),
        ({"type": "amount", "of": "lines", "products": ["B"], "min": 10}, basket(5, 10), True),
        ({"type": "amount", "of": "lines", "products": ["B"], "min": 10}, basket(50, 5), False),
    ],
)
def test_where_and_what(when, checked, holds):
    quoted = quote(checked, None, program(rule("x", off(1), when=[when])), AT)
    assert (quoted.discount_total == 1) is holds


def test_what_must_be_present_is_apart_from_the_lines_acted_on():
    when = [{"type": "categories", "categories": ["x"]}, {"type": "presence", "categories": ["x"]}]
    lines = [Line("a", category="x", unit_price=100), Line("b", category="x", unit_price=100)]
    assert quote(basket(*lines), None, program(rule("r", off(1), when=when)), AT).discount_total == 0


def test_codes_are_read_in_any_case_and_unknown_ones_are_named():
    rules = program(rule("x", off(1), when=[{"type": "promo_code", "codes": ["Spring"]}]))
    quoted = quote(basket(1000), None, rules, AT, Choices(codes=(" SPRING ", "nope")))
    assert (quoted.discount_total, quoted.rejected) == (1, (("nope", "code_unknown"),))


def test_a_code_is_the_same_however_its_accents_are_written():
    rules = program(rule("x", off(1), when=[{"type": "promo_code", "codes": ["CAF\u00c9"]}]))
    assert quote(basket(1000), None, rules, AT, Choices(codes=("cafe\u0301",))).discount_total == 1


def test_a_coupon_works_until_it_is_used_or_expired_and_a_void_frees_it():
    def rejected(coupon, **condition):
        rules = program(rule("x", off(1), when=[{"type": "coupon", **condition}]))
        quoted = quote(basket(1000), GuestFacts(coupons=(coupon,)), rules, AT, Choices(coupons=("k1",)))
        return quoted.rejected

    assert rejected(Coupon("K1", "x")) == ()
    assert rejected(Coupon("K1", "x", used=1)) == (("k1", "coupon_used"),)
    assert rejected(Coupon("K1", "x", expires_at=AT)) == (("k1", "coupon_expired"),)
    assert rejected(Coupon("K1", "x", expires_at=AT + timedelta(seconds=1))) == ()
    assert rejected(Coupon("K1", "x", voided=1)) == ()
    assert rejected(Coupon("K1", "x", voided=1), reusable_after_void=False) == (("k1", "coupon_used"),)
    assert rejected(Coupon("other", "x")) == (("k1", "coupon_unknown"),)


def test_totals_and_budgets_use_the_quota_of_this_till():
    total = program(rule("x", off(1), when=[{"type": "usage", "total": 100}]))
    assert quote(basket(1000), None, total, AT).discount_total == 1
    assert quote(basket(1000), None, total, AT, Choices(quotas={"x": 1})).discount_total == 1
    spent = quote(basket(1000), None, total, AT, Choices(quotas={}))
    assert (spent.discount_total, notes(spent)["x"].code) == (0, "limit_total")
    budget = program(rule("x", percent(5000), off(100), when=[{"type": "budget", "amount": 10_000}]))
    assert quote(basket(1000), None, budget, AT).discount_total == 600
    assert quote(basket(1000), None, budget, AT, Choices(quotas={"x": 550})).discount_total == 550
    assert quote(basket(1000), None, budget, AT, Choices(quotas={"x": 70})).discount_total == 70


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


def test_of_equal_discounts_the_promotion_stays_and_what_was_taken_by_hand_stays_always():
    even = program(rule("a", percent(1000)), tiers=TIERS)
    assert quote(basket(1000), GUEST, even, AT).lines[0].discounts == (("a", 100),)
    manual = Choices(manual_discounts=(ManualDiscount(amount=200),))
    quoted = quote(basket(1000), GUEST, program(rule("a", percent(100)), tiers=TIERS), AT, manual)
    assert quoted.lines[0].discounts == (("manual", 200), ("tier", 80))
    assert quoted.total == 720


def test_nobody_redeems_where_it_is_not_offered_or_without_a_guest():
    asked = Choices(points_asked=10)
    assert quote(basket(100), GUEST, program(), AT, asked).redemption.binding == "not_offered"
    assert quote(basket(100), GUEST, program(redemption={}, point_value=0), AT, asked).redeemed_points == 0
    assert quote(basket(100), None, program(redemption={}), AT, asked).redemption.binding == "no_guest"


def test_earning_sums_then_multiplies_then_rounds_once():
    blocks = rule("b", {"type": "earn_blocks", "points": 1, "per": 100})
    rate = rule("r", {"type": "earn_rate", "points": 1, "per": 1000})
    half = rule("m", {"type": "bonus_multiplier", "rate_bp": 15_000})

    def earned(*rules, **more):
        return quote(basket(1999), GuestFacts(), program(*rules, **more), AT).earned_points

    assert earned(blocks) == 19
    assert earned(rate) == 1
    assert earned(blocks, rate) == 20
    assert earned(blocks, half) == 28
    assert earned(blocks, half, rounding={"points": "ceil"}) == 29
    assert earned(blocks, half, rounding={"points": "half_up"}) == 29
    assert earned(blocks, half, rule("m2", {"type": "bonus_multiplier", "rate_bp": 20_000})) == 57
    assert earned(blocks, half, settings={"max_multiplier_bp": 12_000}) == 22
    assert earned(blocks, rule("f", {"type": "bonus_fixed", "points": 7}), half) == 28 + 7
    assert earned(rule("u", {"type": "earn_per_unit", "points": 3})) == 3


def test_in_a_group_the_largest_multiplier_and_the_best_earning_count():
    blocks = rule("b", {"type": "earn_blocks", "points": 1, "per": 100}, group=1)
    fixed = rule("f", {"type": "bonus_fixed", "points": 5}, group=1)
    double = rule("d", {"type": "bonus_multiplier", "rate_bp": 20_000}, group=1)
    triple = rule("t", {"type": "bonus_multiplier", "rate_bp": 30_000}, group=1)
    quoted = quote(basket(1999), GuestFacts(), program(blocks, fixed, double, triple), AT)
    assert quoted.earned_points == 57
    assert notes(quoted)["f"].code == "other_better"
    assert notes(quoted)["d"].code == "other_better"


def test_a_zero_divisor_earns_nothing_and_is_explained():
    zero = (
        rule("z", {"type": "earn_rate", "points": 1, "per": 0}),
        rule("b", {"type": "earn_blocks", "points": 1, "per": 0}),
    )
    quoted = quote(basket(1999), GuestFacts(), program(*zero), AT)
    assert quoted.earned_points == 0
    assert {notes(quoted)[name].code for name in "zb"} == {"zero_divisor"}
    worthless = program(model="points", tiers=TIERS, point_value=0)
    assert quote(basket(1999), GUEST, worthless, AT).explanation[-1].code == "zero_divisor"


def test_the_earning_base_is_what_is_really_paid_unless_the_program_says_otherwise():
    line = Line("a", unit_price=12_000, tax=2_000)

    def earned(settings=None, asked=0, lines=(line,)):
        rules = program(
            rule("r", {"type": "earn_blocks", "points": 1, "per": 100}),
            rule("d", off(2_000)),
            redemption={},
            settings=settings,
        )
        return quote(basket(*lines), GuestFacts(points=10), rules, AT, Choices(points_asked=asked)).earned_points

    assert earned() == 100
    assert earned(asked=10) == 90
    assert earned({"earning_base": "before_redemption"}, asked=10) == 100
    assert earned({"earning_base": "net_of_tax"}) == 83
    assert earned({"no_points_on_discounted": True}) == 0
    card = Line("g", unit_price=5_000, flags=frozenset({LineFlag.GIFT_CARD}))
    assert earned(lines=(line, card)) == 105


def test_points_of_a_line_are_its_share_and_sum_to_the_whole():
    rules = program(model="points", tiers=TIERS, redemption={}, point_decimals=1)
    quoted = quote(basket(3333, 3333, 3334), GUEST, rules, AT, Choices(points_asked=101))
    assert sum(line.earned for line in quoted.lines) == quoted.earned_points > 0
    assert sum(line.points for line in quoted.lines) == quoted.redeemed_points == 101


def test_the_tier_respects_floors_and_says_when_nothing_is_left():
    lines = (Line("a", unit_price=1000, floor=950), Line("b", unit_price=1000))
    assert discounts(quote(basket(*lines), GUEST, program(tiers=TIERS), AT)) == [50, 150]
    for stacking in ("best_of", "stack"):
        nothing = quote(basket(0), GUEST, program(tiers=TIERS, tier_stacking=stacking), AT)
        assert notes(nothing)["tier"].code == "nothing_left"
    free = program(rule("a", percent(10_000)), tiers=TIERS, tier_stacking="stack")
    assert notes(quote(basket(1000), GUEST, free, AT))["tier"].code == "nothing_left"


def test_points_lie_on_the_lines_that_earned_them_whatever_their_rates():
    apples = [{"type": "products", "products": ["A"]}]
    rules = program(
        rule("all", {"type": "earn_rate", "points": 1, "per": 300}),
        rule("a", {"type": "earn_rate", "points": 3, "per": 700}, when=apples),
    )
    quoted = quote(basket(2100, 2100), GuestFacts(), rules, AT)
    assert [line.earned for line in quoted.lines] == [16, 7]
    empty = quote(basket(0, 0), GuestFacts(), rules, AT)
    assert {notes(empty)[name].code for name in ("all", "a")} == {"earns_nothing"}


def test_a_gift_counts_at_its_list_price_against_money_off():
    gift = {"type": "gift", "products": ["cup"], "price": 300, "quantity": 2}
    for amount, winner in ((599, "gift"), (600, "cash"), (601, "cash")):
        rules = program(rule("cash", off(amount), group=1), rule("gift", gift, group=1))
        quoted = quote(basket(1000), None, rules, AT)
        assert [note.rule for note in quoted.explanation if note.applied] == [winner]


def test_of_equal_multipliers_the_first_counts_and_of_exclusive_earners_the_first_if_so_set():
    twice = {"type": "bonus_multiplier", "rate_bp": 20_000}
    earn = rule("e", {"type": "earn_rate", "points": 1, "per": 100})
    even = quote(basket(1000), GuestFacts(), program(earn, rule("x", twice, group=1), rule("y", twice, group=1)), AT)
    assert (even.earned_points, notes(even)["x"].applied, notes(even)["y"].code) == (20, True, "other_better")
    bonus = {"type": "bonus_fixed", "points": 5}, {"type": "bonus_fixed", "points": 50}
    pair = [rule("x", bonus[0], exclusive="check"), rule("y", bonus[1], exclusive="check")]
    assert quote(basket(1000), GuestFacts(), program(earn, *pair), AT).earned_points == 50
    first = program(earn, *pair, settings={"exclusive": "first"})
    assert quote(basket(1000), GuestFacts(), first, AT).earned_points == 5


def test_two_thresholds_that_fail_are_one_reason_and_no_offer():
    when = [{"type": "amount", "min": 1200}, {"type": "amount", "of": "lines", "min": 1300}]
    quoted = quote(basket(1000), None, program(rule("x", off(1), when=when)), AT)
    assert (notes(quoted)["x"].facts["needs"], quoted.hint) == (1200, None)
    met = [when[0], {"type": "amount", "of": "lines", "min": 900}]
    assert quote(basket(1000), None, program(rule("x", off(1), when=met)), AT).hint.missing == 200


def test_of_several_effects_one_that_comes_is_enough():
    some = program(rule("x", percent(1000, cap=0), off(100)))
    quoted = quote(basket(1000), None, some, AT)
    assert (quoted.discount_total, notes(quoted)["x"].applied) == (100, True)
    none = program(rule("x", percent(1000, cap=0), off(0)))
    assert notes(quote(basket(1000), None, none, AT))["x"].code == "nothing_left"


def test_nobody_known_earns_nothing():
    quoted = quote(basket(10_000), None, program(rule("r", {"type": "bonus_fixed", "points": 7})), AT)
    assert quoted.earned_points == 0
    assert notes(quoted)["r"].code == "no_guest"


def test_gift_cards_pay_last_and_count_as_money():
    rules = program(rule("d", percent(1000)), rule("e", {"type": "earn_blocks", "points": 1, "per": 100}))
    paid = Choices(payments=(Payment("card", 5_000), Payment("other", 9_000)))
    quoted = quote(basket(10_000), GuestFacts(), rules, AT, paid)
    assert (quoted.total, quoted.payments, quoted.due) == (9_000, (("card", 5_000), ("other", 4_000)), 0)
    assert quoted.earned_points == 90


def test_an_unknown_effect_or_condition_leaves_the_rule_out_and_says_so():
    rules = program(
        rule("new", {"type": "teleport"}, percent(9000), when=[{"type": "moon", "phase": "full"}]),
        rule("old", percent(1000)),
    )
    quoted = quote(basket(1000), None, rules, AT)
    assert quoted.discount_total == 100
    assert notes(quoted)["new"].facts == {"effects": ["teleport"], "conditions": ["moon"]}


def test_lines_without_ids_may_stand_in_any_order():
    lines = [Line(product="x", unit_price=101), Line(product="y", unit_price=101), Line(product="z", unit_price=102)]
    rules = program(rule("a", off(100)))
    one = quote(basket(*lines), None, rules, AT)
    other = quote(basket(*reversed(lines)), None, rules, AT)
    assert discounts(one) == list(reversed(discounts(other)))
    assert one.explanation[0].per_line[0][0] == "#1"


RULES = [
    rule("line", percent(1234)),
    rule("check", percent(777, of="check")),
    rule("fixed", off(555)),
    rule("unit", off(33, "unit", max_units=3)),
    rule("cheap", percent(5000, max_units=2, choose="cheapest")),
    rule("group1", off(100), group=4),
    rule("group2", percent(300), group=4),
]


@given(
    st.lists(
        st.tuples(st.integers(0, 50_000), st.integers(1, 4), st.integers(0, 300), st.integers(0, 20)),
        min_size=1,
        max_size=5,
    ),
    st.lists(st.sampled_from(range(len(RULES))), unique=True, max_size=5),
    st.sampled_from(["best_of", "stack", "before"]),
    st.sampled_from(["discount", "points", "mixed"]),
    st.integers(0, 2_000),
)
def test_a_quote_always_adds_up(lines, chosen, stacking, model, asked):
    made = [
        Line(str(n), unit_price=price, quantity_milli=count * 1000, floor=min(floor, price), charge=charge)
        for n, (price, count, floor, charge) in enumerate(lines)
    ]
    rules = program(
        *(RULES[n] for n in chosen), tiers=TIERS, tier_stacking=stacking, model=model, redemption={"max_share_bp": 5000}
    )
    quoted = quote(basket(*made), GUEST, rules, AT, Choices(points_asked=asked))
    again = quote(basket(*made), GUEST, rules, AT, Choices(points_asked=asked))
    assert quoted.to_bytes() == again.to_bytes()
    assert (
        quoted.gross - quoted.discount_total - quoted.redeemed_money
        == quoted.total
        == sum(line.net for line in quoted.lines)
    )
    assert sum(note.amount for note in quoted.explanation) == quoted.discount_total
    assert {note.rule for note in quoted.explanation} >= {RULES[n]["id"] for n in chosen}
    for position, (line, priced) in enumerate(zip(made, quoted.lines, strict=True)):
        assert priced.gross + priced.charge - priced.discount - priced.points_money == priced.net
        assert priced.net >= line.floor * line.units + priced.charge
        units = quoted.units(position)
        assert sum(run.units for run in units) == line.units
        assert sum(run.price * run.units for run in units) == priced.net - priced.charge
        assert all(run.price >= line.floor for run in units)
    assert quoted.redeemed_points <= min(asked, GUEST.points)
