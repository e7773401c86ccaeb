"""A journal in one file that can be carried away: its encrypted copy behind its sealed key (`.ldx`).

The head holds no secret: the journal's key is in it sealed to the network's recovery key, as beside the journal itself.
"""

from __future__ import annotations

import json
import os
import shutil
import struct
from base64 import b64decode, b64encode
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import apsw

from loyalty_desk.domain.errors import Refused
from loyalty_desk.domain.record import SealedRecord
from loyalty_desk.store.engine import Unreadable, is_damage, row, rows
from loyalty_desk.store.journal import SqliteJournal
from loyalty_desk.store.journal_care import backup

_MAGIC = b"LDX1"
_LENGTH = struct.Struct(">I")
_MAX_HEAD = 64 * 1024
_RECORD = (
    "SELECT r.id, r.prev, r.hash, r.sig, r.payload, CAST(p.salt || p.ciphertext AS BLOB) FROM record r"
    " LEFT JOIN private p ON p.record_id = r.id WHERE r.epoch = ? AND r.seq = ?"
)


def write(journal: SqliteJournal, folder: Path, sealed_key: bytes, to: Path) -> None:
    """Write the whole journal as it is now; raises `Refused` `export_exists`, `export_not_written`.

    `folder` has room for the copy on its way.
    """
    if to.exists():
        raise Refused("export_exists", path=str(to))
    half = to.with_name(f"{to.name}.half")
    try:
        copy = backup(journal, folder, datetime.now(UTC).date())
        head = {"v": 1, "key": b64encode(sealed_key).decode()}
        text = json.dumps(head).encode()
        with os.fdopen(os.open(half, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(_MAGIC + _LENGTH.pack(len(text)) + text)
            with copy.open("rb") as source:
                shutil.copyfileobj(source, file, 1 << 20)
            file.flush()
            os.fsync(file.fileno())
        half.replace(to)
    except (OSError, apsw.Error, Unreadable) as error:
        with suppress(OSError):
            half.unlink(missing_ok=True)
        raise Refused("export_not_written", path=str(to)) from error


def is_portable(path: Path) -> bool:
    """Return whether a file is one of these."""
    try:
        with path.open("rb") as file:
            return file.read(len(_MAGIC)) == _MAGIC
    except OSError:
        return False


def unpack(path: Path, into: Path) -> tuple[bytes, Path]:
    """Return the sealed key and the journal's copy, laid into a folder; raises `Refused` `export_unreadable`."""
    try:
        with path.open("rb") as file:
            if file.read(len(_MAGIC)) != _MAGIC:
                raise ValueError("another kind of file")
            [size] = _LENGTH.unpack(file.read(_LENGTH.size))
            if size > _MAX_HEAD:
                raise ValueError("no head")
            head = json.loads(file.read(size))
            sealed = b64decode(head["key"])
            copy = into / "journal.db"
            with os.fdopen(os.open(copy, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as target:
                shutil.copyfileobj(file, target, 1 << 20)
    except (OSError, ValueError, KeyError, TypeError, struct.error) as error:
        raise Refused("export_unreadable", path=str(path)) from error
    return sealed, copy


def records_of(connection: apsw.Connection) -> Iterator[tuple[SealedRecord, bytes | None]]:
    """Yield every record that can still be read with its personal fields, epochs as opened, seq rising."""
    for epoch in (one[0] for one in rows(connection, "SELECT epoch FROM epoch ORDER BY ordinal")):
        [(first, last)] = rows(connection, "SELECT min(seq), max(seq) FROM record WHERE epoch = ?", (epoch,))
        for seq in range(first or 1, (last or 0) + 1):
            try:
                found = row(connection, _RECORD, (epoch, seq))
            except apsw.Error as error:
                if not is_damage(error):
                    raise
                continue
            if found is not None:
                key, prev, digest, sig, payload, private = found
                yield SealedRecord(epoch, seq, UUID(bytes=key), prev, digest, sig, payload), private
