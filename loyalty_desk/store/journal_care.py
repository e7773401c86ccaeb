"""What is done for the journal every night: a copy, and room made of what the server has held for long."""

from __future__ import annotations

import contextlib
import logging
import shutil
import tempfile
import time
from datetime import date
from pathlib import Path

import apsw
import msgspec

from loyalty_desk.domain.errors import Refused
from loyalty_desk.services.ports.journal import PHONE_KEY
from loyalty_desk.store.engine import Unreadable, connect, row, rows, transaction
from loyalty_desk.store.journal import SqliteJournal
from loyalty_desk.store.journal_file import CACHE_KIB

KEPT_DAYS = 90
PRIVATE_DAYS = 30
KEPT_COPIES = 7
_DAY_MS = 24 * 60 * 60 * 1_000
_AT_ONCE = 2_000
_PAGES_AT_ONCE = 2_000
_HALF = "half-"
_LEFT_S = 60 * 60
_LOG = logging.getLogger(__name__)


class Cared(msgspec.Struct, frozen=True):
    """What a night's care came to."""

    copy: Path | None
    pruned: int
    private: int


def care_for(journal: SqliteJournal, folder: Path, day: date, now_ms: int) -> Cared:
    """Copy the journal, then prune it; a copy that cannot be made is logged, and then nothing is pruned either."""
    try:
        copy: Path | None = backup(journal, folder, day)
    except (Unreadable, Refused, apsw.Error, OSError):
        _LOG.exception("the journal could not be copied; it is sound itself, and nothing is pruned")
        return Cared(None, 0, 0)
    return Cared(copy, prune(journal, now_ms - KEPT_DAYS * _DAY_MS), forget(journal, now_ms - PRIVATE_DAYS * _DAY_MS))


def backup(journal: SqliteJournal, folder: Path, day: date) -> Path:
    """Copy the journal while it is in use, encrypted by the same key; the newest `KEPT_COPIES` copies stay.

    Without the key of phones, which a till that gets data is told again.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    copy = copy_of(folder, day)
    _clear(folder)
    # A folder of its own: SQLite finds a file's log by the file's name, and two copies at once would take each other's.
    with tempfile.TemporaryDirectory(prefix=_HALF, dir=folder) as room:
        half = Path(room, copy.name)
        _write(journal, half)
        half.replace(copy)
    for old in sorted(folder.glob("journal-*.db"))[:-KEPT_COPIES]:
        old.unlink(missing_ok=True)
    return copy


def _write(journal: SqliteJournal, half: Path) -> None:
    # A connection of its own: the counter's goes on selling.
    source = connect(journal.path, journal.key, durable=True, cache_kib=CACHE_KIB)
    try:
        target = connect(half, journal.key, durable=True, cache_kib=CACHE_KIB)
        try:
            with target.backup("main", source, "main") as copying:
                while not copying.done:
                    copying.step(_PAGES_AT_ONCE)
            # Else a till that is revoked would go on holding what opens everybody's phone.
            target.pragma("secure_delete", 1)
            target.execute("DELETE FROM meta WHERE key = ?", (PHONE_KEY,))
            # One file without companions: what is copied elsewhere must be all of it.
            target.pragma("journal_mode", "delete")
            found = row(target, "PRAGMA quick_check(1)")
        finally:
            target.close()
    finally:
        source.close()
    if found is None or found[0] != "ok":
        raise Unreadable(str(half))


def _clear(folder: Path) -> None:
    """Take away what a program that was killed has left of a copy."""
    for half in folder.glob(f"{_HALF}*"):
        with contextlib.suppress(FileNotFoundError):
            if half.stat().st_mtime < time.time() - _LEFT_S:
                shutil.rmtree(half, ignore_errors=True)


def copy_of(folder: Path, day: date) -> Path:
    """Return where the copy of a day lies."""
    return folder / f"journal-{day.isoformat()}.db"


def prune(journal: SqliteJournal, before_ms: int) -> int:
    """Delete acknowledged, settled records older than `before_ms` from the beginning of each epoch; return how many.

    Never an unacknowledged one, nor the head of an epoch. The last one pruned stays in `pruned`, with its signature.
    """
    count = 0
    for epoch in journal.epochs():
        while True:
            with journal.writing() as connection:
                done = _prune_some(connection, epoch.epoch, epoch.head_seq, epoch.acked_seq, before_ms)
            count += done
            if done < _AT_ONCE:
                break
    if count:
        journal.reload()
    return count


def _prune_some(connection: apsw.Connection, epoch: int, head: int, acked: int, before_ms: int) -> int:
    kept = row(
        connection,
        "SELECT min(seq) FROM effect WHERE epoch = ? AND (seq > ? OR at >= ? OR settled = 0)",
        (epoch, acked, before_ms),
    )
    first = row(connection, "SELECT min(seq) FROM record WHERE epoch = ?", (epoch,))
    if kept is None or first is None or first[0] is None:
        return 0
    upto = min(head - 1, head - 1 if kept[0] is None else kept[0] - 1, first[0] + _AT_ONCE - 1)
    place = (epoch, upto)
    with transaction(connection):
        connection.execute(
            "INSERT OR REPLACE INTO pruned SELECT r.epoch, r.seq, r.id, r.hash, r.sig, e.cum_count, e.cum_earned,"
            " e.cum_redeemed FROM record r JOIN effect e USING (epoch, seq) WHERE epoch = ? AND seq <= ?"
            " ORDER BY seq DESC LIMIT 1",
            place,
        )
        connection.execute(
            "DELETE FROM private WHERE record_id IN (SELECT id FROM record WHERE epoch = ? AND seq <= ?)", place
        )
        gone = rows(connection, "DELETE FROM record WHERE epoch = ? AND seq <= ? RETURNING 1", place)
        connection.execute("DELETE FROM effect WHERE epoch = ? AND seq <= ?", place)
    return len(gone)


def forget(journal: SqliteJournal, before_ms: int) -> int:
    """Delete the personal fields of acknowledged records older than `before_ms`; return of how many."""
    with journal.writing() as connection, transaction(connection):
        gone = rows(
            connection,
            "DELETE FROM private WHERE record_id IN (SELECT r.id FROM record r JOIN effect e USING (epoch, seq)"
            " JOIN ack a USING (epoch) WHERE seq <= a.upto_seq AND e.at < ?) RETURNING 1",
            (before_ms,),
        )
    return len(gone)
