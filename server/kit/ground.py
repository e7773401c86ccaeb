"""What every part of the server is given: database, vault, settings; opened once a process."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from loyalty_desk.domain.errors import Broken
from server.kit.crypto import Vault, load_master_key
from server.kit.db import Database
from server.kit.embedded import OWNER, Embedded
from server.kit.incarnation import Witness, witness_folder
from server.settings import Settings


@dataclass(frozen=True, slots=True)
class Base:
    """Addresses of a running database and the folder of the server's own files, before any connection is made.

    `app` and `owner` hold passwords: never print them. `embedded` is None where the database is somebody else's.
    """

    app: URL
    owner: URL | None
    data: Path
    embedded: Embedded | None


@dataclass(frozen=True, slots=True)
class Ground:
    """Connections and keys of this process."""

    settings: Settings
    db: Database
    vault: Vault
    witness: Witness


@contextmanager
def running(settings: Settings, *, role: str = "command", say: Callable[[str], None] | None = None) -> Iterator[Base]:
    """Provide a running database: the configured one, else the embedded one, started or attached to.

    Enter it from the main thread. Raises `Broken` and `Refused` as `Embedded.start` does.
    """
    if settings.database_url is not None:
        owner = settings.owner_database_url
        yield Base(
            app=_with_driver(settings.database_url.get_secret_value()),
            owner=None if owner is None else _with_driver(owner.get_secret_value()),
            data=settings.data_dir.absolute(),
            embedded=None,
        )
        return
    with Embedded(settings.data_dir, role=role, say=say) as embedded:
        yield Base(embedded.url(), embedded.url(OWNER), embedded.data, embedded)


@asynccontextmanager
async def ground(settings: Settings, base: Base) -> AsyncIterator[Ground]:
    """Open what a process works with and close it at the end."""
    given = settings.master_key.get_secret_value() if settings.master_key else None
    vault = Vault(load_master_key(base.data, given))
    witness = Witness(witness_folder(settings.witness_dir, base.data), base.data)
    database = Database(base.app, pool_size=settings.pool_size)
    try:
        yield Ground(settings, database, vault, witness)
    finally:
        await database.close()


def _with_driver(text: str) -> URL:
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        # Without the cause: its text repeats the address, and with it the password.
        raise Broken("DATABASE_URL is not an address of a PostgreSQL database") from None
    if url.get_backend_name() not in ("postgresql", "postgres"):
        raise Broken("DATABASE_URL must name a PostgreSQL database")
    # PostgreSQL's own programs say `sslmode`; Alembic's driver takes the same words as `ssl`.
    query = {"ssl" if key == "sslmode" else key: value for key, value in url.query.items()}
    return url.set(drivername="postgresql+asyncpg", query=query)
