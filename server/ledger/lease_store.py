"""Leases in the database: a till's own, what all of them have out, who is awaited, and how limits stand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from loyalty_desk.domain.program import Program
from loyalty_desk.domain.uses import PROGRAM
from server.kit.db import Connection, fetch, fetch_one, fetch_value, write
from server.ledger import counting
from server.ledger.leases import GRACE, LIFE, Holder, Key, Leased, LimitState, Overrun
from server.ledger.shelf import ProgramShelf


class PostgresLeases:
    """`LeaseStore` of the database."""

    def __init__(self, connection: Connection, network: UUID, shelf: ProgramShelf) -> None:
        self._connection = connection
        self._network = network
        self._shelf = shelf

    async def lock(self) -> None:
        """As `counting.lock`."""
        await counting.lock(self._connection, self._network)

    async def program(self) -> Program | None:
        """Return the program in force."""
        return await self._shelf.find(self._connection, self._network, None)

    async def used(self) -> Mapping[Key, int]:
        """As `counting.used_by`."""
        return (await counting.used_by(self._connection, self._network, [])).of(PROGRAM)

    async def out_elsewhere(self, device: UUID, now: datetime) -> Mapping[Key, int]:
        """As `leased_out`."""
        return await leased_out(self._connection, self._network, now, besides=device)

    async def leases(self, device: UUID) -> dict[tuple[int, str, str], Leased]:
        """Return a till's leases by epoch, rule and period."""
        found = await fetch(
            self._connection,
            "select epoch, rule, period, granted, offered, given, used, expires_at from lease"
            " where network_id = $1 and device_id = $2",
            self._network,
            device,
        )
        return {(row[0], row[1], row[2]): Leased(*row[3:]) for row in found}

    async def holder(self, device: UUID) -> Holder | None:
        """Return the newest answer to a till."""
        row = await fetch_one(
            self._connection,
            "select epoch, number, incarnation, expires_at from lease_holder where network_id = $1 and device_id = $2",
            self._network,
            device,
        )
        return None if row is None else Holder(*row)

    async def epochs(self, device: UUID) -> set[int]:
        """Return the epochs that are known of a till."""
        found = await fetch(
            self._connection,
            "select distinct epoch from device_epoch where network_id = $1 and device_id = $2",
            self._network,
            device,
        )
        return {int(row[0]) for row in found}

    async def tills(self, now: datetime) -> int:
        """Return how many tills share."""
        found = await fetch_value(
            self._connection,
            "select count(*) from device where network_id = $1 and state = 'active' and last_seen > $2",
            self._network,
            now - LIFE,
        )
        return int(found)

    async def is_awaiting(self, device: UUID, now: datetime) -> bool:
        """As `awaited`, other tills than this one."""
        return any(one != device for one in await awaited(self._connection, self._network, now))

    async def put(self, device: UUID, leases: Mapping[tuple[int, str, str], Leased], holder: Holder) -> None:
        """Write a till's leases and the answer to it."""
        keys = list(leases)
        rows = [leases[key] for key in keys]
        await write(
            self._connection,
            """
            insert into lease (network_id, device_id, epoch, rule, period, granted, offered, given, expires_at)
            select $1, $2, * from unnest($3::bigint[], $4::text[], $5::text[], $6::bigint[], $7::bigint[],
                $8::bigint[], $9::timestamptz[])
            on conflict (network_id, rule, period, device_id, epoch) do update set granted = excluded.granted,
                offered = excluded.offered, given = excluded.given, expires_at = excluded.expires_at
            """,
            self._network,
            device,
            [key[0] for key in keys],
            [key[1] for key in keys],
            [key[2] for key in keys],
            [one.granted for one in rows],
            [one.offered for one in rows],
            [one.given for one in rows],
            [one.expires_at for one in rows],
        )
        await write(
            self._connection,
            "insert into lease_holder (network_id, device_id, epoch, number, incarnation, expires_at)"
            " values ($1, $2, $3, $4, $5, $6) on conflict (network_id, device_id) do update set epoch = excluded.epoch,"
            " number = excluded.number, incarnation = excluded.incarnation, expires_at = excluded.expires_at",
            self._network,
            device,
            holder.epoch,
            holder.number,
            holder.incarnation,
            holder.expires_at,
        )


