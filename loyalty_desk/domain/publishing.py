"""What a program is checked for before it is published; in a snapshot already at a till all of it is tolerated.

Refused: what cannot be understood, a key that means nothing, a zero divisor, codes that collide, a rule that can never
apply. Warned of: what may be meant but seldom is, as everything for nothing without a limit.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from loyalty_desk.domain.canonical import Json
from loyalty_desk.domain.compiled import compile_program
from loyalty_desk.domain.conditions import CONDITIONS
from loyalty_desk.domain.effects import EFFECTS
from loyalty_desk.domain.errors import BadInput
from loyalty_desk.domain.fields import Fields
from loyalty_desk.domain.money import BASIS_POINTS
from loyalty_desk.domain.program import Program, Rule
from loyalty_desk.domain.segments import AUTOMATIC
from loyalty_desk.domain.tally import folded
from loyalty_desk.domain.unread import unread_keys

LANGUAGES = ("ru", "en")
# What bounds a rule that gives everything for nothing.
BOUNDS = frozenset({"budget", "coupon", "usage", "unit_price"})
PER_UNIT_LIMITS = ("cap", "max_units")
# Leases name rules by it, and an index of counters takes no more than a few of these.
MAX_RULE_ID = 200
_SHOWN = 40


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing about a program: a code, the place (`rule happy_hour`, `program`), whether it forbids publishing."""

    code: str
    place: str
    refuses: bool = True
    facts: Mapping[str, Json] = field(default_factory=dict)


def findings(data: Mapping[str, Json]) -> list[Finding]:
    """Return everything to be said about a snapshot before it is published, what refuses it first."""
    try:
        program = Program.from_dict(data)
        compile_program(program)
        unread = unread_keys(data)
    except BadInput as error:
        facts: dict[str, Json] = {key: value for key, value in error.facts.items() if isinstance(value, str | int)}
        return [Finding(error.code, str(error.facts.get("place", "program")), facts=facts)]
    found = [*_program(program), *_codes(program), *_segments(program)]
    for rule in program.rules:
        found += _rule(rule, program)
    # Of a rule with a part that is not known here nothing is read at all, and that is said of it.
    strange = tuple(one.place for one in found if one.code == "part_unknown")
    for place, key in unread:
        if not any(place == rule or place.startswith(f"{rule}.") for rule in strange):
            found.append(Finding("field_unknown", place, facts={"field": key}))
    return sorted(found, key=lambda one: not one.refuses)


