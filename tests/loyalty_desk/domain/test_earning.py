"""What a check earns: summed, multiplied and rounded once, and shared by the lines that earned it."""

from loyalty_desk.domain.basket import Line, LineFlag
from loyalty_desk.domain.guest import GuestFacts
from loyalty_desk.domain.pricing import Choices, quote
from tests.loyalty_desk.domain.pricing_parts import AT, GUEST, TIERS, basket, notes, off, program, rule


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


def test_nobody_known_earns_nothing():
    quoted = quote(basket(10_000), None, program(rule("r", {"type": "bonus_fixed", "points": 7})), AT)
    assert quoted.earned_points == 0
    assert notes(quoted)["r"].code == "no_guest"
