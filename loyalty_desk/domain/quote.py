"""The answer of the kernel: what each line costs, why, and what the guest earns; with canonical bytes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from types import MappingProxyType
from typing import Any, NamedTuple

from loyalty_desk.domain import canonical
from loyalty_desk.domain.canonical import Json
from loyalty_desk.domain.clock import to_ms
from loyalty_desk.domain.guest import GuestFacts
from loyalty_desk.domain.units import Runs

TIER_RULE = "tier"
MANUAL_RULE = "manual"


@dataclass(frozen=True, slots=True)
class ManualDiscount:
    """What a cashier takes off by hand: an amount in minor units or a rate in bp, off one line or (None) the check."""

    amount: int = 0
    rate_bp: int = 0
    line: str | None = None
    reason: str = ""
    operator: str = ""


@dataclass(frozen=True, slots=True)
class Payment:
    """A gift card or deposit presented to pay with; `amount` is what it holds, in minor units."""

    id: str
    amount: int
    kind: str = "gift_card"


@dataclass(frozen=True, slots=True)
class Choices:
    """What the cashier and the guest chose. `points_asked` and `redemption_cap` are smallest point units.

    `quotas` holds what this till may still give of rules with totals and budgets (None: nobody has leased any, all are
    open). `redemption_cap` None is no cap; its reason is a code (`floor`, `stale`, `deny`). `tier_withheld`: the tier's
    discount is not given, as its code has used up its day; earning by the tier and the rules that name it stay.
    """

    points_asked: int = 0
    codes: tuple[str, ...] = ()
    coupons: tuple[str, ...] = ()
    rewards: tuple[str, ...] = ()
    gifts: Mapping[str, str] = field(default_factory=dict)
    declined: frozenset[str] = frozenset()
    manual_discounts: tuple[ManualDiscount, ...] = ()
    quotas: Mapping[str, int] | None = None
    payments: tuple[Payment, ...] = ()
    redemption_cap: int | None = None
    redemption_cap_reason: str | None = None
    tier_withheld: bool = False


NO_CHOICES = Choices()
NO_FACTS: Mapping[str, Json] = MappingProxyType({})


class QuoteLine(NamedTuple):
    """A line priced, in minor units. `discounts` are (rule id, amount) in the order applied.

    `net` = gross + charge − discounts − `points_money` (what points paid). `points` (redeemed) and `earned`, both in
    smallest point units, are this line's shares.
    """

    id: str
    gross: int
    charge: int
    discounts: tuple[tuple[str, int], ...]
    points_money: int
    net: int
    points: int = 0
    earned: int = 0

    @property
    def discount(self) -> int:
        """Return all discounts of the line, redemption left out, in minor units."""
        return sum(amount for _, amount in self.discounts)


class Note(NamedTuple):
    """Why a rule applied or did not: a code and numbers, from which a sentence is made where a language is known.

    `amount` is money off in minor units, `points` what was earned in smallest units; `per_line` (line id, amount).
    """

    rule: str
    name: Mapping[str, str]
    applied: bool
    code: str
    facts: Mapping[str, Json] = NO_FACTS
    amount: int = 0
    points: int = 0
    per_line: tuple[tuple[str, int], ...] = ()

    def to_dict(self) -> dict[str, Json]:
        """Return the canonical object of the note."""
        data: dict[str, Json] = {"rule": self.rule, "applied": self.applied, "code": self.code}
        if self.facts:
            data["facts"] = dict(self.facts)
        if self.amount:
            data["amount"] = self.amount
        if self.points:
            data["points"] = self.points
        if self.per_line:
            data["lines"] = [{"line": line, "amount": amount} for line, amount in self.per_line]
        return data


class RedemptionNote(NamedTuple):
    """Points on this check, smallest point units: asked, taken, the most that can be taken, and which limit binds.

    `binding`: `not_offered`, `no_guest`, `available`, `share`, `check`, `minimum`, `block` or `cap` (with `reason`).
    """

    asked: int = 0
    points: int = 0
    money: int = 0
    max_points: int = 0
    binding: str = "not_offered"
    reason: str = ""
    minimum: int = 0
    block: int = 1
    max_share_bp: int = 0
    available: int = 0

    def to_dict(self) -> dict[str, Json]:
        """Return the canonical object of the note."""
        return {
            "asked": self.asked,
            "points": self.points,
            "money": self.money,
            "max_points": self.max_points,
            "binding": self.binding,
            "reason": self.reason,
        }


NOT_OFFERED = RedemptionNote()


@dataclass(frozen=True, slots=True)
class Hint:
    """The nearest offer: what is `missing` (minor units, units or visits, as `kind` says) until `rule` applies."""

    rule: str
    name: Mapping[str, str]
    kind: str
    missing: int


@dataclass(frozen=True, slots=True)
class Explanation:
    """A note for every rule, the nearest offer, and the codes, coupons and rewards that opened nothing, with why."""

    notes: tuple[Note, ...] = ()
    hint: Hint | None = None
    rejected: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Gift:
    """An extra unit the rule gives for nothing; `value` is its list price in minor units, outside every total."""

    rule: str
    product: str
    quantity: int
    value: int


class Working:
    """What a quote keeps of how it was worked out, for what is only made when somebody asks for it."""

    __slots__ = ()

    def explained(self) -> Explanation:
        """Return why each rule applied or did not."""
        return Explanation()

    def facts(self) -> GuestFacts | None:
        """Return the guest's facts that the program can look at."""
        return None

    def units(self, position: int) -> Runs:  # noqa: ARG002 - of a check without lines
        """Return what each unit of a line costs, by the line's place in the basket."""
        return ()


_NO_WORKING = Working()


