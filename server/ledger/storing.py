"""What posting writes, in plain SQL, inside the caller's transaction.

Arrays travel as one parameter a column and are unnested, so a batch costs as many statements as one sale.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from asyncpg import NumericValueOutOfRangeError

from loyalty_desk.domain.clock import from_ms, to_ms
from loyalty_desk.domain.lots import next_expiries
from server.kit.db import Connection, fetch_value, write
from server.kit.errors import outage
from server.ledger.ceiling import OLDEST
from server.ledger.intake import Incoming
from server.ledger.lots import Holdings, Lot, made_by_leg
from server.ledger.posting import AccountKey, AccountKind, Posted
from server.ledger.repository import EpochRow, GuestAccount
from server.ledger.terms import program_version

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class GuestChange:
    """A guest as the batch leaves them: net change of the account, points to spend now, next expiries."""

    account: GuestAccount
    moved: int
    points: int
    next_expiries: list[tuple[int, int]]

    @classmethod
    def of(cls, account: GuestAccount, moved: Mapping[AccountKey, int], now: datetime) -> GuestChange:
        """Return a guest as a posting leaves them at `now`; `moved` is the net change of each account."""
        at = to_ms(now)
        return cls(
            account,
            moved.get(AccountKey(AccountKind.GUEST, account.guest), 0),
            account.holdings.available(at),
            next_expiries(account.holdings.lots, at),
        )


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


async def store_moves(
    connection: Connection,
    network: UUID,
    posted: Iterable[Posted],
    accounts: Mapping[AccountKey, int],
    guests: Sequence[GuestChange],
    now: datetime,
) -> None:
    """Insert the legs of postings with the lots they made, write guests' accounts and states, and what older lots gave.

    A guest's credit names the lot it made. What a check gave counts for the day it was made, or for the oldest that
    counts at `now`.
    """
    made = [(one.account.account_id, lot) for one in guests for lot in one.account.holdings.made]
    lots = made_by_leg(lot for _, lot in made)
    legs = [
        (one.fact.record.id, position, accounts[leg.account], leg.amount, lots.get((one.fact.record.id, position)))
        for one in posted
        for position, leg in enumerate(one.legs)
    ]
    if legs or guests:
        await write(
            connection,
            _MOVES,
            network,
            *([leg[column] for leg in legs] for column in range(5)),
            *_lot_columns(made, to_ms(now - OLDEST)),
            *_state_columns(guests),
            *_account_columns(guests),
        )
    await _take_from_lots(connection, network, [one.account.holdings for one in guests])


# $1 is the network; then 5 columns of legs, 11 of lots, 8 of the states of guests and 4 of their accounts.
_MOVES = """
    with legs as (
        insert into entry (network_id, tx_id, leg, account_id, amount, lot_id)
        select $1, * from unnest($2::uuid[], $3::smallint[], $4::bigint[], $5::bigint[], $6::uuid[])
    ), lots as (
        insert into lot (network_id, id, account_id, tx_id, amount, remaining, earned_at, expires_at, usable_at,
            own_expiry, granted_at, state)
        select $1, id, account_id, tx_id, amount, remaining, earned_at, expires_at, usable_at, own_expiry,
            granted_at,
            case when held and remaining = 0 then 'reversed' when held then 'held'
                when remaining = 0 then 'spent' else 'open' end
        from unnest($7::uuid[], $8::bigint[], $9::uuid[], $10::bigint[], $11::bigint[], $12::timestamptz[],
            $13::timestamptz[], $14::timestamptz[], $15::boolean[], $16::boolean[], $17::timestamptz[])
            as t (id, account_id, tx_id, amount, remaining, earned_at, expires_at, usable_at, held, own_expiry,
                granted_at)
    ), account_of as (
        update account set posted = account.posted + t.moved, debt = t.debt, activity = t.activity::jsonb,
            version = account.version + 1
        from unnest($26::bigint[], $27::bigint[], $28::bigint[], $29::text[]) as t (id, moved, debt, activity)
        where account.network_id = $1 and account.id = t.id
    )
    update guest_state set tier = t.tier, points = t.points, spend = t.spend, visits = t.visits,
        earned = t.earned, visits_ever = guest_state.visits_ever + (t.visits - guest_state.visits),
        first_visit = t.first_visit, next_expiries = t.next_expiries::jsonb
    from unnest($18::uuid[], $19::text[], $20::bigint[], $21::bigint[], $22::bigint[], $23::bigint[],
        $24::date[], $25::text[]) as t (guest_id, tier, points, spend, visits, earned, first_visit,
        next_expiries)
    where guest_state.network_id = $1 and guest_state.guest_id = t.guest_id
