"""A network's program: one immutable, versioned snapshot of all it has configured, its bytes and hash."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from typing import TYPE_CHECKING

from loyalty_desk.domain import canonical
from loyalty_desk.domain.canonical import Json, NotCanonical
from loyalty_desk.domain.errors import BadInput
from loyalty_desk.domain.fields import Fields
from loyalty_desk.domain.money import BASIS_POINTS, currency
from loyalty_desk.domain.segments import Segmentation

if TYPE_CHECKING:
    from loyalty_desk.domain.compiled import CompiledProgram
    from loyalty_desk.domain.earning_bound import EarningBound

SCHEMA = 1
MAX_RULES = 10_000
MODELS = ("discount", "points", "mixed")
TIER_STACKING = ("best_of", "stack", "before")
TIER_BASES = ("spend", "earned", "visits")
WINDOWS = ("rolling_12_months", "calendar_year", "lifetime")
POINTS_ROUNDING = ("floor", "half_up", "ceil")
EARNING_BASES = ("paid", "before_redemption", "net_of_tax")


@dataclass(frozen=True, slots=True)
class Tier:
    """A level: from which `threshold` (minor units, points or visits, by the program's base), which rates in bp."""

    code: str
    threshold: int = 0
    discount_bp: int = 0
    earn_bp: int = 0
    name: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RedemptionPolicy:
    """How points pay: least points of one check, whole blocks, and the largest share of the check, in bp."""

    minimum: int = 0
    block: int = 1
    max_share_bp: int = BASIS_POINTS


@dataclass(frozen=True, slots=True)
class Exclusion:
    """Products and categories left out of something."""

    products: frozenset[str] = frozenset()
    categories: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Exclusions:
    """What never earns, never gets a discount, never is paid for with points."""

    earning: Exclusion = Exclusion()
    discounts: Exclusion = Exclusion()
    redemption: Exclusion = Exclusion()


@dataclass(frozen=True, slots=True)
class Settings:
    """Switches of pricing with the defaults of the specification."""

    earning_base: str = "paid"
    earn_on_delivery: bool = False
    no_points_on_discounted: bool = False
    points_rounding: str = "floor"
    points_usable: str = "next_check"
    points_usable_days: int = 0
    max_multiplier_bp: int = 0
    exclusive: str = "best"
    tier_counts_current: bool = False
    points_reversal: str = "share"
    spent_back: str = "share"
    clamp_to_zero: bool = False
    partial_bundle_return: str = "reprice"


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule as the snapshot names it. `group` None is a group of its own; `order` None is no explicit order.

    `effects` and `conditions` are objects whose `type` is looked up when the program is compiled.
    """

    id: str
    name: Mapping[str, str]
    group: int | None
    order: int | None
    exclusive: str
    skip_discounted_lines: bool
    effects: tuple[Fields, ...]
    conditions: tuple[Fields, ...]


@dataclass(frozen=True)
class Program:
    """A snapshot, made by `from_bytes` or `from_dict`. Money is minor units, points smallest point units, rates bp."""

    data: Mapping[str, Json]
    network: str
    version: int
    currency: str
    zone: str
    point_decimals: int
    point_value: int
    model: str
    tiers: tuple[Tier, ...]
    tier_base: str
    window: str
    tier_stacking: str
    rules: tuple[Rule, ...]
    redemption: RedemptionPolicy | None
    expiry: Fields
    exclusions: Exclusions
    settings: Settings
    segmentation: Segmentation

    @classmethod
    def from_bytes(cls, data: bytes) -> Program:
        """Return the program of canonical bytes; raises `BadInput` `program_bytes` or what `from_dict` raises."""
        try:
            program = cls.from_dict(canonical.decode_object(data))
        except NotCanonical as error:
            raise BadInput("program_bytes", reason=str(error)) from error
        # Decoding has held these bytes to be the canonical ones; a till's first quote need not write them again.
        program.__dict__["_bytes"] = data
        return program

    @classmethod
    def from_dict(cls, data: Mapping[str, Json]) -> Program:
        """Return the program of a snapshot object.

        Raises `BadInput` with `place` (the rule, the tier) and `field`. A key, an effect or a condition that is not
        known here stays in the bytes and the hash; a rule with such an effect or condition is left out and says so.
        """
        f = Fields(data, "program")
        rounding = f.object("rounding")
        return cls(
            data=data,
            network=f.text("network"),
            version=f.integer("version", None, low=0),
            currency=currency(f.text("currency", None)).code,
            zone=f.text("zone", "UTC"),
            point_decimals=f.integer("point_decimals", 0, low=0, high=2),
            point_value=f.integer("point_value", 100, low=0),
            model=f.text("model", "discount", one_of=MODELS),
            tiers=_tiers(f),
            tier_base=f.text("tier_base", "spend", one_of=TIER_BASES),
            window=f.text("window", "rolling_12_months", one_of=WINDOWS),
            tier_stacking=f.text("tier_stacking", "best_of", one_of=TIER_STACKING),
            rules=_rules(f),
            redemption=_redemption(f) if data.get("redemption") is not None else None,
            expiry=f.object("expiry"),
            exclusions=_exclusions(f.object("exclusions")),
            settings=_settings(f.object("settings"), rounding),
            segmentation=Segmentation.from_fields(f.object("segments"), tolerant=True),
        )

    def to_dict(self) -> Mapping[str, Json]:
        """Return the snapshot object exactly as it came."""
        return self.data

    def to_bytes(self) -> bytes:
        """Return the canonical bytes."""
        return self._bytes

    @cached_property
    def _bytes(self) -> bytes:
        return canonical.encode(self.data)

    @cached_property
    def hash(self) -> bytes:
        """Return the SHA-256 of the canonical bytes, 32 bytes."""
        return sha256(self._bytes).digest()

    @cached_property
    def hash_text(self) -> str:
        """Return the hash as base64url without padding, as records and quotes carry it."""
        return canonical.bytes_to_text(self.hash)

    @cached_property
    def compiled(self) -> CompiledProgram:
        """Return the indexed form that `quote` works on, made once; rules that are not understood are left out."""
        from loyalty_desk.domain.compiled import compile_program

        return compile_program(self, tolerant=True)

    @cached_property
    def earning_bound(self) -> EarningBound:
        """Return the most that any check can earn, made once."""
        from loyalty_desk.domain.earning_bound import EarningBound

        return EarningBound.of(self)

    @cached_property
    def limits(self) -> Mapping[tuple[str, str], int]:
        """Return its limits for all together as `uses.limits_of` does, made once."""
        from loyalty_desk.domain.uses import limits_of

        return limits_of(self)

    @cached_property
    def counting(self) -> Mapping[str, Rule]:
        """Return its rules that counters count as `uses.counting_of` does, made once."""
        from loyalty_desk.domain.uses import counting_of

        return counting_of(self)

    @property
    def point_unit(self) -> int:
        """Return the smallest point units in one whole point: 1, 10 or 100."""
        return int(10**self.point_decimals)

    def tier(self, code: str) -> Tier | None:
        """Return the tier of a code; an empty or unknown code is the base tier's business of nobody: None."""
        return self._tiers_by_code.get(code)

    @cached_property
    def _tiers_by_code(self) -> dict[str, Tier]:
        return {tier.code: tier for tier in self.tiers}

    def points_money(self, points: int) -> int:
        """Return what points are worth in minor units, rounded down."""
        return points * self.point_value // self.point_unit


def _tiers(f: Fields) -> tuple[Tier, ...]:
    tiers: list[Tier] = []
    for t in f.objects("tiers"):
        code = t.text("code", None)
        if any(tier.code == code for tier in tiers):
            raise BadInput("tier_twice", place=t.place, tier=code)
        names = {k: v for k, v in t.object("name").data.items() if isinstance(v, str)}
        tiers.append(
            Tier(
                code,
                t.integer("threshold", 0, low=0),
                t.integer("discount_bp", 0, low=0, high=BASIS_POINTS),
                t.integer("earn_bp", 0, low=0, high=100 * BASIS_POINTS),
                names,
            )
        )
    return tuple(tiers)


def _rules(f: Fields) -> tuple[Rule, ...]:
    found = f.objects("rules")
    if len(found) > MAX_RULES:
        raise BadInput("rules_too_many", rules=len(found), limit=MAX_RULES)
    rules: dict[str, Rule] = {}
    for r in found:
        identifier = r.text("id", None)
        named = Fields(r.data, f"rule {identifier}", identifier)
        if not identifier or identifier in rules:
            raise BadInput("rule_id_twice" if identifier else "field_missing", place=r.place, field="id")
        names = named.object("name").data
        exclusive = r.data.get("exclusive")
        if exclusive not in (None, False, True, "check", "group"):
            raise named.wrong("exclusive", "true_or_false_or_check")
        effects, conditions = named.objects("effects"), named.objects("conditions")
        for part in (*effects, *conditions):
            part.text("type", None)
        rules[identifier] = Rule(
            id=identifier,
            name={language: text for language, text in names.items() if isinstance(text, str)},
            group=named.optional("group"),
            order=named.optional("order"),
            exclusive="check" if exclusive == "check" else "group" if exclusive else "",
            skip_discounted_lines=named.flag("skip_discounted_lines"),
            effects=effects,
            conditions=conditions,
        )
    return tuple(rules.values())


def _redemption(f: Fields) -> RedemptionPolicy:
    r = f.object("redemption")
    return RedemptionPolicy(
        minimum=r.integer("min", 0, low=0),
        block=r.integer("block", 1, low=1),
        max_share_bp=r.integer("max_share_bp", BASIS_POINTS, low=0, high=BASIS_POINTS),
    )


def _exclusions(f: Fields) -> Exclusions:
    def one(name: str) -> Exclusion:
        part = f.object(name)
        return Exclusion(frozenset(part.texts("products")), frozenset(part.texts("categories")))

    return Exclusions(one("earning"), one("discounts"), one("redemption"))


def _settings(f: Fields, rounding: Fields) -> Settings:
    return Settings(
        earning_base=f.text("earning_base", "paid", one_of=EARNING_BASES),
        earn_on_delivery=f.flag("earn_on_delivery"),
        no_points_on_discounted=f.flag("no_points_on_discounted"),
        points_rounding=rounding.text("points", "floor", one_of=POINTS_ROUNDING),
        points_usable=f.text("points_usable", "next_check", one_of=("next_check", "at_once", "after_days")),
        points_usable_days=f.integer("points_usable_days", 0, low=0, high=3650),
        max_multiplier_bp=f.integer("max_multiplier_bp", 0, low=0),
        exclusive=f.text("exclusive", "best", one_of=("best", "first")),
        tier_counts_current=f.flag("tier_counts_current"),
        points_reversal=f.text("points_reversal", "share", one_of=("share", "formula")),
        spent_back=f.text("spent_back", "share", one_of=("share", "full_refund_only")),
        clamp_to_zero=f.flag("clamp_to_zero"),
        partial_bundle_return=f.text("partial_bundle_return", "reprice", one_of=("reprice", "refuse")),
    )
