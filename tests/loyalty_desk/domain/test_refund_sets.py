"""Returns out of a set: what is kept is priced again."""

import pytest

from loyalty_desk.domain.basket import Line
from loyalty_desk.domain.errors import Refused
from loyalty_desk.domain.program import Program
from loyalty_desk.domain.quote import Choices, ManualDiscount
from loyalty_desk.domain.refund import Return, Sale, refund, void
from tests.loyalty_desk.domain.refund_parts import EARN, line, one, program, sold


def test_buy_two_get_one_is_priced_again_when_a_unit_comes_back():
    offer = {"effects": [{"type": "free_unit", "set_of": 3}]}
    sale = sold(program(EARN, offer), line("a", 1_000, 3))
    assert sale.quote.total == 2_000
    first = refund(sale, one("a"))
    assert (first.how, first.money, first.earned_reversed) == ("repriced", 0, 0)
    second = refund(sale, one("a"), first.after)
    assert (second.money, second.earned_reversed) == (1_000, 10)
    assert void(sale, second.after).money == 1_000
    refusing = sold(program(offer, partial_bundle_return="refuse"), line("a", 1_000, 3))
    with pytest.raises(Refused, match="return_splits_set"):
        refund(refusing, one("a"))
    assert refund(refusing, one("a", 3)).money == 2_000


def priced_by_sets(**settings) -> Sale:
    """Two for one, a quarter of the check payable with points: 1 500 and 500 points for four at 1 000."""
    of = program(EARN, {"effects": [{"type": "free_unit", "set_of": 2}]}, **settings)
    of = Program.from_dict({**of.data, "redemption": {"max_share_bp": 2_500}})
    sale = sold(of, line("a", 1_000, 4), choices=Choices(points_asked=5_000))
    assert (sale.quote.total, sale.spent) == (1_500, 500)
    return sale


def test_points_come_back_of_a_set_that_is_priced_again():
    sale = priced_by_sets()
    half = refund(sale, one("a", 2))
    assert (half.how, half.money, half.spent_returned, half.earned_reversed) == ("repriced", 750, 250, 8)
    rest = refund(sale, one("a", 2), half.after)
    assert (rest.money, rest.spent_returned, rest.earned_reversed) == (750, 250, 7)


def test_points_that_stay_spent_go_on_paying_for_what_is_kept_of_a_set():
    sale = priced_by_sets(spent_back="full_refund_only")
    half = refund(sale, one("a", 2))
    assert (half.money, half.spent_returned) == (1_000, 0)
    dear = program({"effects": [{"type": "free_unit", "set_of": 2}]}, spent_back="full_refund_only")
    covered = sold(dear, line("a", 1_000, 4), choices=Choices(points_asked=1_990))
    assert covered.quote.total == 10
    assert refund(covered, one("a", 2)).money == 10
    assert refund(covered, one("a", 3)).money == 10


def test_a_line_that_stays_gives_nothing_back_however_dear_its_gram():
    gold = Line(id="gold", unit_price=5_000_000, quantity_milli=1_500)
    sale = sold(program(EARN), gold, line("a", 1_000))
    back = refund(sale, one("a"))
    assert (back.money, back.earned_reversed, [part.line for part in back.lines]) == (1_000, 10, ["a"])
    gram = refund(sale, [Return("gold", 1)])
    assert gram.money == 5_000


def test_stamps_alone_do_not_price_a_check_again():
    enough = {"effects": [{"type": "percentage", "of": "check", "rate_bp": 1_000}]}
    enough["conditions"] = [{"type": "amount", "min": 1_000}]
    of = program(EARN, enough, {"effects": [{"type": "stamp", "every": 9}]})
    sale = sold(of, line("a", 600, 2))
    back = refund(sale, one("a"))
    assert (back.how, back.money, back.stamps) == ("lines", 540, (("r3", 1),))


def test_coupons_that_the_kept_check_would_not_issue_are_withdrawn_once():
    issue = {"effects": [{"type": "issue_coupon"}], "conditions": [{"type": "amount", "min": 2_000}]}
    sale = sold(program(issue), line("a", 1_000, 3))
    first = refund(sale, one("a"))
    assert (first.coupons_withdrawn, dict(first.after.coupons_withdrawn)) == ((), {})
    second = refund(sale, one("a"), first.after)
    assert (second.coupons_withdrawn, dict(second.after.coupons_withdrawn)) == ((("r1", 1),), {"r1": 1})
    third = refund(sale, one("a"), second.after)
    assert (third.coupons_withdrawn, dict(third.after.coupons_withdrawn)) == ((), {"r1": 1})


def test_what_was_taken_off_the_check_by_hand_stays_where_what_is_kept_is_priced_again():
    offer = {"effects": [{"type": "free_unit", "set_of": 2}]}
    by_hand = Choices(manual_discounts=(ManualDiscount(amount=100),))
    sale = sold(program(offer), line("a", 1_000, 2), line("b", 500), choices=by_hand)
    assert sale.quote.total - refund(sale, one("b")).money == 950


def test_a_line_without_an_id_comes_back_of_a_check_with_sets():
    offer = {"effects": [{"type": "free_unit", "set_of": 2}], "conditions": [{"type": "products", "products": ["a"]}]}
    sale = sold(
        program(offer), line("a", 1_000, 2), Line(product="b", unit_price=300), Line(product="c", unit_price=70)
    )
    assert refund(sale, one("#2")).money == 300
