"""Which rules can matter here, today, to this kind of guest: worked out once, kept, and indexed by goods and codes.

Store, channel, tier, segments, tags, day and the stretch of the day between two hours that rules name are the same for
many checks. A plan holds the rules that pass all of these, without the conditions that are settled by them, so that
pricing a check costs what its own goods bring up and not the length of the program.

A set of a plan's rules is an integer with a bit for each, the highest being the first to run: what a check brings up is
one `or` for each of its goods, and the next rule is the highest bit.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from loyalty_desk.domain.canonical import Json
from loyalty_desk.domain.conditions import Chooser, Condition
from loyalty_desk.domain.conditions.base import Test
from loyalty_desk.domain.conditions.goods import Categories, Products
from loyalty_desk.domain.conditions.keys import PromoCode
from loyalty_desk.domain.conditions.usage import Usage
from loyalty_desk.domain.conditions.when import DateWindow, Hours, Weekdays
from loyalty_desk.domain.conditions.who import AnyGuest, Channels, Segments, Stores, Tags, Tiers
from loyalty_desk.domain.effects.base import EXCLUSIONS, REWARDS, RULES
from loyalty_desk.domain.errors import BadInput
from loyalty_desk.domain.fields import Fields
from loyalty_desk.domain.turns import EarningTurn, Turn, earning_written_out, written_out

if TYPE_CHECKING:
    from datetime import datetime

    from loyalty_desk.domain.basket import Basket
    from loyalty_desk.domain.compiled import CompiledRule
    from loyalty_desk.domain.guest import GuestFacts
    from loyalty_desk.domain.plain import PlainPlan
    from loyalty_desk.domain.tally import Tally

_SETTLED = (AnyGuest, Channels, DateWindow, Segments, Stores, Tags, Tiers, Weekdays)
# Types of conditions that name what a check shows, in a field of the same name.
_NAMING = ("stores", "channels", "tiers", "segments", "tags")
MOST_PLANS = 512
NOT_BY_HOURS = -1
_NONE: frozenset[str] = frozenset()

type Circumstances = tuple[str, str, str | None, frozenset[str], frozenset[str], int, int]
type Named = tuple[str, frozenset[str]]
type Bits = int
type Pick = Callable[[Tally], Sequence[int]]


class Plans:
    """The plans of one program, made when first asked for; what they are made of is the same whoever asks."""

    __slots__ = ("_bounds", "_rules", "_segments", "_tags", "_tiers", "made")

    def __init__(self, rules: Sequence[CompiledRule]) -> None:
        self.made: dict[Circumstances, Plan] = {}
        self._rules: list[tuple[CompiledRule, list[Named]]] = []
        # What a rule names is taken as it stands in the snapshot; too many names and hours do no harm.
        found: dict[str, set[str]] = {kind: set() for kind in _NAMING}
        hours: set[str] = set()
        for rule in rules:
            named: list[Named] = []
            for c in rule.rule.conditions:
                kind = c.data["type"]
                if kind in found:
                    names = frozenset(_texts(c.data.get(kind)))
                    found[kind] |= names
                    named.append((kind, names))
                elif kind == "hours":
                    hours.update(_texts([c.data.get("from"), c.data.get("to")]))
            self._rules.append((rule, named))
        self._bounds = sorted({bound for text in hours for bound in _minutes(text)})
        self._segments, self._tags, self._tiers = found["segments"], found["tags"], found["tiers"]

    def plan(self, tally: Tally) -> Plan:
        """Return the plan for a check's circumstances."""
        by_hours = bool(tally.lines) and (tally.all_plain or not any(line.added_at for line in tally.lines))
        key = self.circumstances(tally.basket, tally.guest, tally.local, by_hours)
        found = self.made.get(key)
        if found is None:
            if len(self.made) >= MOST_PLANS:
                self.made.clear()
            found = self.made[key] = Plan(self._rules, tally, by_hours=by_hours and bool(self._bounds))
        return found

    def circumstances(self, basket: Basket, guest: GuestFacts | None, local: datetime, by_hours: bool) -> Circumstances:
        """Return what decides which of the rules can matter; `by_hours` where all lines count by the quote's hour."""
        stretch = NOT_BY_HOURS
        if by_hours and self._bounds:
            stretch = bisect_right(self._bounds, local.hour * 60 + local.minute)
        if guest is None:
            return (basket.store, basket.channel, None, _NONE, _NONE, local.toordinal(), stretch)
        return (
            basket.store,
            basket.channel,
            guest.tier if guest.tier in self._tiers else "",
            guest.segments & self._segments if self._segments else _NONE,
            guest.tags & self._tags if self._tags else _NONE,
            local.toordinal(),
            stretch,
        )


