"""Effects at their edges: sets and what they consume, repeats, partial sets, rewards and gifts."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loyalty_desk.domain.basket import Line, LineFlag
from loyalty_desk.domain.effects import free_unit
from loyalty_desk.domain.guest import GuestFacts
from loyalty_desk.domain.pricing import Choices, quote
from tests.loyalty_desk.domain.pricing_parts import AT, basket, off, percent, program, rule


def line(name, count, price, category="", **more):
    return Line(name, product=name, category=category, quantity_milli=count * 1000, unit_price=price, **more)


def discounts(lines, *rules, guest=None, choices=None, **more):
    quoted = quote(basket(*lines), guest, program(*rules, **more), AT, choices or Choices())
    return [priced.discount for priced in quoted.lines]


def free(**fields):
    return {"type": "free_unit", **fields}


def test_units_that_made_a_set_make_no_other():
    three_for_two = free(set_of=3, free=1)
    cups = [line("a", 8, 100)]
    assert discounts(cups, rule("x", three_for_two), rule("y", three_for_two)) == [200]
    once = free(set_of=3, free=1, max_repeats=1)
    assert discounts(cups, rule("x", once), rule("y", once), rule("z", once)) == [200]
    bundle = {"type": "bundle", "quantity": 2, "price": 150}
    assert discounts([line("a", 5, 100)], rule("x", free(set_of=3, free=1), order=1), rule("y", bundle, order=2)) == [
        150
    ]


def test_a_percentage_consumes_nothing():
    assert discounts([line("a", 3, 100)], rule("x", percent(5000)), rule("y", free(set_of=3, free=1))) == [200]


def test_the_dearest_are_bought_and_the_cheapest_free():
    shelf = [line("a", 2, 300), line("b", 1, 200), line("c", 1, 100)]
    assert discounts(shelf, rule("x", free(set_of=2, free=1))) == [0, 200, 100]
    assert discounts(shelf, rule("x", free(set_of=2, free=1, choose="dearest", max_repeats=1))) == [300, 0, 0]
    one = free(buy={"products": ["a"], "quantity": 1}, get={"products": ["b", "c"], "quantity": 1})
    assert discounts(shelf, rule("x", one)) == [0, 200, 100]


def test_goods_that_can_be_bought_or_got_serve_once():
    shelf = [line("a", 3, 300, "x"), line("b", 1, 100, "y")]
    both = free(buy={"categories": ["x"], "quantity": 2}, get={"categories": ["x", "y"], "quantity": 1})
    assert discounts(shelf, rule("r", both)) == [0, 100]
    only = free(buy={"categories": ["x"], "quantity": 2}, get={"categories": ["x"], "quantity": 1})
    assert discounts(shelf, rule("r", only)) == [300, 0]


def test_an_incomplete_set_gives_nothing_unless_partial():
    ten = {"buy": {"quantity": 10}, "get": {"quantity": 3}}
    for count, off_full, off_partial in ((10, 0, 0), (11, 0, 1), (12, 0, 2), (13, 3, 3), (25, 3, 5), (26, 6, 6)):
        assert discounts([line("a", count, 1)], rule("r", free(**ten))) == [off_full]
        assert discounts([line("a", count, 1)], rule("r", free(**ten, partial=True))) == [off_partial]


def test_an_amount_is_reached_with_the_dearest_first():
    shelf = [line("a", 1, 700), line("b", 2, 400), line("c", 1, 100)]
    thousand = free(buy={"amount": 1000}, get={"quantity": 1})
    # 700 and 400 reach 1000, the cheapest left is free; what remains reaches nothing.
    assert discounts(shelf, rule("r", thousand)) == [0, 0, 100]
    assert discounts([line("a", 1, 700), line("b", 1, 400)], rule("r", thousand)) == [0, 0]
    quoted = quote(basket(line("a", 1, 700)), None, program(rule("r", thousand)), AT)
    assert (quoted.explanation[0].code, quoted.explanation[0].facts["missing"]) == ("money_below", 300)
    many = free(buy={"amount": 1000, "products": ["a"]}, get={"products": ["b"]})
    assert discounts([line("a", 5, 500), line("b", 3, 100)], rule("r", many)) == [0, 200]
    assert discounts(
        [line("a", 5, 500), line("b", 3, 100)], rule("r", many, when=[{"type": "usage", "per_check": 1}])
    ) == [
        0,
        100,
    ]


def test_weighed_goods_may_be_bought_and_are_never_got():
    cheese = Line("w", quantity_milli=345, unit_price=100)
    assert discounts([cheese, line("a", 1, 500)], rule("r", free(set_of=2, free=1))) == [0, 500]
    assert discounts([cheese], rule("r", free(buy={"quantity": 1}, get={"quantity": 1}))) == [0]


def test_a_free_unit_stops_at_its_floor_and_at_the_budget():
    assert discounts([line("a", 2, 500, floor=100)], rule("r", free(set_of=2, free=1))) == [400]
    budget = [{"type": "budget", "amount": 700}]
    assert discounts([line("a", 4, 500)], rule("r", free(set_of=2, free=1), when=budget)) == [500]


def test_bundles_take_the_dearest_and_never_cost_more_than_their_goods():
    shelf = [line("a", 2, 300), line("b", 2, 100)]
    assert discounts(shelf, rule("r", {"type": "bundle", "quantity": 2, "price": 250})) == [350, 0]
    assert discounts(shelf, rule("r", {"type": "bundle", "quantity": 2, "price": 250, "max_repeats": 1})) == [350, 0]
    assert discounts(shelf, rule("r", {"type": "bundle", "quantity": 2, "price": 150})) == [450, 50]
    menu = {"type": "bundle", "price": 300, "items": [{"products": ["a"]}, {"products": ["b"], "quantity": 2}]}
    assert discounts(shelf, rule("r", menu)) == [120, 80]
    quoted = quote(basket(*shelf), None, program(rule("r", {"type": "bundle", "quantity": 2, "price": 600})), AT)
    assert quoted.explanation[0].code == "bundle_dearer"
    assert discounts(
        shelf, rule("r", {"type": "bundle", "quantity": 4, "price": 0}, when=[{"type": "budget", "amount": 8}])
    ) == [
        6,
        2,
    ]


def test_thousands_of_units_are_no_trouble():
    shelf = [line("a", 300_000, 10), line("b", 300_001, 7)]
    assert discounts(shelf, rule("r", free(set_of=3, free=1))) == [0, 200_000 * 7]
    assert sum(discounts(shelf, rule("r", {"type": "bundle", "quantity": 3, "price": 20}))) == 100_000 * 10 + 100_000


def test_a_fixed_price_never_raises_one_and_knows_weighed_goods():
    happy = {"type": "fixed_price", "price": 200}
    assert discounts([line("a", 2, 300), line("b", 1, 150)], rule("r", happy)) == [200, 0]
    assert discounts([Line("w", quantity_milli=500, unit_price=300)], rule("r", happy)) == [50]
    assert discounts([line("a", 3, 300)], rule("r", {**happy, "max_units": 2})) == [200]
    assert discounts([line("a", 2, 300)], rule("r", {**happy, "cap": 150})) == [150]


def test_a_series_begins_with_the_cheapest_and_ends_at_its_most():
    series = {"type": "unit_series", "first": 10, "further": 30, "max_units": 3}
    assert discounts([line("a", 2, 100), line("b", 2, 50)], rule("r", series)) == [30, 40]
    assert discounts([line("a", 2, 15)], rule("r", series)) == [25]
    assert discounts([line("a", 5, 100)], rule("r", {**series, "first_units": 2})) == [50]


@pytest.mark.parametrize(("gross", "taken"), [(99, 0), (100, 5), (199, 10), (200, 50), (1000, 50)])
def test_the_highest_step_reached_counts(gross, taken):
    steps = [{"from": 100, "rate_bp": 500}, {"from": 200, "amount": 50}]
    assert discounts([line("a", 1, gross)], rule("r", {"type": "stepped", "steps": steps})) == [taken]


def test_steps_by_quantity_of_lines():
    steps = {"type": "stepped", "of": "lines", "by": "quantity", "steps": [{"from": 3, "rate_bp": 1000}]}
    assert discounts([line("a", 2, 100), line("b", 1, 50)], rule("r", steps)) == [20, 5]
    assert discounts([line("a", 2, 100)], rule("r", steps)) == [0]


def test_a_gift_is_outside_every_total_and_its_units_are_consumed():
    gift = {"type": "gift", "products": ["cup", "a"], "per_units": 2}
    shop = [line("a", 5, 100)]
    rules = program(rule("a", gift), rule("f", free(set_of=5, free=1)), rule("p", percent(1000, of="check")))
    quoted = quote(basket(*shop), None, rules, AT, Choices(gifts={"a": "a"}))
    (given,) = quoted.gifts
    assert (given.product, given.quantity, given.value, quoted.gift_value) == ("a", 2, 100, 200)
    assert (quoted.gross, quoted.total, quoted.units_consumed) == (500, 450, 4)
    declined = quote(basket(*shop), None, rules, AT, Choices(declined=frozenset({"a"})))
    assert (declined.gifts, declined.total) == ((), 360)
    other = quote(basket(*shop), None, rules, AT, Choices(gifts={"a": "not offered"}))
    assert (other.gifts[0].product, other.gifts[0].value) == ("cup", 0)


def test_stamps_count_on_and_a_free_unit_earns_none():
    def stamped(count, had):
        guest = GuestFacts(stamps={"s": had})
        quoted = quote(basket(line("a", count, 100)), guest, program(rule("s", {"type": "stamp", "every": 5})), AT)
        return quoted.discount_total // 100, dict(quoted.stamps).get("s")

    assert stamped(1, 0) == (0, 1)
    assert stamped(1, 4) == (1, -4)
    assert stamped(3, 4) == (1, -2)
    assert stamped(12, 0) == (2, 2)
    assert stamped(1, -1) == (0, 1)
    visit = rule("s", {"type": "stamp", "every": 3, "per": "visit"})
    quoted = quote(basket(line("a", 4, 100)), GuestFacts(stamps={"s": 2}), program(visit), AT)
    assert (quoted.discount_total, quoted.stamps) == (100, (("s", -2),))
    assert quote(basket(line("a", 4, 100)), None, program(visit), AT).explanation[0].code == "no_guest"


def test_goods_for_points_cost_nothing_whatever_their_floor_price():
    rules = program(rule("mug", {"type": "reward", "cost": 10, "quantity": 1}))
    mugs = Line("a", product="A", unit_price=721, quantity_milli=2_000, floor=360, flags=frozenset({"reward"}))
    quoted = quote(basket(mugs), GuestFacts(points=100), rules, AT, Choices(rewards=("mug",)))
    assert (quoted.total, [tuple(run) for run in quoted.units(0)]) == (0, [(0, 2, False)])


def test_rewards_are_whole_and_points_pay_with_what_they_left():
    ten_off = rule("ten", {"type": "reward", "cost": 30, "amount": 1000})
    tenth = rule("tenth", {"type": "reward", "cost": 50, "rate_bp": 1000})
    rules = program(ten_off, tenth, redemption={}, point_value=10)
    both = Choices(rewards=("ten", "tenth"), points_asked=100)
    quoted = quote(basket(10_000), GuestFacts(points=100), rules, AT, both)
    assert quoted.rewards == (("ten", 30), ("tenth", 50))
    assert (quoted.discount_total, quoted.redeemed_points, quoted.redemption.points) == (1900, 100, 20)
    assert sum(priced.points for priced in quoted.lines) == 100
    short = quote(basket(10_000), GuestFacts(points=70), rules, AT, both)
    assert (short.rewards, short.rejected) == ((("ten", 30),), (("tenth", "insufficient_points"),))
    twice = quote(basket(10_000), GuestFacts(points=100), rules, AT, Choices(rewards=("ten", "ten")))
    assert (twice.discount_total, twice.redeemed_points) == (2000, 60)
    capped = quote(basket(10_000), GuestFacts(points=100), rules, AT, Choices(rewards=("ten",), redemption_cap=29))
    assert capped.rewards == ()
    assert quote(basket(10_000), None, rules, AT, Choices(rewards=("ten",))).rejected == (("ten", "no_guest"),)


def test_goods_taken_for_points_cost_by_the_portion_begun():
    pens = Line("p", product="pen", quantity_milli=5000, unit_price=100, flags=frozenset({LineFlag.REWARD}))
    rules = program(rule("pen", {"type": "reward", "cost": 3, "quantity": 2}), rule("p", percent(1000)))
    quoted = quote(basket(pens, 1000), GuestFacts(points=9), rules, AT, Choices(rewards=("pen",)))
    assert (quoted.total, quoted.redeemed_points, [priced.points for priced in quoted.lines]) == (900, 9, [9, 0])
    refused = quote(basket(pens, 1000), GuestFacts(points=8), rules, AT, Choices(rewards=("pen",)))
    assert (refused.total, refused.redeemed_points) == (1400, 0)


def test_points_of_this_check_count_at_once_only_if_it_still_earns_them():
    earn = rule("e", {"type": "earn_rate", "points": 1, "per": 100})
    reward = rule("r", {"type": "reward", "cost": 5, "amount": 500})
    at_once = {"settings": {"points_usable": "at_once"}}
    claimed = Choices(rewards=("r",))
    whole = quote(basket(500), GuestFacts(), program(earn, reward, **at_once), AT, claimed)
    assert (whole.redeemed_points, whole.earned_points) == (0, 5)
    twice = quote(basket(1000), GuestFacts(), program(earn, reward, **at_once), AT, claimed)
    assert (twice.redeemed_points, twice.earned_points) == (5, 5)
    later = quote(basket(1000), GuestFacts(), program(earn, reward), AT, claimed)
    assert later.redeemed_points == 0
    redeem = program(earn, redemption={}, point_value=100, **at_once)
    quoted = quote(basket(1000), GuestFacts(points=2), redeem, AT, Choices(points_asked=100))
    assert quoted.redeemed_points <= 2 + quoted.earned_points


def test_a_bonus_may_have_its_own_expiry():
    bonus = rule("b", {"type": "bonus_fixed", "points": 7, "expires_days": 14})
    quoted = quote(basket(100), GuestFacts(), program(bonus), AT)
    assert (quoted.earned_points, quoted.own_expiry) == (7, (("b", 7, 14),))


def test_points_of_a_rule_come_even_with_nothing_to_lower_but_not_when_it_was_not_wanted():
    bonus = {"type": "bonus_fixed", "points": 7}

    def earned(effect, choices=None, points=0):
        guest = GuestFacts(points=points)
        free = rule("a", percent(10_000), when=[{"type": "products", "products": ["B"]}])
        quoted = quote(basket(100), guest, program(free, rule("r", effect, bonus)), AT, choices or Choices())
        return quoted.earned_points

    assert earned(percent(1000, cap=0)) == 7
    reward = {"type": "reward", "cost": 5, "amount": 10}
    assert earned(reward) == 0
    assert earned(reward, Choices(rewards=("r",)), points=4) == 0
    assert earned(reward, Choices(rewards=("r",)), points=5) == 7
    gift = {"type": "gift", "products": ["cup"]}
    assert earned(gift) == 7
    assert earned(gift, Choices(declined=frozenset({"r"}))) == 0


def test_several_effects_of_a_rule_work_together():
    rules = program(rule("r", percent(1000), off(50), {"type": "gift", "products": ["cup"], "price": 30}))
    quoted = quote(basket(1000), None, rules, AT)
    assert (quoted.total, quoted.gift_value, quoted.explanation[0].amount) == (850, 30, 150)


def test_lines_can_be_kept_out_of_the_tier():
    tiers = [{"code": "A", "discount_bp": 1000, "earn_bp": 1000}]
    guest = GuestFacts(tier="A")

    def priced(*where, **more):
        out = rule("x", {"type": "exclude", "from": list(where)}, when=[{"type": "products", "products": ["B"]}])
        quoted = quote(basket(10_000, 10_000), guest, program(out, tiers=tiers, model="mixed", **more), AT)
        return [line.discount for line in quoted.lines], quoted.earned_points

    assert priced("tier_discount") == ([1000, 0], 19)
    assert priced("tier_points") == ([1000, 1000], 9)
    assert priced("tier_discount", "tier_points", tier_stacking="before") == ([1000, 0], 9)


def freed_one_by_one(lines, amount, quantity, *, most, partial, dearest):
    """Return what a free unit for an amount takes off each line, unit by unit and set by set."""
    units = [(each.unit_price, n) for n, each in enumerate(lines) for _ in range(each.quantity_milli // 1000)]
    # The dearest are bought first, the cheapest (or dearest) got; of equal ones those of the earlier line.
    buying = sorted(range(len(units)), key=lambda u: (-units[u][0], units[u][1], u))
    getting = sorted(range(len(units)), key=lambda u: (-units[u][0] if dearest else units[u][0], units[u][1], u))
    gone: set[int] = set()
    off, sets = [0] * len(lines), 0
    while most is None or sets < most:
        bought: list[int] = []
        for u in buying:
            if sum(units[b][0] for b in bought) >= amount:
                break
            if u not in gone and units[u][0]:
                bought.append(u)
        if sum(units[b][0] for b in bought) < amount:
            break
        got = [u for u in getting if u not in gone and u not in bought and units[u][0]][:quantity]
        if len(got) < quantity and not (partial and got):
            break
        gone.update(bought, got)
        for u in got:
            off[units[u][1]] += units[u][0]
        sets += 1
    return off


@given(st.integers(0, 2**32 - 1))
def test_a_free_unit_for_an_amount_is_what_set_after_set_gives(seed):
    r = Random(seed)
    shelf = [line(f"l{n}", r.randint(1, 9), r.choice([0, 1, 2, 3, 5, 8])) for n in range(r.randint(1, 4))]
    amount, quantity = r.randint(1, 20), r.randint(1, 3)
    most, partial, dearest = r.choice([None, 1, 3]), r.random() < 0.5, r.random() < 0.5
    more = {"max_repeats": most} if most else {}
    effect = free(
        buy={"amount": amount}, get={"quantity": quantity}, partial=partial,
        choose="dearest" if dearest else "cheapest", **more,
    )  # fmt: skip
    expected = freed_one_by_one(shelf, amount, quantity, most=most, partial=partial, dearest=dearest)
    assert discounts(shelf, rule("r", effect)) == expected


def test_a_million_units_for_a_tiny_amount_are_not_freed_set_by_set(monkeypatch):
    reached = []
    reach = free_unit._reach
    monkeypatch.setattr(free_unit, "_reach", lambda *given: reached.append(1) or reach(*given))
    shelf = [line(f"l{n}", 1_000, 1 + n % 7) for n in range(1_000)]
    found = discounts(shelf, rule("r", free(buy={"amount": 1}, get={"quantity": 1})))
    assert sum(found) == sum(sorted(1 + n % 7 for n in range(1_000))[:500]) * 1_000
    assert len(reached) <= 2 * len(shelf)
