"""Logging in, going on and logging out. A refresh secret shown a second time ends the session: it was stolen."""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from uuid import UUID, uuid4

from loyalty_desk.domain.errors import BadInput, Refused
from server.kit.ground import Ground
from server.kit.lifetimes import holds_at
from server.kit.limits import LOGIN, forgive, take
from server.staff import logins, repository, tokens

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
        await repository.insert_session(connection, network, session, staff, _hash(secret), now, now + SESSION_LIVES)
    return _made(ground, network, staff, session, role, secret, now)


async def go_on(ground: Ground, network: UUID, refresh: str, now: datetime) -> Session:
    """Return the next pair; raises `Refused` `session_over`."""
    name, _, secret = refresh.partition(".")
    try:
        session = UUID(name)
    except ValueError:
        raise Refused("session_over") from None
    async with ground.db.begin(network) as connection:
        row = await repository.lock_session(connection, network, session)
        is_alive = row is not None and row.ended_at is None and row.state == "active"
        is_alive = is_alive and row is not None and holds_at(now, row.expires_at, SESSION_LIVES)
        is_right = row is not None and is_alive and hmac.compare_digest(row.refresh_hash, _hash(secret))
        following = secrets.token_urlsafe(32)
        if is_right:
            await repository.turn_session(connection, network, session, _hash(following), now + SESSION_LIVES)
        elif is_alive:
            await repository.end_session(connection, network, session, now)
    if row is None or not is_right:
        raise Refused("session_over")
    return _made(ground, network, row.staff, session, row.role, following, now)


async def who_may(ground: Ground, token: str, now: datetime) -> tokens.Access:
    """Return whose token this is; raises `Refused` `session_over`, also where the session was ended meanwhile."""
    access = tokens.read(_key(ground), token, now)
    if access is None:
        raise Refused("session_over")
    async with ground.db.begin(access.network) as connection:
        role = await repository.role_in_session(connection, access.network, access.session)
    if role != access.role:
        raise Refused("session_over")
    return access


async def log_out(ground: Ground, access: tokens.Access, now: datetime) -> None:
    """End a session."""
    async with ground.db.begin(access.network) as connection:
        await repository.end_session(connection, access.network, access.session, now)


def _made(ground: Ground, network: UUID, staff: UUID, session: UUID, role: str, secret: str, now: datetime) -> Session:
    expires = now + tokens.ACCESS_LIVES
    access = tokens.Access(network, staff, session, role, int(expires.timestamp()))
    return Session(tokens.sign(_key(ground), access), f"{session}.{secret}", expires, role)


def _key(ground: Ground) -> bytes:
    return ground.vault.own_key("staff tokens")


def _hash(secret: str) -> bytes:
    return sha256(b"refresh" + secret.encode()).digest()
