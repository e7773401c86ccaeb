"""A tight hand-written loop at the bench's work: what pricing costs without split, notes, points and conditions."""

from __future__ import annotations

from collections.abc import Callable

from tests.bench.kernel_work import NOW, TODAY, Bought, Spec


def tight(rules: list[Spec], work: list[Bought]) -> Callable[[], object]:
    """Index by store and segment, then category; integers; a rule claims its lines. No split, notes or points."""
    day = TODAY
    index: dict[tuple[str, str], dict[str, list[tuple[int, bool, int, int, int]]]] = {}
    for spec in rules:
        in_time = spec.hours[0] <= NOW.hour < spec.hours[1] and spec.dates[0] <= day <= spec.dates[1]
        if spec.kind == "multiplier" or not in_time:
            continue
        for store in spec.stores:
            for segment in spec.segments:
                by_category = index.setdefault((store, segment), {})
                for category in spec.categories:
                    by_category.setdefault(category, []).append(
                        (spec.number, spec.kind == "percent", spec.value, spec.least, spec.limit)
                    )

    def run() -> None:
        for bought in work:
            total = 0
            for _, price, quantity in bought.lines:
                total += price * quantity
            uses, claimed = bought.uses, {}
            first = index.get((bought.store, bought.segments[0]), {})
            second = index.get((bought.store, bought.segments[1]), {})
            for category, price, quantity in bought.lines:
                best = None
                for rules_of in (first.get(category, ()), second.get(category, ())):
                    for rule in rules_of:
                        if best is not None and rule[0] >= best[0]:
                            break
                        if total >= rule[3] and uses.get(rule[0], 0) < rule[4]:
                            best = rule
                            break
                if best is not None:
                    claimed.setdefault(best, []).append(price * quantity)
            discount = 0
            for rule, amounts in claimed.items():
                if rule[1]:
                    for amount in amounts:
                        discount += amount - (amount * (10_000 - rule[2]) * 2 + 10_000) // 20_000
                else:
                    discount += min(rule[2], sum(amounts))
            _ = total - discount

    return run
