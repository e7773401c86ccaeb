"""The database as the application sees it: one pool, and transactions that belong to one network.

The application's role owns nothing and bypasses nothing. A transaction begun here names its network first; row-level
security then shows and takes that network's rows alone, and without a network every tenant table answers with an error.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

from asyncpg import Record
from sqlalchemy import URL, event
from sqlalchemy.exc import DBAPIError, InvalidatePoolError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

_STATEMENTS = 500
_FRESH_S = 1.0
_USED_AT = "used_at"
_SET_NETWORK = "select set_config('app.network_id', $1, true)"


type Connection = AsyncConnection


class Row(Record):  # type: ignore[misc]  # the driver is untyped
    """A row of the driver, whose columns are read by name as well."""

    __slots__ = ()

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None


class Database:
    """The pool of the application's role. Make one a process; `close` it.

    A connection that lay idle is asked whether it lives before it is used. One used a moment ago is not: that would
    cost more than most transactions do; what begins on a dead one begins again on another. There are never more than
    `pool_size`, and the one used last goes first: a new connection asks for its types and plans its statements anew, a
    tenth of a second in which others wait.
    """

    def __init__(self, url: URL, *, pool_size: int = 20) -> None:
        # parameters never enter an error text or a log: they are personal data
        self.engine: AsyncEngine = create_async_engine(
            url,
            pool_size=pool_size,
            max_overflow=0,
            pool_use_lifo=True,
            hide_parameters=True,
            connect_args={
                "prepared_statement_cache_size": _STATEMENTS,
                "statement_cache_size": _STATEMENTS,
                "record_class": Row,
            },
        )
        self._doubted_at = 0.0
        event.listen(self.engine.sync_engine, "checkout", self._require_alive)
        event.listen(self.engine.sync_engine, "checkin", _note_use)

    @asynccontextmanager
    async def begin(self, network: UUID) -> AsyncIterator[AsyncConnection]:
        """Begin a transaction of `network`; it commits when the block ends and rolls back when it raises.

        Statements go through `fetch` and `write`, with $1, $2, …
        """
        async with self.engine.connect() as connection:
            if not await _begun(connection, network):
                # They die together: the next one is asked, however lately it was used.
                self._doubted_at = time.monotonic()
                await connection.invalidate()
                await _begun(connection, network)
            async with connection.begin():
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

    def _require_alive(self, connection: Any, record: Any, _proxy: object) -> None:
        now = time.monotonic()
        used_at = record.info.get(_USED_AT, now)
        if now - used_at < _FRESH_S and used_at > self._doubted_at:
            return
        try:
            connection.ping()
        except Exception as error:
            # The others have died with it: the pool makes new ones.
            raise InvalidatePoolError from error

    async def close(self) -> None:
        """Give all connections back to the server."""
        await self.engine.dispose()


def _note_use(_connection: object, record: Any) -> None:
    record.info[_USED_AT] = time.monotonic()


class _Begun:
    """A transaction that the driver has been told to begin in so many words; ended as one that it began itself."""

    def __init__(self, driver: Any) -> None:
        self._driver = driver

    async def commit(self) -> None:
        await self._driver.execute("commit")

    async def rollback(self) -> None:
        await self._driver.execute("rollback")


async def _begun(connection: AsyncConnection, network: UUID) -> bool:
    """Begin and name the network in one way to the server and back, for short transactions are made of such ways.

    False where the connection turns out to be dead. The adapter would begin by itself with the first statement, in a
    way of its own; it is told that it has begun, and ends it.
    """
    adapter: Any = (await connection.get_raw_connection()).dbapi_connection
    driver = adapter.driver_connection
    # First, so that whatever interrupts the beginning is followed by a rollback.
    adapter._transaction = _Begun(driver)
    try:
        await driver.execute(f"begin; select set_config('app.network_id', '{network}', true)")
    except Exception as error:
        if driver.is_closed():
            return False
        raise DBAPIError("begin", None, error, hide_parameters=True) from error
    return True


async def fetch(connection: AsyncConnection, sql: str, *parameters: object) -> Sequence[Any]:
    """Return the rows of a statement with $1, $2, …; their columns are read by name or position.

    In a transaction of a network the driver is asked itself: what stands between costs as much again as the asking.
    """
    if (adapter := _direct(connection)) is None:
        return (await connection.exec_driver_sql(sql, parameters)).fetchall()
    found: Sequence[Any] = await _ask(connection, adapter, adapter.driver_connection.fetch, sql, parameters)
    return found


async def write(connection: AsyncConnection, sql: str, *parameters: object) -> int:
    """Carry out a statement as `fetch` does and return how many rows it wrote."""
    if (adapter := _direct(connection)) is None:
        return int((await connection.exec_driver_sql(sql, parameters)).rowcount)
    told = str(await _ask(connection, adapter, adapter.driver_connection.execute, sql, parameters))
    # "INSERT 0 3", "UPDATE 3": what a command says of itself ends with its rows; "SET" has none.
    count = told.rpartition(" ")[2]
    return int(count) if count.isdecimal() else 0


def _direct(connection: AsyncConnection) -> Any:
    """Return the adapter whose driver may be asked itself, None where the transaction is the adapter's own."""
    at = connection.sync_connection
    adapter: Any = None if at is None or at.closed or at.invalidated else at.connection.dbapi_connection
    return adapter if isinstance(adapter._transaction if adapter else None, _Begun) else None


async def _ask(
    connection: AsyncConnection,
    adapter: Any,
    ask: Callable[..., Awaitable[Any]],
    sql: str,
    parameters: Sequence[object],
) -> Any:
    async with adapter._execute_mutex:
        try:
            return await ask(sql, *parameters)
        except Exception as error:
            told = _told(connection, adapter, sql, error)
            if adapter.driver_connection.is_closed():
                await connection.invalidate(error)
            raise told from error


def _told(connection: AsyncConnection, adapter: Any, sql: str, error: Exception) -> BaseException:
    """Return an error of the driver as a statement through the adapter would have raised it; other errors as they are.

    The driver's own text repeats the row.
    """
    try:
        adapter._handle_exception(error)
    except adapter.dbapi.Error as translated:
        made: BaseException = DBAPIError.instance(
            sql,
            None,
            translated,
            adapter.dbapi.Error,
            hide_parameters=True,
            connection_invalidated=adapter.driver_connection.is_closed(),
            dialect=connection.dialect,
        )
        return made
    except Exception as other:  # noqa: BLE001 - given to whoever raises it
        return other
    return error


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
