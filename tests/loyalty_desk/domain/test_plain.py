"""Many made checks priced in one stroke, from fixed seeds: what `make mutate` holds `plain` to."""

from collections import Counter
from datetime import UTC
from zoneinfo import ZoneInfo

from loyalty_desk.domain.basket import Basket, Line
from loyalty_desk.domain.canonical import Json
from loyalty_desk.domain.guest import GuestFacts
from loyalty_desk.domain.pricing import quote
from loyalty_desk.domain.program import Program
from loyalty_desk.domain.quote import NO_CHOICES, Choices
from tests.loyalty_desk.domain.properties import cases
from tests.loyalty_desk.domain.properties.cases import Case, Part
from tests.loyalty_desk.domain.properties.plain_cases import agrees, is_plain, plain_case


def test_many_checks_of_these_are_plain_and_reach_all_that_is_worked_out():
    reached = Counter()
    for seed in range(600):
        case = plain_case(seed, seed % 13, seed % 9)
        agrees(case)
        if is_plain(case):
            quoted = case.quote()
            cuts = [cut for line in quoted.lines for cut in line.discounts]
            reached += Counter(
                plain=True,
                uses=bool(quoted.uses),
                tier="tier" in dict(cuts),
                stacked=any(len(line.discounts) > 1 for line in quoted.lines),
                paid=quoted.redeemed_money > 0,
                earned=quoted.earned_points > 0,
            )
    assert reached["plain"] > 250
    assert min(reached.values()) > 12, reached


def test_a_rule_that_is_not_plain_takes_its_turn_as_ever():
    rules = [_rule_of("percentage", rate_bp=1_000), _rule_of("percentage", rate_bp=1_000, max_units=1)]
    data = {"version": 1, "currency": "RUB", "rules": rules}
    basket = Basket("RUB", (Line(id="a", unit_price=1_000, quantity_milli=3_000),))
    for rules_of, plain in ((rules[:1], True), (rules, False)):
        case = Case(Program.from_dict(data | {"rules": rules_of}), basket, None, cases.NOW, Choices())
        case.quote()
        assert is_plain(case) is plain


def test_a_guest_earns_on_all_goods_but_those_of_some_categories():
    but = {"type": "excluded", "categories": ["c1", "c2"]}
    rules = [_rule("earn_rate", but, points=1, per=10), _rule("earn_rate", points=1, per=100)]
    for categories, earned in (("c0 c1 c2", 130), ("c0 c0", 220), ("c1 c2", 20)):
        case = _case(rules, categories, model="points")
        assert is_plain(case)
        assert case.quote().earned_points == earned


def test_a_rule_that_is_not_plain_stands_in_no_way_of_checks_that_cost_too_little():
    for of, plain in (("check", True), ("lines", False)):
        rules = [_rule("percentage", {"type": "amount", "of": of, "min": 3_000}, rate_bp=1_000, max_units=1)]
        assert is_plain(_case(rules, "c0 c0")) is plain
        assert not is_plain(_case(rules, "c0 c0 c0"))


def test_each_of_the_rules_that_a_check_costs_too_little_for_is_passed_over():
    rules = [_rule("percentage", {"type": "amount", "min": n}, rate_bp=1_000, max_units=1) for n in (3_000, 4_000)]
    for categories, plain in (("c0 c0", True), ("c0 c0 c0", False), ("c0 c0 c0 c0", False)):
        assert is_plain(_case(rules, categories)) is plain


def test_a_reward_is_in_the_way_of_no_check_but_one_that_claims_it():
    for claimed in ((), ("reward",)):
        case = _case([_rule("reward", cost=0, amount=100)], "c0", choices=Choices(rewards=claimed))
        assert is_plain(case) is not bool(claimed)
        assert case.quote().total == (900 if claimed else 1_000)


def test_no_reward_that_nobody_claims_is_in_the_way():
    assert is_plain(_case([_rule("reward", cost=0, amount=100), _rule("reward", cost=0, amount=200)], "c0"))


