"""Connections that die: the next transaction begins on another, whether they lay idle or were just used."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from uuid import uuid4

import asyncpg
import psycopg
import pytest
import sqlalchemy

from server.kit import db
from server.kit.db import Database, fetch, fetch_value
from server.kit.ground import Base

pytestmark = [pytest.mark.anyio, pytest.mark.postgres]
NETWORK = uuid4()


@pytest.fixture
async def database(base: Base) -> AsyncIterator[Database]:
    made = Database(base.app, pool_size=3)
    yield made
    await made.close()


async def process_of(database: Database) -> int:
    async with database.begin(NETWORK) as connection:
        # The others are to use connections of their own.
        await fetch(connection, "select pg_sleep(0.05)")
        return int(await fetch_value(connection, "select pg_backend_pid()"))


async def killed(database: Database, admin: psycopg.Connection) -> set[int]:
    """Fill the pool and end all its connections from the server's side."""
    found = set(await asyncio.gather(*(process_of(database) for _ in range(3))))
    assert len(found) == 3
    for one in found:
        admin.execute("select pg_terminate_backend(%s, 5000)", (one,))
    return found


async def test_just_used(database: Database, admin: psycopg.Connection) -> None:
    dead = await killed(database, admin)
    assert not dead & {await process_of(database) for _ in range(3)}


async def test_idle(database: Database, admin: psycopg.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    dead = await killed(database, admin)
    monkeypatch.setattr(db, "_FRESH_S", 0.0)
    async with database.without_network() as connection:
        assert await fetch_value(connection, "select pg_backend_pid()") not in dead


async def test_the_network_ends_with_the_transaction_however_it_ends(database: Database) -> None:
    async def named() -> str:
        async with database.without_network() as connection:
            return str(await fetch_value(connection, "select current_setting('app.network_id', true)"))

    async def failing() -> None:
        async with database.begin(NETWORK) as connection:
            assert await fetch_value(connection, "select current_setting('app.network_id')") == str(NETWORK)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await failing()
    for _ in range(50):
        task = asyncio.create_task(process_of(database))
        await asyncio.sleep(0.001)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert set(await asyncio.gather(*(named() for _ in range(6)))) <= {"", "None"}
    async with database.begin(NETWORK) as connection:
        assert await fetch_value(connection, "select current_setting('app.network_id')") == str(NETWORK)


async def test_the_adapter_is_the_one_whose_private_names_are_used(database: Database) -> None:
    # Where SQLAlchemy names these otherwise, `begin` costs a second way to the server and `fetch` asks the driver while
    # another statement runs: before this version is raised, `server.kit.db` is read against the new adapter.
    assert sqlalchemy.__version__.startswith("2.1.")
    async with database.begin(NETWORK) as connection:
        adapter = (await connection.get_raw_connection()).dbapi_connection
        begun = adapter._transaction
        assert isinstance(begun, db._Begun)
        assert isinstance(adapter._execute_mutex, asyncio.Lock)
        with pytest.raises(adapter.dbapi.IntegrityError):
            adapter._handle_exception(asyncpg.UniqueViolationError("of the driver"))
        await connection.exec_driver_sql("select 1")
        assert adapter._transaction is begun
    assert adapter._transaction is None
