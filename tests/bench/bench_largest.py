"""The largest check by the longest program that is all of one kind: 1 000 lines by 1 000 rules, CPU seconds a quote.

Every rule acts on every line, which no shop asks for; the table is there to find what grows faster than lines times
rules. A rule that touches a few units costs what it touches; one that touches every unit of a thousand lines makes a
million cuts in all, and the last column says what each of them costs. Rubbish is looked for as seldom as a
till does it. On a quiet machine it takes a minute.
"""

from __future__ import annotations

import argparse
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from loyalty_desk.domain.basket import Basket, Line
from loyalty_desk.domain.guest import GuestFacts
from loyalty_desk.domain.pricing import quote
from loyalty_desk.domain.program import Program
from loyalty_desk.domain.quote import Choices
from loyalty_desk.rubbish import look_seldom

NOW = datetime(2026, 3, 2, 12, 30, tzinfo=UTC)
GUEST = GuestFacts(points=100_000)
STEPS = [{"from": step * 1_000, "rate_bp": step * 10} for step in range(1, 6)]
UNIT = {"type": "fixed_amount", "per": "unit"}
PAIR = [{"quantity": 1, "categories": ["c0"]}, {"quantity": 1, "categories": ["c1"]}]

KINDS: dict[str, dict[str, Any]] = {
    "percentage of lines": {"type": "percentage", "rate_bp": 100},
    "percentage, capped": {"type": "percentage", "rate_bp": 100, "cap": 5_000},
    "percentage of the check": {"type": "percentage", "of": "check", "rate_bp": 100},
    "percentage of 3 units": {"type": "percentage", "rate_bp": 1_000, "max_units": 3},
    "percentage of 1 000 units": {"type": "percentage", "rate_bp": 100, "max_units": 1_000},
    "percentage of full threes": {"type": "percentage", "rate_bp": 100, "group_size": 3},
    "amount off the check": {"type": "fixed_amount", "amount": 5_000},
    "amount off 3 units": {"type": "fixed_amount", "per": "lines", "amount": 500, "max_units": 3},
    "amount off each line": {"type": "fixed_amount", "per": "line", "amount": 7},
    "amount off each unit": {**UNIT, "amount": 3},
    "the same of 3 units": {**UNIT, "amount": 300, "max_units": 3},
    "the same of 1 unit a line": {**UNIT, "amount": 3, "max_units_per_line": 1},
    "the same, capped": {**UNIT, "amount": 3, "cap": 900},
    "the same of full threes": {**UNIT, "amount": 3, "group_size": 3},
    "fixed price, ever lower": {"type": "fixed_price"},
    "fixed price of 3 units": {"type": "fixed_price", "max_units": 3},
    "series of units": {"type": "unit_series", "first": 30, "further": 2},
    "series of 3 units": {"type": "unit_series", "first": 300, "further": 200, "max_units": 3},
    "steps off lines": {"type": "stepped", "of": "lines", "steps": STEPS},
    "steps off the check": {"type": "stepped", "of": "check", "steps": STEPS},
    "bundle of any two, once": {"type": "bundle", "price": 100, "quantity": 2, "max_repeats": 1},
    "bundle of any three": {"type": "bundle", "price": 100, "quantity": 3},
    "bundle of two goods, once": {"type": "bundle", "price": 100, "items": PAIR, "max_repeats": 1},
    "one for one, once": {"type": "free_unit", "buy": {"quantity": 1}, "get": {"quantity": 1}, "max_repeats": 1},
    "third one free": {"type": "free_unit", "set_of": 3},
    "free unit for an amount": {"type": "free_unit", "buy": {"amount": 100_000}, "get": {"quantity": 1}},
    "gift": {"type": "gift", "products": ["p1"]},
    "gift for three units": {"type": "gift", "products": ["p1"], "per_units": 3, "max_repeats": 1},
    "stamps": {"type": "stamp", "every": 100},
    "reward claimed": {"type": "reward", "cost": 1, "amount": 100},
    "points by amount": {"type": "earn_rate", "points": 1, "per": 10_000},
    "points by full blocks": {"type": "earn_blocks", "points": 1, "per": 10_000},
    "points by unit": {"type": "earn_per_unit", "points": 1},
    "points multiplied": {"type": "bonus_multiplier", "rate_bp": 10_001},
    "points once": {"type": "bonus_fixed", "points": 10},
    "coupon for next time": {"type": "issue_coupon", "opens": "r0"},
    "card loaded": {"type": "load_card"},
    "left out of the tier": {"type": "exclude", "from": ["tier_discount"]},
}


# Rules of one group, of which each is tried on the whole check before the best is taken.
COMPETING = ("percentage of lines", "the same of 1 unit a line", "bundle of any three", "third one free")


def program_of(effect: dict[str, Any], rules: int, group: int | None = None) -> Program:
    """Return a program of so many rules with one effect; a fixed price is a little lower from rule to rule."""
    priced = effect["type"] == "fixed_price"
    effects = [{**effect, "price": 1_000_000 - n * 500} if priced else effect for n in range(rules)]
    data = [
        {"id": f"r{n}", "order": n, "group": group, "effects": [one], "conditions": []} for n, one in enumerate(effects)
    ]
    return Program.from_dict({"network": "bench", "version": 1, "currency": "RUB", "model": "points", "rules": data})


def basket_of(lines: int) -> Basket:
    r = Random(5)
    return Basket(
        "RUB",
        tuple(
            Line(
                id=str(n),
                product=f"p{n}",
                category=f"c{n % 20}",
                unit_price=r.randint(5_000, 90_000),
                quantity_milli=1_000 * r.choice([1, 1, 2, 3, 7]),
            )
            for n in range(lines)
        ),
    )


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--lines", type=int, default=1_000)
    parser.add_argument("--rules", type=int, default=1_000)
    asked = parser.parse_args()
    goods = basket_of(asked.lines)
    look_seldom()
    print(f"CPU seconds a quote of {asked.lines} lines by {asked.rules} rules (≤ 1), and microseconds a cut")
    cases = [(name, name, None) for name in KINDS] + [(f"one group: {name}", name, 1) for name in COMPETING]
    for title, name, group in cases:
        effect = KINDS[name]
        program = program_of(effect, asked.rules, group)
        choices = Choices(rewards=tuple(rule.id for rule in program.rules) if effect["type"] == "reward" else ())
        quote(Basket("RUB", goods.lines[:1]), GUEST, program, NOW, choices)
        begun = time.process_time()
        quoted = quote(goods, GUEST, program, NOW, choices)
        spent = time.process_time() - begun
        cuts = sum(len(line.discounts) for line in quoted.lines)
        each = f"{cuts:9,} cuts, {spent / cuts * 1e6:5.2f} each" if cuts > 10 * asked.lines else ""
        print(f"{title:40} {spent:8.3f}   {each}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
