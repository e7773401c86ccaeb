"""What posting reads and locks, in plain SQL. Every function works inside the caller's transaction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from loyalty_desk.domain.clock import to_ms
from loyalty_desk.domain.lots import Activity
from loyalty_desk.domain.record import Record, Totals
from server.kit.crypto import Vault
from server.kit.db import Connection, fetch, write
from server.kit.turns import turn_sql
from server.ledger.branching import Branch
from server.ledger.ceiling import OLDEST
from server.ledger.intake import Incoming
from server.ledger.lots import Holdings, Lot
from server.ledger.posting import AccountKey, AccountKind, GuestState, has_woken, is_stores
from server.ledger.returns import Original, Source, who
from server.ledger.timing import ClockSight, Place

UNIT = "points"


@dataclass(frozen=True, slots=True)
class DeviceRow:
    """A device locked for a push, and the life of the database it is locked in."""

    state: str
    store: UUID
    sight: ClockSight | None
    incarnation: UUID


@dataclass(frozen=True, slots=True)
class EpochRow:
    """A branch of an epoch with its length, the running totals of its head, and which records it holds unposted.

    `counted` says of posted records around the push when they count, milliseconds UTC, by their number.
    """

    branch: Branch
    count: int
    totals: Totals
    unposted: Mapping[int, str]
    counted: Mapping[int, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Waiting:
    """A record set aside until another one is posted: its row in quarantine, its branch, its bytes as pushed."""

    number: int
    branch: int
    source: Incoming


@dataclass(slots=True)
class GuestAccount:
    """A guest's account, locked: what posting changes of it and what it changes of the guest.

    `merged_into` names who the guest is today, where that is somebody else.
    """

    account_id: int
    guest: UUID
    holdings: Holdings
    state: GuestState
    merged_into: UUID | None = None


def returns_turn(network: UUID) -> str:
    """Return the name of the turn that those take who post what a return may wait for, or a return."""
    return f"returns {network}"


async def lock_device(connection: Connection, network: UUID, device: UUID, *, alone: bool = False) -> DeviceRow | None:
    """Lock a device that has joined and return it. The lock comes first of all and makes its pushes take turns.

    Then comes that of the network's returns: shared by those who may post a sale that somebody waits for, held alone by
    whoever brings a return, so that neither overlooks what the other has not committed yet.
    """
    found = await fetch(
        connection,
        f"""
        with mine as materialized (
            select state, store_id, clock_boot, clock_ms, clock_at from device
            where network_id = $1 and id = $2 and state not in ('pending', 'void') for no key update
        )
        select mine.*, (select incarnation from server_meta order by number desc limit 1),
            {turn_sql("$3", alone=alone)}
        from mine
        """,  # noqa: S608 - one of two names
        network,
        device,
        returns_turn(network),
    )
    if not found:
        return None
    state, store, boot, monotonic_ms, at, incarnation, _ = found[0]
    sight = None if boot is None else ClockSight(boot, monotonic_ms, at)
    return DeviceRow(state, store, sight, incarnation)


async def epoch_branches(
    connection: Connection, network: UUID, device: UUID, epoch: int, first: int, last: int
) -> list[EpochRow]:
    """Return the branches of an epoch, each with the hashes it holds of the records `first` to `last`."""
    rows = await fetch(
        connection,
        """
        select e.branch, e.head_seq, e.head_hash, e.forked_at, e.count as length, e.cum_count, e.cum_earned,
            e.cum_redeemed, h.seq, h.hash, h.prev_hash, h.reason, h.effective_at
        from device_epoch e
        left join lateral (
            select seq, hash, prev_hash, null as reason, effective_at from ledger_tx
            where network_id = $1 and device_id = $2 and epoch = $3 and branch = e.branch and seq between $4 and $5
                and origin = 'till'
            union all
            select seq, hash, prev_hash, reason, null from quarantine
            where network_id = $1 and device_id = $2 and epoch = $3 and branch = e.branch and seq between $4 and $5
                and state <> 'replayed'
        ) h on true
        where e.network_id = $1 and e.device_id = $2 and e.epoch = $3 order by e.branch
        """,
        network,
        device,
        epoch,
        first,
        last + 1,
    )
    heads = {row.branch: row for row in rows}
    held: dict[int, dict[int, bytes]] = {branch: {} for branch in heads}
    unposted: dict[int, dict[int, str]] = {branch: {} for branch in heads}
    counted: dict[int, dict[int, int]] = {branch: {} for branch in heads}
    next_prevs: dict[int, bytes] = {}
    for row in rows:
        branch, seq = row.branch, row.seq
        if seq is None:
            continue
        held[branch][seq] = row.hash
        if seq == last + 1:
            next_prevs[branch] = row.prev_hash
        if row.reason is not None:
            unposted[branch][seq] = row.reason
        if row.effective_at is not None:
            counted[branch][seq] = to_ms(row.effective_at)
    return [
        EpochRow(
            Branch(branch, row.head_seq, row.head_hash, held[branch], row.forked_at or 1, next_prevs.get(branch)),
            row.length,
            Totals(row.cum_count, row.cum_earned, row.cum_redeemed),
            unposted[branch],
            counted[branch],
        )
        for branch, row in heads.items()
    ]


async def counted_before(connection: Connection, network: UUID, places: Sequence[Place]) -> dict[Place, int]:
    """Return when what stands before these places counts, milliseconds UTC.

    Where a line begins it is whatever else the till has written down, or its enrolment: a till with no past to its
    journal could claim any.
    """
    found = await fetch(
        connection,
        """
        select t.device, t.epoch, t.branch, t.seq, coalesce(mine.at, greatest(others.at, d.created_at))
        from unnest($2::uuid[], $3::bigint[], $4::int[], $5::bigint[]) as t (device, epoch, branch, seq)
        join device d on d.network_id = $1 and d.id = t.device
        left join lateral (
            select x.effective_at as at from ledger_tx x
            where x.network_id = $1 and x.device_id = t.device and x.epoch = t.epoch and x.branch = t.branch
                and x.seq < t.seq and x.origin = 'till'
            order by x.seq desc limit 1
        ) mine on true
        left join lateral (
            select max(last.at) as at from device_epoch e
            cross join lateral (
                select x.effective_at as at from ledger_tx x
                where x.network_id = $1 and x.device_id = e.device_id and x.epoch = e.epoch and x.branch = e.branch
                    and x.origin = 'till'
                order by x.seq desc limit 1
            ) last
            where e.network_id = $1 and e.device_id = t.device and (e.epoch, e.branch) <> (t.epoch, t.branch)
                and mine.at is null
        ) others on true
        """,
        network,
        [one.device for one in places],
        [one.epoch for one in places],
        [one.branch for one in places],
        [one.seq for one in places],
    )
    return {Place(*row[:4]): to_ms(row[4]) for row in found}


async def parent_of(
    connection: Connection, network: UUID, device: UUID, prev: bytes
) -> tuple[int, Totals | bytes] | None:
    """Return the epoch of the record with the hash `prev`: with the totals of its head, or else the record's bytes."""
    found = await fetch(
        connection,
        """
        select epoch, cum_count, cum_earned, cum_redeemed from device_epoch
        where network_id = $1 and device_id = $2 and head_hash = $3 limit 1
        """,
        network,
        device,
        prev,
    )
    if found:
        return found[0][0], Totals(*found[0][1:])
    # A till that was put back to an earlier record begins its new epoch there: rare enough for a look at all of them.
    found = await fetch(
        connection,
        """
        select epoch, payload from ledger_tx
        where network_id = $1 and device_id = $2 and hash = $3 and origin = 'till' limit 1
        """,
        network,
        device,
        prev,
    )
    return (found[0][0], bytes(found[0][1])) if found else None


