"""SQL of other systems' tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from server.kit.db import Connection, fetch, write

_COLUMNS = "id, name, store_id, token_hash, made_at, last_used, revoked_at"


@dataclass(frozen=True, slots=True)
class System:
    """A system with its store; of its token the hash alone is kept."""

    id: UUID
    name: str
    store: UUID
    token_hash: bytes
    made_at: datetime
    last_used: datetime | None
    revoked_at: datetime | None


async def insert(connection: Connection, network: UUID, system: System, by: UUID | None) -> None:
    """Store a system."""
    await write(
        connection,
        "insert into api_token (network_id, id, name, store_id, token_hash, made_at, made_by)"
        " values ($1, $2, $3, $4, $5, $6, $7)",
        network,
        system.id,
        system.name,
        system.store,
        system.token_hash,
        system.made_at,
        by,
    )


async def find(connection: Connection, network: UUID, systems: Sequence[UUID]) -> list[System | None]:
    """Return systems in the order asked for, also those whose tokens were revoked."""
    rows = await fetch(
        connection,
        f"select {_COLUMNS} from api_token where network_id = $1 and id = any($2::uuid[])",  # noqa: S608 - constant
        network,
        systems,
    )
    found = {one.id: one for one in (System(*row) for row in rows)}
    return [found.get(one) for one in systems]


async def every(connection: Connection, network: UUID) -> list[System]:
    """Return all systems, oldest first."""
    rows = await fetch(
        connection,
        f"select {_COLUMNS} from api_token where network_id = $1 order by made_at, id",  # noqa: S608
        network,
    )
    return [System(*row) for row in rows]


async def revoke(connection: Connection, network: UUID, system: UUID, at: datetime) -> bool:
    """End a token; False where there is none that is alive."""
    done = await write(
        connection,
        "update api_token set revoked_at = $3 where network_id = $1 and id = $2 and revoked_at is null",
        network,
        system,
        at,
    )
    return done == 1


async def seen(connection: Connection, network: UUID, system: UUID, day: datetime) -> None:
    """Remember on which day a token was used last."""
    await write(
        connection,
        "update api_token set last_used = $3 where network_id = $1 and id = $2"
        " and (last_used is null or last_used < $3)",
        network,
        system,
        day,
    )
