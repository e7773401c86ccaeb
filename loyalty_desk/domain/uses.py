"""Which counters a priced check moves, so that limits hold for the next one.

A counter belongs to a guest or, for totals and budgets, to the program; its period is named as in `GuestFacts.uses`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import tzinfo
from uuid import UUID

from loyalty_desk.domain.conditions.when import period_of
from loyalty_desk.domain.fields import Fields
from loyalty_desk.domain.program import Program, Rule
from loyalty_desk.domain.quote import Quote

PROGRAM = "program"
# Beside the uses of a rule: what it has given in all, in minor units, for its budget.
MONEY = "money"


@dataclass(frozen=True, slots=True)
class CounterKey:
    """One counter: `owner` is a guest's id as text or `PROGRAM`; `period` "" is all time."""

    owner: str
    rule: str
    period: str


def counted(program: Program, quoted: Quote, guest: UUID | None, zone: tzinfo) -> dict[CounterKey, int]:
    """Return what a paid check adds to counters: uses, and minor units under `MONEY`. Nothing but what limits look at.

    `zone` is the store's, whose calendar the periods follow; without a guest only the program's counters move.
    """
    rules = program.counting
    if not rules:
        return {}
    local = quoted.at.astimezone(zone)
    found: Counter[CounterKey] = Counter()
    for name, count in quoted.uses:
        rule = rules.get(name)
        if rule is None:
            continue
        if guest is not None:
            for period in _periods(rule):
                found[CounterKey(str(guest), name, period_of(local, period))] += count
        if any(one.integer("total") for one in _of(rule, "usage")):
            found[CounterKey(PROGRAM, name, "")] += count
    for line in quoted.lines:
        for name, amount in line.discounts:
            if name in rules and _of(rules[name], "budget"):
                found[CounterKey(PROGRAM, name, MONEY)] += amount
    return {key: count for key, count in found.items() if count}


def counts(program: Program) -> bool:
    """Return whether any check of a program can move a counter."""
    return bool(program.counting)


def counting_of(program: Program) -> dict[str, Rule]:
    """Return the rules whose uses or money any counter counts, by id: what the others do moves none."""
    rules = {rule.id: rule for rule in program.rules}
    kinds = ("usage", "budget", "birthday")
    return {name: rule for name, rule in rules.items() if any(_of(rule, kind) for kind in kinds)}


def limits_of(program: Program) -> dict[tuple[str, str], int]:
    """Return how often rules may be used by all together, and for how much under `MONEY`, by rule and period."""
    found: dict[tuple[str, str], int] = {}
    for rule in program.rules:
        totals = [one.integer("total") for one in _of(rule, "usage") if one.integer("total")]
        budgets = [one.integer("amount") for one in _of(rule, "budget")]
        if totals:
            found[rule.id, ""] = min(totals)
        if budgets:
            found[rule.id, MONEY] = min(budgets)
    return found


def quotas_of(left: Mapping[tuple[str, str], int]) -> dict[str, int]:
    """Return what is left of rules with totals (uses) and budgets (minor units), as `Choices.quotas` takes it.

    `left` is by rule and period. A rule with both has its budget, and nothing once its total is reached.
    """
    found: dict[str, int] = {}
    for rule, period in left:
        if period == MONEY:
            found[rule] = 0 if left.get((rule, ""), 1) <= 0 else max(0, left[rule, MONEY])
        else:
            found.setdefault(rule, max(0, left[rule, period]))
    return found


def left_of(program: Program, used: Mapping[tuple[str, str], int]) -> dict[str, int]:
    """Return what is left of a program's limits as `quotas_of`; `used` are its counters by rule and period."""
    return quotas_of({key: limit - used.get(key, 0) for key, limit in program.limits.items()})


def given(program: Program, quoted: Quote, zone: tzinfo) -> dict[tuple[str, str], int]:
    """Return what a paid check takes from the limits for all together, by rule and period."""
    return {(key.rule, key.period): count for key, count in counted(program, quoted, None, zone).items()}


def _periods(rule: Rule) -> list[str]:
    """Return the periods that a rule looks at for one guest: "" where it counts them all."""
    limits = _of(rule, "usage")
    periods = {one.text("period") for one in limits if one.integer("times")}
    if _of(rule, "birthday"):
        periods.add("year")
    if any(one.integer("per_guest") for one in limits):
        periods.add("")
    return sorted(periods)


def _of(rule: Rule, kind: str) -> list[Fields]:
    return [condition for condition in rule.conditions if condition.data.get("type") == kind]
