"""What a quote says beside prices: tier, facts it looked at, uses, rewards, loads, and points that count at once."""

from dataclasses import replace
from datetime import date, datetime

import pytest

from loyalty_desk.domain.basket import Basket, Line
from loyalty_desk.domain.errors import BadInput
from loyalty_desk.domain.guest import Coupon, GuestFacts
from loyalty_desk.domain.pricing import quote
from loyalty_desk.domain.program import Program
from loyalty_desk.domain.quote import TIER_RULE, Choices, Note, Payment, Quote
from tests.loyalty_desk.domain.pricing_parts import AT, basket, percent, program, rule

TIERS = [
    {"code": "BRONZE", "threshold": 0, "discount_bp": 500, "earn_bp": 100},
    {"code": "GOLD", "threshold": 10_000, "discount_bp": 1_000, "earn_bp": 300},
    {"code": "PLAIN", "threshold": 10**9},
]
BRONZE, GOLD = GuestFacts(tier="BRONZE"), GuestFacts(tier="GOLD")


def earn(per: int, points: int = 1, **more) -> dict:
    return {"type": "earn_rate", "points": points, "per": per, **more}


def note_of(quoted: Quote, named: str = TIER_RULE) -> Note:
    (found,) = [note for note in quoted.explanation if note.rule == named]
    return found


def test_a_check_in_another_currency_is_refused_with_both():
    with pytest.raises(BadInput) as refused:
        quote(Basket("USD", (Line(unit_price=1),)), None, program(), AT)
    assert (refused.value.code, dict(refused.value.facts)) == ("currency_differs", {"basket": "USD", "program": "RUB"})


def test_a_time_without_a_zone_is_a_mistake_of_ours():
    with pytest.raises(ValueError, match=r"^a naive time has no place here$"):
        quote(basket(100), None, program(), datetime(2026, 3, 2, 12, 0))  # noqa: DTZ001 - that is the case


def test_a_tier_reached_with_this_check_counts_for_it_where_the_program_says_so():
    at_once = program(tiers=TIERS, settings={"tier_counts_current": True})
    found = quote(basket(20_000), BRONZE, at_once, AT)
    assert (found.tier, found.total) == ("GOLD", 18_000)
    assert quote(basket(9_999), BRONZE, at_once, AT).tier == "BRONZE"
    next_time = quote(basket(20_000), BRONZE, program(tiers=TIERS), AT)
    assert (next_time.tier, next_time.total) == ("BRONZE", 19_000)
    nobody = quote(basket(20_000), None, at_once, AT)
    assert (nobody.tier, nobody.total) == ("", 20_000)


def test_after_the_tier_a_rule_of_the_original_price_takes_that_of_the_tier():
    first = program(rule("r", percent(1_000, base="original")), tiers=TIERS, tier_stacking="before")
    assert quote(basket(10_000), GOLD, first, AT).total == 8_100


def test_a_load_of_a_card_and_free_units_are_said():
    loading = program(rule("r", {"type": "load_card"}, {"type": "free_unit", "set_of": 2}))
    card = Line("card", unit_price=700, flags=frozenset({"gift_card"}))
    found = quote(basket(Line("a", unit_price=1_000, quantity_milli=4_000), card), GOLD, loading, AT)
    assert (found.loads, found.free_units, found.units_consumed) == ((("r", 700),), 2, 4)


def test_nobody_has_points_to_pay_with():
    found = quote(basket(10_000), None, program(redemption={}, point_value=1), AT, Choices(points_asked=1))
    assert (found.redeemed_points, found.total) == (0, 10_000)


def test_a_check_that_earns_nothing_earns_nothing_on_its_lines():
    found = quote(basket(10_000, 500), GOLD, program(), AT)
    assert (found.earned_points, [line.earned for line in found.lines]) == (0, [0, 0])


