"""Connections that die: the next transaction begins on another, whether they lay idle or were just used."""

from __future__ import annotations

import asyncio
import contextlib
import traceback
from collections.abc import AsyncIterator
from uuid import uuid4

import asyncpg
import psycopg
import pytest
from sqlalchemy import make_url

from server.kit.db import Database, address, fetch, fetch_value, savepoint, write
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


async def test_without_a_network(database: Database, admin: psycopg.Connection) -> None:
    dead = await killed(database, admin)
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


async def test_a_transaction_that_a_failed_statement_has_ended_is_not_taken_for_kept(database: Database) -> None:
    async def goes_on() -> None:
        async with database.begin(NETWORK) as connection:
            with contextlib.suppress(asyncpg.DivisionByZeroError):
                await fetch(connection, "select 1 / 0")

    with pytest.raises(asyncpg.InFailedSQLTransactionError):
        await goes_on()


async def test_what_failed_behind_a_savepoint_does_not_end_the_transaction(database: Database) -> None:
    async with database.begin(NETWORK) as connection:
        with pytest.raises(asyncpg.DivisionByZeroError):
            async with savepoint(connection):
                await fetch(connection, "select 1 / 0")
        async with savepoint(connection):
            assert await fetch_value(connection, "select 1") == 1


async def test_errors_keep_rows_and_values_to_themselves(database: Database) -> None:
    async def said(sql: str, *values: object) -> str:
        with pytest.raises(asyncpg.PostgresError) as failed:
            async with database.begin(NETWORK) as connection:
                await write(connection, sql, *values)
        return "".join(traceback.format_exception(failed.value))

    assert "secret" not in await said("select $1::int", "secret")
    found = await said("insert into network (network_id, name) values ($1, $2)", NETWORK, "secret")
    assert "null value" in found
    assert "secret" not in found


async def test_a_snapshot_may_only_be_read(database: Database) -> None:
    with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
        async with database.snapshot(NETWORK) as connection:
            await write(connection, "delete from store")


@pytest.mark.parametrize(
    ("given", "driver"),
    [
        ("postgresql+asyncpg://u:p%40@h:5433/d?ssl=require", "postgresql://u:p%40@h:5433/d?sslmode=require"),
        ("postgresql+asyncpg://u:p@/d?host=%2Frun&port=1", "postgresql://u:p@/d?host=%2Frun&port=1"),
    ],
)
def test_the_driver_is_given_the_address_in_its_own_words(given: str, driver: str) -> None:
    assert address(make_url(given)) == driver
