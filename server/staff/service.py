"""Staff: names, roles and PINs. A PIN is kept as Argon2id and goes to the tills so, which must ask for it offline."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty_desk.domain.canonical import Json
from loyalty_desk.domain.errors import BadInput
from loyalty_desk.wire.v1 import rows
from loyalty_desk.wire.v1.sync import FeedTable
from server.kit.db import fetch, fetch_value
from server.kit.feed import Change

ROLES = ("cashier", "manager", "owner")
# 60 ms a guess on a till's processor; five wrong ones in ten minutes lock the field.
_HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)


@dataclass(frozen=True, slots=True)
class Member:
    """Somebody who works in `stores`; an empty tuple means all of them."""

    id: UUID
    name: str
    role: str
    stores: tuple[UUID, ...] = ()


async def put(connection: AsyncConnection, network: UUID, member: Member, pin: str | None = None) -> Change:
    """Add or change somebody and return the feed's change; without `pin` an earlier one stays.

    Raises `BadInput` `staff_name`, `staff_role`, `pin_malformed` (4 to 8 digits).
    """
    name = " ".join(member.name.split())
    if not name or len(name) > 100 or not name.isprintable():
        raise BadInput("staff_name", limit=100)
    if member.role not in ROLES:
        raise BadInput("staff_role", wants=", ".join(ROLES))
    hashed = None if pin is None else await hash_pin(pin)
    await connection.exec_driver_sql(
        "insert into staff (network_id, id, name, role, stores, pin_hash) values ($1, $2, $3, $4, $5, $6)"
        " on conflict (network_id, id) do update set name = excluded.name, role = excluded.role,"
        " stores = excluded.stores, pin_hash = coalesce(excluded.pin_hash, staff.pin_hash), state = 'active'",
        (network, member.id, name, member.role, list(member.stores), hashed),
    )
    found = await feed_rows(connection, network, [str(member.id)])
    return Change(FeedTable.STAFF, str(member.id), found[str(member.id)])


async def members(connection: AsyncConnection, network: UUID) -> list[Member]:
    """Return who works here, by name."""
    found = await fetch(
        connection,
        "select id, name, role, stores from staff where network_id = $1 and state = 'active' order by name, id",
        network,
    )
    return [Member(UUID(str(row.id)), row.name, row.role, tuple(UUID(str(one)) for one in row.stores)) for row in found]


async def pin_is(connection: AsyncConnection, network: UUID, member: UUID, pin: str) -> bool:
    """Return whether this is the PIN of somebody who still works here."""
    hashed = await fetch_value(
        connection, "select pin_hash from staff where network_id = $1 and id = $2 and state = 'active'", network, member
    )
    return hashed is not None and await asyncio.to_thread(_verify, hashed, pin)


async def hash_pin(pin: str) -> str:
    """Return the stored form of a PIN; raises `BadInput` `pin_malformed`."""
    if not (pin.isascii() and pin.isdigit() and 4 <= len(pin) <= 8):
        raise BadInput("pin_malformed", low=4, high=8)
    return await asyncio.to_thread(_HASHER.hash, pin)


async def feed_rows(connection: AsyncConnection, network: UUID, keys: Sequence[str]) -> dict[str, dict[str, Json]]:
    """Return the rows of staff by key; who has left is left out."""
    found = await fetch(
        connection,
        "select id, name, role, stores, pin_hash from staff"
        " where network_id = $1 and id = any($2::uuid[]) and state = 'active'",
        network,
        [UUID(key) for key in keys],
    )
    return {
        str(row.id): rows.write(
            rows.StaffRow(row.name, row.role, sorted(str(one) for one in row.stores), row.pin_hash or "")
        )
        for row in found
    }


def _verify(hashed: str, pin: str) -> bool:
    try:
        return _HASHER.verify(hashed, pin)
    except (VerificationError, InvalidHashError):
        return False
