"""A slow model of stacking and splitting, written from what a program means and not from the kernel.

Every unit is an entry of a list, every share a Fraction, every rule is tried on a copy of everything. It knows
percentages and fixed amounts, thresholds, groups, exclusivity, floors, caps, manual and tier discounts.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, field
from fractions import Fraction
from math import ceil, floor

from tests.loyalty_desk.domain.properties.cases import Case

CHECK_LEVEL, LINE_LEVEL = 1, 0


def half_up(value: Fraction) -> int:
    """Round a value that is not negative to the nearest integer, halves up."""
    return floor(value + Fraction(1, 2))


def percent_of(amount: int, rate_bp: int) -> int:
    """The discount that leaves the price rounded half up."""
    return amount - half_up(amount * (1 - Fraction(rate_bp, 10_000)))


def split(amount: int, weights: list[int], room: list[int]) -> list[int]:
    """Largest remainder, ties to the earlier; a full part leaves and the excess is spread over the others."""
    parts = [0] * len(weights)
    while amount > 0:
        takers = [k for k in range(len(weights)) if parts[k] < room[k]]
        if not takers:
            break
        mass = {k: weights[k] for k in takers}
        if sum(mass.values()) == 0:
            mass = dict.fromkeys(takers, 1)
        exact = {k: Fraction(amount * mass[k], sum(mass.values())) for k in takers}
        share = {k: floor(exact[k]) for k in takers}
        for k in sorted(takers, key=lambda k: (share[k] - exact[k], k))[: amount - sum(share.values())]:
            share[k] += 1
        for k in takers:
            taken = min(share[k], room[k] - parts[k])
            parts[k] += taken
            amount -= taken
    return parts


@dataclass
class ModelLine:
    """A line as the prices of its units; `least` is what each may cost at least."""

    product: str
    category: str
    units: list[int]
    least: int
    is_open: bool
    is_goods: bool
    start: list[int] = field(default_factory=list)
    lowered: bool = False

    @property
    def price(self) -> int:
        return sum(self.units)

    @property
    def room(self) -> int:
        return sum(max(0, unit - self.least) for unit in self.units)

    def take(self, amount: int) -> None:
        """Spread an amount over the units by what each costs."""
        parts = split(amount, self.units, [max(0, unit - self.least) for unit in self.units])
        self.units = [unit - part for unit, part in zip(self.units, parts, strict=True)]


class Model:
    """One check being priced."""

    def __init__(self, case: Case) -> None:
        self.case = case
        excluded = case.program.exclusions.discounts
        self.lines: list[ModelLine] = []
        for line in case.basket.lines:
            weighed = "weighed" in line.flags or line.quantity_milli % 1_000 != 0
            if weighed:
                exact = Fraction(line.unit_price * line.quantity_milli, 1_000)
                units, least = [half_up(exact)], ceil(Fraction(line.floor * line.quantity_milli, 1_000))
            else:
                units, least = [line.unit_price] * (line.quantity_milli // 1_000), line.floor
            left_out = line.product in excluded.products or line.category in excluded.categories
            is_open = not left_out and not line.flags & {"no_discount", "reward"}
            is_goods = is_open and "delivery" not in line.flags
            self.lines.append(ModelLine(line.product, line.category, units, least, is_open, is_goods))

    def nets(self) -> list[int]:
        """Return what each line costs after all discounts, charges left out."""
        program = self.case.program
        self._manual()
        for line in self.lines:
            line.start = line.units.copy()
        if program.model != "points" and program.tier_stacking == "before":
            self._tier()
        alone = self._rules()
        if program.model != "points" and not alone:
            if program.tier_stacking == "stack":
                self._tier()
            elif program.tier_stacking == "best_of":
                self._best_of_tier()
        return [line.price for line in self.lines]

    def _spread(self, lines: list[ModelLine], amount: int) -> int:
        parts = split(amount, [line.price for line in lines], [line.room for line in lines])
        for line, part in zip(lines, parts, strict=True):
            line.take(part)
        return sum(parts)

    def _manual(self) -> None:
        for manual in self.case.choices.manual_discounts:
            ids = [line.id for line in self.case.basket.lines]
            lines = [
                one for one, name in zip(self.lines, ids, strict=True)
                if one.is_open and manual.line in (None, name)
            ]  # fmt: skip
            cost = sum(line.price for line in lines)
            self._spread(lines, manual.amount or percent_of(cost, manual.rate_bp))

    def _rate(self) -> int:
        if self.case.choices.tier_withheld:
            return 0
        code = self.case.guest.tier if self.case.guest else ""
        return next((tier.discount_bp for tier in self.case.program.tiers if tier.code == code), 0)

    def _tier(self) -> None:
        lines = [line for line in self.lines if line.is_goods]
        before = [line.price for line in lines]
        self._spread(lines, percent_of(sum(before), self._rate()))
        for line, price in zip(lines, before, strict=True):
            line.lowered = line.lowered or line.price < price

    def _best_of_tier(self) -> None:
        lines = [line for line in self.lines if line.is_goods]
        start = [sum(line.start) for line in lines]
        rooms = [sum(max(0, unit - line.least) for unit in line.start) for line in lines]
        parts = split(percent_of(sum(start), self._rate()), start, rooms)
        for line, was, part in zip(lines, start, parts, strict=True):
            if part > was - line.price:
                line.units = line.start.copy()
                line.take(part)

    def _rules(self) -> bool:
        """Let all rules act; return whether one was alone in the check."""
        groups: dict[object, list] = {}
        for rule in self.case.program.rules:
            groups.setdefault(rule.id if rule.group is None else rule.group, []).append(rule)
        in_order = sorted(groups.values(), key=self._place)
        for members in in_order:
            members.sort(key=lambda rule: (rule.order or 0, rule.id))
        exclusive = [rule for group in in_order for rule in group if rule.exclusive == "check" and self._worth(rule)]
        if exclusive:
            self._act(self._choose(exclusive))
            return True
        for members in in_order:
            able = [rule for rule in members if self._worth(rule)]
            if any(rule.exclusive for rule in able):
                self._act(self._choose([rule for rule in able if rule.exclusive]))
            elif able:
                self._act(self._best(able))
        return False

    def _place(self, members: list) -> tuple:
        level = max(self._level(effect) for rule in members for effect in rule.effects)
        first = min((rule.order or 0, rule.id) for rule in members)
        number = members[0].group if members[0].group is not None else first[0]
        return (number, level, *first)

    def _level(self, effect) -> int:
        data = effect.data
        if data["type"] == "percentage":
            return CHECK_LEVEL if data.get("of") == "check" else LINE_LEVEL
        return CHECK_LEVEL if data.get("per", "check") == "check" else LINE_LEVEL

    def _choose(self, rules: list):
        """Return the best, or by a setting the first in the order in which rules run."""
        return rules[0] if self.case.program.settings.exclusive == "first" else self._best(rules)

    def _best(self, rules: list):
        return min(rules, key=lambda rule: (-self._worth(rule), rule.order or 0, rule.id))

    def _worth(self, rule) -> int:
        """Return what a rule would take off now, by trying it on a copy."""
        kept = deepcopy(self.lines)
        before = sum(line.price for line in self.lines)
        self._act(rule)
        worth = before - sum(line.price for line in self.lines)
        self.lines = kept
        return worth

    def _chosen(self, rule) -> list[ModelLine]:
        lines = self.lines
        for condition in rule.conditions:
            if condition.data["type"] == "categories":
                lines = [line for line in lines if line.category in condition.data["categories"]]
            if condition.data["type"] == "products":
                lines = [line for line in lines if line.product in condition.data["products"]]
        return lines

    def _holds(self, rule, chosen: list[ModelLine]) -> bool:
        for condition in rule.conditions:
            data = condition.data
            if data["type"] in ("categories", "products") and not chosen:
                return False
            if data["type"] == "amount":
                lines = {"check": self.lines, "lines": chosen}[data["of"]]
                size = sum(line.price for line in lines)
                low, high = data.get("min", 0), data.get("max")
                if size < low or (data.get("over") and size == low) or (high is not None and size > high):
                    return False
            if data["type"] == "tiers" and not (self.case.guest and self.case.guest.tier in data["tiers"]):
                return False
        return True

    def _act(self, rule) -> None:
        chosen = self._chosen(rule)
        if not self._holds(rule, chosen):
            return
        for number, effect in enumerate(rule.effects):
            lines = [line for line in chosen if line.is_goods and line.price > 0]
            if rule.skip_discounted_lines and number == 0:
                lines = [line for line in lines if not line.lowered]
            before = [line.price for line in self.lines]
            self._effect(effect.data, lines)
            touched = [line for line, was in zip(self.lines, before, strict=True) if line.price < was]
            for line in touched:
                line.lowered = True

    def _effect(self, data, lines: list[ModelLine]) -> None:
        cap = data.get("cap")
        if data["type"] == "percentage" and data.get("of") == "check":
            base = sum(sum(line.start) if data.get("base") == "original" else line.price for line in lines)
            amount = percent_of(base, data["rate_bp"])
            self._spread(lines, amount if cap is None else min(amount, cap))
        elif data["type"] == "percentage" and "max_units" in data:
            self._cheapest_percent(lines, data["rate_bp"], data["max_units"], cap)
        elif data["type"] == "percentage":
            base = [sum(line.start) if data.get("base") == "original" else line.price for line in lines]
            off = [min(percent_of(b, data["rate_bp"]), line.room) for b, line in zip(base, lines, strict=True)]
            for line, part in zip(lines, self._capped(off, cap), strict=True):
                line.take(part)
        elif data.get("per", "check") in ("check", "lines"):
            self._spread(lines, data["amount"])
        elif data["per"] == "line":
            off = [min(data["amount"], line.room) for line in lines]
            for line, part in zip(lines, self._capped(off, cap), strict=True):
                line.take(part)
        else:
            self._per_unit(lines, data["amount"], data.get("max_units"))

    def _capped(self, amounts: list[int], cap: int | None) -> list[int]:
        return amounts if cap is None or sum(amounts) <= cap else split(cap, amounts, amounts)

    def _cheapest(self, lines: list[ModelLine], count: int) -> list[tuple[ModelLine, list[int]]]:
        units = sorted((unit, n, k) for n, line in enumerate(lines) for k, unit in enumerate(line.units))[:count]
        return [(line, [k for _, m, k in units if m == n]) for n, line in enumerate(lines)]

    def _cheapest_percent(self, lines: list[ModelLine], rate: int, count: int, cap: int | None) -> None:
        """Round once per line over the units covered; what was won by certain units stays on them."""
        picked = [(line, ks) for line, ks in self._cheapest(lines, count) if ks]
        off = [
            min(percent_of(sum(line.units[k] for k in ks), rate), sum(max(0, line.units[k] - line.least) for k in ks))
            for line, ks in picked
        ]
        for (line, ks), part in zip(picked, self._capped(off, cap), strict=True):
            prices = [line.units[k] for k in ks]
            for k, taken in zip(ks, split(part, prices, [max(0, p - line.least) for p in prices]), strict=True):
                line.units[k] -= taken

    def _per_unit(self, lines: list[ModelLine], amount: int, count: int | None) -> None:
        total = sum(len(line.units) for line in lines)
        for line, ks in self._cheapest(lines, total if count is None else count):
            for k in ks:
                line.units[k] -= min(amount, max(0, line.units[k] - line.least))
