"""Finding the device that a request names."""

from __future__ import annotations

from functools import partial
from uuid import UUID

from starlette.requests import Request

from server.kit.auth import FindSigner, Signer, read_signed, require_active, require_bearer
from server.kit.db import Connection
from server.kit.ground import Ground
from server.tills import repository


def finder(ground: Ground) -> FindSigner:
    """Return what looks devices up for `read_signed`."""
    return partial(find_signer, ground)


async def active_till(ground: Ground, request: Request) -> tuple[Signer, bytes]:
    """Return the till that has signed a request and sent its bearer, one that may act; and the body."""
    signer, body = await read_signed(request, finder(ground))
    require_bearer(request, signer)
    require_active(signer)
    return signer, body


async def find_signer(ground: Ground, network: UUID, device: UUID) -> Signer | None:
    """Return an enrolled device, whatever became of it since; None for one that never joined."""
    async with ground.db.begin(network) as connection:
        return await signer_of(connection, network, device)


async def signer_of(connection: Connection, network: UUID, device: UUID) -> Signer | None:
    """As `find_signer`, in the caller's transaction."""
    row = await repository.enrolled(connection, network, device)
    if row is None:
        return None
    token_hash = None if row.token_hash is None else bytes(row.token_hash)
    return Signer(network, device, row.store_id, row.state, bytes(row.pubkey), token_hash)
