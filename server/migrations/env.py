"""Run by Alembic for `server.kit.schema`: one upgrade at a time, each step in its own transaction."""

from __future__ import annotations

import asyncio

from alembic import context
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

_LOCK = 7_242_001


def _run(connection: Connection) -> None:
    context.configure(connection=connection, target_metadata=None, transaction_per_migration=True)
    with context.begin_transaction():
        context.run_migrations()


async def _upgrade() -> None:
    engine = create_async_engine(context.config.attributes["url"], poolclass=NullPool)
    try:
        async with engine.connect() as guard, engine.connect() as connection:
            # Asked for again and again on a connection of its own: a statement that waits for the lock would hold a
            # snapshot, and a step that builds an index CONCURRENTLY would wait for that snapshot for ever.
            await guard.execution_options(isolation_level="AUTOCOMMIT")
            while not await guard.scalar(text("select pg_try_advisory_lock(:lock)"), {"lock": _LOCK}):  # noqa: ASYNC110
                await asyncio.sleep(0.1)
            await connection.run_sync(_run)
            await connection.commit()
    finally:
        await engine.dispose()


asyncio.run(_upgrade())
