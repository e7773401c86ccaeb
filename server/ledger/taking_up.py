"""What has waited for a sale, a guest or a card that came by no till: it is posted by the same arithmetic as a push.

A list of guests may hold the very card that a till has sold to, and another system may commit a check again that the
server had lost, after the till's return of it has come.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from asyncpg import PostgresError

from loyalty_desk.domain.record import handle_from_text, handle_text
from loyalty_desk.wire.v1.sync import PushRequest
from server.kit.db import Connection, Database, fetch, fetch_one, fetch_value, savepoint
from server.kit.errors import is_unfit, outage, sqlstate
from server.kit.turns import take_turn
from server.ledger.batch import Batch, Raced
from server.ledger.late import Reinstate
from server.ledger.repository import DeviceRow, returns_turn
from server.ledger.store import PostgresStore, Tools

_LOG = logging.getLogger(__name__)
_TRIES = 4
_NOBODY = UUID(int=0)


async def turn(connection: Connection, network: UUID, *, alone: bool) -> None:
    """Wait for the network's turn, as pushes do: whoever makes a guest posts alone, whoever commits a sale does not.

    Before any account is locked.
    """
    await take_turn(connection, returns_turn(network), alone=alone)


async def take_up(
    connection: Connection,
    network: UUID,
    tools: Tools,
    now: datetime,
    here: Sequence[UUID],
    cards: Mapping[int, UUID] | None = None,
) -> None:
    """Post what has waited for these sales and guests, and for these cards' owners, in the caller's transaction.

    The caller has the network's turn, has written them, and tells the feed of them. Raises `ApiError` 503.
    """
    owners = {handle_text(handle): guest for handle, guest in (cards or {}).items()}
    found = await fetch_one(
        connection,
        """
        select (select d.store_id from device d where d.network_id = $1 and d.id = one.device_id) as store_id
        from (
            select device_id from quarantine where network_id = $1 and reason = 'WAITING_DEP'
                and state in ('waiting_dependency', 'open') and waits_for = any($2::uuid[])
            union all
            select x.device_id from exception e join ledger_tx x on x.network_id = e.network_id and x.id = e.tx_id
            where e.network_id = $1 and e.kind = 'UNKNOWN_GUEST' and x.origin = 'till'
                and (e.facts ->> 'guest' = any($3::text[]) or e.facts #>> '{credential,handle}' = any($4::text[]))
        ) one limit 1
        """,
        network,
        list(here),
        [str(one) for one in here],
        list(owners),
    )
    if found is None:
        return
    life = await fetch_value(connection, "select incarnation from server_meta order by number desc limit 1")
    push = PushRequest(network, _NOBODY, life, 0, 1, [], bytes(64))
    device = DeviceRow("active", found.store_id, None, life)
    store = PostgresStore(connection, network, tools)
    for _ in range(_TRIES):
        try:
            async with savepoint(connection):
                await Batch(store, push, now).take_up(here, owners, device)
        except Raced:
            continue
        except Reinstate as late:
            await store.guards.reinstate(late.wanted, now)
        except PostgresError as error:
            if not is_unfit(error):
                raise
            # It waits on for a person; what has just come is not refused for it.
            _LOG.exception("what waited in network %s cannot be posted: %s", network, sqlstate(error))
            return
        else:
            return
    raise outage()


async def take_up_left(db: Database, network: UUID, tools: Tools, now: datetime) -> int:
    """Post what waits although what it waited for is here: more than one transaction takes up. Returns how many.

    As many at a time as a push takes up, so that pushes go on in between; what cannot be posted waits on for a person.
    """
    done, tried = 0, set[_Left]()
    while True:
        async with db.begin(network) as connection:
            left = await _left(connection, network, tried)
        if not left:
            return done
        for one in left:
            tried.add(one)
            while posted := await _take_up_some(db, network, tools, now, one):
                done += posted


@dataclass(frozen=True, slots=True)
class _Left:
    """A sale or a guest that is here now, or the text of a card's handle with who has the card now."""

    here: UUID | None
    handle: str | None = None
    owner: UUID | None = None


_WAITING = """
    quarantine q where q.network_id = $1 and q.reason = 'WAITING_DEP' and q.state in ('waiting_dependency', 'open')
"""
_UNCLAIMED = """
    (select e.facts ->> 'guest' as guest, e.facts #>> '{credential,handle}' as handle from exception e
        join ledger_tx x on x.network_id = e.network_id and x.id = e.tx_id
        where e.network_id = $1 and e.kind = 'UNKNOWN_GUEST' and e.state = 'open' and x.origin = 'till') u
"""
_LEFT = f"""
    select distinct q.waits_for as here, null as handle, null::uuid as owner from {_WAITING}
        and q.waits_for <> all($2::uuid[]) and (
        exists (select 1 from ledger_tx x where x.network_id = q.network_id and x.id = q.waits_for)
        or exists (select 1 from guest_state g where g.network_id = q.network_id and g.guest_id = q.waits_for))
    union select g.guest_id, null, null from {_UNCLAIMED}
        join guest_state g on g.network_id = $1 and g.guest_id = u.guest::uuid and not g.deleted
        where g.guest_id <> all($2::uuid[])
    union select null, u.handle, coalesce(g.merged_into, g.guest_id) from {_UNCLAIMED}
        join credential c on c.network_id = $1 and c.handle = decode(translate(u.handle, '-_', '+/') || '=', 'base64')
        join guest_state g on g.network_id = $1 and g.guest_id = c.guest_id and not g.deleted
        where u.guest is null and u.handle <> all($3::text[])
    limit 1000
"""  # noqa: S608 - constants
_COUNT = f"""
    select (select count(*) from {_WAITING} and q.waits_for = $2) + (select count(*) from {_UNCLAIMED}
        where u.guest = $2::uuid::text or (u.guest is null and u.handle = $3))
"""  # noqa: S608 - constants


async def _left(connection: Connection, network: UUID, tried: Collection[_Left]) -> list[_Left]:
    here = [one.here for one in tried if one.here is not None]
    rows = await fetch(connection, _LEFT, network, here, [one.handle for one in tried if one.handle is not None])
    return [_Left(row.here, row.handle, row.owner) for row in rows]


async def _take_up_some(db: Database, network: UUID, tools: Tools, now: datetime, one: _Left) -> int:
    async with db.begin(network) as connection:
        await turn(connection, network, alone=True)
        before = await fetch_value(connection, _COUNT, network, one.here, one.handle)
        if not before:
            return 0
        owner = {} if one.handle is None or one.owner is None else {handle_from_text(one.handle): one.owner}
        await take_up(connection, network, tools, now, [] if one.here is None else [one.here], owner)
        return int(before - await fetch_value(connection, _COUNT, network, one.here, one.handle))
