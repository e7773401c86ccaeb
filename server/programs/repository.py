"""SQL of programs. Every function runs in a transaction of the network."""

from __future__ import annotations

from uuid import UUID

from server.kit.db import Connection, fetch_value, write
from server.kit.turns import take_turn


async def lock(connection: Connection, network: UUID) -> None:
    """Let those who publish take turns."""
    await take_turn(connection, f"program {network}")


async def insert(
    connection: Connection, network: UUID, version: int, content: bytes, digest: bytes, by: UUID | None
) -> None:
    """Store a version, which never changes."""
    await write(
        connection,
        "insert into program (network_id, version, bytes, hash, published_by) values ($1, $2, $3, $4, $5)",
        network,
        version,
        content,
        digest,
        by,
    )


async def newest(connection: Connection, network: UUID) -> bytes | None:
    """Return the bytes of the program in force."""
    found = await fetch_value(
        connection, "select bytes from program where network_id = $1 order by version desc limit 1", network
    )
    return None if found is None else bytes(found)


async def content(connection: Connection, network: UUID, version: int) -> bytes | None:
    """Return the bytes of a version."""
    found = await fetch_value(
        connection, "select bytes from program where network_id = $1 and version = $2", network, version
    )
    return None if found is None else bytes(found)
