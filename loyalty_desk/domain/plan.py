"""Which rules can matter here, today, to this kind of guest: worked out once, kept, and indexed by goods and codes.

Store, channel, tier, segments, tags, day and the stretch of the day between two hours that rules name are the same for
many checks. A plan holds the rules that pass all of these, without the conditions that are settled by them, so that
pricing a check costs what its own goods bring up and not the length of the program.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING

from loyalty_desk.domain.conditions import Condition
from loyalty_desk.domain.conditions.goods import Categories, Products
from loyalty_desk.domain.conditions.keys import PromoCode
from loyalty_desk.domain.conditions.when import DateWindow, Hours, Weekdays
from loyalty_desk.domain.conditions.who import AnyGuest, Channels, Segments, Stores, Tags, Tiers
from loyalty_desk.domain.fields import minutes

if TYPE_CHECKING:
    from loyalty_desk.domain.compiled import CompiledRule
    from loyalty_desk.domain.tally import Tally

_SETTLED = (AnyGuest, Channels, DateWindow, Segments, Stores, Tags, Tiers, Weekdays)
MOST_PLANS = 512
NOT_BY_HOURS = -1

type Circumstances = tuple[str, str, str | None, frozenset[str], frozenset[str], date, int]
type Index = dict[str, list[CompiledRule]]


class Plans:
    """The plans of one program, made when first asked for; what they are made of is the same whoever asks."""

    __slots__ = ("_bounds", "_made", "_rules", "_segments", "_tags", "_tiers")

    def __init__(self, rules: Sequence[CompiledRule]) -> None:
        self._rules = [rule for rule in rules if rule.unknown is None]
        self._made: dict[Circumstances, Plan] = {}
        conditions: list[Condition] = [c for rule in self._rules for c in (*rule.fixed, *rule.choosers)]
        hours = [c for c in conditions if isinstance(c, Hours)]
        self._bounds = sorted({bound for c in hours for bound in (c.begin, c.end)})
        self._segments = _names(c.segments for c in conditions if isinstance(c, Segments))
        self._tags = _names(c.tags for c in conditions if isinstance(c, Tags))
        self._tiers = _names(c.tiers for c in conditions if isinstance(c, Tiers))

    def plan(self, tally: Tally) -> Plan:
        """Return the plan for a check's circumstances."""
        guest, local, basket = tally.guest, tally.local, tally.basket
        stretch = NOT_BY_HOURS
        if self._bounds and tally.lines and not any(line.added_at for line in tally.lines):
            stretch = bisect_right(self._bounds, minutes(local.time()))
        if guest is None:
            tier, segments, tags = None, _NONE, _NONE
        else:
            tier = guest.tier if guest.tier in self._tiers else ""
            segments = guest.segments & self._segments if self._segments else _NONE
            tags = guest.tags & self._tags if self._tags else _NONE
        key = (basket.store, basket.channel, tier, segments, tags, local.date(), stretch)
        found = self._made.get(key)
        if found is None:
            if len(self._made) >= MOST_PLANS:
                self._made.clear()
            found = self._made[key] = Plan(self._rules, tally, by_hours=stretch != NOT_BY_HOURS)
        return found


class Plan:
    """The rules that pass what is settled, by the rarest thing that a check must still show, in the order they run."""

    __slots__ = ("_always", "_by_category", "_by_code", "_by_product")

    def __init__(self, rules: Iterable[CompiledRule], tally: Tally, *, by_hours: bool) -> None:
        self._always: list[CompiledRule] = []
        self._by_category: Index = {}
        self._by_code: Index = {}
        self._by_product: Index = {}
        for rule in rules:
            if all(c.holds(tally, ()) for c in rule.fixed if isinstance(c, _SETTLED)):
                hours = [c for c in rule.choosers if isinstance(c, Hours)] if by_hours else []
                if all(c.covers(tally.local) for c in hours):
                    self._add(_without_settled(rule, hours))

    def candidates(self, tally: Tally) -> list[CompiledRule]:
        """Return the rules that can matter to a check, in the order they run."""
        found = self._always.copy()
        for index, shown in (
            (self._by_category, tally.by_category),
            (self._by_product, tally.by_product),
            (self._by_code, tally.codes),
        ):
            if index:
                for name in shown:
                    if name in index:
                        found += index[name]
        unique = {rule.rank: rule for rule in found}
        return [unique[rank] for rank in sorted(unique)]

    def _add(self, rule: CompiledRule) -> None:
        offered: list[tuple[int, Index, frozenset[str]]] = []
        for c in (*rule.fixed, *rule.choosers):
            if isinstance(c, PromoCode):
                offered.append((0, self._by_code, c.codes))
            elif isinstance(c, Products):
                offered.append((1, self._by_product, c.products))
            elif isinstance(c, Categories):
                offered.append((2, self._by_category, c.categories))
        if not offered:
            self._always.append(rule)
            return
        _, index, names = min(offered, key=lambda one: (one[0], len(one[2])))
        for name in names:
            index.setdefault(name, []).append(rule)


_NONE: frozenset[str] = frozenset()


def _without_settled(rule: CompiledRule, hours: Sequence[Hours]) -> CompiledRule:
    """Return the rule with only the conditions that a check can still fail."""
    fixed = tuple([c for c in rule.fixed if not isinstance(c, _SETTLED)])
    choosers = tuple([c for c in rule.choosers if c not in hours])
    if len(fixed) == len(rule.fixed) and len(choosers) == len(rule.choosers):
        return rule
    return replace(rule, fixed=fixed, choosers=choosers)


def _names(parts: Iterable[frozenset[str]]) -> frozenset[str]:
    return frozenset().union(*parts)