class PlannedRule:
    """A rule of a plan: what is still open of its conditions, made ready to be asked.

    `bit` stands for it in a set of rules. `pick` returns the lines that it acts on, `tests` are all its other
    `conditions` but a limit for one guest, which no candidate has reached. `chooser` is the only thing that picks its
    lines, where one alone does. Its whole turn may be `written_out`. A rule
    that `claims` lowers only `goods` (categories or products) that no rule has lowered: where those are all lowered,
    its turn comes to nothing.
    """

    __slots__ = (
        "acting",
        "bit",
        "budgets",
        "chooser",
        "claims",
        "conditions",
        "earning",
        "earning_written_out",
        "effects",
        "exclusive",
        "fixed",
        "goods",
        "goods_are_products",
        "group",
        "has_choosers",
        "id",
        "is_alone",
        "moving",
        "pick",
        "rank",
        "sole_effect",
        "stage",
        "tests",
        "written_out",
    )

    def __init__(self, rule: CompiledRule, hours: Sequence[Hours], bit: Bits) -> None:
        parts = rule.parts
        self.bit = bit
        self.id, self.exclusive = rule.rule.id, rule.rule.exclusive
        self.rank, self.group, self.stage, self.is_alone = rule.rank, rule.group, parts.stage, rule.is_alone
        self.acting, self.budgets, self.effects, self.earning = (
            parts.acting,
            parts.budgets,
            parts.effects,
            parts.earning,
        )
        self.fixed = [c for c in parts.fixed if not isinstance(c, _SETTLED)]
        self.moving = parts.moving
        choosers = [c for c in parts.choosers if c not in hours] if hours else parts.choosers
        self.has_choosers = bool(choosers)
        self.pick = picker(choosers)
        conditions = [c for c in (*self.fixed, *self.moving) if not (isinstance(c, Usage) and c.of_one_guest)]
        self.tests: list[Test] = []
        self.conditions: list[Condition] = []
        for c in conditions:
            test = c.test()
            if test is not None:
                self.tests.append(test)
                self.conditions.append(c)
        self.sole_effect = self.effects[0] if len(self.effects) == 1 and not self.budgets else None
        self.written_out: Turn | None = None
        only = choosers[0] if len(choosers) == 1 else None
        self.chooser = only
        if type(only) is Categories and self.sole_effect is not None and not self.earning and self.acting.cap is None:
            spares = self.acting.skip_discounted
            self.written_out = written_out(self.id, only.categories, conditions, self.sole_effect, spares=spares)
        # A candidate shows goods of its only chooser, unless it was found by a code.
        self.earning_written_out: EarningTurn | None = None
        shows_goods = not choosers or type(only) in (Categories, Products)
        if shows_goods and not self.effects and not any(isinstance(c, PromoCode) for c in self.fixed):
            self.earning_written_out = earning_written_out(self.id, conditions, self.earning)
        self.claims = (
            self.stage == RULES
            and self.is_alone
            and self.acting.skip_discounted
            and len(self.effects) == 1
            and self.effects[0].of_payable
            and not self.earning
        )
        self.goods: frozenset[str] = _NONE
        self.goods_are_products = False


