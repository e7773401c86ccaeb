"""The database as the application sees it: one pool, and transactions that belong to one network.

The application's role owns nothing and bypasses nothing. A transaction begun here names its network first; row-level
security then shows and takes that network's rows alone, and without a network every tenant table answers with an error.
asyncpg asks and keeps the connections; SQLAlchemy gives the address its form, for Alembic takes no other.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import asyncpg
import msgspec
from sqlalchemy import URL

from server.kit.errors import is_outage

_STATEMENTS = 500
# How long a transaction waits for a connection, and the end of the process for those that are under way.
_PATIENCE_S = 30.0
_ENDING_S = 10.0


class Row(asyncpg.Record):  # type: ignore[misc]  # the driver is untyped
    """A row of the driver, whose columns are read by name as well."""

    __slots__ = ()

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None


class Connection(asyncpg.Connection):  # type: ignore[misc]  # the driver is untyped
    """A connection of the pool. What is asked goes through `fetch` and `write` of this module."""

    async def reset(self, *, timeout: float | None = None) -> None:  # noqa: ASYNC109 - the driver's own signature
        """End a transaction that was left open.

        The driver would ask once more for every transaction, to forget locks and settings of the session: there are
        none, ours end with the transaction.
        """
        if self.is_in_transaction():
            await self.execute("rollback", timeout=timeout)


class Database:
    """The pool of the application's role. Make one a process; `close` it.

    There are never more than `pool_size` connections, and the one used last goes first: a new connection asks for its
    types and plans its statements anew, a tenth of a second in which others wait. So none is closed for its age.
    """

    def __init__(self, url: URL, *, pool_size: int = 20) -> None:
        self.url = url
        self._pool_size = pool_size
        self._made: Any = None

    async def _pool(self) -> Any:
        if self._made is None:
            self._made = asyncpg.create_pool(
                address(self.url),
                min_size=0,
                max_size=self._pool_size,
                max_queries=float("inf"),
                max_inactive_connection_lifetime=0.0,
                connection_class=Connection,
                record_class=Row,
                statement_cache_size=_STATEMENTS,
                init=_reads_json,
            )
        return await self._made

    @asynccontextmanager
    async def begin(self, network: UUID) -> AsyncIterator[Connection]:
        """Begin a transaction of `network`; it commits when the block ends and rolls back when it raises.

        Statements go through `fetch` and `write`, with $1, $2, …
        """
        async with self._transaction(f"begin; {_named(network)}") as connection:
            yield connection

    @asynccontextmanager
    async def snapshot(self, network: UUID) -> AsyncIterator[Connection]:
        """Begin a read-only REPEATABLE READ transaction of `network`: everything in it is of one moment."""
        async with self._transaction(
            f"begin isolation level repeatable read read only; {_named(network)}"
        ) as connection:
            yield connection

    @asynccontextmanager
    async def without_network(self) -> AsyncIterator[Connection]:
        """Begin a transaction that sees `server_meta` and `network_ids()` and no tenant's row."""
        async with self._transaction("begin") as connection:
            yield connection

    async def networks(self) -> list[UUID]:
        """Return the ids of all networks, oldest first."""
        async with self.without_network() as connection:
            return [UUID(str(row[0])) for row in await fetch(connection, "select network_ids()")]

    async def close(self) -> None:
        """Give all connections back to the server, after the transactions that are under way."""
        if self._made is not None:
            try:
                await asyncio.wait_for(self._made.close(), _ENDING_S)
            except TimeoutError:
                self._made.terminate()

    @asynccontextmanager
    async def _transaction(self, beginning: str) -> AsyncIterator[Connection]:
        """Begin and name the network in one way to the server and back, for short transactions are made of such ways.

        What is left before its commit, by an error or because nobody wants it any more, is ended by the pool
        (`Connection.reset`), which nothing interrupts.
        """
        pool = await self._pool()
        connection = await self._begun(pool, beginning)
        try:
            yield connection
            if await connection.execute("commit") != "COMMIT":
                # An error of the database that nobody passed on: it has rolled back what is taken for kept.
                raise asyncpg.InFailedSQLTransactionError("a transaction went on after one of its statements failed")
        finally:
            await pool.release(connection)

    async def _begun(self, pool: Any, beginning: str) -> Any:
        """Return a connection that has begun; where one turns out to be dead, so are the others: on a new one."""
        for again in (True, False):
            connection = await pool.acquire(timeout=_PATIENCE_S)
            try:
                await connection.execute(beginning)
            except BaseException as error:
                await pool.release(connection)
                if not (again and is_outage(error)):
                    raise
                await pool.expire_connections()
            else:
                return connection
        raise AssertionError("unreachable")


def address(url: URL) -> str:
    """Return the driver's name of a database, its password inside: never print it."""
    query = {"sslmode" if key == "ssl" else key: value for key, value in url.query.items()}
    return url.set(drivername="postgresql", query=query).render_as_string(hide_password=False)


async def fetch(connection: Connection, sql: str, *parameters: object) -> Sequence[Any]:
    """Return the rows of a statement with $1, $2, …; their columns are read by name or position."""
    found: Sequence[Any] = await _asked(connection.fetch(sql, *parameters))
    return found


async def write(connection: Connection, sql: str, *parameters: object) -> int:
    """Carry out a statement as `fetch` does and return how many rows it wrote."""
    told = str(await _asked(connection.execute(sql, *parameters)))
    # "INSERT 0 3", "UPDATE 3": what a command says of itself ends with its rows; "SET" has none.
    count = told.rpartition(" ")[2]
    return int(count) if count.isdecimal() else 0


async def fetch_one(connection: Connection, sql: str, *parameters: object) -> Any:
    """Return the one row of a statement, None where there is none."""
    found = await fetch(connection, sql, *parameters)
    if len(found) > 1:
        raise RuntimeError("more rows than one")
    return found[0] if found else None


async def fetch_value(connection: Connection, sql: str, *parameters: object) -> Any:
    """Return the first column of the one row of a statement, None where there is no row."""
    row = await fetch_one(connection, sql, *parameters)
    return None if row is None else row[0]


@asynccontextmanager
async def savepoint(connection: Connection) -> AsyncIterator[None]:
    """Undo what the block wrote where it raises; the transaction goes on."""
    await write(connection, "savepoint before")
    try:
        yield
    except Exception:
        await write(connection, "rollback to savepoint before")
        raise
    await write(connection, "release savepoint before")


async def _reads_json(connection: Connection) -> None:
    """Take JSON as text, as it is written, and give it as what it says."""
    for kind in ("json", "jsonb"):
        await connection.set_type_codec(kind, schema="pg_catalog", encoder=str, decoder=msgspec.json.decode)


def _named(network: UUID) -> str:
    return f"select set_config('app.network_id', '{network}', true)"


async def _asked(answer: Awaitable[Any]) -> Any:
    # What errors say of rows and values is personal data, and errors come into logs.
    try:
        return await answer
    except asyncpg.PostgresError as error:
        if type(error) is asyncpg.DataError:
            raise asyncpg.DataError("a value does not fit its place in the statement") from None
        error.detail = None
        raise
