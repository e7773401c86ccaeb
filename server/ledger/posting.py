"""What a till's fact does to the ledger: legs, lots, the guest's state. Pure, so that any store can replay it.

A batch is planned whole in memory against what the store has read and locked; the plan is then written as it stands.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, tzinfo
from enum import StrEnum
from uuid import UUID

from loyalty_desk.domain.canonical import Json
from loyalty_desk.domain.check import own_expiry_of
from loyalty_desk.domain.clock import from_ms, to_ms
from loyalty_desk.domain.errors import BadInput
from loyalty_desk.domain.expiry import DAYS, MAX_COUNT, ExpiryPolicy
from loyalty_desk.domain.fields import Fields
from loyalty_desk.domain.record import ExceptionKind, Record, RecordKind, Totals
from server.ledger.lots import Holdings

_FLAG_BIT = {kind: 1 << position for position, kind in enumerate(ExceptionKind)}
# Facts with a place in the journal and none in the ledger's entries.
WITHOUT_ENTRIES = frozenset(
    {
        RecordKind.SHIFT_OPEN,
        RecordKind.SHIFT_CLOSE,
        RecordKind.OVERRIDE,
        RecordKind.EPOCH_OPEN,
        RecordKind.HOLD_RESULT,
    }
)
POSTABLE = WITHOUT_ENTRIES | {RecordKind.SALE}


class AccountKind(StrEnum):
    """The accounts of the ledger; guest accounts belong to a guest, both losses to a store."""

    GUEST = "guest"
    LIABILITY = "liability"
    PROMO_COST = "promo_cost"
    BREAKAGE = "breakage"
    OFFLINE_LOSS = "offline_loss"
    REFUND_LOSS = "refund_loss"
    SUSPENSE = "suspense"


@dataclass(frozen=True, slots=True)
class AccountKey:
    """Names an account: `owner` is the guest or the store, None where the network has one."""

    kind: AccountKind
    owner: UUID | None = None


LIABILITY = AccountKey(AccountKind.LIABILITY)
PROMO_COST = AccountKey(AccountKind.PROMO_COST)
SUSPENSE = AccountKey(AccountKind.SUSPENSE)


@dataclass(frozen=True, slots=True)
class Leg:
    """One entry: `amount` smallest point units, never 0; a credit to the account is positive."""

    account: AccountKey
    amount: int


@dataclass(frozen=True, slots=True)
class Raised:
    """Something about a posted record that needs attention. `details` hold no personal datum."""

    kind: ExceptionKind
    guest: UUID | None
    details: Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class Fact:
    """A record about to be posted, with what only the server knows of it.

    `guest` is whose points move, after aliases; None is nobody or somebody unknown, told apart by `unknown_guest`.
    """

    record: Record
    guest: UUID | None
    unknown_guest: bool
    effective_at: int
    clock_off: bool
    raised: tuple[Raised, ...] = ()


@dataclass(slots=True)
class GuestState:
    """What posting changes of a guest: net spend (minor units), visits and points earned of the window, first visit."""

    tier: str = ""
    spend: int = 0
    visits: int = 0
    first_visit: str | None = None
    earned: int = 0


@dataclass(frozen=True, slots=True)
class Posted:
    """A planned posting: its legs in order and all flags it carries."""

    fact: Fact
    legs: tuple[Leg, ...]
    raised: tuple[Raised, ...]

    @property
    def flags(self) -> int:
        """Return the bits of the exceptions it carries."""
        return flag_bits(one.kind for one in self.raised)


@dataclass(slots=True)
class Plan:
    """A batch as it will be written: `moved` is the net change of each account."""

    posted: list[Posted] = field(default_factory=list)
    moved: dict[AccountKey, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Terms:
    """How points of a sale live, milliseconds UTC; `restarts` gives all other live points the new end too.

    `zone` is the network's, in which days of their own end.
    """

    expires_at: int | None = None
    usable_at: int | None = None
    restarts: bool = False
    zone: tzinfo = UTC


FOR_EVER = Terms()
TermsOf = Callable[[Record, int], Terms]
TierOf = Callable[[GuestState], str]
HeldOf = Callable[[Fact], int]


def flag_bits(kinds: Iterable[ExceptionKind]) -> int:
    """Return exceptions as the bits of `flags`."""
    bits = 0
    for kind in kinds:
        bits |= _FLAG_BIT[kind]
    return bits


def legs(record: Record, guest: UUID | None) -> tuple[Leg, ...]:
    """Return the entries of a record; their sum is 0. Points of nobody known wait in suspense."""
    if record.kind in WITHOUT_ENTRIES:
        return ()
    holder = SUSPENSE if guest is None else AccountKey(AccountKind.GUEST, guest)
    made: list[Leg] = []
    # The redemption pays for this very check, the earning is for the next one: in this order a guest who spends all
    # and earns anew owes nothing for it, and one who overspends repays at once with what this check earned.
    if record.points_redeemed:
        made += [Leg(holder, -record.points_redeemed), Leg(LIABILITY, record.points_redeemed)]
    for points, _ in earned_parts(record):
        made += [Leg(PROMO_COST, -points), Leg(holder, points)]
    return tuple(made)


def earned_parts(record: Record) -> tuple[tuple[int, int | None], ...]:
    """Return the points earned by how long they live: (points, None) as the program says, (points, days) on their own.

    Each part is a lot. What a record says of its parts beyond what it earned, or cannot be read, is the program's.
    """
    left, own = record.points_earned, []
    try:
        named = own_expiry_of(Fields(record.check or {}, "check"))
    except BadInput:
        named = ()
    for _, points, days in named:
        part = min(points, left)
        if part and days <= MAX_COUNT:
            own.append((part, days))
            left -= part
    return ((left, None), *own) if left else tuple(own)


def plan(
    facts: Sequence[Fact],
    holdings: Mapping[UUID, Holdings],
    states: Mapping[UUID, GuestState],
    terms_of: TermsOf,
    tier_of: TierOf,
    held_of: HeldOf = lambda _: 0,
) -> Plan:
    """Plan a batch in the order given; `holdings` and `states` of the guests named are changed in place.

    `terms_of(record, effective_at)` says how points of a sale live, `tier_of(state)` which tier a state deserves,
    `held_of(fact)` how many of the points earned wait for a manager.
    """
    made = Plan()
    for fact in facts:
        record = fact.record
        raised = list(fact.raised)
        if fact.clock_off:
            raised.append(
                Raised(
                    ExceptionKind.CLOCK,
                    None,
                    {"occurred_at": record.occurred_at, "effective_at": fact.effective_at},
                )
            )
        entries = legs(record, fact.guest)
        if fact.unknown_guest:
            raised.append(Raised(ExceptionKind.UNKNOWN_GUEST, record.guest_id, _credential(record)))
        terms = FOR_EVER if fact.guest is None else terms_of(record, fact.effective_at)
        held = waiting = held_of(fact)
        parts = iter(earned_parts(record))
        if held:
            facts_held: dict[str, Json] = {"earned": record.points_earned, "held": held}
            raised.append(Raised(ExceptionKind.VELOCITY, fact.guest, facts_held))
        for position, leg in enumerate(entries):
            made.moved[leg.account] = made.moved.get(leg.account, 0) + leg.amount
            if leg.account.kind is AccountKind.GUEST and fact.guest is not None:
                days = next(parts)[1] if leg.amount > 0 else None
                # What waits for a manager is taken from the points that live as the program says, then from the others.
                kept = min(waiting, leg.amount) if leg.amount > 0 else 0
                waiting -= kept
                owed = _move(holdings[fact.guest], fact, position, leg.amount, _ends(terms, fact, days), kept)
                if owed:
                    raised.append(Raised(ExceptionKind.OVERDRAFT, fact.guest, {"points": owed}))
        if fact.guest is not None:
            _visit(states[fact.guest], record, tier_of)
            if terms.restarts and record.kind is RecordKind.SALE:
                holdings[fact.guest].restart(fact.effective_at, terms.expires_at)
        made.posted.append(Posted(fact, entries, tuple(raised)))
    return made


def continuity(record: Record, before: Totals) -> Raised | None:
    """Return a HOLE where a record's running totals do not continue those of its predecessor: what is missing."""
    expected = before.after(record.kind, record.points_earned, record.points_redeemed)
    if record.totals == expected:
        return None
    missing: dict[str, Json] = {
        "records": record.totals.count - expected.count,
        "earned": record.totals.earned - expected.earned,
        "redeemed": record.totals.redeemed - expected.redeemed,
    }
    return Raised(ExceptionKind.HOLE, None, missing)