def test_nobody_has_nothing_at_hand():
    note = quote(basket(10_000), None, program(redemption={}, point_value=1), AT).redemption
    assert (note.binding, note.available, note.max_points) == ("no_guest", 0, 0)


def at_once(*rules: dict, **more) -> Program:
    settings = {"points_usable": "at_once", **more.pop("settings", {})}
    return program(*rules, redemption={}, settings=settings, model="points", **more)


@pytest.mark.parametrize(("price", "redeemed", "earned"), [(10_000, 9, 9), (1_000, 0, 1), (2_000, 1, 1)])
def test_points_that_count_at_once_pay_as_far_as_the_check_still_earns_them(price, redeemed, earned):
    # 1 point, worth 1.00, for 10.00 of what is paid in money.
    found = quote(basket(price), GuestFacts(), at_once(rule("e", earn(1_000))), AT, Choices(points_asked=99))
    assert (found.redeemed_points, found.earned_points) == (redeemed, earned)


def test_points_at_once_that_pay_for_other_goods_are_earned_whole():
    of = at_once(rule("e", earn(1_000)), exclusions={"redemption": {"products": ["A"]}, "earning": {"products": ["B"]}})
    found = quote(basket(10_000, 5_000), GuestFacts(), of, AT, Choices(points_asked=99))
    assert (found.redeemed_points, found.earned_points) == (10, 10)


def test_points_at_once_of_a_base_before_redemption_are_earned_on_the_whole_price():
    of = at_once(rule("e", earn(1_000)), settings={"earning_base": "before_redemption"})
    found = quote(basket(10_000), GuestFacts(), of, AT, Choices(points_asked=99))
    assert (found.redeemed_points, found.earned_points, found.total) == (10, 10, 9_000)


def test_points_at_once_of_units_pay_for_them():
    of = at_once(rule("e", {"type": "earn_per_unit", "points": 2}))
    line = Line("a", unit_price=1_000, quantity_milli=3_000)
    found = quote(basket(line), GuestFacts(), of, AT, Choices(points_asked=99))
    assert (found.redeemed_points, found.earned_points, found.total) == (6, 6, 2_400)


def test_points_at_once_are_those_of_the_tier_as_well():
    of = at_once(tiers=TIERS, point_value=1)
    found = quote(basket(10_000), GOLD, of, AT, Choices(points_asked=10**6))
    assert found.redeemed_points == found.earned_points == 291
    assert (note_of(found).applied, note_of(found).code) == (True, "tier_points")


def test_a_sole_earning_rule_is_alone_also_where_points_count_at_once():
    alone = rule("e", earn(100), exclusive="check")
    of = at_once(alone, tiers=TIERS, point_value=1)
    found = quote(basket(10_000), GOLD, of, AT)
    assert found.earned_points == 100
    assert not note_of(found).applied


@pytest.mark.parametrize(
    ("guest", "more", "code", "facts"),
    [
        (None, {}, "no_guest", {}),
        (GuestFacts(tier="PLAIN"), {}, "tier_gives_nothing", {"tier": "PLAIN"}),
        (GuestFacts(tier="UNHEARD"), {}, "tier_gives_nothing", {"tier": "UNHEARD"}),
        (GOLD, {"point_value": 0}, "zero_divisor", {}),
        (GOLD, {"exclusions": {"earning": {"products": ["A"]}}}, "earns_nothing", {}),
    ],
)
def test_why_a_tier_earned_nothing_is_said(guest, more, code, facts):
    found = quote(basket(10_000), guest, program(model="points", tiers=TIERS, **more), AT)
    said = note_of(found)
    assert (said.applied, said.code, dict(said.facts), found.earned_points) == (False, code, facts, 0)


def test_a_tier_of_one_basis_point_earns():
    of = program(model="points", tiers=[{"code": "T", "threshold": 0, "earn_bp": 1}], point_value=1)
    assert quote(basket(1_000_000), GuestFacts(tier="T"), of, AT).earned_points == 100