def test_hours_are_those_of_the_store():
    rules = [_rule("percentage", {"type": "hours", "from": "18:00", "to": "19:00"}, rate_bp=1_000)]
    program, line = _program(rules), Line(id="a", unit_price=1_000)
    for zone, total in ((UTC, 1_000), (ZoneInfo("Asia/Tokyo"), 900)) * 2:
        case = Case(program, Basket("RUB", (line,), zone=zone), None, cases.NOW, Choices())
        assert case.quote().total == total
        assert is_plain(case)


def test_lines_without_ids_are_left_to_the_general_way():
    rules = [_rule("fixed_amount", amount=1)]
    goods = tuple(Line(category=name, unit_price=1_000) for name in ("c1", "c0"))
    case = Case(_program(rules), Basket("RUB", goods), GuestFacts(), cases.NOW, Choices())
    agrees(case)
    assert not is_plain(case)
    assert [line.net for line in case.quote().lines] == [1_000, 999]


def test_what_is_excluded_is_in_the_way_of_checks_that_have_it():
    for categories, plain in (("c0 c2", True), ("c0 c1", False)):
        assert is_plain(_case([], categories, exclusions={"discounts": {"categories": ["c1"]}})) is plain


def test_a_check_that_costs_nothing_brings_its_points():
    case = _case([_rule("bonus_fixed", points=5)], "c0", price=0, model="points")
    assert not is_plain(case)
    assert case.quote().earned_points == 5


def test_a_rule_that_asks_how_much_there_is_of_its_own_goods_is_not_plain():
    for of_its_own in ({"type": "quantity", "of": "lines", "min": 1}, {"type": "presence", "categories": ["c1"]}):
        rules = [_rule("percentage", {"type": "categories", "categories": ["c0"]}, of_its_own, rate_bp=1_000)]
        assert not is_plain(_case(rules, "c0 c1"))


def test_where_a_tier_is_better_on_no_line_the_rules_have_their_uses():
    rules = [_rule("percentage", {"type": "usage", "per_guest": 2}, rate_bp=1_000)]
    tier = {"code": "GOLD", "threshold": 0, "discount_bp": 500, "earn_bp": 0}
    case = _case(rules, "c0 c1", model="discount", tier_stacking="best_of", tiers=[tier])
    assert is_plain(case)
    assert case.quote().uses == (("percentage", 1),)


def test_a_guest_earns_where_nobody_was_priced_before():
    base = {"id": "base", "effects": [{"type": "earn_rate", "points": 1, "per": 100}], "conditions": []}
    program = Program.from_dict({"version": 1, "currency": "RUB", "model": "points", "rules": [base]})
    basket = Basket("RUB", (Line(id="a", unit_price=1_000),))
    earned = [quote(basket, guest, program, cases.NOW).earned_points for guest in (None, GuestFacts()) * 2]
    assert earned == [0, 10, 0, 10]


def _rule_of(name: str, **fields: int) -> Part:
    return {"id": f"r{len(fields)}", "effects": [{"type": name, **fields}], "conditions": []}


def _rule(name: str, *conditions: Part, **fields: int) -> Part:
    return {"id": name, "effects": [{"type": name, **fields}], "conditions": list(conditions)}


def _program(rules: list[Part], **data: Json) -> Program:
    named = [rule | {"id": f"{rule['id']}{n or ''}"} for n, rule in enumerate(rules)]
    return Program.from_dict({"version": 1, "currency": "RUB", "rules": named} | data)


def _case(
    rules: list[Part], categories: str, *, price: int = 1_000, choices: Choices = NO_CHOICES, **data: Json
) -> Case:
    """Return a check of lines of these categories, which comes to the same in general."""
    lines = [Line(id=f"l{n}", category=name, unit_price=price) for n, name in enumerate(categories.split())]
    case = Case(_program(rules, **data), Basket("RUB", tuple(lines)), GuestFacts(tier="GOLD"), cases.NOW, choices)
    agrees(case)
    return case
