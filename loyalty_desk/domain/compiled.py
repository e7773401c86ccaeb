"""A program made ready to price with: rules in the order they run, and an index of which can matter to a check."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from operator import itemgetter

from loyalty_desk.domain.conditions import CONDITIONS, Chooser, Condition, Reason
from loyalty_desk.domain.conditions.keys import CouponHeld, PromoCode
from loyalty_desk.domain.conditions.usage import Budget, Usage
from loyalty_desk.domain.conditions.when import Birthday
from loyalty_desk.domain.effects import EFFECTS, Acting, EarningEffect, Effect
from loyalty_desk.domain.errors import BadInput
from loyalty_desk.domain.fields import Fields
from loyalty_desk.domain.plan import Plans, picker
from loyalty_desk.domain.program import Exclusion, Program, Rule
from loyalty_desk.domain.segments import Segmentation
from loyalty_desk.domain.tally import Tally

LINE, CHECK = 0, 1
NOBODY = Acting("")
EARNING_ONLY = -1


@dataclass(frozen=True, slots=True, eq=False)
class Parts:
    """What a rule says, read: its conditions sorted by what they need, and its effects; `unknown`: why it is left out.

    `stage` and `acting` are those of its effects on money and goods.
    """

    fixed: tuple[Condition, ...] = ()
    choosers: tuple[Chooser, ...] = ()
    moving: tuple[Condition, ...] = ()
    budgets: tuple[Budget, ...] = ()
    effects: tuple[Effect, ...] = ()
    earning: tuple[EarningEffect, ...] = ()
    unknown: Reason | None = None
    stage: int = EARNING_ONLY
    acting: Acting = NOBODY

    @classmethod
    def read(cls, rule: Rule) -> Parts:
        """Return the parts of a rule; raises `BadInput` for a field that cannot be understood."""
        unknown = _unknown_names(rule)
        if unknown is not None:
            return cls(unknown=unknown)
        effects: list[Effect] = []
        earning: list[EarningEffect] = []
        for e in rule.effects:
            effect = EFFECTS[e.text("type")](e)
            if isinstance(effect, Effect):
                effects.append(effect)
            else:
                earning.append(effect)
        fixed: list[Condition] = []
        choosers: list[Chooser] = []
        moving: list[Condition] = []
        for c in one_birthday([CONDITIONS[c.text("type")](c) for c in rule.conditions]):
            if isinstance(c, Chooser):
                choosers.append(c)
            else:
                (moving if c.moving else fixed).append(c)
        repeats = [c.per_check for c in fixed if isinstance(c, Usage) and c.per_check]
        return cls(
            fixed=tuple(fixed),
            choosers=tuple(choosers),
            moving=tuple(moving),
            budgets=tuple([c for c in fixed if isinstance(c, Budget)]),
            effects=tuple(effects),
            earning=tuple(earning),
            stage=max([effect.stage for effect in effects], default=EARNING_ONLY),
            acting=Acting(rule.id, None, rule.skip_discounted_lines, min(repeats, default=None)),
        )


class CompiledRule:
    """A rule at its place in the order (`rank`). Its parts are read when asked for: few matter in one store.

    A rule that cannot be understood is left out with that as its reason, for a till must go on with a newer server's
    program.
    """

    __slots__ = ("_parts", "group", "is_alone", "rank", "rule")

    def __init__(self, rule: Rule, rank: int, group: int, *, is_alone: bool) -> None:
        self.rule, self.rank, self.group, self.is_alone = rule, rank, group, is_alone
        self._parts: Parts | None = None

    @property
    def parts(self) -> Parts:
        """Return what the rule says."""
        if self._parts is None:
            try:
                self._parts = Parts.read(self.rule)
            except BadInput as error:
                reason = Reason("unknown_parts", {"field": str(error.facts.get("field", ""))})
                self._parts = Parts(unknown=reason)
        return self._parts

    def names(self, *kinds: str) -> bool:
        """Return whether the rule has a condition of one of these types."""
        return not {c.data["type"] for c in self.rule.conditions}.isdisjoint(kinds)

    def positions(self, tally: Tally) -> Sequence[int]:
        """Return the lines that the rule acts on."""
        return picker(self.parts.choosers)(tally)


@dataclass(frozen=True, eq=False)
class CompiledProgram:
    """A program's rules by rank, what of a guest they look at, and the plans of which of them can matter when.

    `counted` are the ranks of the rules whose uses are counted, with one use as a quote lists it. To a program that
    `is_plain` all goods are alike that say nothing of themselves and are not `excluded` from anything, and points count
    for a later check.
    """

    program: Program
    rules: tuple[CompiledRule, ...]
    counted: Mapping[int, tuple[str, int]]
    plans: Plans
    is_plain: bool
    excluded: Exclusion

    @cached_property
    def segments(self) -> frozenset[str]:
        """Return the segments that any rule looks at."""
        return self._named("segments")

    @cached_property
    def tags(self) -> frozenset[str]:
        """Return the tags that any rule looks at."""
        return self._named("tags")

    @cached_property
    def names_guests(self) -> bool:
        """Return whether any rule is for guests by their id."""
        return bool(self._named("guests"))

    @cached_property
    def birthday_rules(self) -> tuple[CompiledRule, ...]:
        """Return the rules that look at the guest's birthday."""
        named = [rule for rule in self.rules if rule.names("birthday")]
        return tuple([rule for rule in named if any(isinstance(c, Birthday) for c in rule.parts.fixed)])

    def keys_of(self, rule: CompiledRule) -> list[str]:
        """Return the codes and bearers' coupons that open a rule."""
        fixed = rule.parts.fixed
        found = [f"code:{code}" for c in fixed if isinstance(c, PromoCode) for code in c.codes]
        return found + [f"coupon:{code}" for c in fixed if isinstance(c, CouponHeld) for code in c.codes]

    def _named(self, kind: str) -> frozenset[str]:
        found: set[str] = set()
        for rule in self.rules:
            if rule.names(kind):
                for condition in rule.parts.fixed:
                    found |= getattr(condition, kind, frozenset())
        return frozenset(found)


