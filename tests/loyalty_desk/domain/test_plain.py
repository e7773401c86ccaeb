"""Many made checks priced in one stroke, from fixed seeds: what `make mutate` holds `plain` to."""

from collections import Counter

from loyalty_desk.domain.basket import Basket, Line
from loyalty_desk.domain.guest import GuestFacts
from loyalty_desk.domain.pricing import quote
from loyalty_desk.domain.program import Program
from loyalty_desk.domain.quote import Choices
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


def test_a_guest_earns_where_nobody_was_priced_before():
    base = {"id": "base", "effects": [{"type": "earn_rate", "points": 1, "per": 100}], "conditions": []}
    program = Program.from_dict({"version": 1, "currency": "RUB", "model": "points", "rules": [base]})
    basket = Basket("RUB", (Line(id="a", unit_price=1_000),))
    earned = [quote(basket, guest, program, cases.NOW).earned_points for guest in (None, GuestFacts()) * 2]
    assert earned == [0, 10, 0, 10]


def _rule_of(name: str, **fields: int) -> Part:
    return {"id": f"r{len(fields)}", "effects": [{"type": name, **fields}], "conditions": []}
