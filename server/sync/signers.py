"""Finding the device that a request names."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from server.kit.auth import Signer
from server.kit.db import fetch_one
from server.kit.ground import Ground


async def find_signer(ground: Ground, network: UUID, device: UUID) -> Signer | None:
    """Return an enrolled device, whatever became of it since; None for one that never joined."""
    async with ground.db.begin(network) as connection:
        return await signer_of(connection, network, device)


async def signer_of(connection: AsyncConnection, network: UUID, device: UUID) -> Signer | None:
    """As `find_signer`, in the caller's transaction."""
    row = await fetch_one(
        connection,
        """
        select store_id, state, pubkey, token_hash from device
        where network_id = $1 and id = $2 and state not in ('pending', 'void')
        """,
        network,
        device,
    )
    if row is None:
        return None
    token_hash = None if row.token_hash is None else bytes(row.token_hash)
    return Signer(network, device, row.store_id, row.state, bytes(row.pubkey), token_hash)
