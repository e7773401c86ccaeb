"""A till whose keys were lost, and journals that are carried from one machine to another: opened, proved, brought back.

Nothing here deletes or overwrites a journal: what cannot be opened is laid aside with all that belongs to it.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from loyalty_desk.config import TillConfig, load_config, write_whole
from loyalty_desk.credentials import Secrets, choose_store, key_id, open_store, sealed_key_id, unseal_key
from loyalty_desk.domain.errors import Refused
from loyalty_desk.paths import TillPaths
from loyalty_desk.store import limbo, portable
from loyalty_desk.store.engine import companions
from loyalty_desk.store.journal_file import mark
from loyalty_desk.store.lock import ProcessLock
from loyalty_desk.store.verify import Proof, prove, read_only
from loyalty_desk.wire.v1.sheets import SheetKind, sheet_key

_CARRIED = "carried.json"
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Opened:
    """A journal file that can be read. `device_key` is known of this till's own alone."""

    copy: Path
    key: bytes
    device_key: Ed25519PublicKey | None


@dataclass(frozen=True, slots=True)
class LaidAside:
    """A till that this folder was before. `can_open` says whether its journal's key is kept."""

    folder: Path
    can_open: bool


@contextmanager
def opened_file(file: Path, paths: TillPaths, sheet: str | None) -> Iterator[Opened]:
    """Open a journal, a copy of one or an export: by this till's key, a kept one, or the recovery sheet.

    Raises `Refused` `file_missing`, `journal_unreadable`, `export_unreadable`, `recovery_needed`,
    `recovery_key_wrong`; `BadInput`.
    """
    with tempfile.TemporaryDirectory(prefix="loyalty-desk-") as room:
        copy = file
        if portable.is_portable(file):
            sealed, copy = portable.unpack(file, Path(room))
        elif file.is_file():
            sealed = _bytes(file.with_name(f"{file.name}.key")) or _bytes(file.with_name("journal.key"))
            if not os.access(file.parent, os.W_OK):
                # SQLite reads a journal only where it may write beside it: a stick or a disk that went read-only.
                copy = _copied(file, Path(room))
        else:
            raise Refused("file_missing", path=str(file))
        own = _own(paths)
        if own is not None and _opens(copy, own[1].journal_key):
            public = Ed25519PrivateKey.from_private_bytes(own[1].device_key).public_key()
            yield Opened(copy, own[1].journal_key, public)
            return
        carried = _carried(file.parent)
        if carried is not None:
            yield Opened(copy, carried, None)
            return
        if not sealed:
            raise Refused("journal_unreadable", path=str(file))
        if sheet is None:
            raise Refused("recovery_needed", path=str(file))
        yield Opened(copy, _unsealed(sealed, sheet), None)


def verify_file(file: Path, paths: TillPaths, sheet: str | None = None) -> Proof:
    """Prove a journal file record by record; raises as `opened_file`."""
    with opened_file(file, paths, sheet) as found, read_only(found.copy, found.key) as connection:
        return prove(connection, found.device_key)


def recover(paths: TillPaths, sheet: str | None) -> list[LaidAside]:
    """Lay a till aside whose keys are lost, so that the folder can join again; return all that lie there.

    With the sheet its journal's key is kept for `till import`, which brings the records to the server. Raises `Refused`
    `till_already_open`, `keys_not_lost`, `recovery_key_wrong` (then nothing has been moved); `BadInput` for a sheet
    that is none.
    """
    lock = ProcessLock(paths.lock)
    try:
        before = laid_aside(paths)
        if paths.identity.exists() or paths.journal.exists():
            if _own(paths) is not None and _is_whole(paths):
                if not any(not one.can_open for one in before):
                    raise Refused("keys_not_lost")
            else:
                # Where it is gone an earlier attempt ended half-way: the journal went before it, with its key.
                sealed = _bytes(paths.sealed_key)
                _lay_aside(paths, _unsealed(sealed, sheet) if sheet is not None and sealed else None)
        if sheet is not None:
            for one in laid_aside(paths):
                if not one.can_open:
                    _keep_key(one.folder, _unsealed(_bytes(one.folder / "journal.key"), sheet))
        return laid_aside(paths)
    finally:
        lock.release()


def laid_aside(paths: TillPaths) -> list[LaidAside]:
    """Return the tills that this folder was before, oldest first."""
    folders = sorted(paths.set_aside.iterdir()) if paths.set_aside.is_dir() else []
    return [LaidAside(one, _carried(one) is not None) for one in folders if (one / "journal.db").exists()]


def leave(paths: TillPaths, journal_key: bytes) -> Path:
    """Lay the closed files of a till aside that leaves its network; return where, its device key and token deleted.

    The journal stays, with its key, as the copy of last resort that it is. The caller holds the lock.
    """
    own = _own(paths)
    folder = _lay_aside(paths, journal_key)
    if own is not None:
        open_store(own[0].keys_in, folder / paths.keys.name).forget(own[0].keys_id)
    return folder


def _lay_aside(paths: TillPaths, key: bytes | None) -> Path:
    folder = paths.set_aside / datetime.now(UTC).strftime("%Y%m%dT%H%M%S%f")
    folder.mkdir(parents=True, mode=0o700)
    if key is not None:
        # First: a key that is kept for nothing harms nobody, a journal moved away from its key might.
        _keep_key(folder, key)
    notes = [mark(paths.journal), limbo.note(paths.journal)]
    moved = [*companions(paths.journal), *notes, paths.sealed_key, paths.witness, paths.keys, paths.identity]
    for file in moved:
        if file.exists():
            file.replace(folder / file.name)
    for file in companions(paths.cache):
        file.unlink(missing_ok=True)
    _LOG.warning("the till that this was is laid aside in %s", folder)
    return folder


def _keep_key(folder: Path, key: bytes) -> None:
    keys_id = str(uuid4())
    store = choose_store(folder / "carried-keys.json")
    store.save(keys_id, Secrets(key, bytes(32), ""))
    write_whole(folder / _CARRIED, json.dumps({"keys_in": store.name, "keys_id": keys_id}).encode())


def _carried(folder: Path) -> bytes | None:
    try:
        data = json.loads((folder / _CARRIED).read_bytes())
        secrets = open_store(str(data["keys_in"]), folder / "carried-keys.json").load(str(data["keys_id"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return None if secrets is None else secrets.journal_key


def _own(paths: TillPaths) -> tuple[TillConfig, Secrets] | None:
    try:
        config = load_config(paths.identity)
    except Refused:
        return None
    secrets = None if config is None else open_store(config.keys_in, paths.keys).load(config.keys_id)
    return None if config is None or secrets is None else (config, secrets)


def _is_whole(paths: TillPaths) -> bool:
    own = _own(paths)
    made_with = sealed_key_id(_bytes(paths.sealed_key))
    return own is not None and made_with in ("", key_id(own[1].journal_key))


def _copied(file: Path, room: Path) -> Path:
    copy = room / "journal.db"
    try:
        for source, target in zip(companions(file), companions(copy), strict=True):
            # The index of the WAL is made anew by whoever opens it.
            if source.exists() and not source.name.endswith("-shm"):
                shutil.copyfile(source, target)
                target.chmod(0o600)
    except OSError as error:
        raise Refused("journal_unreadable", path=str(file)) from error
    return copy


def _opens(copy: Path, key: bytes) -> bool:
    try:
        with read_only(copy, key):
            return True
    except Refused:
        return False


def _unsealed(sealed: bytes, sheet: str) -> bytes:
    return unseal_key(sealed, X25519PrivateKey.from_private_bytes(sheet_key(SheetKind.RECOVERY, sheet)))


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