class Plan:
    """The rules that pass what is settled, the last to run first, by the rarest thing that a check must still show."""

    __slots__ = (
        "always",
        "by_category",
        "by_code",
        "by_product",
        "claims",
        "discounts",
        "earning",
        "exclusions",
        "groups",
        "limits",
        "plain",
        "rewards",
        "rules",
        "soles",
    )

    def __init__(self, rules: Iterable[tuple[CompiledRule, list[Named]]], tally: Tally, *, by_hours: bool) -> None:
        self.rules: list[PlannedRule] = []
        self.always: Bits = 0
        self.by_category: dict[str, Bits] = {}
        self.by_code: dict[str, Bits] = {}
        self.by_product: dict[str, Bits] = {}
        self.exclusions: Bits = 0
        self.discounts: Bits = 0
        self.rewards: Bits = 0
        self.earning: Bits = 0
        self.claims: Bits = 0
        self.soles: Bits = 0
        self.groups: dict[int, Bits] = {}
        # By the key of a guest's uses, how many one guest may have, of a rule.
        self.limits: dict[tuple[str, str], tuple[int, Bits]] = {}
        self.plain: PlainPlan | None = None
        shown = _shown(tally)
        kept: list[tuple[CompiledRule, list[Hours]]] = []
        for rule, named in rules:
            # What is for others is told without reading what else the rule says.
            if any(shown[kind].isdisjoint(names) for kind, names in named) or rule.parts.unknown is not None:
                continue
            if all(c.holds(tally, ()) for c in rule.parts.fixed if _is_settled(c, tally)):
                hours = [c for c in rule.parts.choosers if isinstance(c, Hours)] if by_hours else []
                if all(c.covers(tally.local) for c in hours):
                    kept.append((rule, hours))
        for rule, hours in reversed(kept):
            self._add(rule, PlannedRule(rule, hours, 1 << len(self.rules)))

    def candidates(self, tally: Tally) -> Bits:
        """Return the rules that can matter to a check."""
        found = self.always | brought_up(self.by_category, tally.by_category)
        if self.by_product:
            found |= brought_up(self.by_product, tally.by_product)
        if self.by_code:
            found |= brought_up(self.by_code, tally.codes)
        guest = tally.guest
        return self.not_used_up(found, guest.uses) if self.limits and guest is not None and guest.uses else found

    def not_used_up(self, rules: Bits, uses: Mapping[tuple[str, str], int]) -> Bits:
        """Return those of the rules of which a guest of these uses may have one more."""
        limits = self.limits
        few, many = (uses, limits) if len(uses) < len(limits) else (limits, uses)
        for key in few:
            if key in many:
                limit, bit = limits[key]
                if uses[key] >= limit:
                    rules &= ~bit
        return rules

    def listed(self, bits: Bits) -> list[PlannedRule]:
        """Return a set of rules in the order they run."""
        found: list[PlannedRule] = []
        while bits:
            rule = self.rules[bits.bit_length() - 1]
            bits ^= rule.bit
            found.append(rule)
        return found

    def _add(self, rule: CompiledRule, planned: PlannedRule) -> None:
        bit = planned.bit
        self.rules.append(planned)
        if planned.stage == RULES:
            self.discounts |= bit
        elif planned.stage == EXCLUSIONS:
            self.exclusions |= bit
        elif planned.stage == REWARDS:
            self.rewards |= bit
        elif planned.earning:
            self.earning |= bit
        if planned.exclusive == "check":
            self.soles |= bit
        if not planned.is_alone:
            self.groups[planned.group] = self.groups.get(planned.group, 0) | bit
        limits = [c.per_guest for c in rule.parts.fixed if isinstance(c, Usage) and c.of_one_guest]
        if limits:
            self.limits[rule.rule.id, ""] = (min(limits), bit)
        offered: list[tuple[int, dict[str, Bits], frozenset[str]]] = []
        for c in (*rule.parts.fixed, *rule.parts.choosers):
            if isinstance(c, PromoCode):
                offered.append((0, self.by_code, c.codes))
            elif isinstance(c, Products):
                offered.append((1, self.by_product, c.products))
            elif isinstance(c, Categories):
                offered.append((2, self.by_category, c.categories))
        if not offered:
            self.always |= bit
            return
        _, index, names = min(offered, key=lambda one: (one[0], len(one[2])))
        for name in names:
            index[name] = index.get(name, 0) | bit
        if planned.claims and index is not self.by_code:
            self.claims |= bit
            planned.goods, planned.goods_are_products = names, index is self.by_product


def brought_up(index: Mapping[str, Bits], shown: Iterable[str]) -> Bits:
    """Return the rules that what a check shows brings up by an index."""
    found = 0
    for name in shown:
        if name in index:
            found |= index[name]
    return found


def picker(choosers: Sequence[Chooser]) -> Pick:
    """Return what finds the lines that a rule with these choosers acts on, by the tally's index where it can."""
    if not choosers:
        return lambda tally: tally.all
    if len(choosers) == 1:
        (only,) = choosers
        if type(only) is Categories:
            return _in_categories(only.categories)
        if type(only) is Products:
            products = only.products
            return lambda tally: _merged([tally.by_product[name] for name in products if name in tally.by_product])
    return lambda tally: [i for i in tally.all if all(chooser.picks(tally, i) for chooser in choosers)]


def _is_settled(condition: Condition, tally: Tally) -> bool:
    """Return whether a condition is the same for all checks of a plan; nobody has no uses to count."""
    limits_guest = isinstance(condition, Usage) and condition.of_one_guest
    return isinstance(condition, _SETTLED) or (limits_guest and tally.guest is None)


def _in_categories(categories: frozenset[str]) -> Pick:
    if len(categories) == 1:
        (category,) = categories
        return lambda tally: tally.by_category.get(category, ())

    def merged(tally: Tally) -> Sequence[int]:
        by_category = tally.by_category
        found = [by_category[name] for name in categories if name in by_category]
        return found[0] if len(found) == 1 else _merged(found)

    return merged


def _merged(parts: Sequence[Sequence[int]]) -> Sequence[int]:
    return sorted([i for part in parts for i in part])


def _texts(value: Json) -> list[str]:
    return [text for text in value if isinstance(text, str)] if isinstance(value, list | tuple) else []


def _minutes(text: str) -> list[int]:
    try:
        return [Fields({"at": text}, "hours").clock("at")]
    except BadInput:
        return []


def _shown(tally: Tally) -> dict[str, frozenset[str]]:
    """Return what a check shows of what conditions name, by the conditions' type."""
    basket, guest = tally.basket, tally.guest
    of_guest = (_NONE, _NONE, _NONE) if guest is None else (frozenset({guest.tier}), guest.segments, guest.tags)
    return dict(zip(_NAMING, (frozenset({basket.store}), frozenset({basket.channel}), *of_guest), strict=True))