def _ends(terms: Terms, fact: Fact, days: int | None) -> tuple[Terms, bool]:
    """Return the terms of one part of the points earned, and whether its end is its own."""
    if days is None:
        return terms, False
    try:
        end = ExpiryPolicy(DAYS, days).expires_at(from_ms(fact.effective_at), terms.zone)
    except OverflowError:  # beyond the calendar is as good as never
        end = None
    return replace(terms, expires_at=None if end is None else to_ms(end)), True


def _move(held: Holdings, fact: Fact, leg: int, amount: int, ends: tuple[Terms, bool], waiting: int) -> int:
    terms, own = ends
    if amount < 0:
        return held.debit(fact.record.id, -amount, fact.effective_at)
    tx, at = fact.record.id, fact.effective_at
    if amount > waiting:
        held.credit(tx, leg, amount - waiting, at, terms.expires_at, terms.usable_at, own_expiry=own)
    if waiting:
        held.hold(tx, leg, waiting, at, terms.expires_at, own_expiry=own)
    return 0


def _visit(state: GuestState, record: Record, tier_of: TierOf) -> None:
    if record.kind is not RecordKind.SALE:
        return
    state.spend += record.money_total or 0
    state.visits += 1
    state.earned += record.points_earned
    if state.first_visit is None or record.business_day < state.first_visit:
        state.first_visit = record.business_day
    state.tier = tier_of(state)


def _credential(record: Record) -> dict[str, Json]:
    return {} if record.credential is None else {"credential": record.credential.to_payload()}
