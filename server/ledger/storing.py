"""What posting writes besides what it moves (`moves`), in plain SQL, inside the caller's transaction.

Arrays travel as one parameter a column and are unnested, so a batch costs as many statements as one sale.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from loyalty_desk.domain.clock import from_ms
from server.kit.db import Connection, fetch_value, write
from server.ledger.intake import Incoming
from server.ledger.posting import Posted
from server.ledger.repository import EpochRow
from server.ledger.terms import program_version


@dataclass(frozen=True, slots=True)
class Sourced:
    """A posting, the pushed bytes it was made from, and the branch they stand in."""

    posted: Posted
    source: Incoming
    branch: int


@dataclass(frozen=True, slots=True)
class Quarantined:
    """Bytes that are stored and not posted. `raw` is the payload as pushed."""

    seq: int
    record_id: UUID
    raw: bytes
    raw_hash: bytes
    hash: bytes
    prev: bytes
    reason: str
    detail: str
    private_sealed: bytes | None = None
    waits_for: UUID | None = None


@dataclass(frozen=True, slots=True)
class RaisedRow:
    """An exception to be stored. `facts` hold numbers and ids."""

    kind: str
    tx_id: UUID | None
    account_id: int | None
    facts: Mapping[str, Any]
    severity: str


async def store_head(
    connection: Connection,
    network: UUID,
    device: UUID,
    epoch: int,
    row: EpochRow,
    *,
    old_head: int | None,
    parent: tuple[int | None, bytes] | None = None,
    forked_at: int | None = None,
    opened_reason: str = "enrol",
) -> bool:
    """Write a branch's head over `old_head`, None for a branch that begins; False where it is not that any more."""
    totals = (row.totals.count, row.totals.earned, row.totals.redeemed)
    if old_head is None:
        parent_epoch, parent_head = parent or (None, None)
        done = await write(
            connection, """
            insert into device_epoch (network_id, device_id, epoch, branch, head_seq, head_hash, count, cum_count,
                cum_earned, cum_redeemed, parent_epoch, parent_head, forked_at, opened_reason)
            values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
            on conflict (network_id, device_id, epoch, branch) do nothing
            """,
            network, device, epoch, row.branch.number, row.branch.head_seq, row.branch.head_hash, row.count, *totals,
             parent_epoch, parent_head, forked_at, opened_reason,
        )  # fmt: skip
    else:
        done = await write(
            connection, """
            update device_epoch set head_seq = $6, head_hash = $7, count = $8, cum_count = $9, cum_earned = $10,
                cum_redeemed = $11
            where network_id = $1 and device_id = $2 and epoch = $3 and branch = $4 and head_seq = $5
            """,
            network, device, epoch, row.branch.number, old_head, row.branch.head_seq, row.branch.head_hash, row.count,
             *totals,
        )  # fmt: skip
    return done == 1


async def insert_postings(
    connection: Connection, network: UUID, rows: Sequence[Sourced], queued: Sequence[UUID], recorded_at: datetime
) -> int:
    """Insert transactions and return how many were new; those `queued` are priced again after the acknowledgement.

    Fewer than given means that somebody else stored one of these ids a moment ago: roll back and plan anew.
    """
    records = [one.posted.fact.record for one in rows]
    new = await fetch_value(
        connection,
        """
        with queued as (
            insert into reprice_queue (network_id, tx_id) select $1, * from unnest($22::uuid[])
            on conflict (network_id, tx_id) do nothing
        ), posted as (
            insert into ledger_tx (network_id, id, kind, origin, device_id, epoch, branch, seq, payload, payload_hash,
                hash, prev_hash, occurred_at, clock_conf, effective_at, recorded_at, guest_id, store_id,
                program_version, reverses_id, flags, receipt_no)
            select $1, id, kind, 'till', device_id, epoch, branch, seq, payload, payload_hash, hash, prev_hash,
                occurred_at, clock_conf, effective_at, $2, guest_id, store_id, program_version, reverses_id, flags,
                receipt_no
            from unnest($3::uuid[], $4::text[], $5::uuid[], $6::bigint[], $7::bigint[], $8::bytea[], $9::bytea[],
                $10::bytea[], $11::bytea[], $12::bigint[], $13::text[], $14::timestamptz[], $15::uuid[], $16::uuid[],
                $17::int[], $18::uuid[], $19::bigint[], $20::text[], $21::int[])
                as t (id, kind, device_id, epoch, seq, payload, payload_hash, hash, prev_hash, occurred_at, clock_conf,
                    effective_at, guest_id, store_id, program_version, reverses_id, flags, receipt_no, branch)
            on conflict (network_id, id) do nothing returning id
        )
        select count(*) from posted
        """,
        network,
        recorded_at,
        [one.id for one in records],
        [one.kind.value for one in records],
        [one.device for one in records],
        [one.epoch for one in records],
        [one.seq for one in records],
        [one.source.payload for one in rows],
        [one.source.payload_hash for one in rows],
        [one.source.hash for one in rows],
        [one.source.prev for one in rows],
        [one.occurred_at for one in records],
        [one.clock_conf.value for one in records],
        [from_ms(one.posted.fact.effective_at) for one in rows],
        [one.posted.fact.guest for one in rows],
        [one.store for one in records],
        [program_version(one) for one in records],
        [one.reverses_id for one in records],
        [one.posted.flags for one in rows],
        [one.receipt_no for one in records],
        [one.branch for one in rows],
        list(queued),
    )
    return int(new)


