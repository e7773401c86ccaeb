"""Finding the device that a request names."""

from __future__ import annotations

from functools import partial
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from starlette.requests import Request

from server.kit.auth import FindKey, FindSigner, Signer, read_signed, require_active, require_bearer
from server.kit.db import Connection
from server.kit.ground import Ground
from server.tills import repository

_KEYS = 10_000


def finder(ground: Ground) -> FindSigner:
    """Return what looks devices up for `read_signed`."""
    return partial(find_signer, ground)


class TillKeys:
    """The public keys of tills that have joined: a till keeps its own for life, so each is read once a process.

    For what looks at the till itself in its own transaction, as a push does: it need not ask twice.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[UUID, UUID], Ed25519PublicKey] = {}

    def finder(self, ground: Ground) -> FindKey:
        """Return what looks keys up for `read_authored`."""
        return partial(self._find, ground)

    async def _find(self, ground: Ground, network: UUID, device: UUID) -> Ed25519PublicKey | None:
        key = self._known.get((network, device))
        if key is None:
            signer = await find_signer(ground, network, device)
            if signer is None:
                return None
            if len(self._known) >= _KEYS:
                self._known.pop(next(iter(self._known)))
            key = self._known[network, device] = signer.key
        return key


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
