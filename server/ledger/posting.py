"""What a till's fact does to the ledger: legs, lots, the guest's state. Pure, so that any store can replay it.

A batch is planned whole in memory against what the store has read and locked; the plan is then written as it stands.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, timedelta, tzinfo
from enum import StrEnum
from uuid import UUID

from loyalty_desk.domain.canonical import Json
from loyalty_desk.domain.check import own_expiry_of
from loyalty_desk.domain.clock import from_ms, to_ms
from loyalty_desk.domain.errors import BadInput
from loyalty_desk.domain.expiry import DAYS, MAX_COUNT, ExpiryPolicy
from loyalty_desk.domain.fields import Fields
from loyalty_desk.domain.points import RETURNED_LIVE
from loyalty_desk.domain.record import ExceptionKind, Record, RecordKind, Totals
from server.ledger.lots import Holdings
from server.ledger.returns import RETURNS, SALES, Excess, Returning, Source, given_back, who

_FLAG_BIT = {kind: 1 << position for position, kind in enumerate(ExceptionKind)}
# Facts with a place in the journal and none in the ledger's entries.
WITHOUT_ENTRIES = frozenset(
    {
        RecordKind.SHIFT_OPEN,
        RecordKind.SHIFT_CLOSE,
        RecordKind.OVERRIDE,
        RecordKind.EPOCH_OPEN,
        RecordKind.HOLD_RESULT,
        RecordKind.REGISTER,
    }
)
POSTABLE = WITHOUT_ENTRIES | SALES | RETURNS | {RecordKind.ADJUST, RecordKind.TRANSFER}
# Points that come back live so long at least, as the kernel says.
_RETURNED_LIVE_MS = RETURNED_LIVE // timedelta(milliseconds=1)


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
    """Something about a posted record that needs attention. `details` hold no personal datum.

    `about` is the transaction it is about, where that is another one than the record's.
    """

    kind: ExceptionKind
    guest: UUID | None
    details: Mapping[str, Json]
    about: UUID | None = None


@dataclass(frozen=True, slots=True)
class Claim:
    """A posting that waited in suspense for its guest: which, and its legs there, in order."""

    of: UUID
    amounts: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Fact:
    """A record about to be posted, with what only the server knows of it.

    `guest` is whose points move, after aliases; None is nobody or somebody unknown, told apart by `unknown_guest`.
    `returning` is what a return brings back, and whose guest is that of the sale. `is_stores`: nothing bears what was
    redeemed, so the store that took it is charged and no guest. `late_at` is when a sale came that is older than the
    grace of dead points, milliseconds UTC. A `claim` moves a record's points from suspense; the record's id is that of
    the transaction which does, and `returning` what came back of it meanwhile. `receiver` gets what a transfer takes.
    """

    record: Record
    guest: UUID | None
    unknown_guest: bool
    effective_at: int
    clock_off: bool
    raised: tuple[Raised, ...] = ()
    returning: Returning | None = None
    is_stores: bool = False
    claim: Claim | None = None
    receiver: UUID | None = None
    late_at: int | None = None


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


def is_stores(flags: int) -> bool:
    """Return whether what a posted sale redeemed was charged to its store: nothing bore it."""
    return bool(flags & _FLAG_BIT[ExceptionKind.EVIDENCE])


def has_woken(flags: int) -> bool:
    """Return whether a posted sale came late, and spent or kept points that were dead by then."""
    return bool(flags & _FLAG_BIT[ExceptionKind.LATE_EXPIRY])


def legs(record: Record, guest: UUID | None, *, is_stores: bool = False) -> tuple[Leg, ...]:
    """Return the entries of a sale, of points by hand or of a record without entries; their sum is 0.

    Unknown guests' are in suspense; `is_stores`: the store has paid what the sale redeemed.
    """
    if record.kind in WITHOUT_ENTRIES:
        return ()
    if record.kind is RecordKind.ADJUST:
        return tuple(one.leg for one in _by_hand_moves(record, _holder(guest)))
    payer = _offline_loss(record) if is_stores else _holder(guest)
    return tuple(one.leg for one in _sale_moves(record, _holder(guest), payer))


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
    woken: set[UUID] = set()
    for fact in facts:
        raised = list(fact.raised)
        if fact.clock_off:
            clock: dict[str, Json] = {"occurred_at": fact.record.occurred_at, "effective_at": fact.effective_at}
            raised.append(Raised(ExceptionKind.CLOCK, None, clock))
        if fact.unknown_guest:
            named = who(fact.record) if fact.returning is None else fact.returning.who
            raised.append(Raised(ExceptionKind.UNKNOWN_GUEST, None, named))
        terms = FOR_EVER if fact.guest is None else terms_of(fact.record, fact.effective_at)
        held, owed = held_of(fact), 0
        if fact.record.kind is RecordKind.TRANSFER:
            moves, owed = _transfer_moves(fact, holdings)
            # What the giver did not have is nobody's to spend before somebody has looked.
            held = max(held, owed)
        else:
            moves = _moves(fact, None if fact.guest is None else holdings[fact.guest])
        if held:
            given = fact.record.points_earned or fact.record.points_redeemed
            raised.append(Raised(ExceptionKind.VELOCITY, fact.receiver or fact.guest, {"earned": given, "held": held}))
        for one in moves:
            made.moved[one.leg.account] = made.moved.get(one.leg.account, 0) + one.leg.amount
        if fact.guest is not None:
            owed += _move(holdings, fact, moves, terms, held)
            if owed:
                raised.append(Raised(ExceptionKind.OVERDRAFT, fact.guest, {"points": owed}))
            _visit(states[fact.guest], fact, tier_of)
            if _wakes(fact, holdings[fact.guest], terms):
                raised.append(Raised(ExceptionKind.LATE_EXPIRY, fact.guest, {"at": fact.effective_at}))
        if has_woken(flag_bits(one.kind for one in raised)):
            woken.add(fact.record.id)
        elif fact.returning is not None and (fact.returning.woke or fact.returning.original.id in woken):
            # What it woke stays awake: by the time of a return it may have been spent, and rightly.
            of: dict[str, Json] = {"of": str(fact.returning.original.id)}
            raised.append(Raised(ExceptionKind.LATE_EXPIRY, fact.guest, of))
        over = _excess(fact)
        if over is not None:
            raised.append(over)
        made.posted.append(Posted(fact, tuple(one.leg for one in moves), tuple(raised)))
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


@dataclass(frozen=True, slots=True)
class _Move:
    """A leg and what it does to lots: `of` is the sale whose lots give first.

    A credit lives by `days` of its own, until `source` says, or as the program does where neither is given. One that
    `is_earned` may have to wait for a manager. The lots of one that `is_done` have been moved.
    """

    leg: Leg
    days: int | None = None
    source: Source | None = None
    of: UUID | None = None
    is_earned: bool = False
    is_done: bool = False


def _holder(guest: UUID | None) -> AccountKey:
    return SUSPENSE if guest is None else AccountKey(AccountKind.GUEST, guest)


def _moves(fact: Fact, held: Holdings | None) -> list[_Move]:
    record, holder = fact.record, _holder(fact.guest)
    if fact.claim is not None:
        return _claim_moves(fact.claim, record, holder)
    if record.kind in WITHOUT_ENTRIES:
        return []
    if record.kind is RecordKind.ADJUST:
        return _by_hand_moves(record, holder)
    moves = [] if fact.returning is None else _return_moves(fact.returning, holder, held)
    payer = _offline_loss(record) if fact.is_stores else holder
    return moves if record.kind in RETURNS - SALES else [*moves, *_sale_moves(record, holder, payer)]


def _by_hand_moves(record: Record, holder: AccountKey) -> list[_Move]:
    amount = record.points_earned - record.points_redeemed
    pair = (_Move(Leg(PROMO_COST, -amount)), _Move(Leg(holder, amount), is_earned=True))
    return list(pair if amount > 0 else reversed(pair))


def _claim_moves(claim: Claim, record: Record, holder: AccountKey) -> list[_Move]:
    """Mirror what waited leg by leg; what a sale earned stands last of it, each part with days of its own."""
    parts = earned_parts(record) if record.kind in SALES else ()
    first = len(claim.amounts) - len(parts)
    made: list[_Move] = []
    for position, amount in enumerate(claim.amounts):
        is_earned = amount > 0 and (position >= first or record.kind is RecordKind.ADJUST)
        days = parts[position - first][1] if position >= first else None
        made += [_Move(Leg(SUSPENSE, -amount)), _Move(Leg(holder, amount), days, is_earned=is_earned)]
    return made


def _transfer_moves(fact: Fact, holdings: Mapping[UUID, Holdings]) -> tuple[list[_Move], int]:
    """Take points from their giver, and return the moves and how many nothing covered; each keeps its lot's end."""
    assert fact.guest is not None  # noqa: S101 - a transfer waits until both are registered
    assert fact.receiver is not None  # noqa: S101
    tx, amount, giver = fact.record.id, fact.record.points_redeemed, holdings[fact.guest]
    owed = giver.debit(tx, amount, fact.effective_at)
    parts = [(one.points, one) for one in reversed(_drawn_by(giver, tx))]
    moves = [_Move(Leg(_holder(fact.guest), -amount), is_done=True)]
    for points, source in [*parts, *([(owed, None)] if owed else [])]:
        moves.append(_Move(Leg(_holder(fact.receiver), points), source=source, is_earned=True))
    return moves, owed


