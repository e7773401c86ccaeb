"""Opening an encrypted SQLite file the one way that is safe, and moving it to the present schema."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import apsw

from loyalty_desk.domain.errors import Refused

KEY_BYTES = 32
BUSY_MS = 5_000
_LOG = logging.getLogger(__name__)

type Migration = Callable[[apsw.Connection], None]


class Unreadable(Exception):
    """The file is no database under this key, or its pages are damaged."""


def connect(path: Path, key: bytes, *, durable: bool, cache_kib: int, vfs: str | None = None) -> apsw.Connection:
    """Return a connection with the settings of ledger-and-sync.md, section 3.

    `durable` means `synchronous=FULL`: a returned COMMIT is on the disk. `vfs` names another file layer, for tests.
    Raises `Unreadable`; `Refused` `data_folder_readonly`.
    """
    if len(key) != KEY_BYTES:
        raise ValueError("a raw key has 32 bytes; anything else would silently be taken as a passphrase")
    try:
        # The files that SQLite lays beside it take over its mode.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        connection = apsw.Connection(str(path), vfs=vfs)
    except (apsw.CantOpenError, PermissionError) as error:
        raise Refused("data_folder_readonly", path=str(path.parent)) from error
    try:
        _settle(connection, key, durable=durable, cache_kib=cache_kib)
    except BaseException as error:
        connection.close()
        if isinstance(error, apsw.NotADBError | apsw.CorruptError):
            raise Unreadable(str(path)) from error
        if isinstance(error, apsw.ReadOnlyError | apsw.CantOpenError | apsw.PermissionsError):
            raise Refused("data_folder_readonly", path=str(path.parent)) from error
        raise
    return connection


def _settle(connection: apsw.Connection, key: bytes, *, durable: bool, cache_kib: int) -> None:
    connection.pragma("key", f"raw:{key.hex()}")
    connection.set_busy_timeout(BUSY_MS)
    mode = connection.pragma("journal_mode", "wal")
    if mode != "wal":
        raise apsw.ReadOnlyError(f"journal_mode is {mode}")
    connection.pragma("synchronous", 2 if durable else 1)
    connection.pragma("mmap_size", 0)
    connection.pragma("cell_size_check", 1)
    connection.pragma("trusted_schema", 0)
    connection.pragma("foreign_keys", 1)
    connection.pragma("cache_size", -cache_kib)
    if sys.platform == "darwin":
        connection.pragma("fullfsync", 1)
    if connection.pragma("synchronous") != (2 if durable else 1):
        raise RuntimeError("the driver did not take the synchronous setting")
    connection.execute("SELECT count(*) FROM sqlite_schema").fetchall()


def migrate(connection: apsw.Connection, path: Path, steps: Sequence[Migration], newer_code: str) -> None:
    """Bring the file to the newest schema, keeping a copy of it as it was; refuses a file newer than this program."""
    version = int(connection.pragma("user_version"))
    if version > len(steps):
        raise Refused(newer_code, version=version, known=len(steps))
    if 0 < version < len(steps):
        kept = path.with_name(f"{path.name}.v{version}.bak")
        kept.unlink(missing_ok=True)
        connection.execute("VACUUM INTO ?", (str(kept),))
        _LOG.info("kept %s before moving it from schema %d to %d", kept.name, version, len(steps))
    for number, step in enumerate(steps[version:], start=version + 1):
        with transaction(connection):
            step(connection)
            connection.pragma("user_version", number)


@contextmanager
def transaction(connection: apsw.Connection) -> Iterator[None]:
    """Hold one write transaction from the start, so that it cannot fail half-way for another writer's sake."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def rows(connection: apsw.Connection, sql: str, bindings: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return all rows of a query."""
    return connection.execute(sql, bindings).fetchall()


def row(connection: apsw.Connection, sql: str, bindings: tuple[Any, ...] = ()) -> tuple[Any, ...] | None:
    """Return the only row of a query, None where there is none."""
    return connection.execute(sql, bindings).fetchone()


def companions(path: Path) -> list[Path]:
    """Return the files that belong to a database, itself first."""
    return [path, path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")]
