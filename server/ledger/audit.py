"""The proof: the whole ledger of a network read again and held against its invariants, the first bad place named.

Balances are summed from entries (INV-1, 2), lots against accounts (INV-15), every stored record hashed again along its
chain with its running totals (INV-7, 25), heads compared, entries planned anew from the bytes, the feed's digest made
again from the rows as a till would get them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import groupby
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty_desk.domain.canonical import Json
from loyalty_desk.domain.record import BadRecord, Record, RecordKind, Totals, chain_hash
from loyalty_desk.wire.v1.rows import row_digest
from server.kit import feed
from server.kit.db import fetch
from server.ledger import repository
from server.ledger.posting import AccountKey, AccountKind, is_stores, legs
from server.ledger.returns import RETURNS, CameBack, came_back, is_follow
from server.ledger.shelf import ProgramShelf
from server.ledger.standing import program_version

_PAGE = 1_000
_SHOWN = 100
Render = Callable[[str, Sequence[str]], Awaitable[dict[str, dict[str, Json]]]]


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it must be: which invariant, where, and what."""

    rule: str
    place: str
    text: str

    def __str__(self) -> str:
        return f"{self.rule} at {self.place}: {self.text}"


@dataclass(slots=True)
class Counted:
    """What was read. `lost` are sequence numbers below a head that nobody holds, `doubled` held more than once.

    `sum_of_entries` over all accounts is 0 in a ledger that balances: nothing comes from nowhere.
    """

    records: int = 0
    sales: int = 0
    entries: int = 0
    sum_of_entries: int = 0
    quarantined: int = 0
    guests: int = 0
    lost: int = 0
    doubled: int = 0
    waiting_to_be_priced: int = 0
    exceptions: int = 0


@dataclass(slots=True)
class Audit:
    """The result of one network; no findings: everything holds. At most 100 are kept, all are counted."""

    network: UUID
    counted: Counted = field(default_factory=Counted)
    findings: list[Finding] = field(default_factory=list)
    found: int = 0

    def note(self, rule: str, place: str, text: str) -> None:
        """Keep a finding."""
        self.found += 1
        if len(self.findings) < _SHOWN:
            self.findings.append(Finding(rule, place, text))


@dataclass(frozen=True, slots=True)
class _Line:
    """A stored record of one branch, posted (`reason` None) or quarantined."""

    seq: int
    id: UUID
    payload: bytes
    payload_hash: bytes
    hash: bytes
    prev: bytes
    reason: str | None
    kind: str
    guest: UUID | None
    flags: int
    entries: tuple[tuple[int, int], ...]
    accounts: tuple[AccountKey, ...]


async def audit(connection: AsyncConnection, network: UUID, render: Render) -> Audit:
    """Read a network's ledger and return what is wrong with it; `connection` is a snapshot of one moment.

    `render(table, keys)` gives the present rows of the feed as tills get them.
    """
    made = Audit(network)
    await _count(connection, made)
    for sql, rule in _BALANCES:
        for row in await fetch(connection, sql, network):
            made.note(rule, row[0], row[1])
    await _chains(connection, made)
    await _returns(connection, made)
    await _feed(connection, made, render)
    return made


def last_line(audits: Sequence[Audit]) -> str:
    """Return the one sentence that says it all."""
    total = sum(one.found for one in audits)
    sales, lost, doubled = (sum(getattr(one.counted, name) for one in audits) for name in ("sales", "lost", "doubled"))
    if total:
        first = next(finding for one in audits for finding in one.findings)
        return f"verify: FAILED, {total} findings, first: {first}"
    return f"verify: ok, {sales} sales, {lost} lost, {doubled} doubled, ledger balanced"


async def _count(connection: AsyncConnection, made: Audit) -> None:
    (row,) = await fetch(
        connection,
        """
        select (select count(*) from ledger_tx where network_id = $1),
            (select count(*) from ledger_tx where network_id = $1 and kind = 'sale'),
            (select count(*) from entry where network_id = $1),
            (select count(*) from quarantine where network_id = $1 and state in ('open', 'waiting_dependency')),
            (select count(*) from guest_state where network_id = $1),
            (select count(*) from reprice_queue where network_id = $1),
            (select count(*) from exception where network_id = $1 and state = 'open'),
            (select coalesce(sum(amount), 0)::bigint from entry where network_id = $1)
        """,
        made.network,
    )
    counted = made.counted
    counted.records, counted.sales, counted.entries, counted.quarantined = row[0], row[1], row[2], row[3]
    counted.guests, counted.waiting_to_be_priced, counted.exceptions = row[4], row[5], row[6]
    counted.sum_of_entries = row[7]


