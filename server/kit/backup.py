"""A backup is a dump by PostgreSQL's own program; it is restored beside what is there and then put in its place.

Behind the dump stand ``LDBK1`` and its SHA-256: pg_restore takes a dump that lost its last 2 000 bytes without a word
(tried). The master key is not in it. What was there before a restore is renamed, never dropped.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg

from loyalty_desk.domain.errors import BadInput, Broken, Refused
from server.kit.db import address
from server.kit.embedded import APP, DATABASE, OWNER, SUPERUSER, Embedded
from server.kit.errors import reason_of
from server.kit.new_cluster import clean_environment

RESTORING = f"{DATABASE}_restoring"
_END = b"LDBK1"
_TAIL_BYTES = len(_END) + 32
_CHUNK = 1 << 20


def dump(embedded: Embedded, file: Path) -> int:
    """Write a backup to a file that only its owner can read, and return its bytes.

    It appears under its name when it is whole. Raises `BadInput` `file_exists` and `file_unwritable`, and `Broken`.
    """
    if file.exists():
        raise BadInput("file_exists", file=str(file))
    half = file.with_name(f".{file.name}.part")
    half.unlink(missing_ok=True)
    try:
        with os.fdopen(os.open(half, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
            _tool(embedded, "pg_dump", "--format=custom", "--compress=gzip:5", f"--dbname={DATABASE}", out=out.fileno())
        with half.open("r+b") as opened:
            digest = hashlib.file_digest(opened, "sha256").digest()
            opened.write(_END + digest)
            opened.flush()
            os.fsync(opened.fileno())
        os.link(half, file)
    except FileExistsError as error:
        raise BadInput("file_exists", file=str(file)) from error
    except OSError as error:
        raise BadInput("file_unwritable", file=str(file), reason=reason_of(error)) from error
    finally:
        half.unlink(missing_ok=True)
    return file.stat().st_size


def require_whole(file: Path) -> None:
    """Read a backup through; raises `BadInput` `file_unreadable` and `backup_malformed`."""
    try:
        whole = _is_whole(file)
    except OSError as error:
        raise BadInput("file_unreadable", file=str(file), reason=reason_of(error)) from error
    if not whole:
        raise BadInput("backup_malformed", file=str(file))


async def restore_beside(embedded: Embedded, file: Path) -> None:
    """Restore a backup into a database of its own, all of it or nothing; raises as `require_whole`."""
    require_whole(file)
    await _admin(
        embedded,
        f"drop database if exists {RESTORING} with (force)",
        f"create database {RESTORING} template template0 owner {OWNER}",
        f"revoke all on database {RESTORING} from public",
        f"grant connect on database {RESTORING} to {APP}",
    )
    try:
        _tool(embedded, "pg_restore", "--exit-on-error", "--single-transaction", f"--dbname={RESTORING}", str(file))
    except Broken as error:
        await drop_restoring(embedded)
        raise BadInput("backup_malformed", file=str(file)) from error


async def drop_restoring(embedded: Embedded) -> None:
    """Give up a restore before it is put in place."""
    await _admin(embedded, f"drop database if exists {RESTORING} with (force)")


async def put_in_place(embedded: Embedded, kept_as: str) -> None:
    """Make the restored database the one that serves, and keep the one before under another name, in one step."""
    await _admin(
        embedded,
        f"""
        begin;
        select pg_terminate_backend(pid) from pg_stat_activity where datname in ('{DATABASE}', '{RESTORING}');
        alter database {DATABASE} rename to "{kept_as}";
        alter database {RESTORING} rename to {DATABASE};
        commit
        """,  # noqa: S608 - constants
    )


def require_own(embedded: Embedded | None) -> Embedded:
    """Return the embedded database; raises `Refused` `backup_elsewhere` where it is somebody else's to back up."""
    if embedded is None:
        raise Refused("backup_elsewhere")
    return embedded


def _is_whole(file: Path) -> bool:
    left = file.stat().st_size - _TAIL_BYTES
    if left <= 0:
        return False
    made = hashlib.sha256()
    with file.open("rb") as opened:
        while left:
            chunk = opened.read(min(left, _CHUNK))
            if not chunk:
                return False
            made.update(chunk)
            left -= len(chunk)
        return opened.read() == _END + made.digest()


async def _admin(embedded: Embedded, *statements: str) -> None:
    connection = await asyncpg.connect(address(embedded.url(SUPERUSER, "postgres")))
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


def _tool(embedded: Embedded, name: str, *arguments: str, out: int = subprocess.DEVNULL) -> None:
    with _login(embedded) as environment:
        done = subprocess.run(  # noqa: S603 - our own binaries, no shell
            [embedded.tool(name), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.PIPE,
            check=False,
            env=clean_environment() | environment,
        )
    if done.returncode:
        # Without its text: it may repeat a row.
        raise Broken(f"{name} failed with code {done.returncode}")


@contextmanager
def _login(embedded: Embedded) -> Iterator[dict[str, str]]:
    """Provide the variables that let a program in; the password lies in a file of ours, not in them."""
    if embedded.address is None:
        raise RuntimeError("not started")
    password = (embedded.url(SUPERUSER).password or "").replace("\\", "\\\\").replace(":", "\\:")
    with tempfile.NamedTemporaryFile("w", prefix="ld-pass-") as file:  # made with mode 0600
        file.write(f"*:*:*:{SUPERUSER}:{password}\n")
        file.flush()
        yield {
            "PGHOST": embedded.address.host,
            "PGPORT": str(embedded.address.port),
            "PGUSER": SUPERUSER,
            "PGPASSFILE": file.name,
        }