def _offline_loss(record: Record) -> AccountKey:
    return AccountKey(AccountKind.OFFLINE_LOSS, record.store)


def _sale_moves(record: Record, holder: AccountKey, payer: AccountKey) -> list[_Move]:
    made: list[_Move] = []
    # The redemption pays for this very check, the earning is for the next one: in this order a guest who spends all
    # and earns anew owes nothing for it, and one who overspends repays at once with what this check earned.
    if record.points_redeemed:
        made.append(_Move(Leg(payer, -record.points_redeemed)))
        made.append(_Move(Leg(LIABILITY, record.points_redeemed)))
    for points, days in earned_parts(record):
        made.append(_Move(Leg(PROMO_COST, -points)))
        made.append(_Move(Leg(holder, points), days, is_earned=True))
    return made


def _return_moves(back: Returning, holder: AccountKey, held: Holdings | None) -> list[_Move]:
    """Return what a return changes; a difference is nearly always above zero, and right where it is not."""
    made: list[_Move] = []
    spent, earned = back.after.spent - back.before.spent, back.after.earned - back.before.earned
    # Given back before taken back: what a guest spent at this very sale covers what it gave.
    if spent:
        made.append(_Move(Leg(LIABILITY, -spent)))
    if spent and back.is_stores:
        made.append(_Move(Leg(_offline_loss(back.original), spent)))
        spent = 0
    # Of a sale in this very batch the lots that paid for it are told by what was taken a moment ago.
    sources = [*back.sources, *([] if held is None else _drawn_by(held, back.original.id))]
    for part in given_back(sources, back.before.spent, max(0, spent)):
        made.append(_Move(Leg(holder, part.points), source=part))
        spent -= part.points
    if spent:
        made.append(_Move(Leg(holder, spent)))
    if earned:
        made.append(_Move(Leg(holder, -earned), of=back.original.id))
        made.append(_Move(Leg(PROMO_COST, earned)))
    for store in sorted(back.before.excess.keys() | back.after.excess.keys()):
        had, has = (one.excess.get(store, Excess()) for one in (back.before, back.after))
        loss = AccountKey(AccountKind.REFUND_LOSS, store)
        for other, amount in ((LIABILITY, has.spent - had.spent), (PROMO_COST, had.earned - has.earned)):
            if amount:
                made += [_Move(Leg(other, -amount)), _Move(Leg(loss, amount))]
    return made


