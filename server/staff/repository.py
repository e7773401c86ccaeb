"""SQL of staff, logins and sessions. Every function runs in a transaction of the network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from server.kit.db import Connection, fetch, fetch_one, fetch_value, write

_COLUMNS = "select id, name, role, stores, pin_hash from staff where network_id = $1"
_STAFF = f"{_COLUMNS} and state = 'active'"


@dataclass(frozen=True, slots=True)
class StaffMember:
    """Somebody who works here, as stored; no `stores` are all of them."""

    id: UUID
    name: str
    role: str
    stores: tuple[UUID, ...]
    pin_hash: str | None


@dataclass(frozen=True, slots=True)
class SessionRow:
    """A session, locked, with what its owner is now: `role` and `state`."""

    staff: UUID
    refresh_hash: bytes
    expires_at: datetime
    ended_at: datetime | None
    role: str
    state: str


async def put(connection: Connection, network: UUID, member: StaffMember) -> None:
    """Add or change somebody; without a PIN an earlier one stays."""
    await write(
        connection,
        "insert into staff (network_id, id, name, role, stores, pin_hash) values ($1, $2, $3, $4, $5, $6)"
        " on conflict (network_id, id) do update set name = excluded.name, role = excluded.role,"
        " stores = excluded.stores, pin_hash = coalesce(excluded.pin_hash, staff.pin_hash), state = 'active'",
        network,
        member.id,
        member.name,
        member.role,
        list(member.stores),
        member.pin_hash,
    )


async def everybody(connection: Connection, network: UUID) -> list[StaffMember]:
    """Return who works here, by name."""
    return [_member(row) for row in await fetch(connection, f"{_STAFF} order by name, id", network)]


async def former(connection: Connection, network: UUID) -> list[StaffMember]:
    """Return who has left, by name."""
    return [
        _member(row) for row in await fetch(connection, f"{_COLUMNS} and state = 'left' order by name, id", network)
    ]


async def some(connection: Connection, network: UUID, ids: Sequence[UUID]) -> list[StaffMember]:
    """Return those of these who work here."""
    return [_member(row) for row in await fetch(connection, f"{_STAFF} and id = any($2::uuid[])", network, list(ids))]


async def leave(connection: Connection, network: UUID, staff: UUID) -> bool:
    """Let somebody have left, without a PIN; return whether they worked here until now."""
    found = await fetch_value(
        connection,
        "update staff set state = 'left', pin_hash = null where network_id = $1 and id = $2 and state = 'active'"
        " returning id",
        network,
        staff,
    )
    return found is not None


async def owner_of_login(connection: Connection, network: UUID, login: str) -> UUID | None:
    """Return who has a login."""
    found: UUID | None = await fetch_value(
        connection, "select staff_id from staff_login where network_id = $1 and login = $2", network, login
    )
    return found


async def put_login(
    connection: Connection, network: UUID, login: str, staff: UUID, password_hash: str, now: datetime
) -> None:
    """Give somebody a login, their only one."""
    await write(
        connection,
        "insert into staff_login (network_id, login, staff_id, password_hash, changed_at) values ($1, $2, $3, $4, $5)"
        " on conflict (network_id, staff_id) do update set login = excluded.login,"
        " password_hash = excluded.password_hash, changed_at = excluded.changed_at",
        network,
        login,
        staff,
        password_hash,
        now,
    )


async def forget_login(connection: Connection, network: UUID, staff: UUID) -> None:
    """Take somebody's login away; it can be given to others."""
    await write(connection, "delete from staff_login where network_id = $1 and staff_id = $2", network, staff)


async def login(connection: Connection, network: UUID, name: str) -> tuple[UUID, str, str] | None:
    """Return id, password hash and role of somebody who works here, by their login."""
    row = await fetch_one(
        connection,
        "select l.staff_id, l.password_hash, s.role from staff_login l"
        " join staff s on s.network_id = l.network_id and s.id = l.staff_id"
        " where l.network_id = $1 and l.login = $2 and s.state = 'active'",
        network,
        name,
    )
    return None if row is None else (row.staff_id, row.password_hash, row.role)


async def insert_session(
    connection: Connection,
    network: UUID,
    session: UUID,
    staff: UUID,
    refresh_hash: bytes,
    now: datetime,
    expires_at: datetime,
) -> None:
    """Begin a session."""
    await write(
        connection,
        "insert into staff_session (network_id, id, staff_id, refresh_hash, issued_at, expires_at)"
        " values ($1, $2, $3, $4, $5, $6)",
        network,
        session,
        staff,
        refresh_hash,
        now,
        expires_at,
    )


async def lock_session(connection: Connection, network: UUID, session: UUID) -> SessionRow | None:
    """Lock a session and return it."""
    row = await fetch_one(
        connection,
        "select t.staff_id, t.refresh_hash, t.expires_at, t.ended_at, s.role, s.state from staff_session t"
        " join staff s on s.network_id = t.network_id and s.id = t.staff_id"
        " where t.network_id = $1 and t.id = $2 for no key update of t",
        network,
        session,
    )
    if row is None:
        return None
    return SessionRow(row.staff_id, bytes(row.refresh_hash), row.expires_at, row.ended_at, row.role, row.state)


async def turn_session(
    connection: Connection, network: UUID, session: UUID, refresh_hash: bytes, expires_at: datetime
) -> None:
    """Let a session go on with another secret."""
    await write(
        connection,
        "update staff_session set refresh_hash = $3, expires_at = $4 where network_id = $1 and id = $2",
        network,
        session,
        refresh_hash,
        expires_at,
    )


async def role_in_session(connection: Connection, network: UUID, session: UUID) -> str | None:
    """Return the role of whose session goes on, None where it is over or they have left."""
    found: str | None = await fetch_value(
        connection,
        "select s.role from staff_session t join staff s on s.network_id = t.network_id and s.id = t.staff_id"
        " where t.network_id = $1 and t.id = $2 and t.ended_at is null and s.state = 'active'",
        network,
        session,
    )
    return found


async def end_session(connection: Connection, network: UUID, session: UUID, now: datetime) -> None:
    """End a session; one that is over stays as it is."""
    await write(
        connection,
        "update staff_session set ended_at = $3 where network_id = $1 and id = $2 and ended_at is null",
        network,
        session,
        now,
    )


async def end_sessions(connection: Connection, network: UUID, staff: UUID, now: datetime) -> None:
    """End all sessions of somebody."""
    await write(
        connection,
        "update staff_session set ended_at = $3 where network_id = $1 and staff_id = $2 and ended_at is null",
        network,
        staff,
        now,
    )


def _member(row: Any) -> StaffMember:
    stores = tuple(UUID(str(one)) for one in row.stores)
    return StaffMember(UUID(str(row.id)), row.name, row.role, stores, row.pin_hash)
