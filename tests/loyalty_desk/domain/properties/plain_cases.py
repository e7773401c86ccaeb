"""Cases that are mostly plain, and what they come to in general: what pricing in one stroke is held to."""

from random import Random

from hypothesis import strategies as st

from loyalty_desk.domain import pricing
from loyalty_desk.domain.basket import Basket, Line
from loyalty_desk.domain.plain import plain_fields
from loyalty_desk.domain.program import Program
from loyalty_desk.domain.quote import Choices, Quote
from tests.loyalty_desk.domain.properties import cases
from tests.loyalty_desk.domain.properties.cases import SEEDS, Case, Part

ASKED = ("nth_visit", "coupon", "promo_code", "birthday", "usage", "tiers", "segments", "stores", "guest", "hours")


def _condition(r: Random) -> Part:
    match r.randint(0, 9):
        case 0 | 1 | 2:
            return {"type": "amount", "min": cases._money(r)}
        case 3 | 4:
            return {"type": "usage", "per_guest": r.randint(1, 3)}
        case 5:
            return cases.condition(r, tuple(cases.CONDITIONS) if r.random() < 0.3 else ASKED)
        case _:
            return cases.condition(r, ASKED)


def _effect(r: Random) -> Part:
    match r.randint(0, 9):
        case 0 | 1 | 2 | 3:
            return {"type": "percentage", "rate_bp": cases._rate(r)}
        case 4 | 5:
            return {"type": "fixed_amount", "per": r.choice(["check", "lines"]), "amount": cases._money(r)}
        case 6 | 7:
            return cases.EFFECTS["earn_rate"](r)
        case 8:
            return cases.EFFECTS[r.choice(["bonus_multiplier", "reward"])](r)
        case _:
            return cases.EFFECTS["bonus_multiplier"](r)


def _rule(r: Random, n: int) -> Part:
    conditions = [_condition(r) for _ in range(r.choice([0, 0, 1, 1, 2]))]
    effect = _effect(r)
    name = r.choice(["categories", "categories", "products", "excluded" if effect["type"] == "earn_rate" else "", ""])
    if name:
        conditions.append({"type": name, **cases.CONDITIONS[name](r)})
    part: Part = {"id": f"r{n}", "effects": [effect], "conditions": conditions}
    if r.random() < 0.5:
        part["skip_discounted_lines"] = True
    if r.random() < 0.5:
        part["order"] = r.randint(-1, 3)
    if r.random() < 0.05:
        part["group"] = r.randint(0, 1)
    if r.random() < 0.05:
        part["exclusive"] = r.choice([True, "check"])
    return part


def plain_case(seed: int, rules: int, lines: int) -> Case:
    """Return a case that is mostly plain, with a rule, a line, a setting or a choice between that is not."""
    r = Random(seed)
    parts = [cases.rule(r, n) if r.random() < 0.06 else _rule(r, n) for n in range(rules)]
    if r.random() < 0.6:
        parts.append({"id": "base", "effects": [{"type": "earn_rate", "points": 1, "per": r.choice([1, 10, 777])}]})
    data = cases.snapshot(r, parts) | {"model": r.choice(["points", "points", "mixed", "discount"])}
    if r.random() < 0.9:
        data["settings"] = {"max_multiplier_bp": r.choice([0, 0, 25_000])}
        if "exclusions" in data:
            data["exclusions"] = {r.choice(["earning", "discounts", "redemption"]): {"products": ["p0"]}}
    goods = tuple(
        Line(
            id=f"l{n}",
            product=r.choice(cases.PRODUCTS),
            category=r.choice([*cases.CATEGORIES, "of no rule"]),
            quantity_milli=1_000 * r.choice([1, 1, 2, 5]),
            unit_price=cases._money(r),
        )
        for n in range(lines)
    )
    if r.random() < 0.05:
        goods += (cases.line(r, lines),)
    asked = cases.choices(r, goods)
    if r.random() < 0.9:
        cap = {"redemption_cap": asked.redemption_cap, "redemption_cap_reason": asked.redemption_cap_reason}
        asked = Choices(points_asked=asked.points_asked, codes=asked.codes, payments=asked.payments, **cap)
    basket = Basket("RUB", goods, store=r.choice(["", "s0", "s1"]), zone=r.choice(cases.ZONES))
    return Case(Program.from_dict(data), basket, cases.guest(r), cases.NOW, asked)


plain_cases = st.builds(plain_case, SEEDS, st.integers(0, 12), st.integers(0, 8))


def in_general(case: Case) -> Quote:
    asked = (case.basket, case.guest, case.program, case.at, case.choices)
    trace = pricing._worked_out(*asked)
    fields = pricing._fields(trace) | {"working": pricing._Worked(asked, trace)}
    if case.choices.payments:
        fields["payments"] = pricing._payments(case.choices.payments, fields["total"])
    return Quote.made(fields)


def is_plain(case: Case) -> bool:
    """Return whether a check is priced in one stroke, once its program has made a plan for another like it."""
    return isinstance(plain_fields(case.basket, case.guest, case.program, case.at, case.choices), dict)


def agrees(case: Case) -> None:
    right = in_general(case)
    found = case.quote()
    assert found == right
    if is_plain(case):
        assert found.to_bytes() == right.to_bytes()
        assert found.facts == right.facts