def test_a_cap_on_points_holds_for_rewards_and_points_together():
    off = rule("r", {"type": "reward", "cost": 60, "amount": 500})
    of = program(off, redemption={}, point_value=1)
    rich = GuestFacts(points=1_000)

    def priced(cap: int | None) -> tuple[int, int]:
        found = quote(basket(10_000), rich, of, AT, Choices(points_asked=90, rewards=("r",), redemption_cap=cap))
        return found.redeemed_points, found.total

    assert priced(None) == (150, 9_410)
    assert priced(100) == (100, 9_460)
    assert priced(0) == (0, 10_000)
    cheap = program(rule("r", {"type": "reward", "cost": 1, "amount": 500}), redemption={}, point_value=1)
    none = Choices(rewards=("r",), redemption_cap=0)
    assert quote(basket(10_000), rich, cheap, AT, none).total == 10_000


def test_each_line_bears_the_points_of_its_rewards():
    half = {"type": "reward", "cost": 50, "rate_bp": 5_000}
    of = program(
        rule("r", half), rule("g", {"type": "reward", "cost": 30, "quantity": 1}), redemption={}, point_value=1
    )
    mug = Line("m", product="M", unit_price=700, flags=frozenset({"reward"}))
    rich = GuestFacts(points=1_000)
    found = quote(basket(1_000, 3_000, mug), rich, of, AT, Choices(rewards=("g",)))
    assert ([line.points for line in found.lines], found.total) == ([0, 0, 30], 4_000)
    free = quote(basket(1_000, replace(mug, unit_price=0)), rich, of, AT, Choices(rewards=("g",)))
    assert ([line.points for line in free.lines], free.redeemed_points) == ([0, 30], 30)
    both = quote(basket(1_000, 3_000), rich, of, AT, Choices(points_asked=200, rewards=("r",)))
    assert [line.points for line in both.lines] == [13 + 50, 37 + 150]


def test_a_rule_that_a_better_tier_replaced_everywhere_is_not_used():
    counted = [{"type": "usage", "per_guest": 5}]
    better = program(rule("small", percent(500), when=counted), rule("e", earn(100), when=counted), tiers=TIERS)
    found = quote(basket(10_000), GOLD, better, AT)
    assert (found.total, found.uses) == (9_000, (("e", 1),))
    worse = quote(basket(10_000), GuestFacts(tier="PLAIN"), better, AT)
    assert (worse.total, worse.uses) == (9_500, (("e", 1), ("small", 1)))


def test_a_payment_of_nothing_or_less_is_none():
    paid = Choices(payments=(Payment("zero", 0), Payment("less", -5), Payment("card", 300), Payment("rest", 10**6)))
    found = quote(basket(1_000), None, program(), AT, paid)
    assert found.payments == (("card", 300), ("rest", 700))


def facts_of(guest: GuestFacts, of: Program, choices: Choices | None = None) -> GuestFacts:
    facts = quote(basket(1_000), guest, of, AT, choices or Choices()).facts
    assert facts is not None
    return facts


KNOWN = GuestFacts(
    guest_id="g1",
    birthday=date(1990, 3, 2),
    tags=frozenset({"staff", "allergy"}),
    stamps={"s": 4, "gone": 2},
    uses={("s", ""): 1, ("gone", ""): 2},
    coupons=(Coupon("MINE", "s"), Coupon("OTHER", "s")),
)


def test_a_quote_keeps_no_fact_that_no_rule_looks_at():
    plain = facts_of(KNOWN, program(rule("s", percent(100))), Choices(coupons=(" mine",)))
    assert (plain.guest_id, plain.birthday, plain.birthday_rules, plain.tags) == (None, None, None, frozenset())
    assert (dict(plain.stamps), dict(plain.uses)) == ({"s": 4}, {("s", ""): 1})
    assert [coupon.code for coupon in plain.coupons] == ["MINE"]


