"""The database as the application sees it: one pool, and transactions that belong to one network.

The application's role owns nothing and bypasses nothing. A transaction begun here names its network first; row-level
security then shows and takes that network's rows alone, and without a network every tenant table answers with an error.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

from sqlalchemy import URL
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

_SET_NETWORK = "select set_config('app.network_id', $1, true)"


class Database:
    """The pool of the application's role. Make one a process; `close` it."""

    def __init__(self, url: URL, *, pool_size: int = 10, overflow: int = 10) -> None:
        # parameters never enter an error text or a log: they are personal data
        self.engine: AsyncEngine = create_async_engine(
            url, pool_pre_ping=True, pool_size=pool_size, max_overflow=overflow, hide_parameters=True
        )

    @asynccontextmanager
    async def begin(self, network: UUID) -> AsyncIterator[AsyncConnection]:
        """Begin a transaction of `network`; it commits when the block ends and rolls back when it raises.

        Statements go through `fetch`, or `exec_driver_sql` with $1 and a tuple.
        """
        async with self.engine.begin() as connection:
            await connection.exec_driver_sql(_SET_NETWORK, (str(network),))
            yield connection

    @asynccontextmanager
    async def snapshot(self, network: UUID) -> AsyncIterator[AsyncConnection]:
        """Begin a read-only REPEATABLE READ transaction of `network`: everything in it is of one moment."""
        async with self.engine.connect() as connection:
            await connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            async with connection.begin():
                await connection.exec_driver_sql(_SET_NETWORK, (str(network),))
                yield connection

    @asynccontextmanager
    async def without_network(self) -> AsyncIterator[AsyncConnection]:
        """Begin a transaction that sees `server_meta` and `network_ids()` and no tenant's row."""
        async with self.engine.begin() as connection:
            yield connection

    async def networks(self) -> list[UUID]:
        """Return the ids of all networks, oldest first."""
        async with self.without_network() as connection:
            return [UUID(str(row[0])) for row in await fetch(connection, "select network_ids()")]

    async def close(self) -> None:
        """Give all connections back to the server."""
        await self.engine.dispose()


async def fetch(connection: AsyncConnection, sql: str, *parameters: object) -> Sequence[Any]:
    """Return the rows of a statement with $1, $2, …; their columns are read by name or position."""
    return (await connection.exec_driver_sql(sql, parameters)).fetchall()


async def fetch_one(connection: AsyncConnection, sql: str, *parameters: object) -> Any:
    """Return the one row of a statement, None where there is none."""
    found = await fetch(connection, sql, *parameters)
    if len(found) > 1:
        raise RuntimeError("more rows than one")
    return found[0] if found else None


async def fetch_value(connection: AsyncConnection, sql: str, *parameters: object) -> Any:
    """Return the first column of the one row of a statement, None where there is no row."""
    row = await fetch_one(connection, sql, *parameters)
    return None if row is None else row[0]
