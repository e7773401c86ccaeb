"""Opening an encrypted SQLite file the one way that is safe, and moving it to the present schema."""

from __future__ import annotations

import errno
import logging
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import apsw

from loyalty_desk.domain.errors import Refused

KEY_BYTES = 32
BUSY_MS = 5_000
ROOM_TO_OPEN = 1 << 20
_READ_WRONGLY = frozenset({apsw.SQLITE_IOERR_SHORT_READ, apsw.SQLITE_IOERR_DATA, apsw.SQLITE_IOERR_CORRUPTFS})
_LOG = logging.getLogger(__name__)

type Migration = Callable[[apsw.Connection], None]


class Unreadable(Exception):
    """The file is no database under this key, or its pages are damaged."""


def connect(path: Path, key: bytes, *, durable: bool, cache_kib: int, vfs: str | None = None) -> apsw.Connection:
    """Return a connection with the settings that the till's files are kept by.

    `durable` means `synchronous=FULL`: a returned COMMIT is on the disk. `vfs` names another file layer, for tests.
    Raises `Unreadable`; `Refused` `data_folder_readonly`, `data_folder_unusable`, `disk_full`, `journal_unavailable`.
    """
    if len(key) != KEY_BYTES:
        raise ValueError("a raw key has 32 bytes; anything else would silently be taken as a passphrase")
    try:
        if not path.exists():
            # The files that SQLite lays beside it take over its mode. Never of an existing file: closing any handle of
            # it gives up the POSIX locks that another connection of this process holds on it.
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        elif not path.is_file():
            raise Refused("data_folder_unusable", path=str(path), why="not a file")
        connection = apsw.Connection(str(path), vfs=vfs)
    except (apsw.CantOpenError, PermissionError) as error:
        raise Refused("data_folder_readonly", path=str(path.parent)) from error
    except OSError as error:
        code = "disk_full" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "data_folder_unusable"
        raise Refused(code, path=str(path.parent), why=error.strerror or "") from error
    try:
        _settle(connection, key, durable=durable, cache_kib=cache_kib)
    except BaseException as error:
        connection.close()
        # First: what a full disk does to a file's WAL must not be taken for damage of the file.
        if isinstance(error, apsw.FullError) or (isinstance(error, apsw.Error) and _is_full(path.parent)):
            raise Refused("disk_full", path=str(path.parent)) from error
        if is_damage(error):
            raise Unreadable(str(path)) from error
        if isinstance(error, apsw.IOError):
            raise Refused("journal_unavailable", path=str(path.parent)) from error
        if isinstance(error, apsw.ReadOnlyError | apsw.CantOpenError | apsw.PermissionsError):
            raise Refused("data_folder_readonly", path=str(path.parent)) from error
        raise
    return connection


def is_damage(error: BaseException | None) -> bool:
    """Return whether an error says that the file's content is wrong, not that the disk is away, full or read-only."""
    if isinstance(error, apsw.IOError):
        return getattr(error, "extendedresult", 0) in _READ_WRONGLY
    return isinstance(error, apsw.CorruptError | apsw.NotADBError)


def _is_full(folder: Path) -> bool:
    # SQLite tells a WAL index for which there is no room as an I/O error.
    return shutil.disk_usage(folder).free < ROOM_TO_OPEN


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