def _drawn_by(held: Holdings, tx: UUID) -> list[Source]:
    """Return what a posting of this batch was paid with, the lot drawn last first; own lots pay for debts alone."""
    lots = {lot.id: lot for lot in held.lots}
    used = [(lots[one.lot_id], one.amount) for one in held.used if one.tx_id == tx and one.lot_id in lots]
    return [Source(points, lot.expires_at, lot.own_expiry) for lot, points in reversed(used) if lot.tx_id != tx]


def _wakes(fact: Fact, held: Holdings, terms: Terms) -> bool:
    """Let a check keep points alive, and return whether it came late and spent or kept some that were dead by then."""
    late_at = fact.late_at
    spends = late_at is not None and held.has_spent(fact.record.id, late_at)
    if not terms.restarts or fact.record.kind not in SALES:
        return spends
    moved = held.restart(fact.effective_at, terms.expires_at)
    return spends or (late_at is not None and moved is not None and moved <= late_at)


def _excess(fact: Fact) -> Raised | None:
    """Return that more came back of a sale than it had: once a sale, whichever of its returns showed it."""
    back = fact.returning
    if back is None or fact.claim is not None or back.after.excess == back.before.excess:
        return None
    earned, spent = (sum(getattr(one, name) for one in back.after.excess.values()) for name in ("earned", "spent"))
    details: dict[str, Json] = {"earned": earned, "spent": spent, "by": str(fact.record.id)}
    return Raised(ExceptionKind.EXCESS_RETURN, fact.guest, details, back.original.id)