# $2 is a till that is left out, $3 the moment before which a lease must have expired to be over for good.
_OUT = """
    select * from (
        select l.rule, l.period, l.device_id, greatest(0, case
            when l.expires_at > $3 or (d.state = 'active' and h.epoch is not distinct from l.epoch)
            then l.granted else l.given end - l.used) as is_out
        from lease l join device d on d.network_id = l.network_id and d.id = l.device_id
        left join lease_holder h on h.network_id = l.network_id and h.device_id = l.device_id
        where l.network_id = $1 and l.device_id is distinct from $2
    ) as each_one where is_out > 0
"""


async def leased_out(
    connection: Connection, network: UUID, now: datetime, *, besides: UUID | None = None
) -> dict[Key, int]:
    """Return what is leased and not used yet, by rule and period; `besides` is a till that is left out.

    Of a lease that expired more than `GRACE` ago, of a till that is taken off the network or in another epoch, only
    what the till said to have given and what is not posted counts.
    """
    found = await fetch(
        connection,
        f"select rule, period, sum(is_out)::bigint from ({_OUT}) as t group by rule, period",  # noqa: S608 - constant
        network,
        besides,
        now - GRACE,
    )
    return {(row[0], row[1]): int(row[2]) for row in found}


async def held_by_tills(connection: Connection, network: UUID, now: datetime) -> dict[Key, dict[UUID, int]]:
    """Return the same by till."""
    made: dict[Key, dict[UUID, int]] = {}
    for rule, period, device, is_out in await fetch(connection, _OUT, network, None, now - GRACE):
        mine = made.setdefault((rule, period), {})
        mine[device] = mine.get(device, 0) + is_out
    return made


async def awaited(connection: Connection, network: UUID, now: datetime) -> list[UUID]:
    """Return the tills that have to be heard of before anything more is leased.

    A database that was put back has forgotten the leases it gave since: each till that may hold one says in this life
    what it has given, for it gives nothing by an answer of the life before. A till that had no lease at that time, or
    is suspended, is waited for no longer than such a lease could last.
    """
    life = await fetch_one(
        connection,
        "select incarnation, previous_incarnation, started_at from server_meta order by number desc limit 1",
    )
    if life is None or life.previous_incarnation is None:
        return []
    found = await fetch(
        connection,
        """
        select d.id from device d
        left join lease_holder h on h.network_id = d.network_id and h.device_id = d.id
        where d.network_id = $1 and d.state in ('active', 'suspended') and d.created_at < $3
            and h.incarnation is distinct from $2
            and ($4 or (d.state = 'active' and h.expires_at > $5))
        """,
        network,
        life.incarnation,
        life.started_at,
        now < life.started_at + LIFE + GRACE,
        life.started_at - GRACE,
    )
    return [row[0] for row in found]


async def note_used(
    connection: Connection, network: UUID, used: Mapping[tuple[UUID, int, str, str], int]
) -> list[Overrun]:
    """Count what tills have given against their leases; return where it is more than they were granted in this life.

    `used` is by till, epoch, rule and period. The caller has `counting.lock`.
    """
    keys = sorted(used)
    if not keys:
        return []
    found = await fetch(
        connection,
        """
        with noted as (
            insert into lease as l (network_id, device_id, epoch, rule, period, used, expires_at)
            select $1, t.*, now() from unnest($2::uuid[], $3::bigint[], $4::text[], $5::text[], $6::bigint[]) as t
            on conflict (network_id, rule, period, device_id, epoch) do update set used = l.used + excluded.used
            returning device_id, epoch, rule, period, granted, used
        )
        select n.* from noted n join lease_holder h on h.network_id = $1 and h.device_id = n.device_id
        where n.used > n.granted
            and h.incarnation = (select incarnation from server_meta order by number desc limit 1)
        """,
        network,
        [key[0] for key in keys],
        [key[1] for key in keys],
        [key[2] for key in keys],
        [key[3] for key in keys],
        [used[key] for key in keys],
    )
    return [Overrun(row[0], row[1], (row[2], row[3]), row[4], row[5]) for row in found]


async def limit_states(connection: Connection, network: UUID, program: Program, now: datetime) -> Sequence[LimitState]:
    """Return how the limits of a program stand, in its order."""
    if not program.limits:
        return []
    used = (await counting.used_by(connection, network, [])).of(PROGRAM)
    out = await leased_out(connection, network, now)
    return [LimitState(key, limit, used.get(key, 0), out.get(key, 0)) for key, limit in program.limits.items()]