@dataclass(frozen=True)
class Quote:
    """A priced check. Money in minor units of `currency`, points in smallest point units.

    `total` = `gross` − `discount_total` − `redeemed_money`: the price, to be paid; `due` is what is left of it after
    gift cards and deposits. `redeemed_points` are all points spent, rewards included; `redeemed_money` what points paid
    beside the rewards, which are discounts. `uses` are those of rules that are counted. `tier` is the one
    it was priced with. `own_expiry` names those of the earned points that die by their own days: (rule, points, days).
    """

    currency: str
    program_version: int
    program_hash: str
    at: datetime
    lines: tuple[QuoteLine, ...]
    gross: int
    discount_total: int
    redeemed_points: int
    redeemed_money: int
    total: int
    earned_points: int
    earning_base: int
    redemption: RedemptionNote
    tier: str = ""
    gifts: tuple[Gift, ...] = ()
    payments: tuple[tuple[str, int], ...] = ()
    coupons_issued: tuple[tuple[str, int], ...] = ()
    stamps: tuple[tuple[str, int], ...] = ()
    rewards: tuple[tuple[str, int], ...] = ()
    loads: tuple[tuple[str, int], ...] = ()
    uses: tuple[tuple[str, int], ...] = ()
    own_expiry: tuple[tuple[str, int, int], ...] = ()
    units_consumed: int = 0
    free_units: int = 0
    working: Working = field(default_factory=lambda: _NO_WORKING, repr=False, compare=False)

    @classmethod
    def made(cls, fields: dict[str, Any]) -> Quote:
        """Return the quote of fields, which it keeps; those left out have their defaults.

        It is the constructor without an `object.__setattr__` for each of thirty fields, a tenth of the time of a quote.
        """
        quote = object.__new__(cls)
        object.__setattr__(quote, "__dict__", fields)
        return quote

    @property
    def due(self) -> int:
        """Return what is left to pay after gift cards and deposits, in minor units."""
        return self.total - sum(amount for _, amount in self.payments)

    @cached_property
    def facts(self) -> GuestFacts | None:
        """Return the guest's facts that the program can look at, fit for a record; None for an anonymous check."""
        return self.working.facts()

    def units(self, position: int) -> Runs:
        """Return what each unit of a line costs, charges left out, as runs of equal price in the units' order."""
        return self.working.units(position)

    @property
    def gift_value(self) -> int:
        """Return the list price of all gifts, in minor units."""
        return sum(gift.value * gift.quantity for gift in self.gifts)

    @cached_property
    def _explained(self) -> Explanation:
        return self.working.explained()

    @property
    def explanation(self) -> tuple[Note, ...]:
        """Return one note for every rule of the program, the tier and manual discounts, in the order they ran."""
        return self._explained.notes

    @property
    def hint(self) -> Hint | None:
        """Return the offer nearest to reach, None where none is within twice the check."""
        return self._explained.hint

    @property
    def rejected(self) -> tuple[tuple[str, str], ...]:
        """Return the codes, coupons and rewards that were asked for and opened nothing, each with the reason's code."""
        return self._explained.rejected

    def to_dict(self) -> dict[str, Json]:
        """Return the canonical object of everything but the explanation's untaken offers' wording."""
        data: dict[str, Json] = {
            "currency": self.currency,
            "program_version": self.program_version,
            "program_hash": self.program_hash,
            "at": to_ms(self.at),
            "lines": [_line_dict(line, self.units(position)) for position, line in enumerate(self.lines)],
            "gross": self.gross,
            "discount_total": self.discount_total,
            "redeemed_points": self.redeemed_points,
            "redeemed_money": self.redeemed_money,
            "total": self.total,
            "earned_points": self.earned_points,
            "earning_base": self.earning_base,
            "redemption": self.redemption.to_dict(),
            "explanation": [note.to_dict() for note in self.explanation],
        }
        if self.own_expiry:
            data["own_expiry"] = [{"id": rule, "points": n, "days": days} for rule, n, days in self.own_expiry]
        if self.tier:
            data["tier"] = self.tier
        if self.gifts:
            data["gifts"] = [
                {"rule": g.rule, "product": g.product, "quantity": g.quantity, "value": g.value} for g in self.gifts
            ]
        for key, unit, pairs in (
            ("payments", "amount", self.payments),
            ("coupons_issued", "count", self.coupons_issued),
            ("stamps", "count", self.stamps),
            ("rewards", "points", self.rewards),
            ("loads", "amount", self.loads),
            ("uses", "count", self.uses),
        ):
            if pairs:
                data[key] = [{"id": identifier, unit: number} for identifier, number in pairs]
        if self.rejected:
            data["rejected"] = [{"key": canonical.readable(key), "code": code} for key, code in self.rejected]
        if self.hint is not None:
            data["hint"] = {"rule": self.hint.rule, "kind": self.hint.kind, "missing": self.hint.missing}
        return data

    def to_bytes(self) -> bytes:
        """Return the canonical bytes: the same for the same inputs, on every machine."""
        return canonical.encode(self.to_dict())


def _line_dict(line: QuoteLine, runs: Runs) -> dict[str, Json]:
    data: dict[str, Json] = {
        "id": line.id,
        "gross": line.gross,
        "net": line.net,
        "discounts": [{"rule": rule, "amount": amount} for rule, amount in line.discounts],
    }
    if len(runs) > 1 or any(run.units > 1 for run in runs):
        data["units"] = [{"net": run.price, "count": run.units} for run in runs]
    shares = {"charge": line.charge, "points_money": line.points_money, "points": line.points, "earned": line.earned}
    return data | {key: value for key, value in shares.items() if value}
