"""A program made ready to price with: rules in the order they run, and an index of which can matter to a check."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from loyalty_desk.domain.conditions import CONDITIONS, Chooser, Condition, Reason
from loyalty_desk.domain.conditions.keys import CouponHeld, PromoCode
from loyalty_desk.domain.conditions.usage import Budget, Usage
from loyalty_desk.domain.conditions.when import Birthday
from loyalty_desk.domain.effects import EFFECTS, Acting, EarningEffect, Effect
from loyalty_desk.domain.errors import BadInput
from loyalty_desk.domain.plan import Plans, picker
from loyalty_desk.domain.program import Program, Rule
from loyalty_desk.domain.tally import Tally

LINE, CHECK = 0, 1
EARNING_ONLY = -1


@dataclass(frozen=True, slots=True, eq=False)
class CompiledRule:
    """A rule with its conditions sorted by what they need, its effects, and its place in the order (`rank`)."""

    rule: Rule
    rank: int
    group: int
    fixed: tuple[Condition, ...]
    choosers: tuple[Chooser, ...]
    moving: tuple[Condition, ...]
    budgets: tuple[Budget, ...]
    effects: tuple[Effect, ...]
    earning: tuple[EarningEffect, ...]
    unknown: Reason | None
    stage: int
    acting: Acting
    is_alone: bool

    def positions(self, tally: Tally) -> Sequence[int]:
        """Return the lines that the rule acts on."""
        return picker(self.choosers)(tally)


@dataclass(frozen=True, slots=True, eq=False)
class CompiledProgram:
    """A program's rules by rank, what of a guest they look at, and the plans of which of them can matter when."""

    program: Program
    rules: tuple[CompiledRule, ...]
    segments: frozenset[str]
    tags: frozenset[str]
    names_guests: bool
    counted: frozenset[int]
    birthday_rules: tuple[CompiledRule, ...]
    plans: Plans

    def keys_of(self, rule: CompiledRule) -> list[str]:
        """Return the codes and bearers' coupons that open a rule."""
        found = [f"code:{code}" for c in rule.fixed if isinstance(c, PromoCode) for code in c.codes]
        return found + [f"coupon:{code}" for c in rule.fixed if isinstance(c, CouponHeld) for code in c.codes]


def compile_program(program: Program, *, tolerant: bool = False) -> CompiledProgram:
    """Return the compiled form of a program; raises `BadInput` naming the rule and field that cannot be understood.

    `tolerant` leaves such a rule out instead, with that as its reason: a till must go on with a newer server's program.
    """
    parts = [_Parts.of(rule, tolerant=tolerant) for rule in program.rules]
    ordered = sorted(parts, key=_Parts.group_key)
    rules: list[CompiledRule] = []
    groups = [sorted(members, key=_Parts.inner_key) for _, members in groupby(ordered, key=_Parts.group_identity)]
    levels = [max(part.level for part in members) for members in groups]
    order = sorted(range(len(groups)), key=lambda g: (groups[g][0].number, levels[g], *groups[g][0].inner_key()))
    for group, g in enumerate(order):
        is_alone = len(groups[g]) == 1
        rules += [part.compiled(len(rules) + k, group, is_alone=is_alone) for k, part in enumerate(groups[g])]
    return CompiledProgram(
        program=program,
        rules=tuple(rules),
        segments=_named(rules, "segments"),
        tags=_named(rules, "tags"),
        names_guests=bool(_named(rules, "guests")),
        counted=frozenset(rule.rank for rule in rules if any(isinstance(c, Usage | Birthday) for c in rule.fixed)),
        birthday_rules=tuple(rule for rule in rules if any(isinstance(c, Birthday) for c in rule.fixed)),
        plans=Plans(rules),
    )


@dataclass(slots=True)
class _Parts:
    """A rule on its way to be compiled."""

    rule: Rule
    conditions: list[Condition]
    effects: list[Effect]
    earning: list[EarningEffect]
    unknown: Reason | None

    @classmethod
    def of(cls, rule: Rule, *, tolerant: bool) -> _Parts:
        try:
            return cls._read(rule)
        except BadInput as error:
            if not tolerant:
                raise
            return cls(rule, [], [], [], Reason("unknown_parts", {"field": str(error.facts.get("field", ""))}))

    @classmethod
    def _read(cls, rule: Rule) -> _Parts:
        effects = [(e.text("type"), e) for e in rule.effects]
        conditions = [(c.text("type"), c) for c in rule.conditions]
        unknown_effects = [name for name, _ in effects if name not in EFFECTS]
        unknown_conditions = [name for name, _ in conditions if name not in CONDITIONS]
        if unknown_effects or unknown_conditions:
            facts = {"effects": sorted(unknown_effects), "conditions": sorted(unknown_conditions)}
            return cls(rule, [], [], [], Reason("unknown_parts", facts))
        made = [EFFECTS[name](e) for name, e in effects]
        return cls(
            rule,
            one_birthday([CONDITIONS[name](c) for name, c in conditions]),
            [effect for effect in made if isinstance(effect, Effect)],
            [effect for effect in made if isinstance(effect, EarningEffect)],
            None,
        )

    @property
    def number(self) -> int:
        """Return the number that the rule's group runs by."""
        if self.rule.group is not None:
            return self.rule.group
        return self.rule.order or 0

    @property
    def level(self) -> int:
        """Return whether the rule is one of lines or of the check."""
        return CHECK if any(effect.level == "check" for effect in self.effects) else LINE

    def inner_key(self) -> tuple[int, str]:
        """Return what settles ties inside a group."""
        return (self.rule.order or 0, self.rule.id)

    def group_identity(self) -> tuple[int, str]:
        """Return the group: the number of a named one, the rule itself for one of its own."""
        return (self.number, "" if self.rule.group is not None else self.rule.id)

    def group_key(self) -> tuple[object, ...]:
        """Return a key that brings the rules of a group together."""
        return (*self.group_identity(), *self.inner_key())

    def compiled(self, rank: int, group: int, *, is_alone: bool) -> CompiledRule:
        """Return the rule at its place."""
        choosers: list[Chooser] = []
        others: list[Condition] = []
        for c in self.conditions:
            if isinstance(c, Chooser):
                choosers.append(c)
            else:
                others.append(c)
        return CompiledRule(
            rule=self.rule,
            rank=rank,
            group=group,
            fixed=tuple([c for c in others if not c.moving]),
            choosers=tuple(choosers),
            moving=tuple([c for c in others if c.moving]),
            budgets=tuple([c for c in others if isinstance(c, Budget)]),
            effects=tuple(self.effects),
            earning=tuple(self.earning),
            unknown=self.unknown,
            acting=Acting(
                self.rule.id,
                None,
                self.rule.skip_discounted_lines,
                min([c.per_check for c in others if isinstance(c, Usage) and c.per_check], default=None),
            ),
            is_alone=is_alone,
            stage=max((effect.stage for effect in self.effects), default=EARNING_ONLY),
        )


def one_birthday(conditions: list[Condition]) -> list[Condition]:
    """Return the conditions with several birthdays as the one they amount to: a record names only the rule."""
    birthdays = [c for c in conditions if isinstance(c, Birthday)]
    if len(birthdays) < 2:
        return conditions
    for other in birthdays[1:]:
        birthdays[0].narrow(other)
    return [c for c in conditions if c not in birthdays[1:]]


def _named(rules: Sequence[CompiledRule], attribute: str) -> frozenset[str]:
    found: set[str] = set()
    for rule in rules:
        for condition in rule.fixed:
            found |= getattr(condition, attribute, frozenset())
    return frozenset(found)
