"""What a record of each kind carries beside its common fields: writers for the till, readers for the server.

A record's `check` field holds the object that `to_check` writes and `from_check` reads; readers raise `BadInput`
naming the place and pass over unknown keys. `points_earned` is always a credit to the guest and `points_redeemed` a
debit: a void credits the points spent and debits the points earned. A sale's check is that of `domain.check`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import sha256
from uuid import UUID

from loyalty_desk.domain import canonical
from loyalty_desk.domain.canonical import Json
from loyalty_desk.domain.errors import BadInput
from loyalty_desk.domain.fields import Fields
from loyalty_desk.domain.private_fields import Private
from loyalty_desk.domain.record import Record, RecordKind
from loyalty_desk.domain.return_contents import (
    VOID,
    ExchangeContents,
    FollowContents,
    ReturnContents,
    check_fields,
)
from loyalty_desk.domain.shift_totals import ShiftTotals


class AdjustReason(StrEnum):
    """Why points were credited, debited or moved by hand. Free text never goes into a record, but beside it."""

    GOODWILL = "goodwill"
    COMPENSATION = "compensation"
    FORGOTTEN_CARD = "forgotten_card"
    MISTAKE = "mistake"
    PRIZE = "prize"
    FAMILY = "family"
    LOST_CARD = "lost_card"
    FRAUD = "fraud"
    OTHER = "other"


class Overridden(StrEnum):
    """What a manager let through: a limit of an offline redemption by its name, or the cap of tier discounts."""

    UPPER_CONSECUTIVE = "upper_consecutive"
    TIER_DISCOUNT = "tier_discount"


class HoldOutcome(StrEnum):
    """What an online redemption came to; `timed_out` = no answer came in time, the hold may exist."""

    PENDING = "pending"
    INSUFFICIENT = "insufficient"
    EXISTS = "exists"
    TIMED_OUT = "timed_out"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class RegisterContents:
    """A guest registered at the till; `guest_id` of the record is the new guest's."""

    digest: bytes

    def to_check(self) -> dict[str, Json]:
        """Return the `check` of a registration."""
        return {"digest": canonical.bytes_to_text(self.digest)}

    @classmethod
    def from_check(cls, check: Mapping[str, Json] | None) -> RegisterContents:
        """Return what a registration carries; raises `BadInput`."""
        f = check_fields(check)
        digest = f.raw("digest")
        if len(digest) != sha256().digest_size:
            raise f.wrong("digest", "sha256")
        return cls(digest)

    def matches(self, private: Private) -> bool:
        """Return whether these are the fields that the record was made with."""
        return private.digest == self.digest


@dataclass(frozen=True, slots=True)
class AdjustContents:
    """A manual credit or debit; `approved_by` is the staff id of the manager, `digest` binds a comment if there is."""

    reason: AdjustReason
    approved_by: str
    digest: bytes | None = None

    def to_check(self) -> dict[str, Json]:
        """Return the `check` of the operation."""
        return {"reason": self.reason.value, "approved_by": self.approved_by, **_digest(self.digest)}

    @classmethod
    def from_check(cls, check: Mapping[str, Json] | None) -> AdjustContents:
        """Return what the operation carries; raises `BadInput`."""
        f = check_fields(check)
        return cls(_reason(f), f.text("approved_by", None), _optional_digest(f))


@dataclass(frozen=True, slots=True)
class TransferContents:
    """Points moved from the record's guest to another; the amount is the record's `points_redeemed`."""

    to: UUID
    reason: AdjustReason
    approved_by: str
    digest: bytes | None = None

    def to_check(self) -> dict[str, Json]:
        """Return the `check` of the transfer."""
        return {
            "to": str(self.to),
            "reason": self.reason.value,
            "approved_by": self.approved_by,
            **_digest(self.digest),
        }

    @classmethod
    def from_check(cls, check: Mapping[str, Json] | None) -> TransferContents:
        """Return what the transfer carries; raises `BadInput`."""
        f = check_fields(check)
        return cls(f.identifier("to"), _reason(f), f.text("approved_by", None), _optional_digest(f))


@dataclass(frozen=True, slots=True)
class ShiftOpenContents:
    """A shift begun: its id, and its number at this till counted from 1."""

    shift: UUID
    number: int

    def to_check(self) -> dict[str, Json]:
        """Return the `check` of the opening."""
        return {"shift": str(self.shift), "number": self.number}

    @classmethod
    def from_check(cls, check: Mapping[str, Json] | None) -> ShiftOpenContents:
        """Return what the opening carries; raises `BadInput`."""
        f = check_fields(check)
        return cls(f.identifier("shift"), f.integer("number", None, low=1))


@dataclass(frozen=True, slots=True)
class ShiftCloseContents:
    """A shift ended, with its Z totals."""

    shift: UUID
    number: int
    totals: ShiftTotals = field(default_factory=ShiftTotals)

    def to_check(self) -> dict[str, Json]:
        """Return the `check` of the closing."""
        return {"shift": str(self.shift), "number": self.number, "totals": self.totals.to_dict()}

    @classmethod
    def from_check(cls, check: Mapping[str, Json] | None) -> ShiftCloseContents:
        """Return what the closing carries; raises `BadInput`."""
        f = check_fields(check)
        return cls(f.identifier("shift"), f.integer("number", None, low=1), ShiftTotals.from_fields(f.object("totals")))