async def known_ids(connection: Connection, network: UUID, ids: Iterable[UUID]) -> dict[UUID, bytes | None]:
    """Return the hashes of those transactions that exist, by id; None for one that no till made."""
    found = await fetch(
        connection, "select id, hash from ledger_tx where network_id = $1 and id = any($2::uuid[])", network, list(ids)
    )
    return {row[0]: row[1] for row in found}


async def strange_stores(connection: Connection, network: UUID, stores: Iterable[UUID]) -> set[UUID]:
    """Return those that are no stores of the network."""
    asked = set(stores)
    found = await fetch(
        connection, "select id from store where network_id = $1 and id = any($2::uuid[])", network, list(asked)
    )
    return asked - {row[0] for row in found}


async def originals(connection: Connection, network: UUID, ids: Sequence[UUID]) -> dict[UUID, Original]:
    """Return posted records by id, with their returns and the lots that paid for them; no other network's push runs."""
    found: dict[UUID, Original] = {}
    for tx, payload, guest, flags, facts in await fetch(
        connection,
        """
        select x.id, x.payload, coalesce(s.merged_into, x.guest_id, c.guest_id), x.flags, e.facts from ledger_tx x
        left join exception e on e.network_id = x.network_id and e.tx_id = x.id and e.kind = 'UNKNOWN_GUEST'
        -- Row-level security lets neither `||` of a joined row nor `coalesce` near an index: by them each return read
        -- the whole ledger and all guests.
        left join lateral (
            select guest_id from ledger_tx where network_id = $1 and natural_key = 'claim:' || x.id offset 0
        ) c on true
        left join guest_state s on s.network_id = x.network_id
            and s.guest_id = case when x.guest_id is null then c.guest_id else x.guest_id end
        where x.network_id = $1 and x.id = any($2::uuid[]) and x.origin in ('till', 'online')
        """,
        network,
        list(ids),
    ):
        record = Record.from_payload(bytes(payload))
        named = who(record) if facts is None else facts
        found[tx] = Original(record, guest, is_stores=is_stores(flags), who=named, woke=has_woken(flags))
    if not found:
        return found
    for of, payload in await fetch(
        connection,
        """
        select reverses_id, payload from ledger_tx
        where network_id = $1 and reverses_id = any($2::uuid[]) and kind in ('void', 'refund', 'exchange')
        """,
        network,
        list(found),
    ):
        found[of].returns.append(Record.from_payload(bytes(payload)))
    sources: dict[UUID, list[Source]] = {}
    for tx, points, expires_at, own_expiry in await fetch(
        connection,
        """
        select u.tx_id, u.amount, l.expires_at, l.own_expiry from lot_use u
        join lot l on l.network_id = u.network_id and l.id = u.lot_id
        where u.network_id = $1 and u.tx_id = any($2::uuid[]) and l.tx_id <> u.tx_id
        order by l.expires_at desc nulls first, l.earned_at desc, l.id desc
        """,
        network,
        list(found),
    ):
        sources.setdefault(tx, []).append(Source(points, _ms(expires_at), own_expiry))
    for tx, parts in sources.items():
        found[tx].sources = parts
    return found


