"""Who asks on the paths that are not a till's: a system by its token `lda.<network>.<id>.<secret>`, or a person.

A system belongs to one store and may price, commit and look up there. A person who manages may do the same for any
store, with the access token of a login.
"""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from uuid import UUID, uuid4

from loyalty_desk.domain.errors import BadInput, Refused
from server.kit.db import Connection, Database
from server.kit.ground import Ground
from server.kit.together import Together
from server.networks import service as networks
from server.staff import sessions
from server.systems import repository
from server.systems.repository import System

PREFIX = "lda"
_MOST_NAME = 60


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks: `store` is a system's own, None for a person, who names one. `role`: system, manager or owner."""

    network: UUID
    id: UUID
    role: str
    store: UUID | None = None

    def store_for(self, asked: UUID | None) -> UUID:
        """Return the store a request is about; raises `Refused` `store_other`, `BadInput` `store_needed`."""
        if self.store is None:
            if asked is None:
                raise BadInput("store_needed")
            return asked
        if asked not in (None, self.store):
            raise Refused("store_other")
        return self.store


async def add(
    connection: Connection, network: UUID, name: str, store: UUID, now: datetime, by: UUID | None = None
) -> tuple[UUID, str]:
    """Make a system and return its id and its token, which is shown once.

    Raises `BadInput` `system_name`, `Refused` `store_unknown`.
    """
    kept = " ".join(name.split())
    if not kept or len(kept) > _MOST_NAME or not kept.isprintable():
        raise BadInput("system_name", limit=_MOST_NAME)
    await networks.get_store(connection, network, store)
    made, secret = uuid4(), secrets.token_urlsafe(32)
    system = System(made, kept, store, _hash(secret), now, None, None)
    await repository.insert(connection, network, system, by)
    return made, f"{PREFIX}.{network}.{made}.{secret}"


async def every(connection: Connection, network: UUID) -> list[System]:
    """Return all systems, oldest first."""
    return await repository.every(connection, network)


async def revoke(connection: Connection, network: UUID, system: UUID, now: datetime) -> None:
    """End a system's token; raises `Refused` `system_unknown`."""
    if not await repository.revoke(connection, network, system, now):
        raise Refused("system_unknown", system=str(system))


def systems_together(db: Database) -> Together[UUID, System | None]:
    """Return what finds systems for `who_asks`."""
    return Together(db, repository.find)


async def who_asks(ground: Ground, systems: Together[UUID, System | None], bearer: str, now: datetime) -> Asker:
    """Return whose token this is; raises `Refused` `session_over`."""
    prefix, _, rest = bearer.partition(".")
    if prefix != PREFIX:
        access = await sessions.who_may(ground, bearer, now)
        return Asker(access.network, access.staff, access.role)
    parts = rest.split(".")
    try:
        network, system, secret = UUID(parts[0]), UUID(parts[1]), parts[2]
    except (ValueError, IndexError):
        raise Refused("session_over") from None
    found = await systems.ask(network, system)
    is_right = found is not None and hmac.compare_digest(found.token_hash, _hash(secret))
    if found is None or not is_right or found.revoked_at is not None:
        raise Refused("session_over")
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    if found.last_used is None or found.last_used < today:
        async with ground.db.begin(network) as connection:
            await repository.seen(connection, network, system, today)
    return Asker(network, system, "system", found.store)


def _hash(secret: str) -> bytes:
    return sha256(b"system" + secret.encode()).digest()