# Each returns the place and what is wrong there.
_BALANCES = (
    (
        """
        select 'transaction ' || e.tx_id, 'its entries sum to ' || sum(e.amount) from entry e
        join account a on a.network_id = e.network_id and a.id = e.account_id
        where e.network_id = $1 group by e.tx_id, a.unit having sum(e.amount) <> 0
        """,
        "INV-1",
    ),
    # What a row refers to was there when it was written, and nobody may take it away.
    (
        """
        select 'transaction ' || e.tx_id, 'entry ' || e.leg || ' refers to it or to an account: nothing is there'
        from entry e where e.network_id = $1 and (
            not exists (select from ledger_tx x where x.network_id = $1 and x.id = e.tx_id)
            or not exists (select from account a where a.network_id = $1 and a.id = e.account_id))
        """,
        "INV-1",
    ),
    (
        """
        select 'lot ' || l.id, 'refers to a transaction or an account: nothing is there'
        from lot l where l.network_id = $1 and (
            not exists (select from ledger_tx x where x.network_id = $1 and x.id = l.tx_id)
            or not exists (select from account a where a.network_id = $1 and a.id = l.account_id))
        union all
        select 'lot ' || u.lot_id, 'its use by ' || u.tx_id || ' refers to a transaction or a lot: nothing is there'
        from lot_use u where u.network_id = $1 and (
            not exists (select from ledger_tx x where x.network_id = $1 and x.id = u.tx_id)
            or not exists (select from lot l where l.network_id = $1 and l.id = u.lot_id))
        """,
        "INV-15",
    ),
    (
        """
        select 'account ' || a.id || ' (' || a.kind || ')',
            'says ' || a.posted || ', its entries sum to ' || coalesce(s.total, 0)
        from account a left join (
            select account_id, sum(amount) as total from entry where network_id = $1 group by account_id
        ) s on s.account_id = a.id
        where a.network_id = $1 and a.posted <> coalesce(s.total, 0)
        """,
        "INV-2",
    ),
    (
        """
        select 'account ' || a.id, 'posted ' || a.posted || ', lots ' || coalesce(s.total, 0) || ', debt ' || a.debt
        from account a left join (
            select account_id, sum(remaining) as total, sum(remaining) filter (where state = 'open') as open
            from lot where network_id = $1 group by account_id
        ) s on s.account_id = a.id
        where a.network_id = $1 and a.kind = 'guest'
            and (coalesce(s.total, 0) - a.debt <> a.posted or (coalesce(s.open, 0) > 0 and a.debt > 0))
        """,
        "INV-15",
    ),
    (
        """
        select 'lot ' || l.id, 'has ' || l.remaining || ' left of ' || l.amount || ', used ' || coalesce(u.used, 0)
        from lot l left join (
            select lot_id, sum(amount) as used from lot_use where network_id = $1 group by lot_id
        ) u on u.lot_id = l.id
        where l.network_id = $1 and l.remaining <> l.amount - coalesce(u.used, 0)
        """,
        "INV-15",
    ),
    # Points that are pending or past their end make the stored figure a matter of when it was written.
    (
        """
        select 'guest ' || s.guest_id,
            'shows ' || s.points || ' points, the ledger has ' || a.posted - a.pending_out - h.held
        from guest_state s join account a on a.network_id = s.network_id and a.guest_id = s.guest_id
        cross join lateral (select coalesce(sum(l.remaining), 0) as held from lot l
            where l.network_id = $1 and l.account_id = a.id and l.state = 'held') h
        where s.network_id = $1 and a.kind = 'guest' and s.points <> a.posted - a.pending_out - h.held and not exists (
            select 1 from lot l where l.network_id = $1 and l.account_id = a.id and l.remaining > 0
                and (l.usable_at is not null or l.expires_at <= now()))
        """,
        "INV-12",
    ),
)


