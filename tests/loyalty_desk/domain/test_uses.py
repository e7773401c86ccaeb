"""Which counters a check moves: those that its limits look at, and no others."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from loyalty_desk.domain.guest import GuestFacts
from loyalty_desk.domain.pricing import quote
from loyalty_desk.domain.program import Program
from loyalty_desk.domain.quote import Choices
from loyalty_desk.domain.uses import MONEY, PROGRAM, CounterKey, counted, left_of
from tests.loyalty_desk.domain.pricing_parts import basket, off, percent, rule

ANNA = UUID(int=7)
# 1 January 2027 in Moscow, still the last day of 2026 in UTC: week 53 of 2026.
AT = datetime(2026, 12, 31, 22, 0, tzinfo=UTC)
MOSCOW = ZoneInfo("Europe/Moscow")


def moved(*rules, guest=ANNA, zone=MOSCOW, amount=1_000, quotas=None):
    program = Program.from_dict({"version": 1, "currency": "RUB", "rules": list(rules)})
    facts = None if guest is None else GuestFacts(guest_id=guest)
    goods = replace(basket(amount), zone=zone)
    return counted(program, quote(goods, facts, program, AT, Choices(quotas=quotas)), guest, zone)


def usage(**limits):
    return {"type": "usage", **limits}


@pytest.mark.parametrize(
    ("zone", "period", "key"),
    [
        (MOSCOW, "day", "day:2027-01-01"),
        (UTC, "day", "day:2026-12-31"),
        (MOSCOW, "week", "week:2026-w53"),
        (MOSCOW, "month", "month:2027-01"),
        (MOSCOW, "year", "year:2027"),
        (UTC, "year", "year:2026"),
    ],
)
def test_a_period_is_one_of_the_stores_calendar(zone, period, key):
    found = moved(rule("r", off(100), when=[usage(times=2, period=period)]), zone=zone)
    assert found == {CounterKey(str(ANNA), "r", key): 1}


def test_each_limit_moves_what_it_looks_at():
    both = rule("r", off(100), when=[usage(per_guest=3, times=1, period="day", total=50)])
    assert moved(both, quotas={"r": 5}) == {
        CounterKey(str(ANNA), "r", ""): 1,
        CounterKey(str(ANNA), "r", "day:2027-01-01"): 1,
        CounterKey(PROGRAM, "r", ""): 1,
    }
    assert moved(rule("t", off(100), when=[usage(total=50)]), guest=None) == {CounterKey(PROGRAM, "t", ""): 1}
    assert moved(rule("free", off(100))) == {}
    assert moved(rule("not", off(100), when=[usage(per_guest=1), {"type": "amount", "min": 5_000}])) == {}


def test_a_budget_counts_money_and_what_it_was_cut_to():
    rules = [rule("b", percent(1_000), when=[{"type": "budget", "amount": 70}])]
    assert moved(*rules) == {CounterKey(PROGRAM, "b", MONEY): 70}
    assert moved(*rules, quotas={"b": 30}) == {CounterKey(PROGRAM, "b", MONEY): 30}


def test_what_a_check_has_moved_reaches_the_limit_of_the_next():
    limited = rule("r", off(100), when=[usage(times=1, period="day")])
    program = Program.from_dict({"version": 1, "currency": "RUB", "rules": [limited]})
    goods = replace(basket(1_000), zone=MOSCOW)
    first = quote(goods, GuestFacts(guest_id=ANNA), program, AT)
    uses = {(key.rule, key.period): count for key, count in counted(program, first, ANNA, MOSCOW).items()}
    second = quote(goods, GuestFacts(guest_id=ANNA, uses=uses), program, AT)
    assert (first.total, second.total) == (900, 1_000)


def test_what_is_left_of_totals_and_budgets_is_what_the_next_check_may_take():
    pot = {"type": "budget", "amount": 70}
    program = Program.from_dict(
        {
            "version": 1,
            "currency": "RUB",
            "rules": [
                rule("t", off(100), when=[usage(total=3)]),
                rule("b", off(50), when=[pot]),
                rule("both", off(10), when=[usage(total=2), pot]),
                rule("free", off(1)),
            ],
        }
    )
    assert left_of(program, {}) == {"t": 3, "b": 70, "both": 70}
    used = {("t", ""): 4, ("b", MONEY): 30, ("both", ""): 2, ("both", MONEY): 20}
    assert left_of(program, used) == {"t": 0, "b": 40, "both": 0}
