"""Two guests who are one person: the survivor gets points, cards, visits; the other's id stays as an alias."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from loyalty_desk.domain.errors import Refused
from server.guests import service
from server.kit.crypto import Vault
from server.kit.db import Connection, fetch, write
from server.kit.ground import Ground
from server.ledger.own import OwnPosting


async def merge(ground: Ground, network: UUID, guest: UUID, into: UUID, now: datetime) -> UUID:
    """Merge `guest` into the last survivor of `into` and return that one; merging again changes nothing.

    Raises `Refused`: `guest_unknown`, `guest_erased`, `merge_cycle` (the survivor was merged into this guest),
    `merge_elsewhere` (this guest was merged into somebody else).
    """
    async with ground.db.begin(network) as connection:
        # The order in which pushes lock guests is that of their accounts, which are made here if need be.
        posting = await OwnPosting.lock(connection, network, [guest, into], now)
        rows = await _states(connection, network, [guest, into])
        survivor = rows[into].merged_into or into
        if survivor == guest:
            raise Refused("merge_cycle")
        if rows[guest].merged_into is not None:
            if rows[guest].merged_into == survivor:
                return survivor
            raise Refused("merge_elsewhere", into=str(rows[guest].merged_into))
        if survivor != into:
            # Locking a third one now could meet a push that locks them in order: name the survivor and begin anew.
            raise Refused("merge_survivor", into=str(survivor))
        posting.merge(guest, survivor)
        moved = await _move(connection, network, guest, survivor)

        async def render(_: Connection, __: UUID, guests: Any) -> Any:
            return await service.changes(connection, network, ground.vault, guests, moved)

        await _alias(connection, network, ground.vault, guest, survivor)
        await posting.write(render, shown=[guest, survivor])
    return survivor


async def _states(connection: Connection, network: UUID, guests: list[UUID]) -> dict[UUID, Any]:
    found = await fetch(
        connection,
        "select guest_id, merged_into, deleted from guest_state where network_id = $1 and guest_id = any($2::uuid[])",
        network,
        guests,
    )
    rows = {row.guest_id: row for row in found}
    if len(set(guests)) < len(guests):
        raise Refused("merge_cycle")
    if len(rows) < len(guests):
        raise Refused("guest_unknown")
    if any(row.deleted for row in found):
        raise Refused("guest_erased")
    return rows


async def _move(connection: Connection, network: UUID, guest: UUID, survivor: UUID) -> list[int]:
    """Give the survivor the other's cards and return their handles."""
    cards = await fetch(
        connection,
        "update credential set guest_id = $3 where network_id = $1 and guest_id = $2 returning handle",
        network,
        guest,
        survivor,
    )
    return [int.from_bytes(bytes(row.handle), "big") for row in cards]


async def _alias(connection: Connection, network: UUID, vault: Vault, guest: UUID, survivor: UUID) -> None:
    await write(
        connection,
        "update guest_state set merged_into = $3 where network_id = $1 and (guest_id = $2 or merged_into = $2)",
        network,
        guest,
        survivor,
    )
    await write(
        connection,
        "update guest_state s set opening_spend = s.opening_spend + o.opening_spend,"
        " opening_visits = s.opening_visits + o.opening_visits, opening_earned = s.opening_earned + o.opening_earned,"
        " visits_ever = s.visits_ever + o.visits_ever - o.visits"
        " from guest_state o where s.network_id = $1 and o.network_id = $1 and s.guest_id = $3 and o.guest_id = $2",
        network,
        guest,
        survivor,
    )
    await service.take_over_phone(connection, network, vault, guest, survivor)