async def _chains(connection: AsyncConnection, made: Audit) -> None:
    branches = await fetch(
        connection,
        """
        select device_id, epoch, branch, head_seq, head_hash, count, cum_count, cum_earned, cum_redeemed, parent_head
        from device_epoch where network_id = $1
        -- An epoch's branches together, however many tills were paired before it forked.
        order by min(opened_at) over (partition by device_id, epoch), device_id, epoch, branch
        """,
        made.network,
    )
    holes = {
        row[0]
        for row in await fetch(
            connection, "select tx_id from exception where network_id = $1 and kind = 'HOLE'", made.network
        )
    }
    for _, group in groupby(branches, key=lambda row: (row.device_id, row.epoch)):
        hashes: dict[int, set[bytes]] = {}
        for row in group:
            walk = _Walk(made, row, holes, hashes)
            after = 0
            while lines := await _lines(connection, made.network, row, after):
                for line in lines:
                    walk.step(line)
                after = lines[-1].seq
            walk.finish()
    orphans = await fetch(
        connection,
        """
        select 'record ' || x.id, 'device ' || x.device_id || ' has no epoch ' || x.epoch from ledger_tx x
        where x.network_id = $1 and x.origin = 'till' and not exists (select 1 from device_epoch e
            where e.network_id = $1 and e.device_id = x.device_id and e.epoch = x.epoch and e.branch = x.branch)
        """,
        made.network,
    )
    for place, text in orphans:
        made.note("INV-7", place, text)


async def _lines(connection: AsyncConnection, network: UUID, branch: Any, after: int) -> list[_Line]:
    """Return the next records of a branch, whole sequence numbers only."""
    found = await fetch(
        connection,
        """
        with page as (
            select seq, id, payload, payload_hash, hash, prev_hash, null as reason, kind, guest_id, flags
            from ledger_tx
            where network_id = $1 and device_id = $2 and epoch = $3 and branch = $4 and seq > $5 and origin = 'till'
            union all
            select seq, record_id, raw, raw_hash, hash, prev_hash, reason, '', null, 0 from quarantine
            where network_id = $1 and device_id = $2 and epoch = $3 and branch = $4 and seq > $5
                and state <> 'replayed'
            order by seq limit $6
        )
        select p.*, coalesce(n.legs, '{}'), coalesce(n.amounts, '{}'), coalesce(n.kinds, '{}'), coalesce(n.owners, '{}')
        from page p cross join lateral (
            select array_agg(e.leg order by e.leg) as legs, array_agg(e.amount order by e.leg) as amounts,
                array_agg(a.kind order by e.leg) as kinds,
                array_agg(coalesce(a.guest_id, a.store_id) order by e.leg) as owners
            from entry e left join account a on a.network_id = e.network_id and a.id = e.account_id
            where e.network_id = $1 and e.tx_id = p.id
        ) n order by seq
        """,
        network,
        branch.device_id,
        branch.epoch,
        branch.branch,
        after,
        _PAGE,
    )
    lines = [
        _Line(
            row[0],
            row[1],
            bytes(row[2]),
            bytes(row[3]),
            bytes(row[4]),
            bytes(row[5]),
            row[6],
            row[7],
            row[8],
            row[9],
            tuple(zip(row[10], row[11], strict=True)) if row[6] is None else (),
            _accounts(row[12], row[13]),
        )
        for row in found
    ]
    if len(lines) == _PAGE and lines[0].seq != lines[-1].seq:
        lines = [line for line in lines if line.seq != lines[-1].seq]
    return lines


def _told(accounts: Iterable[AccountKey]) -> str:
    return ", ".join(one.kind.value if one.owner is None else f"{one.kind.value} {one.owner}" for one in accounts)


def _accounts(kinds: Sequence[str | None], owners: Sequence[UUID | None]) -> tuple[AccountKey, ...]:
    """Return the accounts of entries; one that is not there is told of by itself."""
    named = zip(kinds, owners, strict=True)
    return tuple(AccountKey(AccountKind(kind), owner) for kind, owner in named if kind is not None)