async def waiting_for(
    connection: Connection, network: UUID, ids: Sequence[UUID], limit: int, vault: Vault
) -> list[Waiting]:
    """Return up to `limit` records that wait in quarantine for one of these, in the order in which they came."""
    rows = await fetch(
        connection,
        """
        select id, branch, seq, record_id, prev_hash, hash, raw, private_sealed from quarantine
        where network_id = $1 and reason = 'WAITING_DEP' and state in ('waiting_dependency', 'open')
            and waits_for = any($2::uuid[])
        order by id limit $3
        for no key update
        """,
        network,
        list(ids),
        limit,
    )
    return [Waiting(row.id, row.branch, _as_pushed(network, row, vault)) for row in rows]


def _as_pushed(network: UUID, row: Any, vault: Vault) -> Incoming:
    prev, digest, raw, private = bytes(row.prev_hash), bytes(row.hash), bytes(row.raw), None
    if row.private_sealed is not None:
        private = vault.open_secret(network, f"private {row.record_id}", bytes(row.private_sealed))
    return Incoming(row.seq, row.record_id, prev, digest, raw, private, None)


async def guests_of_handles(connection: Connection, network: UUID, handles: Iterable[bytes]) -> dict[bytes, UUID]:
    """Return whose credentials these are; a blocked or replaced one still says who earned."""
    wanted = list(handles)
    if not wanted:
        return {}
    found = await fetch(
        connection,
        "select handle, guest_id from credential where network_id = $1 and handle = any($2::bytea[])",
        network,
        wanted,
    )
    return {bytes(row[0]): row[1] for row in found}


