"""Returns: what was paid comes back and no more, by unit, by amount or whole."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loyalty_desk.domain.basket import Basket, Line
from loyalty_desk.domain.errors import BadInput, Refused
from loyalty_desk.domain.program import Program
from loyalty_desk.domain.quote import Choices, ManualDiscount, Payment
from loyalty_desk.domain.refund import NOTHING_YET, Return, Sale, refund, refund_amount, void
from loyalty_desk.domain.refund.parts import Refunded
from loyalty_desk.domain.refund.settlement import settled
from tests.loyalty_desk.domain.refund_parts import ANNA, EARN, NOON, line, one, program, sold, tenth_off
from tests.loyalty_desk.domain.refusals import code_of


def test_a_line_comes_back_at_what_was_paid_for_it():
    sale = sold(program(EARN, tenth_off()), line("a", 15_000), line("b", 6_000))
    back = refund(sale, one("a"))
    assert (back.how, back.money, back.earned_reversed, back.is_whole) == ("lines", 13_500, 135, False)
    assert [(part.line, part.money) for part in back.lines] == [("a", 13_500)]


def test_units_come_back_last_first_and_their_parts_sum():
    sale = sold(program(EARN, tenth_off()), line("a", 333, 3))
    assert sale.quote.total == 899
    first = refund(sale, one("a"))
    second = refund(sale, one("a"), first.after)
    third = refund(sale, one("a"), second.after)
    assert [first.money, second.money, third.money] == [300, 300, 299]
    assert [first.is_whole, third.is_whole] == [False, True]
    assert [first.earned_reversed, second.earned_reversed, third.earned_reversed] == [3, 3, 2]
    with pytest.raises(Refused, match="return_more_than_left"):
        refund(sale, one("a"), third.after)
    with pytest.raises(Refused, match="return_nothing_left"):
        void(sale, third.after)


def test_whatever_totals_are_claimed_no_refund_gives_more_than_is_left():
    sale = sold(program(EARN), line("a", 5_000, 2), choices=Choices(points_asked=3_000))
    before = Refunded({"a": 1_000}, money=3_500, earned_reversed=35, spent_returned=1_500)
    claimed = Refunded({"a": 2_000}, money=99_999, earned_reversed=99_999, spent_returned=99_999)
    back = settled(sale, before, "lines", claimed, None)
    assert (back.money, back.earned_reversed, back.spent_returned) == (3_500, 35, 1_500)
    less = settled(sale, before, "lines", Refunded({"a": 2_000}), None)
    assert (less.money, less.earned_reversed, less.spent_returned) == (0, 0, 0)


def test_points_spent_come_back_with_the_unit_that_they_paid():
    sale = sold(program(EARN), line("a", 5_000, 2), line("b", 5_000), choices=Choices(points_asked=3_000))
    back = refund(sale, one("a"))
    assert (back.money, back.spent_returned, back.earned_reversed) == (4_000, 1_000, 40)
    rest = void(sale, back.after)
    assert (rest.money, rest.spent_returned, rest.earned_reversed) == (8_000, 2_000, 80)


def test_a_check_paid_wholly_with_points_gives_points_back():
    sale = sold(program(EARN), line("a", 700), line("b", 300), choices=Choices(points_asked=1_000))
    back = refund(sale, one("a"))
    assert (back.money, back.spent_returned, back.earned_reversed) == (0, 700, 0)


def test_spent_points_may_come_back_with_the_last_unit_only():
    of = program(EARN, spent_back="full_refund_only")
    sale = sold(of, line("a", 5_000, 2), choices=Choices(points_asked=3_000))
    first = refund(sale, one("a"))
    assert (first.money, first.spent_returned) == (3_500, 0)
    assert refund(sale, one("a"), first.after).spent_returned == 3_000


def test_a_bare_total_comes_back_by_amount_and_points_by_floor_of_what_is_back_so_far():
    sale = Sale.priced(Basket.of_amount("RUB", 2_190), ANNA, program(EARN), NOON)
    state, points = NOTHING_YET, []
    for amount in (500, 500, 1_000, 190):
        back = refund_amount(sale, amount, state)
        state = back.after
        points.append(back.earned_reversed)
    assert points == [4, 5, 10, 2]
    assert (state.money, state.earned_reversed) == (2_190, 21)
    with pytest.raises(Refused) as refusal:
        refund_amount(sale, 1, state)
    assert refusal.value.facts == {"asked": 1, "left": 0}


def test_goods_come_back_by_lines_and_nothing_by_nothing():
    sale = sold(program(), line("a", 100, 2))
    with pytest.raises(Refused, match="return_by_lines"):
        refund_amount(sale, 100)
    for wrong, code in (
        ([], "return_empty"),
        (one("z"), "return_line_unknown"),
        ([Return("a", 0)], "return_quantity"),
        ([Return("a", 500)], "return_quantity"),
    ):
        with pytest.raises(BadInput, match=code):
            refund(sale, wrong)
    with pytest.raises(Refused) as refusal:
        refund(sale, [*one("a"), *one("a", 2)])
    assert refusal.value.facts == {"line": "a", "asked_milli": 2_000, "left_milli": 1_000}
    with pytest.raises(BadInput, match="return_amount"):
        refund_amount(Sale.priced(Basket.of_amount("RUB", 100), None, program(), NOON), 0)


def test_a_weighed_line_comes_back_by_weight():
    sale = sold(program(EARN), Line(id="cheese", unit_price=99_900, quantity_milli=1_250))
    assert sale.quote.total == 124_875
    first = refund(sale, [Return("cheese", 250)])
    assert (first.money, first.earned_reversed) == (24_975, 250)
    rest = refund(sale, [Return("cheese", 1_000)], first.after)
    assert (rest.money, rest.earned_reversed, rest.is_whole) == (99_900, sale.quote.earned_points - 250, True)


def test_a_deposit_on_bottles_comes_back_with_the_bottle():
    sale = sold(program(tenth_off()), line("cola", 1_000, 2, charge=150))
    assert refund(sale, one("cola")).money == 900 + 150


def test_lines_without_ids_are_called_by_their_place():
    sale = sold(program(), Line(unit_price=500), Line(unit_price=300))
    assert refund(sale, one("#2")).money == 300


def test_a_whole_return_frees_what_a_partial_one_does_not():
    coupon = {"type": "coupon", "codes": ["SPRING"]}
    of = program(tenth_off(conditions=[coupon]))
    sale = sold(of, line("a", 1_000, 2), choices=Choices(coupons=("spring",)))
    assert sale.quote.discount_total == 200
    assert refund(sale, one("a")).coupons_freed == ()
    assert void(sale).coupons_freed == ("spring",)
    kept = program(tenth_off(conditions=[coupon | {"reusable_after_void": False}]))
    assert void(sold(kept, line("a", 1_000), choices=Choices(coupons=("spring",)))).coupons_freed == ()


def test_a_rule_that_issues_twice_is_taken_back_twice():
    issue = {"type": "issue_coupon"}
    sale = sold(program({"effects": [issue | {"count": 2}, issue]}), line("a", 1_000, 2))
    assert sum(count for _, count in sale.quote.coupons_issued) == 3
    assert refund(sale, one("a")).coupons_withdrawn == ()
    assert void(sale).coupons_withdrawn == (("r1", 3),)


def test_stamps_come_back_with_their_units():
    sale = sold(program({"effects": [{"type": "stamp", "every": 9}]}), line("a", 1_000, 4))
    assert sale.quote.stamps == (("r1", 4),)
    first = refund(sale, one("a"))
    assert first.stamps == (("r1", 1),)
    assert void(sale, first.after).stamps == (("r1", 3),)


def test_what_was_taken_off_a_line_by_hand_goes_with_the_line():
    offer = {"effects": [{"type": "free_unit", "set_of": 2}]}
    by_hand = Choices(manual_discounts=(ManualDiscount(amount=100, line="b"),))
    sale = sold(program(offer), line("a", 1_000, 2), line("b", 500), choices=by_hand)
    back = refund(sale, one("b"))
    assert sale.quote.total - back.money == sold(program(offer), line("a", 1_000, 2)).quote.total


def test_gift_cards_get_their_money_first():
    paid = Choices(payments=(Payment("card 1", 700), Payment("card 2", 500)))
    sale = sold(program(), line("a", 1_000, 2), choices=paid)
    assert sale.quote.payments == (("card 1", 700), ("card 2", 500))
    first = refund(sale, one("a"))
    assert (first.back_to, first.cash) == ((("card 1", 700), ("card 2", 300)), 0)
    second = refund(sale, one("a"), first.after)
    assert (second.back_to, second.cash) == ((("card 2", 200),), 800)


def test_a_gift_card_that_was_sold_loses_its_money_again():
    sale = sold(program(), line("card", 5_000, flags=frozenset({"gift_card"})), line("b", 100))
    assert refund(sale, one("card")).cards == (("card", 5_000),)
    assert refund(sale, one("b")).cards == ()


def test_the_object_of_a_refund_has_canonical_bytes():
    from loyalty_desk.domain import canonical

    sale = sold(program(EARN, tenth_off()), line("a", 5_000, 2), choices=Choices(payments=(Payment("card", 100),)))
    assert canonical.decode(canonical.encode(void(sale).to_dict())) == void(sale).to_dict()


@st.composite
def returns_piece_by_piece(draw):
    lines = [
        line(f"l{n}", draw(st.integers(0, 2_000)), draw(st.integers(1, 4)), charge=draw(st.sampled_from([0, 0, 33])))
        for n in range(draw(st.integers(1, 4)))
    ]
    of = program(
        EARN,
        tenth_off(),
        points_reversal=draw(st.sampled_from(["share", "formula"])),
        spent_back=draw(st.sampled_from(["share", "full_refund_only"])),
    )
    sale = sold(of, *lines, choices=Choices(points_asked=draw(st.integers(0, 3_000))))
    pieces = [name for one in lines for name in [one.id] * one.units]
    return sale, draw(st.permutations(pieces))


@given(returns_piece_by_piece())
def test_piece_by_piece_everything_comes_back_exactly_once(case):
    sale, pieces = case
    state = NOTHING_YET
    for piece in pieces:
        back = refund(sale, one(piece), state)
        assert back.money >= 0
        assert back.earned_reversed >= 0
        assert back.spent_returned >= 0
        assert sum(part.money for part in back.lines) == back.money
        state = back.after
    assert (state.money, state.earned_reversed, state.spent_returned) == (
        sale.quote.total,
        sale.quote.earned_points,
        sale.spent,
    )


def test_refusals_carry_their_code_and_facts_exactly():
    goods = sold(program(), line("a", 100, 2))
    bare = Sale.priced(Basket.of_amount("RUB", 100), None, program(), NOON)
    assert code_of(Refused, refund_amount, goods, 100) == ("return_by_lines", {})
    assert code_of(BadInput, refund_amount, bare, -1) == ("return_amount", {"amount": -1})
    assert code_of(BadInput, refund_amount, bare, 0) == ("return_amount", {"amount": 0})
    assert code_of(Refused, refund_amount, bare, 101) == ("return_more_than_left", {"asked": 101, "left": 100})
    assert code_of(Refused, void, goods, void(goods).after) == ("return_nothing_left", {})
    assert code_of(BadInput, refund, goods, []) == ("return_empty", {})
    assert code_of(BadInput, refund, goods, one("z" * 50)) == ("return_line_unknown", {"line": "z" * 40})
    asked = {"line": "a", "quantity_milli": 1_500}
    assert code_of(BadInput, refund, goods, [Return("a", 1_500)]) == ("return_quantity", asked)
    offer = program({"effects": [{"type": "free_unit", "set_of": 2}]}, partial_bundle_return="refuse")
    assert code_of(Refused, refund, sold(offer, line("a", 1, 2)), one("a")) == ("return_splits_set", {})


def test_points_that_paid_a_bare_total_come_back_by_amount():
    for spent_back, returned in (("share", [250, 250, 500]), ("full_refund_only", [0, 0, 1_000])):
        of = program(EARN, spent_back=spent_back)
        sale = Sale.priced(Basket.of_amount("RUB", 5_000), ANNA, of, NOON, Choices(points_asked=1_000))
        state, parts = NOTHING_YET, []
        for amount in (1_000, 1_000, 2_000):
            back = refund_amount(sale, amount, state)
            parts.append((back.how, back.money, back.spent_returned))
            state = back.after
        assert [part[2] for part in parts] == returned
        assert [part[:2] for part in parts] == [("amount", 1_000), ("amount", 1_000), ("whole", 2_000)]


def test_the_object_of_a_refund_says_everything():
    issue, stamp = {"type": "issue_coupon"}, {"type": "stamp", "every": 9}
    of = program(
        EARN,
        {"effects": [issue], "conditions": [{"type": "coupon", "codes": ["k"]}, {"type": "usage", "per_guest": 5}]},
        {"effects": [stamp]},
    )
    paid = Choices(coupons=("k",), payments=(Payment("card", 500),), points_asked=100)
    sale = sold(of, line("a", 1_000), line("c", 2_000, flags=frozenset({"gift_card"})), choices=paid)
    earned = sale.quote.earned_points
    assert void(sale).to_dict() == {
        "how": "whole",
        "money": 2_900,
        "earned_reversed": earned,
        "spent_returned": 100,
        "is_whole": True,
        "lines": [
            {"line": part.id, "quantity_milli": 1_000, "money": part.net, "earned_reversed": part.earned,
             "spent_returned": part.points}
            for part in sale.quote.lines
        ],
        "back_to": [{"id": "card", "amount": 500}],
        "cards": [{"id": "c", "amount": 2_000}],
        "uses": [{"id": "r2", "count": 1}],
        "stamps": [{"id": "r3", "count": sale.quote.stamps[0][1]}],
        "coupons_withdrawn": [{"id": "r2", "count": 1}],
        "coupons_freed": ["k"],
    }  # fmt: skip


def test_what_is_kept_keeps_its_share_of_tax_and_weighed_goods_stay_weighed():
    of = program(
        {"effects": [{"type": "earn_rate", "points": 1, "per": 1}]},
        {"effects": [{"type": "free_unit", "set_of": 2}], "conditions": [{"type": "products", "products": ["b"]}]},
        {"effects": [{"type": "earn_per_unit", "points": 1}]},
    )
    of = Program.from_dict({**of.data, "settings": {"earning_base": "net_of_tax"}})
    cheese = Line(id="w", product="w", unit_price=1_000, quantity_milli=2_500, tax=500)
    sale = sold(of, cheese, line("b", 500, 2))
    assert sale.quote.earned_points == 2_000 + 500 + 3
    back = refund(sale, [Return("w", 500)])
    # 2 kg are left with 400 of tax, still one unit: 1 600 and one point stay.
    assert (back.how, back.money, back.earned_reversed) == ("repriced", 500, 400)


def test_points_by_amount_are_whole():
    sale = Sale.priced(Basket.of_amount("RUB", 1_000), ANNA, program(), NOON, Choices(points_asked=100))
    back = refund_amount(sale, 333)
    assert (back.spent_returned, type(back.spent_returned)) == (37, int)


def test_stamps_of_two_returns_add_up():
    stamp = {"effects": [{"type": "stamp", "every": 9}]}
    sale = sold(program(stamp), line("a", 1_000, 5))
    first = refund(sale, one("a", 2))
    second = refund(sale, one("a"), first.after)
    assert dict(void(sale).after.stamps) == {"r1": 5}
    assert (first.stamps, second.stamps, dict(second.after.stamps)) == ((("r1", 2),), (("r1", 1),), {"r1": 3})


def test_more_than_is_left_of_a_line_is_refused_by_its_code():
    sale = sold(program(), line("a", 100, 2))
    facts = {"line": "a", "asked_milli": 3_000, "left_milli": 2_000}
    assert code_of(Refused, refund, sale, one("a", 3)) == ("return_more_than_left", facts)


def test_the_parts_of_a_second_return_are_those_of_its_units():
    sale = sold(program(EARN, tenth_off()), line("a", 333, 3), line("card", 500, 3, flags=frozenset({"gift_card"})))
    first = refund(sale, [*one("a"), *one("card")])
    second = refund(sale, [*one("a"), *one("card", 2)], first.after)
    assert [(part.line, part.quantity_milli) for part in second.lines] == [("a", 1_000), ("card", 2_000)]
    assert (first.cards, second.cards) == ((("card", 500),), (("card", 1_000),))
    by_unit = {part.line: part.money for part in first.lines}
    assert by_unit == {"a": 300, "card": 450}
    assert {part.line: part.money for part in second.lines} == {"a": 300, "card": 900}


def test_points_of_units_that_paid_unlike_amounts_are_told_apart():
    half_off = {"effects": [{"type": "percentage", "rate_bp": 5_000, "max_units": 1}]}
    sale = sold(program(EARN, half_off), line("a", 1_000, 3), choices=Choices(points_asked=1_001))
    assert (sale.quote.total, sale.quote.discount_total, sale.spent) == (1_499, 500, 1_001)
    parts = []
    state = NOTHING_YET
    for _ in range(3):
        back = refund(sale, one("a"), state)
        parts.append((back.money, back.spent_returned))
        assert back.money + back.spent_returned in (500, 1_000)
        state = back.after
    assert sum(money for money, _ in parts) == 1_499
    assert [money + spent for money, spent in parts] == [1_000, 1_000, 500]


def test_a_weighed_line_with_a_deposit_gives_its_share_of_it():
    sale = sold(
        program(), Line(id="w", unit_price=1_000, quantity_milli=2_000, charge=100, flags=frozenset({"weighed"}))
    )
    total = sale.quote.total
    half = refund(sale, [Return("w", 1_000)])
    rest = refund(sale, [Return("w", 1_000)], half.after)
    assert half.money == rest.money == total // 2


def test_gift_cards_that_paid_get_back_to_the_kopeck_over_many_returns():
    paid = Choices(payments=(Payment("one", 300), Payment("two", 300), Payment("three", 300)))
    sale = sold(program(), line("a", 100, 12), choices=paid)
    whole = void(sale)
    assert (whole.back_to, whole.cash) == ((("one", 300), ("two", 300), ("three", 300)), 300)
    state, given = NOTHING_YET, []
    for _ in range(12):
        back = refund(sale, one("a"), state)
        given.append((back.back_to, back.cash))
        state = back.after
    cards = [*["one"] * 3, *["two"] * 3, *["three"] * 3]
    assert given == [*((((name, 100),), 0) for name in cards), *[((), 100)] * 3]


def test_of_several_coupons_each_rule_keeps_its_own():
    once, often = {"type": "coupon", "codes": ["A"], "reusable_after_void": False}, {"type": "coupon", "codes": ["B"]}
    also = {"type": "coupon", "codes": ["C"], "reusable_after_void": False}
    unused = {"type": "coupon", "codes": ["D"], "reusable_after_void": False}
    never = {"type": "amount", "min": 10**9}
    of = program(
        tenth_off(conditions=[once]),
        tenth_off(conditions=[often, {"type": "coupon", "codes": ["B", "C"], "reusable_after_void": False}]),
        tenth_off(conditions=[also]),
        tenth_off(conditions=[unused, never]),
    )
    sale = sold(of, line("a", 1_000), choices=Choices(coupons=("A", "B", "C", "D")))
    assert void(sale).coupons_freed == ("D",)
    reusable = program(tenth_off(conditions=[often, never]), tenth_off(conditions=[once]))
    sale = sold(reusable, line("a", 1_000), choices=Choices(coupons=("A", "B")))
    assert void(sale).coupons_freed == ("B",)


def test_a_unit_that_cost_nothing_took_no_points():
    free = {"effects": [{"type": "percentage", "rate_bp": 10_000, "max_units": 1}]}
    sale = sold(program(free), line("a", 500, 3), choices=Choices(points_asked=1_000))
    assert [(run.price, run.units) for run in sale.lines[0].spent] == [(0, 1), (500, 2)]
    first = refund(sale, one("a"))
    second = refund(sale, one("a"), first.after)
    assert [first.spent_returned, second.spent_returned] == [500, 500]


def test_points_finer_than_a_kopeck_follow_what_each_unit_lost():
    half_off = {"effects": [{"type": "percentage", "rate_bp": 5_000, "max_units": 1}]}
    fine = Program.from_dict({**program(half_off).data, "point_decimals": 2})
    sale = sold(fine, line("a", 10, 4), choices=Choices(points_asked=3_500))
    assert (sale.quote.total, sale.spent) == (0, 3_500)
    assert refund(sale, one("a")).spent_returned == 1_000
