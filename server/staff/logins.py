"""Logins of people who manage: a name and a password, kept as Argon2id. Nobody has one by default."""

from __future__ import annotations

import asyncio
import unicodedata
from datetime import datetime
from uuid import UUID

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from loyalty_desk.domain.errors import BadInput, Refused
from server.kit.db import Connection
from server.staff import repository

SHORTEST, LONGEST = 12, 200
_MOST_LOGIN = 100
# A login is rare and guesses are limited: twice what a PIN costs.
_HASHER = PasswordHasher(time_cost=3, memory_cost=46 * 1024, parallelism=1)
# Somebody unknown costs as long as somebody known, so that logins cannot be listed with a stopwatch.
_NOBODY = _HASHER.hash("nobody has this password")


async def set_login(
    connection: Connection, network: UUID, staff: UUID, login: str, password: str, now: datetime
) -> str:
    """Give somebody a login, or a new password; returns the login as it is kept.

    Raises `BadInput` `login_malformed`, `password_weak` and `Refused` `login_taken`.
    """
    kept = checked(login, password)
    hashed = await asyncio.to_thread(_HASHER.hash, password)
    owner = await repository.owner_of_login(connection, network, kept)
    if owner is not None and owner != staff:
        raise Refused("login_taken", login=kept)
    await repository.put_login(connection, network, kept, staff, hashed, now)
    await repository.end_sessions(connection, network, staff, now)
    return kept


def checked(login: str, password: str) -> str:
    """Return a login as it is kept; raises `BadInput` `login_malformed`, `password_weak`."""
    kept = spelled(login)
    if not SHORTEST <= len(password) <= LONGEST or password.casefold() in kept * 3 or len(set(password)) < 5:
        raise BadInput("password_weak", low=SHORTEST, high=LONGEST)
    return kept


async def who_is(connection: Connection, network: UUID, login: str, password: str) -> tuple[UUID, str] | None:
    """Return id and role of whom login and password name, None where they are wrong or the person has left."""
    try:
        kept = spelled(login)
    except BadInput:
        kept = ""
    found = await repository.login(connection, network, kept)
    staff, hashed, role = (None, _NOBODY, "") if found is None else found
    is_right = await asyncio.to_thread(_verify, hashed, password[:LONGEST])
    return (staff, role) if staff is not None and is_right else None


def spelled(login: str) -> str:
    """Return a login as it is compared; raises `BadInput` `login_malformed`."""
    kept = unicodedata.normalize("NFKC", login).strip().casefold()
    if not kept or len(kept) > _MOST_LOGIN or not kept.isprintable() or any(letter.isspace() for letter in kept):
        raise BadInput("login_malformed", limit=_MOST_LOGIN)
    return kept


def _verify(hashed: str, password: str) -> bool:
    try:
        return _HASHER.verify(hashed, password)
    except (VerificationError, InvalidHashError):
        return False
