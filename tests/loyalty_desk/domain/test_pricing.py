"""Pricing a check: what each rule takes off, in which order, and what it says."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loyalty_desk.domain.basket import Basket, Line, LineFlag
from loyalty_desk.domain.errors import BadInput
from loyalty_desk.domain.guest import GuestFacts
from loyalty_desk.domain.pricing import Choices, ManualDiscount, Payment, quote
from tests.loyalty_desk.domain.pricing_parts import (
    AT,
    GUEST,
    TIERS,
    basket,
    discounts,
    notes,
    off,
    percent,
    program,
    rule,
)


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


def test_of_equal_discounts_the_promotion_stays_and_what_was_taken_by_hand_stays_always():
    even = program(rule("a", percent(1000)), tiers=TIERS)
    assert quote(basket(1000), GUEST, even, AT).lines[0].discounts == (("a", 100),)
    manual = Choices(manual_discounts=(ManualDiscount(amount=200),))
    quoted = quote(basket(1000), GUEST, program(rule("a", percent(100)), tiers=TIERS), AT, manual)
    assert quoted.lines[0].discounts == (("manual", 200), ("tier", 80))
    assert quoted.total == 720


def test_the_tier_respects_floors_and_says_when_nothing_is_left():
    lines = (Line("a", unit_price=1000, floor=950), Line("b", unit_price=1000))
    assert discounts(quote(basket(*lines), GUEST, program(tiers=TIERS), AT)) == [50, 150]
    for stacking in ("best_of", "stack"):
        nothing = quote(basket(0), GUEST, program(tiers=TIERS, tier_stacking=stacking), AT)
        assert notes(nothing)["tier"].code == "nothing_left"
    free = program(rule("a", percent(10_000)), tiers=TIERS, tier_stacking="stack")
    assert notes(quote(basket(1000), GUEST, free, AT))["tier"].code == "nothing_left"


def test_a_gift_counts_at_its_list_price_against_money_off():
    gift = {"type": "gift", "products": ["cup"], "price": 300, "quantity": 2}
    for amount, winner in ((599, "gift"), (600, "cash"), (601, "cash")):
        rules = program(rule("cash", off(amount), group=1), rule("gift", gift, group=1))
        quoted = quote(basket(1000), None, rules, AT)
        assert [note.rule for note in quoted.explanation if note.applied] == [winner]


def test_of_several_effects_one_that_comes_is_enough():
    some = program(rule("x", percent(1000, cap=0), off(100)))
    quoted = quote(basket(1000), None, some, AT)
    assert (quoted.discount_total, notes(quoted)["x"].applied) == (100, True)
    none = program(rule("x", percent(1000, cap=0), off(0)))
    assert notes(quote(basket(1000), None, none, AT))["x"].code == "nothing_left"


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
