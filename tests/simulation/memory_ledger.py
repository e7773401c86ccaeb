"""The ledger's tables in memory, behind the very protocols that PostgreSQL's stores obey.

A transaction works on a copy of the tables and replaces them when it ends: what has been committed never changes
afterwards, so every commit of the past is a backup for free.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from itertools import pairwise
from operator import attrgetter
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from loyalty_desk.domain.canonical import Json
from loyalty_desk.domain.clock import from_ms, to_ms
from loyalty_desk.domain.lots import Activity
from loyalty_desk.domain.program import Program
from loyalty_desk.domain.record import Record, Totals, handle_text
from loyalty_desk.wire.v1 import rows
from loyalty_desk.wire.v1.rows import DIGEST_MODULUS, row_digest
from loyalty_desk.wire.v1.sync import Block, FeedTable
from server.kit import feed
from server.ledger.branching import Branch
from server.ledger.ceiling import OLDEST
from server.ledger.guard_store import StepUse, TierUse, UnprovedUse
from server.ledger.intake import Incoming
from server.ledger.lots import Holdings, Lot, LotUse, made_by_leg
from server.ledger.moves import GuestChange
from server.ledger.posting import AccountKey, AccountKind, GuestState, Posted, has_woken, is_stores
from server.ledger.repository import DeviceRow, EpochRow, GuestAccount, Waiting
from server.ledger.returns import Original, Source, who
from server.ledger.storing import Quarantined, RaisedRow, Sourced
from server.ledger.timing import ClockSight, Place
from server.ledger.words import Words
from server.sync.clones import Line
from server.sync.store import BranchHead, LifeClaim
from tests.simulation.memory_guards import MemoryGuards
from tests.simulation.memory_leases import Leasing, MemoryLeases
from tests.simulation.memory_registers import MemoryRegisters

WAITING, REPLAYED = "waiting_dependency", "replayed"


@dataclass(frozen=True, slots=True)
class Device:
    store: UUID
    public: Any
    state: str = "active"
    sight: ClockSight | None = None
    enrolled_at: int = 0


@dataclass(frozen=True, slots=True)
class Tx:
    """A row of `ledger_tx`."""

    id: UUID
    kind: str
    device: UUID
    epoch: int
    branch: int
    seq: int
    prev: bytes
    hash: bytes
    payload: bytes
    guest: UUID | None
    effective_at: int
    flags: int
    recorded_at: int
    reverses: UUID | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    tx: UUID
    leg: int
    account: int
    amount: int
    lot: UUID | None


@dataclass(frozen=True, slots=True)
class Account:
    key: AccountKey
    posted: int = 0
    debt: int = 0
    activity: tuple[tuple[int, int | None], ...] = ()


@dataclass(frozen=True, slots=True)
class LotRow:
    account: int
    tx: UUID
    amount: int
    remaining: int
    earned_at: int
    expires_at: int | None
    usable_at: int | None
    held: bool = False
    own_expiry: bool = False


@dataclass(frozen=True, slots=True)
class GuestRecord:
    """A row of `guest_state`."""

    state: tuple[str, int, int, str | None, int] = ("", 0, 0, None, 0)
    points: int = 0
    next_expiries: tuple[tuple[int, int], ...] = ()
    member_no: str = ""


@dataclass(frozen=True, slots=True)
class EpochRecord:
    head_seq: int
    head_hash: bytes
    count: int
    totals: Totals
    parent: tuple[int | None, bytes] | None
    forked_at: int | None
    opened_reason: str


@dataclass(frozen=True, slots=True)
class QuarantineRow:
    id: UUID
    branch: int
    seq: int
    hash: bytes
    prev: bytes
    raw: bytes
    reason: str
    state: str
    waits_for: UUID | None = None


@dataclass(slots=True)
class Tables:
    """Everything the database holds of one network, and its incarnations. Values are frozen; containers are copied."""

    lives: list[UUID] = field(default_factory=list)
    life_claims: dict[tuple[UUID, UUID], LifeClaim] = field(default_factory=dict)
    devices: dict[UUID, Device] = field(default_factory=dict)
    txs: dict[UUID, Tx] = field(default_factory=dict)
    doubles: list[Tx] = field(default_factory=list)
    places: dict[tuple[UUID, int, int, int], Tx] = field(default_factory=dict)
    entries: list[Entry] = field(default_factory=list)
    accounts: dict[int, Account] = field(default_factory=dict)
    account_ids: dict[AccountKey, int] = field(default_factory=dict)
    lots: dict[UUID, LotRow] = field(default_factory=dict)
    uses: list[LotUse] = field(default_factory=list)
    guests: dict[UUID, GuestRecord] = field(default_factory=dict)
    credentials: dict[bytes, UUID] = field(default_factory=dict)
    epochs: dict[tuple[UUID, int, int], EpochRecord] = field(default_factory=dict)
    quarantine: dict[tuple[UUID, int, int, bytes], QuarantineRow] = field(default_factory=dict)
    exceptions: dict[tuple[str, UUID | None], RaisedRow] = field(default_factory=dict)
    documents: dict[tuple[str, str], dict[str, Json]] = field(default_factory=dict)
    feed: dict[tuple[str, str], tuple[int, int | None]] = field(default_factory=dict)
    n: int = 0
    rows: int = 0
    digest: int = 0
    commits: list[tuple[int, datetime]] = field(default_factory=list)
    phones: dict[str, UUID] = field(default_factory=dict)
    claims: dict[UUID, tuple[UUID, UUID, int]] = field(default_factory=dict)
    steps: list[StepUse] = field(default_factory=list)
    tiers: list[TierUse] = field(default_factory=list)
    leasing: Leasing = field(default_factory=Leasing)
    unproved: dict[UUID, UnprovedUse] = field(default_factory=dict)

    def copy(self) -> Tables:
        """Return tables that can be changed without changing these."""
        return Tables(
            self.lives.copy(),
            self.life_claims.copy(),
            self.devices.copy(),
            self.txs.copy(),
            self.doubles.copy(),
            self.places.copy(),
            self.entries.copy(),
            self.accounts.copy(),
            self.account_ids.copy(),
            self.lots.copy(),
            self.uses.copy(),
            self.guests.copy(),
            self.credentials.copy(),
            self.epochs.copy(),
            self.quarantine.copy(),
            self.exceptions.copy(),
            self.documents.copy(),
            self.feed.copy(),
            self.n,
            self.rows,
            self.digest,
            self.commits.copy(),
            self.phones.copy(),
            self.claims.copy(),
            self.steps.copy(),
            self.tiers.copy(),
            self.leasing,
            self.unproved.copy(),
        )

    def new_guest(self, guest: UUID) -> None:
        """Make a guest of whom nothing is known."""
        self.guests[guest] = GuestRecord()

    @property
    def life(self) -> UUID | None:
        """Return the present incarnation."""
        return self.lives[-1] if self.lives else None

    def row(self, table: str, key: str) -> dict[str, Json] | None:
        """Return a row of the feed as tills get it."""
        if table == FeedTable.GUEST:
            return None if (found := self.guests.get(UUID(key))) is None else _guest_row(found)
        return self.documents.get((table, key))


def _guest_row(guest: GuestRecord) -> dict[str, Json]:
    tier, spend, visits, first_visit, _ = guest.state
    return rows.write(
        rows.GuestRow(
            member_no=guest.member_no,
            tier=tier,
            points=guest.points,
            spend=spend,
            visits=visits,
            first_visit=first_visit,
            next_expiries=list(guest.next_expiries),
        )
    )


class MemoryStore:
    """One transaction over a copy of the tables: a `LedgerStore` and a `SyncStore`."""

    def __init__(self, tables: Tables, signer: tuple[int, Any], programs: Mapping[int, Program], now: datetime) -> None:
        self.tables = tables
        self.written = False
        self._signer = signer
        self._programs = programs
        self._now = now

    @property
    def leases(self) -> MemoryLeases:
        return MemoryLeases(self, self._programs.get(max(self._programs)))

    @property
    def guards(self) -> MemoryGuards:
        return MemoryGuards(self.tables)

    @property
    def registers(self) -> MemoryRegisters:
        return MemoryRegisters(self.tables)

    # -- LedgerStore: reading --------------------------------------------------------------------------------------

    async def lock_device(self, device: UUID, *, alone: bool) -> DeviceRow | None:
        found, life = self.tables.devices.get(device), self.tables.life
        if found is None or life is None:
            return None
        return DeviceRow(found.state, found.store, found.sight, life)

    async def epoch_branches(self, device: UUID, epoch: int, first: int, last: int) -> list[EpochRow]:
        tables, made = self.tables, []
        for branch in self._branches(device, epoch):
            row = tables.epochs[device, epoch, branch]
            held: dict[int, bytes] = {}
            unposted: dict[int, str] = {}
            counted: dict[int, int] = {}
            next_prev = None
            for seq in range(first, last + 2):
                tx = tables.places.get((device, epoch, branch, seq))
                if tx is not None:
                    held[seq] = tx.hash
                    counted[seq] = tx.effective_at
                    next_prev = tx.prev if seq == last + 1 else None
            for (d, e, seq, _), one in tables.quarantine.items():
                if (d, e, one.branch) == (device, epoch, branch) and first <= seq <= last + 1 and one.state != REPLAYED:
                    held[seq], unposted[seq] = one.hash, one.reason
                    next_prev = one.prev if seq == last + 1 else next_prev
            found = Branch(branch, row.head_seq, row.head_hash, held, row.forked_at or 1, next_prev)
            made.append(EpochRow(found, row.count, row.totals, unposted, counted))
        return made

    def _branches(self, device: UUID, epoch: int) -> list[int]:
        count = 0
        while (device, epoch, count) in self.tables.epochs:
            count += 1
        return list(range(count))

    async def counted_before(self, places: Sequence[Place]) -> dict[Place, int]:
        made = {}
        for one in places:
            found = self._last_before(*one.line, one.seq)
            if found is None:
                lines = [line for line in self.tables.epochs if line[0] == one.device and line != one.line]
                ends = [self._last_before(*line, self.tables.epochs[line].head_seq + 1) for line in lines]
                found = max((at for at in ends if at is not None), default=self.tables.devices[one.device].enrolled_at)
            made[one] = found
        return made

    def _last_before(self, device: UUID, epoch: int, branch: int, seq: int) -> int | None:
        for number in range(seq - 1, 0, -1):
            tx = self.tables.places.get((device, epoch, branch, number))
            if tx is not None:
                return tx.effective_at
        return None

    async def parent_of(self, device: UUID, prev: bytes) -> tuple[int, Totals | bytes] | None:
        for (owner, epoch, _), row in self.tables.epochs.items():
            if owner == device and row.head_hash == prev:
                return epoch, row.totals
        for tx in self.tables.txs.values():
            if tx.device == device and tx.hash == prev:
                return tx.epoch, tx.payload
        return None

    async def known_ids(self, ids: Iterable[UUID]) -> dict[UUID, bytes | None]:
        found = self.tables.txs
        return {one: found[one].hash for one in ids if one in found}

    async def strange_stores(self, stores: Iterable[UUID]) -> set[UUID]:
        return set(stores) - {one.store for one in self.tables.devices.values()}

    async def originals(self, ids: Sequence[UUID]) -> dict[UUID, Original]:
        tables = self.tables
        found = {one: tables.txs[one] for one in ids if one in tables.txs}
        claimed = {of: guest for of, guest, _ in tables.claims.values()}
        made = {
            key: Original(
                Record.from_payload(tx.payload),
                tx.guest or claimed.get(key),
                is_stores=is_stores(tx.flags),
                woke=has_woken(tx.flags),
                who=self._named(tx),
            )
            for key, tx in found.items()
        }
        for tx in tables.txs.values():
            if tx.reverses in made:
                made[tx.reverses].returns.append(Record.from_payload(tx.payload))
        for key, one in made.items():
            paid = [(tables.lots[use.lot_id], use) for use in tables.uses if use.tx_id == key]
            paid = [(lot, use) for lot, use in paid if lot.tx != key]
            paid.sort(key=lambda it: (it[0].expires_at is None, it[0].expires_at or 0, it[0].earned_at), reverse=True)
            one.sources = [Source(use.amount, lot.expires_at, lot.own_expiry) for lot, use in paid]
        return made

    def _named(self, tx: Tx) -> Mapping[str, Json]:
        unknown = self.tables.exceptions.get(("UNKNOWN_GUEST", tx.id))
        return who(Record.from_payload(tx.payload)) if unknown is None else unknown.facts

    async def waiting_for(self, ids: Sequence[UUID], limit: int) -> list[Waiting]:
        wanted = set(ids)
        return [
            Waiting(number, one.branch, Incoming(one.seq, one.id, one.prev, one.hash, one.raw, None, None))
            for number, one in enumerate(self.tables.quarantine.values())
            if one.state == WAITING and one.waits_for in wanted
        ][:limit]

    async def guests_of_handles(self, handles: Iterable[bytes]) -> dict[bytes, UUID]:
        found = self.tables.credentials
        return {one: found[one] for one in handles if one in found}

    async def survivors(self, guests: Iterable[UUID]) -> dict[UUID, UUID]:
        return {one: one for one in guests if one in self.tables.guests}

    async def lock_guests(self, guests: Iterable[UUID]) -> dict[UUID, GuestAccount]:
        wanted = [one for one in guests if one in self.tables.guests]
        ids = self._accounts(AccountKey(AccountKind.GUEST, one) for one in wanted)
        made = {}
        for key, number in sorted(ids.items(), key=lambda one: one[1]):
            guest = key.owner
            assert guest is not None
            lots = [
                Lot(
                    lot_id,
                    row.tx,
                    row.amount,
                    row.remaining,
                    row.earned_at,
                    row.expires_at,
                    row.usable_at,
                    row.held,
                    row.own_expiry,
                )
                for lot_id, row in self.tables.lots.items()
                if row.account == number and row.remaining
            ]
            holdings = Holdings([one for one in lots if not one.held], debt=self.tables.accounts[number].debt)
            holdings.activity = Activity(list(self.tables.accounts[number].activity))
            holdings.waiting += [one for one in lots if one.held]
            made[guest] = GuestAccount(number, guest, holdings, GuestState(*self.tables.guests[guest].state))
        return made

    async def system_accounts(self, wanted: Iterable[AccountKey]) -> dict[AccountKey, int]:
        return self._accounts(wanted)

    def _accounts(self, wanted: Iterable[AccountKey]) -> dict[AccountKey, int]:
        made = {}
        for key in wanted:
            if key not in self.tables.account_ids:
                number = len(self.tables.accounts) + 1
                self.tables.account_ids[key] = number
                self.tables.accounts[number] = Account(key)
            made[key] = self.tables.account_ids[key]
        return made

    async def granted(self, guests: Iterable[UUID], zone: str, now: datetime) -> dict[tuple[UUID, date], int]:
        wanted, tables = set(guests), self.tables
        made: dict[tuple[UUID, date], int] = {}
        for lot in tables.lots.values():
            of, _, claimed_at = tables.claims.get(lot.tx, (lot.tx, None, 0))
            tx, owner = tables.txs.get(of), tables.accounts[lot.account].key.owner
            if owner not in wanted or lot.held or tx is None:
                continue
            recorded_at = claimed_at or tx.recorded_at
            if tx.kind != "sale" and not (tx.kind == "exchange" and self._is_earned(lot)):
                continue
            at = max(tx.effective_at, recorded_at - OLDEST // timedelta(milliseconds=1))
            if at < to_ms(now - OLDEST) - 86_400_000:
                continue
            key = (owner, from_ms(at).astimezone(ZoneInfo(zone)).date())
            made[key] = made.get(key, 0) + lot.amount
        return made

    async def given_by_hand(self, devices: Iterable[UUID], zone: str, now: datetime) -> dict[tuple[UUID, date], int]:
        wanted, tables = set(devices), self.tables
        made: dict[tuple[UUID, date], int] = {}
        for lot in tables.lots.values():
            of, _, claimed_at = tables.claims.get(lot.tx, (lot.tx, None, 0))
            tx = tables.txs.get(of)
            if tx is None or lot.held or tx.device not in wanted or tx.kind not in ("adjust", "transfer"):
                continue
            recorded_at = claimed_at or tx.recorded_at
            if recorded_at >= to_ms(now - OLDEST) - 86_400_000:
                at = max(tx.effective_at, recorded_at - OLDEST // timedelta(milliseconds=1))
                key = (tx.device, from_ms(at).astimezone(ZoneInfo(zone)).date())
                made[key] = made.get(key, 0) + lot.amount
        return made

    def _is_earned(self, lot: LotRow) -> bool:
        """Return whether the leg before that of a lot paid for it, as for what is earned; given back it is not."""
        mine = [one for one in self.tables.entries if one.tx == lot.tx]
        promo = self.tables.account_ids.get(AccountKey(AccountKind.PROMO_COST))
        if lot.tx in self.tables.claims:
            of, suspense = self.tables.claims[lot.tx][0], self.tables.account_ids.get(AccountKey(AccountKind.SUSPENSE))
            first = [one for one in self.tables.entries if one.tx == of]
            befores = [before.account for before, one in pairwise([first[0], *first]) if one.account == suspense]
            claimed = [one for one in mine if one.account != suspense]
            return any(
                one.lot is not None and self.tables.lots[one.lot] is lot and before == promo
                for before, one in zip(befores, claimed, strict=True)
            )
        return any(
            one.lot is not None and self.tables.lots[one.lot] is lot and before.account == promo
            for before, one in pairwise(mine)
        )

    async def program(self, version: int | None) -> Program | None:
        return self._programs.get(max(self._programs) if version is None else version)

    async def feed_times(self, seqs: Sequence[int]) -> dict[int, datetime]:
        found = ((seq, next((at for n, at in self.tables.commits if n >= seq), None)) for seq in set(seqs))
        return {seq: at for seq, at in found if at is not None}

    async def feed_length(self) -> int:
        return self.tables.n

    # -- LedgerStore: writing --------------------------------------------------------------------------------------

    async def store_head(
        self,
        device: UUID,
        epoch: int,
        row: EpochRow,
        *,
        old_head: int | None,
        parent: tuple[int | None, bytes] | None,
        forked_at: int | None,
        opened_reason: str,
    ) -> bool:
        self.written = True
        key = (device, epoch, row.branch.number)
        found = self.tables.epochs.get(key)
        if (None if found is None else found.head_seq) != old_head:
            return False
        made = EpochRecord(
            row.branch.head_seq, row.branch.head_hash, row.count, row.totals, parent, forked_at, opened_reason
        )
        if found is not None:
            made = replace(
                made, parent=found.parent, forked_at=found.forked_at, opened_reason=found.opened_reason
            )  # fmt: skip
        self.tables.epochs[key] = made
        return True

    async def insert_postings(self, rows: Sequence[Sourced], queued: Sequence[UUID], recorded_at: datetime) -> int:
        """Pricing again is not of the protocol: what is `queued` is left alone."""
        new = 0
        for one in rows:
            record, source = one.posted.fact.record, one.source
            tx = Tx(
                record.id,
                record.kind.value,
                record.device,
                record.epoch,
                one.branch,
                record.seq,
                source.prev,
                source.hash,
                source.payload,
                one.posted.fact.guest,
                one.posted.fact.effective_at,
                one.posted.flags,
                to_ms(recorded_at),
                record.reverses_id,
            )
            new += self.insert(tx)
        return new

    def insert(self, tx: Tx) -> bool:
        """Insert a row unless its id exists; return whether it did not."""
        if tx.id in self.tables.txs:
            return False
        self.tables.txs[tx.id] = tx
        self.tables.places[tx.device, tx.epoch, tx.branch, tx.seq] = tx
        return True

    async def store_moves(
        self,
        posted: Iterable[Posted],
        accounts: Mapping[AccountKey, int],
        guests: Sequence[GuestChange],
        now: datetime,
    ) -> None:
        made = made_by_leg(lot for one in guests for lot in one.account.holdings.made)
        for one in posted:
            for leg, moved in enumerate(one.legs):
                tx = one.fact.record.id
                self.tables.entries.append(Entry(tx, leg, accounts[moved.account], moved.amount, made.get((tx, leg))))
        for change in guests:
            self._store_lots(change.account)
            self._store_guest(change)

    def _store_lots(self, one: GuestAccount) -> None:
        for lot in [*one.holdings.made, *one.holdings.touched.values()]:
            self.tables.lots[lot.id] = LotRow(
                one.account_id,
                lot.tx_id,
                lot.amount,
                lot.remaining,
                lot.earned_at,
                lot.expires_at,
                lot.usable_at,
                lot.held,
                lot.own_expiry,
            )
        self.tables.uses += one.holdings.used

    def _store_guest(self, one: GuestChange) -> None:
        number, state = one.account.account_id, one.account.state
        account = self.tables.accounts[number]
        holdings = one.account.holdings
        self.tables.accounts[number] = Account(
            account.key, account.posted + one.moved, holdings.debt, tuple(holdings.activity.spans)
        )
        self.tables.guests[one.account.guest] = replace(
            self.tables.guests[one.account.guest],
            state=(state.tier, state.spend, state.visits, state.first_visit, state.earned),
            points=one.points,
            next_expiries=tuple(one.next_expiries),
        )

    async def insert_quarantined(self, device: UUID, epoch: int, branch: int, rows: Sequence[Quarantined]) -> None:
        for one in rows:
            state = WAITING if one.reason == "WAITING_DEP" else "open"
            row = QuarantineRow(
                one.record_id, branch, one.seq, one.hash, one.prev, one.raw, one.reason, state, one.waits_for
            )
            self.tables.quarantine.setdefault((device, epoch, one.seq, one.raw_hash), row)

    async def settle_waiting(
        self,
        settled: Sequence[int],
        condemned: Sequence[tuple[int, str, str]],
        postponed: Sequence[tuple[int, UUID]],
        now: datetime,
    ) -> None:
        keys = list(self.tables.quarantine)
        for number in settled:
            self.tables.quarantine[keys[number]] = replace(self.tables.quarantine[keys[number]], state=REPLAYED)
        for number, reason, _ in condemned:
            row = replace(self.tables.quarantine[keys[number]], state="open", reason=reason)
            self.tables.quarantine[keys[number]] = row
        for number, of in postponed:
            self.tables.quarantine[keys[number]] = replace(self.tables.quarantine[keys[number]], waits_for=of)

    async def insert_raised(self, device: UUID, rows: Sequence[RaisedRow]) -> None:
        for one in rows:
            self.tables.exceptions.setdefault((str(one.kind), one.tx_id), one)

    async def keep_words(self, rows: Sequence[Words]) -> None:
        """Words are not of the protocol."""

    async def guest_changes(self, guests: Sequence[UUID]) -> list[feed.Change]:
        return [feed.Change(FeedTable.GUEST, str(one), self.tables.row(FeedTable.GUEST, str(one))) for one in guests]

    async def move_system_accounts(self, moved: Mapping[int, int]) -> None:
        for number, amount in moved.items():
            account = self.tables.accounts[number]
            self.tables.accounts[number] = replace(account, posted=account.posted + amount)

    async def feed_changes(self, changes: Sequence[feed.Change]) -> int:
        self.written = True
        tables, before = self.tables, self.tables.n
        latest = {(change.table.value, change.key): change for change in changes}
        for (table, key), change in latest.items():
            digest = None if change.row is None else row_digest(table, key, change.row)
            old = tables.feed.get((table, key), (0, None))[1]
            if digest == old:
                continue
            tables.n += 1
            tables.rows += (digest is not None) - (old is not None)
            tables.digest = (tables.digest + (digest or 0) - (old or 0)) % DIGEST_MODULUS
            tables.feed[table, key] = (tables.n, digest)
        if tables.n > before:
            tables.commits.append((tables.n, self._now))
        return tables.n

    def seal(self, name: str, secret: bytes) -> bytes:
        return secret

    # -- SyncStore -------------------------------------------------------------------------------------------------

    async def life(self) -> UUID | None:
        return self.tables.life

    async def feed_count(self) -> feed.Count:
        return feed.Count(self.tables.n, self.tables.rows, self.tables.digest)

    async def see(self, device: UUID, now: datetime, boot_id: UUID, monotonic_ms: int) -> str | None:
        found = self.tables.devices.get(device)
        if found is None:
            return None
        self.written = True
        self.tables.devices[device] = replace(found, sight=ClockSight(boot_id, monotonic_ms, to_ms(now)))
        return found.state

    async def state(self, device: UUID) -> str | None:
        found = self.tables.devices.get(device)
        return None if found is None else found.state

    async def heads(self, device: UUID) -> list[BranchHead]:
        return [
            BranchHead(epoch, branch, row.head_seq, row.head_hash)
            for (owner, epoch, branch), row in self.tables.epochs.items()
            if owner == device
        ]

    async def lines(self, device: UUID) -> list[Line]:
        spans: dict[tuple[int, int], list[Tx]] = {}
        waited = {(one.id, one.hash) for one in self.tables.quarantine.values()}
        for (owner, epoch, branch, _), tx in self.tables.places.items():
            if owner == device and (tx.id, tx.hash) not in waited:
                spans.setdefault((epoch, branch), []).append(tx)
        made = []
        for (owner, epoch, branch), row in self.tables.epochs.items():
            if owner == device:
                span = spans.get((epoch, branch), [])
                ends = [from_ms(of(span, key=attrgetter("seq")).recorded_at) if span else None for of in (min, max)]
                parent = None if row.parent is None else row.parent[1]
                made.append(Line(epoch, branch, parent, row.head_hash, *ends))
        return made

    async def mark_cloned(self, device: UUID) -> None:
        self.written = True
        self.tables.devices[device] = replace(self.tables.devices[device], state="cloned")

    async def life_claims(self, since: datetime) -> list[LifeClaim]:
        return [one for one in self.tables.life_claims.values() if one.at > since]

    async def put_life_claim(self, claim: LifeClaim) -> None:
        self.written = True
        before = self.tables.life_claims.get((claim.device, claim.life))
        ended = claim.ended or (before is not None and before.ended)
        self.tables.life_claims[claim.device, claim.life] = replace(claim, ended=ended)

    async def signing_key(self, now: datetime) -> tuple[int, Any]:
        return self._signer

    async def keyset_version(self) -> int:
        return 1

    def phone_key(self) -> bytes:
        return b""

    async def guests_up_to(self, limit: int) -> int:
        return min(limit, len(self.tables.guests))

    async def is_beyond_horizon(self, after: int) -> bool:
        return False

    async def marks(self, after: int, limit: int) -> list[feed.Mark]:
        found = sorted((seq, table, key, digest) for (table, key), (seq, digest) in self.tables.feed.items())
        newer = [feed.Mark(seq, table, key, digest is not None) for seq, table, key, digest in found if seq > after]
        return newer[:limit]

    async def rows(self, table: FeedTable, keys: Sequence[str]) -> dict[str, dict[str, Json]]:
        found = ((key, self.tables.row(table, key)) for key in keys)
        return {key: row for key, row in found if row is not None}

    async def held(self, device: UUID, epoch: int, blocks: Sequence[Block]) -> list[list[tuple[UUID, bytes]]]:
        made = []
        branches = self._branches(device, epoch)
        for block in blocks:
            found = []
            for seq in range(block.first_seq, block.first_seq + block.count):
                places = (self.tables.places.get((device, epoch, branch, seq)) for branch in branches)
                found += [(tx.id, tx.hash) for tx in places if tx is not None]
                for (d, e, s, _), one in self.tables.quarantine.items():
                    if (d, e, s) == (device, epoch, seq) and one.state != REPLAYED:
                        found.append((one.id, one.hash))
            made.append(found)
        return made


async def register_guest(store: MemoryStore, guest: UUID, handle: int, member_no: str, kind: str = "card") -> None:
    """Make a guest with one card, in the feed."""
    store.tables.guests[guest] = GuestRecord(member_no=member_no)
    store.tables.credentials[handle.to_bytes(8, "big")] = guest
    row = rows.write(rows.CredentialRow(str(guest), kind))
    store.tables.documents[FeedTable.CREDENTIAL.value, handle_text(handle)] = row
    await store.feed_changes(
        [*await store.guest_changes([guest]), feed.Change(FeedTable.CREDENTIAL, handle_text(handle), row)]
    )


async def put_document(store: MemoryStore, table: FeedTable, key: str, row: dict[str, Json]) -> None:
    """Put a row of a small table into the feed."""
    store.tables.documents[table.value, key] = row
    await store.feed_changes([feed.Change(table, key, row)])
