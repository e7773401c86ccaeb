"""`journal.db` as a file: opened, checked, and what is kept in it beside the facts: settings, programs, notices."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import wraps
from pathlib import Path
from typing import Concatenate
from uuid import UUID, uuid4

import apsw

from loyalty_desk.domain import canonical
from loyalty_desk.domain.canonical import Json
from loyalty_desk.domain.clock import from_ms
from loyalty_desk.domain.errors import Refused
from loyalty_desk.services.ports.journal import Notice, StoredProgram
from loyalty_desk.store.engine import Unreadable, companions, connect, is_damage, migrate, row, rows, transaction
from loyalty_desk.store.migrations.journal import STEPS

CACHE_KIB = 8 * 1024
KEPT_PROGRAMS = 2
# What a disk says when it can hold no more, or can be trusted no more.
FULL = (apsw.FullError,)
FAILED = (apsw.IOError, apsw.CorruptError, apsw.ReadOnlyError, apsw.CantOpenError, apsw.NotADBError, apsw.NoMemError)
_LOG = logging.getLogger(__name__)


def mended[S: JournalFile, **P, T](work: Callable[Concatenate[S, P], T]) -> Callable[Concatenate[S, P], T]:
    """Do again, in a new file, what met a damaged page in the old one; say in a sentence what the disk refuses.

    The work may raise `Refused` `disk_full` and `journal_unavailable` besides its own.
    """

    @wraps(work)
    def again(journal: S, /, *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return work(journal, *args, **kwargs)
        except apsw.Error as error:
            if isinstance(error, FULL):
                raise Refused("disk_full", path=str(journal.path.parent)) from error
            if not is_damage(error) and isinstance(error, FAILED):
                raise Refused("journal_unavailable", path=str(journal.path.parent)) from error
            if not is_damage(error) or not journal.note_damage():
                raise
            _LOG.exception("the journal is damaged")
        return work(journal, *args, **kwargs)

    return again


class JournalFile:
    """One connection, one lock: the db thread sells and the sync thread acknowledges, each in short turns."""

    def __init__(self, path: Path, key: bytes, *, vfs: str | None = None) -> None:
        """Open or create the file; raises `Unreadable`, `Refused` `journal_newer` or `data_folder_readonly`."""
        self.path = path
        self.key = key
        self._vfs = vfs
        self._lock = threading.RLock()
        self._meta: dict[str, Json] = {}
        self._program: StoredProgram | None = None
        self._notices: list[Notice] = []
        self._checked = False
        self._damaged = False
        self._failed = False
        self._mend: Callable[[], None] | None = None
        self._aside: Path | None = None
        self._file = (0, 0)
        self._connection = self._open()

    def _open(self) -> apsw.Connection:
        connection = connect(self.path, self.key, durable=True, cache_kib=CACHE_KIB, vfs=self._vfs)
        try:
            migrate(connection, self.path, STEPS, "journal_newer")
            self._load(connection)
        except BaseException as error:
            connection.close()
            if is_damage(error):
                raise Unreadable(str(self.path)) from error
            if isinstance(error, FULL):
                raise Refused("disk_full", path=str(self.path.parent)) from error
            raise
        self._file = self._file_there()
        return connection

    def _file_there(self) -> tuple[int, int]:
        try:
            found = self.path.stat()
        except OSError:
            return -1, -1
        return found.st_dev, found.st_ino

    @contextmanager
    def writing(self) -> Iterator[apsw.Connection]:
        """Hold the connection for a piece of care; sales wait meanwhile, so it has to be short."""
        with self._lock:
            yield self._live()

    def reload(self) -> None:
        """Read again what is kept in memory of the file."""
        with self._lock:
            self._load(self._live())

    def on_damage(self, mend: Callable[[], None]) -> None:
        """Let `mend` put a damaged journal right while the till runs: it begins anew and opens an epoch."""
        self._mend = mend

    def begin_anew(self) -> Path:
        """Go on in an empty file; return where the damaged one, or what could be kept of one taken away, lies now.

        Called again after a failure half-way it returns the same: what it made before holds nothing of its own.
        """
        with self._lock:
            taken_away = self._file_there() != self._file
            if self._aside is None and taken_away:
                # The file was deleted or another put in its place; the open connection still has all of the old one.
                self._aside = aside_name(self.path)
                with suppress(apsw.Error):
                    self._connection.execute("VACUUM INTO ?", (str(self._aside),))
            with suppress(apsw.Error):
                self._connection.close()
            if self._aside is None:
                self._aside = set_aside(self.path)
            elif taken_away and self.path.exists():
                set_aside(self.path)
            else:
                for half_made in companions(self.path):
                    half_made.unlink(missing_ok=True)
            mark(self.path).unlink(missing_ok=True)
            self._checked = False
            self._connection = self._open()
            self._damaged = self._failed = False
            return self._aside

    def _heal(self) -> None:
        mend = self._mend
        if mend is None:
            return
        self._mend = None  # what mending itself writes goes into the new file
        try:
            mend()
        except (Unreadable, Refused, OSError, apsw.Error) as error:
            self._damaged = True
            _LOG.exception("the damaged journal could not be replaced")
            raise Refused("journal_unavailable", path=str(self.path.parent)) from error
        finally:
            self._mend = mend
        self._aside = None

    def _live(self) -> apsw.Connection:
        """Return the connection, under the lock; reopened where the disk has failed it, `_load` having run again.

        Raises `Refused` `journal_unavailable` while the disk is away.
        """
        if self._damaged:
            self._heal()
        if self._failed:
            self._reopen()
        return self._connection

    def _reopen(self) -> None:
        try:
            self._connection.close()
        except apsw.Error:
            # Closing copies the WAL into the file where it can; where it cannot, the WAL stays for the opening.
            _LOG.info("the journal could not be closed properly", exc_info=True)
        try:
            self._connection = self._open()
            self._prove(self._connection)
        except (Unreadable, Refused, apsw.Error) as error:
            if isinstance(error, Unreadable) or is_damage(error):
                self.note_damage()
            _LOG.exception("the journal cannot be reopened")
            raise Refused("journal_unavailable", path=str(self.path.parent)) from error
        self._failed = False

    def _prove(self, connection: apsw.Connection) -> None:
        """Raise unless what was read at a reopening is on the disk: a failed sync may have left it in memory only."""
        [(busy, _, _)] = rows(connection, "PRAGMA wal_checkpoint(FULL)")
        if busy:
            raise Refused("journal_unavailable", path=str(self.path.parent))

    def _load(self, connection: apsw.Connection) -> None:
        self._meta = {key: json.loads(value) for key, value in rows(connection, "SELECT key, value FROM meta")}
        if "file_id" not in self._meta:
            made = str(uuid4())
            with transaction(connection):
                self._write_meta(connection, "file_id", made)
            self._meta["file_id"] = made
        stored = row(connection, "SELECT version, hash, bytes FROM program ORDER BY ordinal DESC LIMIT 1")
        self._program = StoredProgram(*stored) if stored else None
        self._notices = self._read_notices(connection)

    @property
    def file_id(self) -> UUID:
        """Return the id this file was created with; a copy has the same."""
        return UUID(str(self._meta["file_id"]))

    def program(self) -> StoredProgram | None:
        """Return the program in force; from memory, so that the main thread may ask."""
        return self._program

    @mended
    def remember_program(self, program: StoredProgram) -> None:
        """Put a program in force; older ones stay while a record here names them: its return is worked out with it."""
        with self._lock:
            if self._program == program:
                return
            self._store_program(self._live(), program)
            self._program = program

    def _store_program(self, connection: apsw.Connection, program: StoredProgram) -> None:
        with transaction(connection):
            connection.execute(
                "INSERT INTO program (ordinal, version, hash, bytes) VALUES"
                " ((SELECT coalesce(max(ordinal), 0) + 1 FROM program), ?, ?, ?)"
                " ON CONFLICT (hash) DO UPDATE SET ordinal = excluded.ordinal",
                (program.version, program.hash, program.bytes),
            )
            connection.execute(
                "DELETE FROM program WHERE ordinal NOT IN (SELECT ordinal FROM program ORDER BY ordinal DESC LIMIT ?)"
                " AND hash NOT IN (SELECT program FROM effect WHERE program IS NOT NULL)",
                (KEPT_PROGRAMS,),
            )

    @mended
    def programs(self) -> list[StoredProgram]:
        """Return every program kept, newest first."""
        with self._lock:
            found = rows(self._live(), "SELECT version, hash, bytes FROM program ORDER BY ordinal DESC")
        return [StoredProgram(*row) for row in found]

    def get(self, key: str) -> Json:
        """Return a small setting kept with the facts, None where absent."""
        return self._meta.get(key)

    @mended
    def put(self, key: str, value: Json) -> None:
        """Keep a small setting durably."""
        with self._lock:
            connection = self._live()
            with transaction(connection):
                self._write_meta(connection, key, value)
            self._meta[key] = value

    def put_changed(self, key: str, value: Json) -> None:
        """Keep a small setting if it differs from what is kept."""
        if self._meta.get(key) != value:
            self.put(key, value)

    def _write_meta(self, connection: apsw.Connection, key: str, value: Json) -> None:
        text = canonical.encode(value).decode()
        connection.execute(
            "INSERT INTO meta VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value", (key, text)
        )

    def notices(self) -> list[Notice]:
        """Return what nobody has read yet, oldest first; from memory, so that the main thread may ask."""
        return list(self._notices)

    def notify(self, code: str, facts: Mapping[str, Json], at: int) -> None:
        """Keep a notice until it is dismissed; the same code and facts are kept once."""
        with self._lock:
            try:
                connection = self._live()
                with transaction(connection):
                    connection.execute(
                        "INSERT OR IGNORE INTO notice (code, facts, at) VALUES (?, ?, ?)",
                        (code, canonical.encode(facts).decode(), at),
                    )
            except (Refused, *FULL, *FAILED) as error:
                if is_damage(error):
                    self.note_damage()
                # A disk that takes no notice takes no sale either, and that is said where the sale is refused.
                _LOG.exception("the notice %s could not be kept", code)
                return
            self._notices = self._read_notices(connection)

    @mended
    def dismiss(self, notice: int) -> None:
        """Forget a notice that somebody has read."""
        with self._lock:
            connection = self._live()
            with transaction(connection):
                connection.execute("DELETE FROM notice WHERE id = ?", (notice,))
            self._notices = self._read_notices(connection)

    def _read_notices(self, connection: apsw.Connection) -> list[Notice]:
        found = rows(connection, "SELECT id, code, facts, at FROM notice ORDER BY id")
        return [Notice(number, code, json.loads(facts), from_ms(at)) for number, code, facts, at in found]

    def checked(self) -> bool:
        """Return whether the whole file has been read and found sound since it was opened."""
        return self._checked

    def check_whole(self) -> bool:
        """Read every page over a connection of its own (0.4 s for 169 MB), so that selling need not wait."""
        try:
            other = connect(self.path, self.key, durable=True, cache_kib=CACHE_KIB, vfs=self._vfs)
            try:
                found = row(other, "PRAGMA quick_check(1)")
            finally:
                other.close()
        except (Unreadable, Refused, apsw.Error) as error:
            _LOG.exception("the journal's check failed")
            if isinstance(error, Unreadable) or is_damage(error):
                self.note_damage()
            return False
        self._checked = found is not None and found[0] == "ok"
        if not self._checked:
            self.note_damage()
        return self._checked

    def note_damage(self) -> bool:
        """Write nothing on into a damaged file: it is set aside now or at the next opening; return whether now."""
        self._damaged = True
        try:
            mark(self.path).touch(mode=0o600)
        except OSError:
            _LOG.exception("the mark of a damaged journal could not be kept")
        return self._mend is not None


def mark(path: Path) -> Path:
    """Return the file that says that a journal was found damaged and has to be set aside at the next opening."""
    return path.with_name(f"{path.name}.damaged")


def aside_name(path: Path) -> Path:
    """Return a name for a database that is set aside now."""
    return path.with_name(f"{path.name}.unreadable-{datetime.now(UTC).strftime('%Y%m%dT%H%M%S%f')}")


def set_aside(path: Path) -> Path:
    """Rename a database and what belongs to it; return its new name."""
    aside = aside_name(path)
    for old, new in zip(companions(path), companions(aside), strict=True):
        if old.exists():
            old.rename(new)
    mark(path).unlink(missing_ok=True)
    return aside