def _program(program: Program) -> Iterator[Finding]:
    if program.zone != "UTC":
        try:
            ZoneInfo(program.zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            yield Finding("zone_unknown", "program", facts={"zone": program.zone})
    earns = program.model != "discount" and any(tier.earn_bp for tier in program.tiers)
    if program.point_value == 0 and (earns or program.redemption is not None):
        yield Finding("zero_divisor", "program", facts={"field": "point_value"})
    if program.redemption is not None and program.redemption.max_share_bp == 0:
        yield Finding("redemption_never", "program", facts={"field": "max_share_bp"})
    if program.model == "points" and any(tier.discount_bp for tier in program.tiers):
        yield Finding("tiers_lower_nothing", "program", refuses=False)
    if program.model == "discount" and any(tier.earn_bp for tier in program.tiers):
        yield Finding("tiers_earn_nothing", "program", refuses=False)
    starts = [tier.threshold for tier in program.tiers]
    if starts != sorted(starts):
        yield Finding("tiers_out_of_order", "program", refuses=False)
    if len(set(starts)) < len(starts):
        yield Finding("tier_unreachable", "program", refuses=False)


def _codes(program: Program) -> Iterator[Finding]:
    owners: dict[str, str] = {}
    for rule in program.rules:
        codes = {
            folded(code)
            for condition in rule.conditions
            if condition.data.get("type") in ("promo_code", "coupon")
            for code in condition.texts("codes")
        }
        for code in sorted(codes):
            if code in owners:
                yield Finding("code_twice", f"rule {rule.id}", facts={"code": code, "other": owners[code]})
            owners.setdefault(code, rule.id)


def _segments(program: Program) -> Iterator[Finding]:
    """Yield each segment that is named and that no guest can be in."""
    own = program.segmentation.own
    told: list[tuple[str, str, frozenset[str], set[str]]] = [
        (f"segment {saved.code}", "any", clause.values, {*AUTOMATIC})
        for saved in own
        for clause in saved.clauses
        if clause.field == "segments"
    ]
    known = {*AUTOMATIC, *(saved.code for saved in own)}
    told += [
        (f"rule {rule.id}", "segments", frozenset(condition.texts("segments")), known)
        for rule in program.rules
        for condition in rule.conditions
        if condition.data.get("type") == "segments"
    ]
    for place, named_in, named, there in told:
        for segment in sorted(named - there):
            known_here: list[Json] = [*sorted(there)]
            facts: dict[str, Json] = {"condition": named_in, "segment": segment[:_SHOWN], "known": known_here}
            yield Finding("segment_unknown", place, facts=facts)


def _rule(rule: Rule, program: Program) -> Iterator[Finding]:
    if len(rule.id) > MAX_RULE_ID:
        wants = f"at most {MAX_RULE_ID} letters"
        yield Finding("field_wrong", f"rule {rule.id[:_SHOWN]}…", facts={"field": "id", "wants": wants})
        return
    place = f"rule {rule.id}"
    for part, known in ((rule.effects, EFFECTS), (rule.conditions, CONDITIONS)):
        for one in part:
            if one.text("type") not in known:
                yield Finding("part_unknown", place, facts={"type": one.text("type")})
    if not rule.effects:
        yield Finding("rule_without_effect", place)
    if ":" in rule.id:
        # Counters are named owner:rule:period.
        yield Finding("rule_id_colon", place)
    missing: list[Json] = [language for language in LANGUAGES if not rule.name.get(language)]
    if missing:
        yield Finding("name_missing", place, refuses=False, facts={"languages": missing})
    for effect in rule.effects:
        yield from _effect(effect, rule, program, place)
    for condition in rule.conditions:
        code = _unreachable(condition, program)
        if code:
            yield Finding(code, place, facts={"condition": condition.text("type")})
    if _contradicts(rule):
        yield Finding("never_matches", place)


def _effect(effect: Fields, rule: Rule, program: Program, place: str) -> Iterator[Finding]:
    name, data = effect.text("type"), effect.data
    if name in ("earn_rate", "earn_blocks") and data.get("rate_bp") is None and data.get("per") == 0:
        yield Finding("zero_divisor", place, facts={"field": "per"})
    if name == "earn_rate" and data.get("rate_bp") is not None and program.point_value == 0:
        yield Finding("zero_divisor", place, facts={"field": "point_value"})
    everything = data.get("rate_bp") == BASIS_POINTS and name in ("percentage", "stepped")
    bounded = any(data.get(limit) is not None for limit in PER_UNIT_LIMITS)
    if everything and not bounded and not any(c.data.get("type") in BOUNDS for c in rule.conditions):
        yield Finding("all_for_nothing", place, refuses=False)
    opens = data.get("opens")
    if name == "issue_coupon" and opens and opens not in {other.id for other in program.rules}:
        yield Finding("opens_nothing", place, facts={"rule": str(opens)})


def _unreachable(condition: Fields, program: Program) -> str:
    """Return the code of a condition that can never hold, else nothing."""
    data = condition.data
    low, high = data.get("min"), data.get("max")
    if isinstance(low, int) and isinstance(high, int) and (low > high or (low == high and bool(data.get("over")))):
        return "bounds_crossed"
    match data.get("type"):
        case "date":
            first, last = condition.day("from"), condition.day("to")
            return "dates_crossed" if first is not None and last is not None and first > last else ""
        case "tiers":
            codes = {tier.code for tier in program.tiers}
            return "" if codes & set(condition.texts("tiers")) else "tier_unknown"
        case _:
            return ""


def _contradicts(rule: Rule) -> bool:
    """Return whether the rule's choosers leave no line at all."""
    chosen: dict[str, set[str]] = {}
    for condition in rule.conditions:
        name = condition.data.get("type")
        if name in ("products", "categories"):
            values = set(condition.texts(str(name)))
            chosen[str(name)] = chosen[str(name)] & values if name in chosen else values
    for condition in rule.conditions:
        if condition.data.get("type") == "excluded":
            for name, values in chosen.items():
                values -= set(condition.texts(name))
    return any(not values for values in chosen.values())
