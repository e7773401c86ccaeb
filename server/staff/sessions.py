"""Logging in, going on and logging out. A refresh secret shown a second time ends the session: it was stolen."""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from uuid import UUID, uuid4

from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty_desk.domain.errors import BadInput, Refused
from server.kit.db import fetch_one
from server.kit.ground import Ground
from server.kit.limits import LOGIN, forgive, take
from server.staff import logins, tokens

SESSION_LIVES = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Session:
    """What a client keeps: `access` goes with every request, `refresh` gets the next pair once."""

    access: str = field(repr=False)
    refresh: str = field(repr=False)
    expires_at: datetime
    role: str


async def log_in(ground: Ground, network: UUID, login: str, password: str, device: str, now: datetime) -> Session:
    """Begin a session. `device` is where it is tried from: five tries in ten minutes each.

    Raises `Refused` `too_many` (with `seconds`) and `login_wrong`, which says neither what was wrong nor who exists.
    """
    try:
        account = logins.spelled(login)
    except BadInput:
        account = "?"
    async with ground.db.begin(network) as connection:
        waits = [
            await take(connection, network, LOGIN, subject, now) for subject in (f"account {account}", f"from {device}")
        ]
    if any(waits):
        raise Refused("too_many", seconds=max(one for one in waits if one))
    async with ground.db.begin(network) as connection:
        who = await logins.who_is(connection, network, login, password)
        if who is None:
            raise Refused("login_wrong")
        await forgive(connection, network, LOGIN, f"account {account}")
        staff, role = who
        session, secret = uuid4(), secrets.token_urlsafe(32)
        await connection.exec_driver_sql(
            "insert into staff_session (network_id, id, staff_id, refresh_hash, issued_at, expires_at)"
            " values ($1, $2, $3, $4, $5, $6)",
            (network, session, staff, _hash(secret), now, now + SESSION_LIVES),
        )
    return _made(ground, network, staff, session, role, secret, now)


async def go_on(ground: Ground, network: UUID, refresh: str, now: datetime) -> Session:
    """Return the next pair; raises `Refused` `session_over`."""
    name, _, secret = refresh.partition(".")
    try:
        session = UUID(name)
    except ValueError:
        raise Refused("session_over") from None
    async with ground.db.begin(network) as connection:
        row = await fetch_one(
            connection,
            "select t.staff_id, t.refresh_hash, t.expires_at, t.ended_at, s.role, s.state from staff_session t"
            " join staff s on s.network_id = t.network_id and s.id = t.staff_id"
            " where t.network_id = $1 and t.id = $2 for no key update of t",
            network,
            session,
        )
        is_alive = row is not None and row.ended_at is None and row.expires_at > now and row.state == "active"
        is_right = is_alive and hmac.compare_digest(bytes(row.refresh_hash), _hash(secret))
        following = secrets.token_urlsafe(32)
        if is_right:
            await connection.exec_driver_sql(
                "update staff_session set refresh_hash = $3, expires_at = $4 where network_id = $1 and id = $2",
                (network, session, _hash(following), now + SESSION_LIVES),
            )
        elif is_alive:
            await _end(connection, network, session, now)
    if not is_right:
        raise Refused("session_over")
    return _made(ground, network, row.staff_id, session, row.role, following, now)


async def who_may(ground: Ground, token: str, now: datetime) -> tokens.Access:
    """Return whose token this is; raises `Refused` `session_over`, also where the session was ended meanwhile."""
    access = tokens.read(_key(ground), token, now)
    if access is None:
        raise Refused("session_over")
    async with ground.db.begin(access.network) as connection:
        row = await fetch_one(
            connection,
            "select s.role from staff_session t join staff s on s.network_id = t.network_id and s.id = t.staff_id"
            " where t.network_id = $1 and t.id = $2 and t.ended_at is null and s.state = 'active'",
            access.network,
            access.session,
        )
    if row is None or row.role != access.role:
        raise Refused("session_over")
    return access


async def log_out(ground: Ground, access: tokens.Access, now: datetime) -> None:
    """End a session."""
    async with ground.db.begin(access.network) as connection:
        await _end(connection, access.network, access.session, now)


async def _end(connection: AsyncConnection, network: UUID, session: UUID, now: datetime) -> None:
    await connection.exec_driver_sql(
        "update staff_session set ended_at = $3 where network_id = $1 and id = $2 and ended_at is null",
        (network, session, now),
    )


def _made(ground: Ground, network: UUID, staff: UUID, session: UUID, role: str, secret: str, now: datetime) -> Session:
    expires = now + tokens.ACCESS_LIVES
    access = tokens.Access(network, staff, session, role, int(expires.timestamp()))
    return Session(tokens.sign(_key(ground), access), f"{session}.{secret}", expires, role)


def _key(ground: Ground) -> bytes:
    return ground.vault.own_key("staff tokens")


def _hash(secret: str) -> bytes:
    return sha256(b"refresh" + secret.encode()).digest()