async def survivors(connection: Connection, network: UUID, guests: Iterable[UUID]) -> dict[UUID, UUID]:
    """Return who each known guest is today: themselves, or the last survivor of their merges."""
    found = await fetch(
        connection,
        """
        select guest_id, coalesce(merged_into, guest_id) from guest_state
        where network_id = $1 and guest_id = any($2::uuid[])
        """,
        network,
        list(guests),
    )
    return {row[0]: row[1] for row in found}


async def lock_guests(connection: Connection, network: UUID, guests: Iterable[UUID]) -> dict[UUID, GuestAccount]:
    """Lock the accounts and states of guests in the order of account ids and return them with their open lots."""
    wanted = set(guests)
    if not wanted:
        return {}
    accounts = await _accounts_of(connection, network, wanted, "for no key update")
    missing = wanted - accounts.keys()
    if missing:
        await write(
            connection,
            """
            insert into account (network_id, kind, guest_id, unit)
            select $1, 'guest', guest_id, $3 from guest_state
            where network_id = $1 and guest_id = any($2::uuid[]) order by guest_id
            on conflict (network_id, kind, guest_id, store_id, unit) do nothing
            """,
            network,
            list(missing),
            UNIT,
        )
        accounts = await _accounts_of(connection, network, wanted, "for no key update")
    await _add_lots(connection, network, accounts)
    return accounts


async def see_guests(connection: Connection, network: UUID, guests: Iterable[UUID]) -> dict[UUID, GuestAccount]:
    """Return the accounts of guests with their open lots as they are, for whoever changes nothing of them.

    Nothing is locked, and so nothing has to reach the disk. A guest who never had points may have no account yet.
    """
    accounts = await _accounts_of(connection, network, guests, "")
    await _add_lots(connection, network, accounts)
    return accounts


async def _add_lots(connection: Connection, network: UUID, accounts: Mapping[UUID, GuestAccount]) -> None:
    by_account = {one.account_id: one for one in accounts.values()}
    for account_id, lot, tx_id, amount, remaining, earned_at, expires_at, usable_at, held, own_expiry in await fetch(
        connection,
        """
        select account_id, id, tx_id, amount, remaining, earned_at, expires_at, usable_at, state = 'held', own_expiry
        from lot where network_id = $1 and account_id = any($2::bigint[]) and state in ('open', 'held')
        """,
        network,
        list(by_account),
    ):
        holdings = by_account[account_id].holdings
        (holdings.waiting if held else holdings.lots).append(
            Lot(lot, tx_id, amount, remaining, to_ms(earned_at), _ms(expires_at), _ms(usable_at), held, own_expiry)
        )


async def granted(
    connection: Connection, network: UUID, guests: Iterable[UUID], zone: str, now: datetime
) -> dict[tuple[UUID, date], int]:
    """Return what checks gave guests by the days of a zone, as far back as counts; held points do not.

    Nor do points that a manager took back. What waited for its guest counts as well, from when it was claimed: nobody's
    points have no lot.
    """
    found = await fetch(
        connection,
        """
        select a.guest_id, l.day, sum(l.amount)::bigint as points
        from account a
        -- Each guest's own, by the offset and in the index's order: all guests' of a week may be nearly all there is.
        cross join lateral (
            select (granted_at at time zone $4)::date as day, amount from lot
            where network_id = $1 and account_id = a.id and granted_at >= $3 and state not in ('held', 'reversed')
            order by granted_at offset 0
        ) l
        where a.network_id = $1 and a.kind = 'guest' and a.guest_id = any($2::uuid[]) group by 1, 2
        """,
        network,
        list(guests),
        # The earliest day that a fact of now can count on began at most a day before.
        now - OLDEST - timedelta(days=1),
        zone,
    )
    return {(row.guest_id, row.day): row.points for row in found}


