"""The stores that checks of one transaction are for, each read once with the limits that hold in it."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from server.networks import service as networks
from server.networks.service import StoreLimits


class Stores:
    """Made for a transaction of a network and thrown away with it."""

    def __init__(self, connection: AsyncConnection, network: UUID) -> None:
        self._at = (connection, network)
        self._known: dict[UUID, StoreLimits] = {}

    async def of(self, store: UUID) -> StoreLimits:
        """Return a store's limits; raises `Refused` `store_unknown`."""
        if store not in self._known:
            self._known[store] = await networks.limits_in(*self._at, store)
        return self._known[store]
