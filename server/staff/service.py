"""Staff: names, roles and PINs. A PIN is kept as Argon2id and goes to the tills so, which must ask for it offline."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from argon2 import PasswordHasher

from loyalty_desk.domain.canonical import Json
from loyalty_desk.domain.errors import BadInput, Refused
from loyalty_desk.wire.v1 import rows
from loyalty_desk.wire.v1.sync import FeedTable
from server.kit.db import Connection
from server.kit.feed import Change
from server.staff import repository
from server.staff.repository import StaffMember

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


async def put(connection: Connection, network: UUID, member: Member, pin: str | None = None) -> Change:
    """Add or change somebody and return the feed's change; without `pin` an earlier one stays.

    Raises `BadInput` `staff_name`, `staff_role`, `pin_malformed` (4 to 8 digits).
    """
    name = checked_name(member.name)
    if member.role not in ROLES:
        raise BadInput("staff_role", wants=", ".join(ROLES))
    hashed = None if pin is None else await hash_pin(pin)
    kept = StaffMember(member.id, name, member.role, tuple(member.stores), hashed)
    await repository.put(connection, network, kept)
    found = await feed_rows(connection, network, [str(member.id)])
    return Change(FeedTable.STAFF, str(member.id), found[str(member.id)])


async def remove(connection: Connection, network: UUID, staff: UUID, now: datetime) -> Change:
    """Let somebody work here no more and return the feed's change: PIN, login and sessions end, their name stays.

    Raises `Refused` `staff_unknown`.
    """
    if not await repository.leave(connection, network, staff):
        raise Refused("staff_unknown", given=str(staff))
    await repository.forget_login(connection, network, staff)
    await repository.end_sessions(connection, network, staff, now)
    return Change(FeedTable.STAFF, str(staff), None)


def checked_name(typed: str) -> str:
    """Return a person's name as it is kept; raises `BadInput` `staff_name`."""
    name = " ".join(typed.split())
    if not name or len(name) > 100 or not name.isprintable():
        raise BadInput("staff_name", limit=100)
    return name


async def members(connection: Connection, network: UUID) -> list[Member]:
    """Return who works here, by name."""
    return [_member(one) for one in await repository.everybody(connection, network)]


async def former(connection: Connection, network: UUID) -> list[Member]:
    """Return who worked here before, by name."""
    return [_member(one) for one in await repository.former(connection, network)]


async def named(connection: Connection, network: UUID, given: str) -> Member:
    """Return whom a name, in letters of any size, or an id names; raises `Refused` `staff_unknown`, `staff_unclear`."""
    wanted = " ".join(given.split())
    asked = wanted.casefold()
    found = [one for one in await members(connection, network) if asked in (one.name.casefold(), str(one.id))]
    if not found:
        raise Refused("staff_unknown", given=wanted[:100])
    if len(found) > 1:
        people = ", ".join(f"{one.id} ({one.role})" for one in found)
        raise Refused("staff_unclear", given=wanted, people=people)
    return found[0]


async def hash_pin(pin: str) -> str:
    """Return the stored form of a PIN; raises `BadInput` `pin_malformed`."""
    if not (pin.isascii() and pin.isdigit() and 4 <= len(pin) <= 8):
        raise BadInput("pin_malformed", low=4, high=8)
    return await asyncio.to_thread(_HASHER.hash, pin)


async def feed_rows(connection: Connection, network: UUID, keys: Sequence[str]) -> dict[str, dict[str, Json]]:
    """Return the rows of staff by key; who has left is left out."""
    found = await repository.some(connection, network, [UUID(key) for key in keys])
    return {
        str(one.id): rows.write(
            rows.StaffRow(one.name, one.role, sorted(str(store) for store in one.stores), one.pin_hash or "")
        )
        for one in found
    }


def _member(kept: StaffMember) -> Member:
    return Member(kept.id, kept.name, kept.role, kept.stores)