class _Walk:
    """Follows one branch from its first record to its head."""

    def __init__(self, made: Audit, branch: Any, holes: set[UUID], hashes: dict[int, set[bytes]]) -> None:
        self._made = made
        self._branch = branch
        self._holes = holes
        self._hashes = hashes
        self._count = 0
        self._last: _Line | None = None
        self._totals: Totals | None = None

    def step(self, line: _Line) -> None:
        """Hold one record against itself, its predecessor and its entries."""
        made, last = self._made, self._last
        self._count += 1
        if last is not None and line.seq == last.seq:
            made.counted.doubled += 1
            made.note("INV-7", self._place(line.seq), "two records stand in one place")
            return
        missing = 0 if last is None else line.seq - last.seq - 1
        if last is None and self._branch.branch == 0:
            missing = line.seq - 1
        if missing:
            made.counted.lost += missing
            if line.id not in self._holes:
                made.note("INV-4", self._place(line.seq), f"{missing} records before it are missing")
        self._check_chain(line, missing)
        if line.reason is None:
            self._check_posted(line, missing)
        else:
            # What a quarantined record earned cannot be relied on; its successor's totals begin anew.
            self._totals = None
        self._hashes.setdefault(line.seq, set()).add(line.hash)
        self._last = line

    def finish(self) -> None:
        """Hold the head against the last record."""
        branch, last = self._branch, self._last
        place = self._place(branch.head_seq)
        if last is None or (last.seq, last.hash) != (branch.head_seq, bytes(branch.head_hash)):
            reached = 0 if last is None else last.seq
            self._made.counted.lost += max(0, branch.head_seq - reached)
            self._made.note("INV-7", place, f"the head is {branch.head_seq}, the records end at {reached}")
        elif self._count != branch.count:
            self._made.note("INV-7", place, f"the head counts {branch.count} records, there are {self._count}")
        elif self._totals not in (None, Totals(branch.cum_count, branch.cum_earned, branch.cum_redeemed)):
            self._made.note("INV-7", place, "the head's running totals are not those of its last record")

    def _check_chain(self, line: _Line, missing: int) -> None:
        note, place = self._made.note, self._place(line.seq)
        if sha256(line.payload).digest() != line.payload_hash:
            note("INV-25", place, "the bytes are not those that were received")
        elif line.reason is None and chain_hash(line.prev, line.payload) != line.hash:
            note("INV-25", place, "the bytes do not hash to the record's hash")
        if missing:
            return
        if self._last is not None:
            if line.prev != self._last.hash:
                note("INV-7", place, "it is not chained to the record before it")
        elif line.seq > 1 and line.prev not in self._hashes.get(line.seq - 1, set()):
            note("INV-8", place, "the branch is not chained to the record it forked from")

    def _check_posted(self, line: _Line, missing: int) -> None:
        note, place = self._made.note, self._place(line.seq)
        try:
            record = Record.from_payload(line.payload)
        except BadRecord as error:
            note("INV-25", place, f"the bytes are no record: {error}")
            self._totals = None
            return
        inside = (record.device, record.epoch, record.seq, record.id, record.kind.value)
        if inside != (self._branch.device_id, self._branch.epoch, line.seq, line.id, line.kind):
            note("INV-3", place, "the row says another device, place, id or kind than its bytes")
        moved = legs(record, line.guest, is_stores=is_stores(line.flags))
        planned = tuple((position, leg.amount) for position, leg in enumerate(moved))
        # What a return moved depends on what came back before it: all returns of a sale are held against it together.
        if record.kind is RecordKind.TRANSFER:
            # One credit for each life that the giver's points had.
            taken, given = line.entries[:1], sum(amount for _, amount in line.entries[1:])
            is_right = (taken, given) == (((0, -record.points_redeemed),), record.points_redeemed)
            planned = line.entries if is_right else planned
        if planned != line.entries and record.kind not in RETURNS:
            note("INV-1", place, f"its entries are {line.entries}, by its bytes {planned}")
        elif record.kind is RecordKind.TRANSFER:
            if line.accounts[:1] != (AccountKey(AccountKind.GUEST, line.guest),):
                note("INV-1", place, "its points were not taken from the giver")
        elif record.kind not in RETURNS and line.accounts != tuple(leg.account for leg in moved):
            wanted = _told(leg.account for leg in moved)
            note("INV-1", place, f"its entries are of {_told(line.accounts)}, by its bytes of {wanted}")
        if self._totals is not None and not missing and line.id not in self._holes:
            expected = self._totals.after(record.kind, record.points_earned, record.points_redeemed)
            if record.totals != expected:
                note("INV-7", place, "the running totals do not continue")
        if record.kind is RecordKind.EPOCH_OPEN and record.seq != 1:
            note("INV-7", place, "an epoch opens in the middle")
        self._totals = record.totals

    def _place(self, seq: int) -> str:
        branch = self._branch
        return f"device {branch.device_id} epoch {branch.epoch} branch {branch.branch} seq {seq}"


