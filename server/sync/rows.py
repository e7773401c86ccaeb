"""The rows of the feed as tills get them, whichever part of the server they belong to."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from loyalty_desk.domain.canonical import Json
from loyalty_desk.wire.v1.sync import FeedTable
from server.guests import service as guests
from server.kit.crypto import Vault
from server.kit.db import Connection
from server.ledger import counting
from server.networks import service as networks
from server.programs import service as programs
from server.staff import service as staff


async def rows_of(
    connection: Connection, network: UUID, vault: Vault, table: FeedTable, keys: Sequence[str]
) -> dict[str, dict[str, Json]]:
    """Return the present rows of a table of the feed by key; what is deleted is left out."""
    match table:
        case FeedTable.GUEST | FeedTable.CREDENTIAL:
            return await guests.feed_rows(connection, network, vault, table, keys)
        case FeedTable.PROGRAM:
            return await programs.feed_rows(connection, network, keys)
        case FeedTable.STAFF:
            return await staff.feed_rows(connection, network, keys)
        case FeedTable.KEYSET | FeedTable.PROFILE | FeedTable.STORE:
            return await networks.feed_rows(connection, network, table, keys)
        case FeedTable.COUNTER:
            return await counting.feed_rows(connection, network, keys)
