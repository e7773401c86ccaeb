"""Every record of a till hashed again along its chain, with its running totals and its entries (INV-3, 4, 7, 8, 25)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import groupby
from typing import Any
from uuid import UUID

from loyalty_desk.domain.record import BadRecord, Record, RecordKind, Totals, chain_hash
from server.kit.db import Connection, fetch
from server.ledger.audit.findings import Audit
from server.ledger.posting import AccountKey, AccountKind, is_stores, legs
from server.ledger.returns import RETURNS

_PAGE = 1_000


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


async def check_chains(connection: Connection, made: Audit) -> None:
    """Walk every branch of every till from its first record to its head."""
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


async def _lines(connection: Connection, network: UUID, branch: Any, after: int) -> list[_Line]:
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
        wrong = _wrong_entries(line, record)
        if wrong is not None:
            note("INV-1", place, wrong)
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


def _wrong_entries(line: _Line, record: Record) -> str | None:
    """Return in what a record moved other points, or of others, than its bytes say; None: nothing is wrong."""
    if record.kind in RETURNS:
        # What a return moved depends on what came back before it: all returns of a sale are held against it together.
        return None
    moved = legs(record, line.guest, is_stores=is_stores(line.flags))
    planned = tuple((position, leg.amount) for position, leg in enumerate(moved))
    is_right = line.entries == planned
    if record.kind is RecordKind.TRANSFER and not is_right:
        # One credit for each life that the giver's points had.
        taken, given = line.entries[:1], sum(amount for _, amount in line.entries[1:])
        is_right = (taken, given) == (((0, -record.points_redeemed),), record.points_redeemed)
    if not is_right:
        return f"its entries are {line.entries}, by its bytes {planned}"
    if record.kind is RecordKind.TRANSFER:
        is_givers = line.accounts[:1] == (AccountKey(AccountKind.GUEST, line.guest),)
        return None if is_givers else "its points were not taken from the giver"
    if line.accounts != tuple(leg.account for leg in moved):
        return f"its entries are of {_told(line.accounts)}, by its bytes of {_told(leg.account for leg in moved)}"
    return None