async def _returns(connection: AsyncConnection, made: Audit) -> None:
    """INV-17: what all returns of a sale have moved follows from the sale and them, and is never more than it had."""
    shelf, after = ProgramShelf(), UUID(int=0)
    while True:
        rows = await fetch(
            connection,
            """
            select distinct reverses_id from ledger_tx
            where network_id = $1 and reverses_id > $2 and kind in ('void', 'refund', 'exchange') and origin = 'till'
            order by reverses_id limit $3
            """,
            made.network,
            after,
            _PAGE,
        )
        if not rows:
            return
        after = rows[-1].reverses_id
        moved: dict[UUID, Counter[str]] = {}
        for of, kind, amount in await fetch(
            connection,
            """
            select x.reverses_id,
                case when a.kind in ('guest', 'suspense', 'offline_loss') then 'guest' else a.kind end,
                sum(e.amount)::bigint
            from ledger_tx x join entry e on e.network_id = x.network_id and e.tx_id = x.id
            join account a on a.network_id = e.network_id and a.id = e.account_id
            where x.network_id = $1 and x.reverses_id = any($2::uuid[]) and x.kind in ('void', 'refund', 'exchange')
            group by 1, 2
            """,
            made.network,
            [row.reverses_id for row in rows],
        ):
            moved.setdefault(of, Counter())[kind] = amount
        found = await repository.originals(connection, made.network, [row.reverses_id for row in rows])
        for row in rows:
            original = found.get(row.reverses_id)
            if original is None:
                made.note("INV-17", f"sale {row.reverses_id}", "it was returned and is not here")
                continue
            version = program_version(original.record) if any(map(is_follow, original.returns)) else None
            program = None if version is None else await shelf.find(connection, made.network, version)
            expected = _moved(came_back(original.record, program, original.returns), original.returns)
            has = moved.get(row.reverses_id, Counter())
            if any(has[kind] != expected[kind] for kind in has.keys() | expected.keys()):
                text = f"its returns moved {dict(has)}, by their bytes {dict(expected)}"
                made.note("INV-17", f"sale {row.reverses_id}", text)


def _moved(back: CameBack, returns: Iterable[Record]) -> Counter[str]:
    """Return what each kind of account gets by all returns of a sale, the new sales of exchanges included.

    The guest stands for whoever paid with points: a store that was charged for a redemption gets those back itself.
    """
    earned, spent = (sum(getattr(one, name) for one in back.excess.values()) for name in ("earned", "spent"))
    total = Counter(
        guest=back.spent - back.earned,
        liability=-back.spent - spent,
        promo_cost=back.earned + earned,
        refund_loss=spent - earned,
    )
    for record in returns:
        if record.kind is RecordKind.EXCHANGE:
            for leg in legs(record, None):
                total["guest" if leg.account.kind is AccountKind.SUSPENSE else leg.account.kind.value] += leg.amount
    return total


async def _feed(connection: AsyncConnection, made: Audit, render: Render) -> None:
    count, again = await feed.count(connection, made.network), await feed.recomputed(connection, made.network)
    if count.n < again.n or (count.rows, count.digest) != (again.rows, again.digest):
        made.note("INV-9", "the feed's counter", f"says {count}, its rows say {again}")
    after = 0
    while marks := await feed.marks(connection, made.network, after, _PAGE):
        after = marks[-1].seq
        stored = {
            (row.tbl, row.key): None if row.digest is None else int(row.digest)
            for row in await fetch(
                connection,
                "select tbl, key, digest from feed where network_id = $1 and feed_seq between $2 and $3",
                made.network,
                marks[0].seq,
                after,
            )
        }
        for table, keys in _by_table(stored):
            rows = await render(table, keys)
            for key in keys:
                row = rows.get(key)
                if stored[table, key] != (None if row is None else row_digest(table, key, row)):
                    made.note("INV-10", f"feed row {table} {key}", "a till would get another row than was announced")


def _by_table(stored: Iterable[tuple[str, str]]) -> Iterator[tuple[str, list[str]]]:
    for table, group in groupby(sorted(stored), key=lambda one: one[0]):
        yield table, [key for _, key in group]