def compile_program(program: Program, *, tolerant: bool = False) -> CompiledProgram:
    """Return the compiled form of a program; raises `BadInput` naming the rule and field that cannot be understood.

    `tolerant` does not read what rules say until it is asked for, and then leaves out those that are not understood.
    """
    if not tolerant:
        for rule in program.rules:
            Parts.read(rule)
        Segmentation.from_fields(Fields(program.data, "program").object("segments"))
    rules, settings = _in_order(program.rules), program.settings
    excluded = (program.exclusions.earning, program.exclusions.discounts, program.exclusions.redemption)
    return CompiledProgram(
        program=program,
        rules=tuple(rules),
        counted={rule.rank: (rule.rule.id, 1) for rule in rules if rule.names("usage", "birthday")},
        plans=Plans(rules),
        is_plain=not (
            settings.earning_base == "before_redemption"
            or settings.no_points_on_discounted
            or settings.points_usable == "at_once"
            or settings.tier_counts_current
        ),
        excluded=Exclusion(
            frozenset().union(*[one.products for one in excluded]),
            frozenset().union(*[one.categories for one in excluded]),
        ),
    )


def _in_order(rules: Sequence[Rule]) -> list[CompiledRule]:
    """Return the rules in the order they run: by their group's number, lines before the check, then by order and id."""
    groups: dict[tuple[int, str], list[Rule]] = {}
    for rule in rules:
        # A group is the number of a named one, or the rule itself where it is one of its own.
        key = ((rule.order or 0), rule.id) if rule.group is None else (rule.group, "")
        groups.setdefault(key, []).append(rule)
    numbers = Counter(number for number, _ in groups)
    placed: list[tuple[int, int, tuple[int, str], list[Rule]]] = []
    for (number, _), members in groups.items():
        members.sort(key=_inner_key)
        # What a group acts on matters only beside another of the same number.
        level = max([_level(rule) for rule in members]) if numbers[number] > 1 else LINE
        placed.append((number, level, _inner_key(members[0]), members))
    placed.sort(key=itemgetter(0, 1, 2))
    found: list[CompiledRule] = []
    for group, (_, _, _, members) in enumerate(placed):
        for rule in members:
            found.append(CompiledRule(rule, len(found), group, is_alone=len(members) == 1))
    return found


def _inner_key(rule: Rule) -> tuple[int, str]:
    """Return what settles ties inside a group."""
    return (rule.order or 0, rule.id)


def _level(rule: Rule) -> int:
    """Return whether a rule is one of lines or of the check; one that is not understood, of lines."""
    try:
        if _unknown_names(rule) is not None:
            return LINE
        made = [EFFECTS[e.text("type")](e) for e in rule.effects]
    except BadInput:
        return LINE
    return CHECK if any(isinstance(effect, Effect) and effect.level == "check" for effect in made) else LINE


def _unknown_names(rule: Rule) -> Reason | None:
    """Return that a rule has effects or conditions of which not even the name is known."""
    effects = [e.text("type") for e in rule.effects if e.data["type"] not in EFFECTS]
    conditions = [c.text("type") for c in rule.conditions if c.data["type"] not in CONDITIONS]
    if effects or conditions:
        return Reason("unknown_parts", {"effects": sorted(effects), "conditions": sorted(conditions)})
    return None


def one_birthday(conditions: list[Condition]) -> list[Condition]:
    """Return the conditions with several birthdays as the one they amount to: a record names only the rule."""
    birthdays = [c for c in conditions if isinstance(c, Birthday)]
    if len(birthdays) < 2:
        return conditions
    for other in birthdays[1:]:
        birthdays[0].narrow(other)
    return [c for c in conditions if c not in birthdays[1:]]
