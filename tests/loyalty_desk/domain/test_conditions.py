"""When a rule is open: thresholds, times, guests, places, keys and limits; and what is said where it is not."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from loyalty_desk.domain.basket import Line
from loyalty_desk.domain.guest import Coupon, GuestFacts
from loyalty_desk.domain.pricing import Choices, quote
from tests.loyalty_desk.domain.pricing_parts import AT, GUEST, basket, discounts, notes, off, percent, program, rule


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


def test_two_thresholds_that_fail_are_one_reason_and_no_offer():
    when = [{"type": "amount", "min": 1200}, {"type": "amount", "of": "lines", "min": 1300}]
    quoted = quote(basket(1000), None, program(rule("x", off(1), when=when)), AT)
    assert (notes(quoted)["x"].facts["needs"], quoted.hint) == (1200, None)
    met = [when[0], {"type": "amount", "of": "lines", "min": 900}]
    assert quote(basket(1000), None, program(rule("x", off(1), when=met)), AT).hint.missing == 200