"""


def _lot_columns(made: Sequence[tuple[int, Lot]], oldest: int) -> tuple[Sequence[object], ...]:
    return (
        [lot.id for _, lot in made],
        [account for account, _ in made],
        [lot.tx_id for _, lot in made],
        [lot.amount for _, lot in made],
        [lot.remaining for _, lot in made],
        [from_ms(lot.earned_at) for _, lot in made],
        [_moment(lot.expires_at) for _, lot in made],
        [_moment(lot.usable_at) for _, lot in made],
        [lot.held for _, lot in made],
        [lot.own_expiry for _, lot in made],
        [from_ms(max(lot.earned_at, oldest)) if lot.of_check else None for _, lot in made],
    )


def _state_columns(guests: Sequence[GuestChange]) -> tuple[Sequence[object], ...]:
    return (
        [one.account.guest for one in guests],
        [one.account.state.tier for one in guests],
        [one.points for one in guests],
        [one.account.state.spend for one in guests],
        [one.account.state.visits for one in guests],
        [one.account.state.earned for one in guests],
        [_date(one.account.state.first_visit) for one in guests],
        [json.dumps(one.next_expiries) for one in guests],
    )


def _account_columns(guests: Sequence[GuestChange]) -> tuple[Sequence[object], ...]:
    return (
        [one.account.account_id for one in guests],
        [one.moved for one in guests],
        [one.account.holdings.debt for one in guests],
        [json.dumps(one.account.holdings.activity.spans) for one in guests],
    )


async def _take_from_lots(connection: Connection, network: UUID, holdings: Sequence[Holdings]) -> None:
    """Write down what was taken from lots, and what older ones are now."""
    fresh = {lot.id for one in holdings for lot in one.made}
    older = [lot for one in holdings for lot in one.touched.values() if lot.id not in fresh]
    if older:
        await write(
            connection,
            """
            update lot set remaining = t.remaining, expires_at = t.expires_at,
                state = case when t.remaining > 0 then lot.state when lot.state = 'held' then 'reversed'
                    else 'spent' end
            from unnest($2::uuid[], $3::bigint[], $4::timestamptz[]) as t (id, remaining, expires_at)
            where lot.network_id = $1 and lot.id = t.id
            """,
            network,
            [lot.id for lot in older],
            [lot.remaining for lot in older],
            [_moment(lot.expires_at) for lot in older],
        )
    uses: dict[tuple[UUID, UUID], int] = {}
    for one in holdings:
        for use in one.used:
            uses[use.tx_id, use.lot_id] = uses.get((use.tx_id, use.lot_id), 0) + use.amount
    if uses:
        await write(
            connection,
            """
            insert into lot_use (network_id, tx_id, lot_id, amount)
            select $1, * from unnest($2::uuid[], $3::uuid[], $4::bigint[])
            """,
            network,
            [tx for tx, _ in uses],
            [lot for _, lot in uses],
            list(uses.values()),
        )


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


async def move_system_accounts(connection: Connection, network: UUID, moved: Mapping[int, int]) -> None:
    """Add to accounts that every push touches, once a batch and in the order of ids; they are locked from here on.

    Raises `ApiError` 503 where a sum no longer fits: that says nothing about the records at hand, so none is to blame.
    """
    try:
        await write(
            connection,
            """
            with mine as (
                select a.id from account a where a.network_id = $1 and a.id = any($2::bigint[]) order by a.id
                for no key update
            )
            update account set posted = account.posted + t.moved, version = account.version + 1
            from unnest($2::bigint[], $3::bigint[]) as t (id, moved)
            where account.network_id = $1 and account.id = t.id and t.id in (select id from mine)
            """,
            network,
            list(moved),
            list(moved.values()),
        )
    except NumericValueOutOfRangeError as error:
        _LOG.critical("an account of network %s itself is full: nothing can be posted until somebody looks", network)
        raise outage() from error


def _moment(milliseconds: int | None) -> datetime | None:
    return None if milliseconds is None else from_ms(milliseconds)


def _date(text: str | None) -> date | None:
    return None if text is None else date.fromisoformat(text)