async def insert_quarantined(
    connection: Connection, network: UUID, device: UUID, epoch: int, branch: int, rows: Sequence[Quarantined]
) -> None:
    """Store what is not posted; what is stored already stays as it is."""
    await write(
        connection,
        """
        insert into quarantine (network_id, device_id, epoch, branch, seq, record_id, raw, raw_hash, hash, prev_hash,
            reason, detail, private_sealed, waits_for, state)
        select $1, $2, $3, $4, seq, record_id, raw, raw_hash, hash, prev_hash, reason, detail, private_sealed,
            waits_for, case when reason = 'WAITING_DEP' then 'waiting_dependency' else 'open' end
        from unnest($5::bigint[], $6::uuid[], $7::bytea[], $8::bytea[], $9::bytea[], $10::bytea[], $11::text[],
            $12::text[], $13::bytea[], $14::uuid[])
            as t (seq, record_id, raw, raw_hash, hash, prev_hash, reason, detail, private_sealed, waits_for)
        on conflict (network_id, device_id, epoch, seq, raw_hash) do nothing
        """,
        network,
        device,
        epoch,
        branch,
        [one.seq for one in rows],
        [one.record_id for one in rows],
        [one.raw for one in rows],
        [one.raw_hash for one in rows],
        [one.hash for one in rows],
        [one.prev for one in rows],
        [one.reason for one in rows],
        [one.detail for one in rows],
        [one.private_sealed for one in rows],
        [one.waits_for for one in rows],
    )


async def settle_waiting(
    connection: Connection,
    network: UUID,
    settled: Sequence[int],
    condemned: Sequence[tuple[int, str, str]],
    postponed: Sequence[tuple[int, UUID]],
    now: datetime,
) -> None:
    """Say of rows of quarantine that they are posted, that they never can be and why, or what they wait for now."""
    await write(
        connection,
        """
        update quarantine q set state = case when t.reason is null then 'replayed' else 'open' end,
            resolved_at = case when t.reason is null then $2::timestamptz end,
            private_sealed = case when t.reason is not null then q.private_sealed end,
            reason = coalesce(t.reason, q.reason), detail = coalesce(t.detail, q.detail)
        from unnest($3::bigint[], $4::text[], $5::text[]) as t (id, reason, detail)
        where q.network_id = $1 and q.id = t.id and q.state in ('waiting_dependency', 'open')
        """,
        network,
        now,
        [*settled, *(number for number, _, _ in condemned)],
        [*(None for _ in settled), *(reason for _, reason, _ in condemned)],
        [*(None for _ in settled), *(detail for _, _, detail in condemned)],
    )
    if postponed:
        await write(
            connection,
            "update quarantine q set waits_for = t.waits_for from unnest($2::bigint[], $3::uuid[]) as t (id, waits_for)"
            " where q.network_id = $1 and q.id = t.id and q.state in ('waiting_dependency', 'open')",
            network,
            [number for number, _ in postponed],
            [of for _, of in postponed],
        )


async def insert_raised(connection: Connection, network: UUID, device: UUID | None, rows: Sequence[RaisedRow]) -> None:
    """Store exceptions; one kind once for a transaction."""
    await write(
        connection,
        """
        insert into exception (network_id, kind, tx_id, account_id, device_id, facts, severity)
        select $1, kind, tx_id, account_id, $2, facts::jsonb, severity
        from unnest($3::text[], $4::uuid[], $5::bigint[], $6::text[], $7::text[])
            as t (kind, tx_id, account_id, facts, severity)
        on conflict (network_id, kind, tx_id) do nothing
        """,
        network,
        device,
        [one.kind for one in rows],
        [one.tx_id for one in rows],
        [one.account_id for one in rows],
        [json.dumps(dict(one.facts)) for one in rows],
        [one.severity for one in rows],
    )