def test_a_quote_keeps_of_a_birthday_which_rules_it_met():
    near, far = {"type": "birthday", "before": 3, "after": 3}, {"type": "birthday", "before": 3, "after": 3}
    of = program(
        rule("near", percent(100), when=[near]),
        rule("both", percent(100), when=[far, {"type": "tags", "tags": ["staff"]}]),
        rule("named", percent(100), when=[{"type": "guests", "guests": ["g1"]}]),
    )
    kept = facts_of(KNOWN, of)
    assert (kept.birthday, kept.birthday_rules) == (None, frozenset({"near", "both"}))
    assert (kept.guest_id, kept.tags) == ("g1", frozenset({"staff"}))
    assert facts_of(replace(KNOWN, birthday=date(1990, 9, 2)), of).birthday_rules == frozenset()
    assert facts_of(replace(KNOWN, birthday=None), of).birthday_rules is None
    assert facts_of(kept, of) == kept


def test_nobody_has_no_facts():
    assert quote(basket(1_000), None, program(), AT).facts is None


def test_a_rule_that_was_passed_over_still_says_why():
    goods = {"type": "products", "products": ["A"]}
    rules = [
        rule(f"r{n}", percent(1_000), skip_discounted_lines=True, when=[goods, *more])
        for n, more in enumerate(([], [], [{"type": "tags", "tags": ["staff"]}], [{"type": "weekdays", "days": [1]}]))
    ]
    dear = {"type": "amount", "of": "lines", "min": 20_000}
    rules.append(rule("r4", percent(1_000), skip_discounted_lines=True, when=[goods, dear]))
    rules.append(rule("z", percent(1_000), when=[{"type": "promo_code", "codes": ["TEN"]}]))
    of = program(*rules, tiers=TIERS, redemption={}, point_value=1)
    staff = replace(GOLD, points=50, tags=frozenset({"staff"}))
    found = quote(basket(10_000, 5_000), staff, of, AT, Choices(points_asked=20, codes=("ten",)))
    assert {note.rule: (note.applied, note.code, note.amount) for note in found.explanation} == {
        "r0": (True, "applied", 1_000),
        "r1": (False, "nothing_left", 0),
        "r2": (False, "nothing_left", 0),
        "r3": (False, "nothing_left", 0),
        "r4": (False, "money_below", 0),
        "z": (True, "applied", 1_400),
        TIER_RULE: (False, "promotions_better", 0),
    }
    assert (found.redeemed_points, found.discount_total) == (20, 2_400)


@pytest.mark.parametrize("stacking", ["best_of", "stack", "before"])
def test_a_tier_withheld_gives_no_discount_and_earns_on_what_is_paid(stacking):
    gold_only = rule("g", percent(100), when=[{"type": "tiers", "tiers": ["GOLD"]}])
    of = program(gold_only, model="mixed", tiers=TIERS, point_value=1, tier_stacking=stacking)
    given = quote(basket(10_000), GOLD, of, AT)
    withheld = quote(basket(10_000), GOLD, of, AT, Choices(tier_withheld=True))
    assert given.discount_total > withheld.discount_total == 100
    assert withheld.earned_points == 9_900 * 300 // 10_000 > given.earned_points
    assert withheld.tier == "GOLD"
    said = [(note.applied, note.code) for note in withheld.explanation if note.rule == TIER_RULE]
    assert said == [(False, "tier_withheld"), (True, "tier_points")]


def test_points_with_days_of_their_own_are_said_of_each_rule():
    of = program(
        rule("short", {"type": "bonus_fixed", "points": 5, "expires_days": 7}),
        rule("long", {"type": "bonus_fixed", "points": 8, "expires_days": 30}),
        rule("plain", {"type": "bonus_fixed", "points": 1}),
    )
    found = quote(basket(10_000), GOLD, of, AT)
    assert sorted(found.own_expiry) == [("long", 8, 30), ("short", 5, 7)]
