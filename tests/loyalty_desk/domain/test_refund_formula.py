"""Points taken back by the earning rule on the returned price (`points_reversal: formula`)."""

from dataclasses import replace

from loyalty_desk.domain.basket import WHOLE_CHECK, Basket, Line
from loyalty_desk.domain.guest import GuestFacts
from loyalty_desk.domain.program import Program
from loyalty_desk.domain.quote import Choices, ManualDiscount
from loyalty_desk.domain.refund import Return, Sale, refund, refund_amount
from tests.loyalty_desk.domain.refund_parts import ANNA, EARN, NOON, line, one, program, sold


def test_the_formula_takes_back_what_the_price_before_points_would_earn():
    of = program({"effects": [{"type": "earn_blocks", "points": 1, "per": 1_000}]}, points_reversal="formula")
    sale = sold(of, line("a", 1_000, 2), choices=Choices(points_asked=500))
    assert sale.quote.earned_points == 1
    first = refund(sale, one("a"))
    assert (first.earned_reversed, first.money) == (1, 750)
    assert refund(sale, one("a"), first.after).earned_reversed == 0


def test_by_amount_the_formula_counts_the_amount_itself():
    of = program({"effects": [{"type": "earn_blocks", "points": 1, "per": 1_000}]}, points_reversal="formula")
    sale = Sale.priced(Basket.of_amount("RUB", 2_190), ANNA, of, NOON)
    assert [refund_amount(sale, amount).earned_reversed for amount in (500, 1_000, 2_000)] == [0, 1, 2]


def test_a_bare_total_without_points_reverses_none_by_the_formula():
    of = program(EARN, points_reversal="formula")
    sale = Sale.priced(Basket.of_amount("RUB", 5_000, no_points=True), ANNA, of, NOON)
    assert (sale.quote.earned_points, refund_amount(sale, 1_000).earned_reversed) == (0, 0)


BLOCKS = {"effects": [{"type": "earn_blocks", "points": 1, "per": 1_000}]}


def test_the_formula_prices_what_came_back_by_weight_and_unit_by_unit():
    half_off = {"effects": [{"type": "percentage", "rate_bp": 5_000, "max_units": 1}]}
    of = program(BLOCKS, half_off, points_reversal="formula")
    cheese = Line(id="cheese", unit_price=99_900, quantity_milli=1_250)
    sale = sold(of, cheese, line("a", 3_100, 3))
    assert [(run.price, run.units) for run in sale.quote.units(1)] == [(1_550, 1), (3_100, 2)]
    assert refund(sale, [Return("cheese", 250)]).earned_reversed == 24
    assert refund(sale, one("a")).earned_reversed == 3
    assert refund(sale, one("a", 2)).earned_reversed == 6
    assert refund(sale, one("a", 3)).earned_reversed == 7
    assert refund(sale, [*one("a", 3), Return("cheese", 250)]).earned_reversed == 32
    assert sale.quote.earned_points == 132


def test_the_formula_leaves_tax_out_where_earning_does():
    of = program(
        {"effects": [{"type": "earn_rate", "points": 1, "per": 1}]}, points_reversal="formula",
    )  # fmt: skip
    of = Program.from_dict({**of.data, "settings": {**of.data["settings"], "earning_base": "net_of_tax"}})
    sale = sold(of, line("a", 1_200, 3, tax=600), Line(id="w", unit_price=1_000, quantity_milli=1_500, tax=300))
    assert sale.quote.earned_points == 3_000 + 1_200
    assert refund(sale, one("a")).earned_reversed == 1_000
    assert refund(sale, [Return("w", 500)]).earned_reversed == 400


FORMULA = {"points_reversal": "formula"}


def test_the_formula_earns_by_the_tier_as_the_sale_did_and_takes_no_discount_of_it():
    gold = {"code": "GOLD", "threshold": 0, "discount_bp": 1_000, "earn_bp": 500}
    of = program(**FORMULA)
    of = Program.from_dict({**of.data, "model": "mixed", "tiers": [gold]})
    sale = sold(of, line("a", 10_000, 2), guest=GuestFacts(tier="GOLD"))
    assert (sale.quote.total, sale.quote.earned_points) == (18_000, 900)
    assert refund(sale, one("a")).earned_reversed == 450


def test_the_formula_keeps_the_groups_and_order_of_earning_rules():
    rate = {"type": "earn_rate", "points": 1, "per": 100}
    many = {"type": "bonus_fixed", "points": 50}
    few = {"type": "bonus_fixed", "points": 7}
    of = program({"effects": [rate]}, {"effects": [many], "group": 5}, {"effects": [few], "group": 5}, **FORMULA)
    sale = sold(of, line("a", 1_000, 3))
    assert (sale.quote.earned_points, refund(sale, one("a")).earned_reversed) == (80, 60)
    alone = program({"effects": [rate]}, {"effects": [many], "exclusive": "check"}, **FORMULA)
    sale = sold(alone, line("a", 10_000, 3))
    assert (sale.quote.earned_points, refund(sale, one("a")).earned_reversed) == (50, 50)


def test_the_formula_leaves_out_what_takes_money_off_and_rules_that_are_not_understood():
    both = {"effects": [{"type": "percentage", "rate_bp": 5_000}, {"type": "earn_rate", "points": 1, "per": 100}]}
    unknown = {"effects": [{"type": "earn_rate", "points": 9, "per": 100}, {"type": "teleport"}]}
    sale = sold(program(EARN, both, unknown, **FORMULA), line("a", 1_000, 4))
    assert (sale.quote.total, sale.quote.earned_points) == (2_000, 40)
    assert refund(sale, one("a")).earned_reversed == 10


def test_the_formula_knows_the_codes_of_the_sale_and_none_of_its_manual_discounts():
    keyed = {**EARN, "conditions": [{"type": "promo_code", "codes": ["TWICE"]}]}
    by_hand = (ManualDiscount(amount=1_000),)
    sale = sold(
        program(EARN, keyed, **FORMULA),
        line("a", 5_000, 2),
        choices=Choices(codes=("TWICE",), manual_discounts=by_hand),
    )
    assert sale.quote.earned_points == 180
    assert refund(sale, one("a")).earned_reversed == 90


def test_the_formula_gives_nothing_for_lines_that_earned_nothing():
    sale = sold(program(EARN, **FORMULA), line("a", 5_000, flags=frozenset({"no_points"})), line("b", 5_000, 2))
    assert refund(sale, one("a")).earned_reversed == 0
    assert refund(sale, [*one("a"), *one("b")]).earned_reversed == 50


def net_of_tax(*rules: dict) -> Program:
    of = program(*rules, **FORMULA)
    return Program.from_dict({**of.data, "settings": {**of.data["settings"], "earning_base": "net_of_tax"}})


def test_the_formula_takes_tax_by_units_and_by_amount():
    every = {"effects": [{"type": "earn_rate", "points": 1, "per": 1}]}
    sale = sold(net_of_tax(every), line("a", 1_200, 3, tax=600), line("b", 100, 2))
    assert refund(sale, one("a", 2)).earned_reversed == 2_000
    assert refund(sale, one("b")).earned_reversed == 100
    bare = Line(id="check", unit_price=1_200, tax=200)
    amount = Sale.priced(
        replace(Basket.of_amount("RUB", 1_200), lines=(replace(bare, id=WHOLE_CHECK),)), ANNA, net_of_tax(every), NOON
    )
    assert amount.quote.earned_points == 1_000
    assert refund_amount(amount, 600).earned_reversed == 500