def _move(holdings: Mapping[UUID, Holdings], fact: Fact, moves: Sequence[_Move], terms: Terms, waiting: int) -> int:
    """Move guests' lots and return how many points nothing covered; `waiting` of those earned wait for a manager.

    What waits is taken from the points that live as the program says, then from the others.
    """
    tx, at, owed = fact.record.id, fact.effective_at, 0
    for leg, one in enumerate(moves):
        amount, owner = one.leg.amount, one.leg.account.owner
        if one.is_done or one.leg.account.kind is not AccountKind.GUEST or owner is None:
            continue
        held = holdings[owner]
        if amount < 0:
            owed += held.debit(tx, -amount, at, one.of)
            continue
        kept = min(waiting, amount) if one.is_earned else 0
        waiting -= kept
        expires_at, own = _ends(terms, at, one)
        usable_at = terms.usable_at if one.is_earned else None
        of_check = one.is_earned and fact.record.kind in SALES
        if amount > kept:
            held.credit(tx, leg, amount - kept, at, expires_at, usable_at, own_expiry=own, of_check=of_check)
        if kept:
            held.hold(tx, leg, kept, at, expires_at, own_expiry=own, of_check=of_check)
    return owed


def _ends(terms: Terms, at: int, credit: _Move) -> tuple[int | None, bool]:
    """Return when the points of a credit die, and whether that end is their own."""
    if credit.source is not None:
        ends = credit.source.expires_at
        if ends is not None and not credit.is_earned:
            ends = max(ends, at + _RETURNED_LIVE_MS)
        return ends, credit.source.own_expiry
    if credit.days is None:
        return terms.expires_at, False
    try:
        end = ExpiryPolicy(DAYS, credit.days).expires_at(from_ms(at), terms.zone)
    except OverflowError:  # beyond the calendar is as good as never
        end = None
    return None if end is None else to_ms(end), True


def _visit(state: GuestState, fact: Fact, tier_of: TierOf) -> None:
    record, back = fact.record, fact.returning
    if record.kind in SALES:
        state.spend += record.money_total or 0
        state.visits += 1
        state.earned += record.points_earned
        if state.first_visit is None or record.business_day < state.first_visit:
            state.first_visit = record.business_day
    if back is not None:
        state.spend = max(0, state.spend - (back.after.money - back.before.money))
        state.earned = max(0, state.earned - (back.after.earned - back.before.earned))
        state.visits = max(0, state.visits - (back.after.is_whole - back.before.is_whole))
    if record.kind in SALES:
        state.tier = tier_of(state)