@dataclass(frozen=True, slots=True)
class OverrideContents:
    """A limit lifted once by a manager's PIN."""

    decision: Overridden
    approved_by: str

    def to_check(self) -> dict[str, Json]:
        """Return the `check` of the override."""
        return {"decision": self.decision.value, "approved_by": self.approved_by}

    @classmethod
    def from_check(cls, check: Mapping[str, Json] | None) -> OverrideContents:
        """Return what the override carries; raises `BadInput`."""
        f = check_fields(check)
        decision = f.text("decision", None, one_of=tuple(Overridden))
        return cls(Overridden(decision), f.text("approved_by", None))


@dataclass(frozen=True, slots=True)
class HoldResultContents:
    """What an online redemption came to, journalled so that a server that lost its last minutes can be told."""

    hold: UUID
    amount: int
    outcome: HoldOutcome

    def to_check(self) -> dict[str, Json]:
        """Return the `check` of the outcome."""
        return {"hold": str(self.hold), "amount": self.amount, "outcome": self.outcome.value}

    @classmethod
    def from_check(cls, check: Mapping[str, Json] | None) -> HoldResultContents:
        """Return what the outcome carries; raises `BadInput`."""
        f = check_fields(check)
        outcome = HoldOutcome(f.text("outcome", None, one_of=tuple(HoldOutcome)))
        return cls(f.identifier("hold"), f.integer("amount", None, low=1), outcome)


type Contents = (
    ReturnContents
    | FollowContents
    | ExchangeContents
    | RegisterContents
    | AdjustContents
    | TransferContents
    | ShiftOpenContents
    | ShiftCloseContents
    | OverrideContents
    | HoldResultContents
)

_READERS: Mapping[RecordKind, type[Contents]] = {
    RecordKind.VOID: ReturnContents,
    RecordKind.REFUND: ReturnContents,
    RecordKind.EXCHANGE: ExchangeContents,
    RecordKind.REGISTER: RegisterContents,
    RecordKind.ADJUST: AdjustContents,
    RecordKind.TRANSFER: TransferContents,
    RecordKind.SHIFT_OPEN: ShiftOpenContents,
    RecordKind.SHIFT_CLOSE: ShiftCloseContents,
    RecordKind.OVERRIDE: OverrideContents,
    RecordKind.HOLD_RESULT: HoldResultContents,
}
_REVERSALS = frozenset({RecordKind.VOID, RecordKind.REFUND, RecordKind.EXCHANGE})
_OF_A_GUEST = frozenset(
    {RecordKind.REGISTER, RecordKind.ADJUST, RecordKind.TRANSFER, RecordKind.OVERRIDE, RecordKind.HOLD_RESULT}
)
_WITHOUT_POINTS = frozenset(
    {
        RecordKind.REGISTER,
        RecordKind.SHIFT_OPEN,
        RecordKind.SHIFT_CLOSE,
        RecordKind.OVERRIDE,
        RecordKind.HOLD_RESULT,
    }
)


def contents_of(record: Record) -> Contents | None:
    """Return what a record carries, its common fields agreeing with it; None for a sale and an `epoch_open`.

    Raises `BadInput` naming the place: a reversal that names no sale, a credit that is a debit too, points that differ
    from those the return says, a kind that moves points and must not.
    """
    reader = _READERS.get(record.kind)
    if reader is None:
        return None
    f = Fields({}, "record")
    if (record.kind in _REVERSALS) is (record.reverses_id is None):
        raise f.wrong("reverses_id", "uuid" if record.kind in _REVERSALS else "nothing")
    if record.kind in _OF_A_GUEST and record.guest_id is None:
        raise BadInput("field_missing", place=f.place, field="guest_id")
    check = record.check
    if record.kind is RecordKind.REFUND and check is not None and check.get("follow") is True:
        reader = FollowContents
    found: Contents = reader.from_check(check)
    _agree(record, found, f)
    return found


def _agree(record: Record, found: Contents, f: Fields) -> None:
    earned, redeemed, money = record.points_earned, record.points_redeemed, record.money_total
    if isinstance(found, ReturnContents):
        returned = found.returned
        if (earned, redeemed) != (returned.spent_returned, returned.earned_reversed):
            raise f.wrong("points", "as_returned")
        if money != returned.money:
            raise f.wrong("money_total", "as_returned")
        if (returned.how == VOID) is not (record.kind is RecordKind.VOID):
            raise f.wrong("kind", returned.how)
    elif isinstance(found, FollowContents) and money != found.money:
        raise f.wrong("money_total", "as_returned")
    if (record.kind in _WITHOUT_POINTS or isinstance(found, FollowContents)) and (earned or redeemed):
        raise f.wrong("points", "none")
    if isinstance(found, AdjustContents) and (earned == 0) is (redeemed == 0):
        raise f.wrong("points", "credit_or_debit")
    if isinstance(found, TransferContents):
        if earned or not redeemed:
            raise f.wrong("points", "debit")
        if found.to == record.guest_id:
            raise f.wrong("to", "another_guest")


def with_hold(check: Mapping[str, Json], hold: UUID) -> dict[str, Json]:
    """Return a sale's check that says which online hold it spends."""
    return {**check, "hold": str(hold)}


def hold_of(check: Mapping[str, Json] | None) -> UUID | None:
    """Return the online hold that a sale or exchange spends, None where it spends none; raises `BadInput`."""
    f = check_fields(check)
    return None if "hold" not in f.data else f.identifier("hold")


def _optional_digest(f: Fields) -> bytes | None:
    return f.raw("digest") if "digest" in f.data else None


def _digest(digest: bytes | None) -> dict[str, Json]:
    return {} if digest is None else {"digest": canonical.bytes_to_text(digest)}


def _reason(f: Fields) -> AdjustReason:
    return AdjustReason(f.text("reason", None, one_of=tuple(AdjustReason)))