async def given_by_hand(
    connection: Connection, network: UUID, devices: Iterable[UUID], zone: str, now: datetime
) -> dict[tuple[UUID, date], int]:
    """Return what tills gave by hand by the days of a zone, as far back as counts; held points do not.

    What waited for its guest counts as well, from when it was claimed: nobody's points have no lot.
    """
    found = await fetch(
        connection,
        """
        select x.device_id, (greatest(x.effective_at, coalesce(c.recorded_at, x.recorded_at) - $4::interval)
            at time zone $5)::date as day, sum(l.amount)::bigint as points
        from ledger_tx x
        -- By their keys, as in `originals`.
        left join lateral (
            select id, recorded_at from ledger_tx where network_id = $1 and natural_key = 'claim:' || x.id offset 0
        ) c on true
        join entry e on e.network_id = x.network_id and e.tx_id = case when c.id is null then x.id else c.id end
            and e.amount > 0
        join lot l on l.network_id = e.network_id and l.id = e.lot_id
        where x.network_id = $1 and x.device_id = any($2::uuid[]) and coalesce(c.recorded_at, x.recorded_at) >= $3
            and x.origin = 'till' and x.kind in ('adjust', 'transfer') and l.state not in ('held', 'reversed')
        group by 1, 2
        """,
        network,
        list(devices),
        now - OLDEST - timedelta(days=1),
        OLDEST,
        zone,
    )
    return {(row.device_id, row.day): row.points for row in found}


async def _accounts_of(
    connection: Connection, network: UUID, wanted: Iterable[UUID], locking: str
) -> dict[UUID, GuestAccount]:
    found = await fetch(
        connection,
        f"""
        select a.id, a.guest_id, a.debt, a.activity, s.tier, s.spend, s.visits, s.earned, s.first_visit, s.merged_into
        from account a join guest_state s on s.network_id = a.network_id and s.guest_id = a.guest_id
        where a.network_id = $1 and a.kind = 'guest' and a.store_id is null and a.unit = $3
            and a.guest_id = any($2::uuid[])
        order by a.id {locking}
        """,  # noqa: S608 - a constant of this module
        network,
        list(wanted),
        UNIT,
    )
    return {
        guest: GuestAccount(
            account,
            guest,
            Holdings(debt=debt, activity=Activity([(start, until) for start, until in activity])),
            GuestState(tier, spend, visits, None if first is None else first.isoformat(), earned),
            merged_into,
        )
        for account, guest, debt, activity, tier, spend, visits, earned, first, merged_into in found
    }


async def system_accounts(connection: Connection, network: UUID, wanted: Iterable[AccountKey]) -> dict[AccountKey, int]:
    """Return the ids of accounts that are no guest's, made where they are missing; nothing is locked."""
    keys = list(wanted)
    if not keys:
        return {}
    select = """
        select kind, store_id, id from account
        where network_id = $1 and kind <> 'guest' and guest_id is null and unit = $2
    """
    found = {AccountKey(AccountKind(row[0]), row[1]): row[2] for row in await fetch(connection, select, network, UNIT)}
    missing = [key for key in keys if key not in found]
    if missing:
        await write(
            connection,
            """
            insert into account (network_id, kind, store_id, unit)
            select $1, kind, store_id, $4 from unnest($2::text[], $3::uuid[]) as t (kind, store_id)
            order by kind, store_id
            on conflict (network_id, kind, guest_id, store_id, unit) do nothing
            """,
            network,
            [key.kind.value for key in missing],
            [key.owner for key in missing],
            UNIT,
        )
        rows = await fetch(connection, select, network, UNIT)
        found = {AccountKey(AccountKind(row[0]), row[1]): row[2] for row in rows}
    return found


def _ms(moment: datetime | None) -> int | None:
    return None if moment is None else to_ms(moment)
