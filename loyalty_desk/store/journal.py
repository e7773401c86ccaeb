"""`journal.db`: the till's facts. A sale exists when, and only when, its commit here has returned."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import UUID, uuid4

import apsw

from loyalty_desk.domain import canonical
from loyalty_desk.domain.canonical import Json
from loyalty_desk.domain.clock import from_ms
from loyalty_desk.domain.errors import Broken, Refused
from loyalty_desk.domain.record import SealedRecord, Totals, chain_hash
from loyalty_desk.services.ports import (
    SEEN_BY_NEXT_PULL,
    Build,
    Effect,
    EpochHead,
    JournalHead,
    Notice,
    OfflineUse,
    Overlay,
    StoredProgram,
    Waiting,
)
from loyalty_desk.store.engine import Unreadable, connect, migrate, row, rows, transaction
from loyalty_desk.store.migrations.journal import STEPS
from loyalty_desk.store.reserve import Reserve
from loyalty_desk.store.witness import Witness, Witnessed

CACHE_KIB = 8 * 1024
TAIL = 1_000
KEPT_PROGRAMS = 2
_HELD = "redemption_held"
_LOG = logging.getLogger(__name__)
_EFFECT = (
    "INSERT INTO effect (epoch, seq, at, guest, handle, earned, redeemed, day, uses, program, receipt, cum_count,"
    " cum_earned, cum_redeemed) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?)"
)
# What a disk says when it can hold no more, or can be trusted no more.
_FULL = (apsw.FullError,)
_FAILED = (apsw.IOError, apsw.CorruptError, apsw.ReadOnlyError, apsw.CantOpenError, apsw.NotADBError, apsw.NoMemError)


@dataclass(slots=True)
class _Epoch:
    first_seq: int
    head_seq: int
    head_hash: bytes
    acked: int = 0


class SqliteJournal:
    """One connection, one lock: the db thread sells and the sync thread acknowledges, each in short turns."""

    def __init__(
        self,
        path: Path,
        key: bytes,
        witness: Witness | None = None,
        reserve: Reserve | None = None,
        *,
        vfs: str | None = None,
    ) -> None:
        """Open or create the file; raises `Unreadable`, `Refused` `journal_newer` or `data_folder_readonly`."""
        self.path = path
        self._key = key
        self._vfs = vfs
        self._witness = witness
        self._reserve = reserve
        self._lock = threading.RLock()
        self._epochs: dict[int, _Epoch] = {}
        self._meta: dict[str, Json] = {}
        self._head: JournalHead | None = None
        self._last_at: int | None = None
        self._program: StoredProgram | None = None
        self._waiting = Waiting()
        self._notices: list[Notice] = []
        self._witnessed: tuple[int, int] | None = None
        self._full = False
        self._failed = False
        self._checked = False
        self._connection = self._open()

    def _open(self) -> apsw.Connection:
        connection = connect(self.path, self._key, durable=True, cache_kib=CACHE_KIB, vfs=self._vfs)
        try:
            migrate(connection, self.path, STEPS, "journal_newer")
            self._load(connection)
        except BaseException as error:
            connection.close()
            if isinstance(error, apsw.NotADBError | apsw.CorruptError):
                raise Unreadable(str(self.path)) from error
            raise
        return connection

    def _load(self, connection: apsw.Connection) -> None:
        self._meta = {key: json.loads(value) for key, value in rows(connection, "SELECT key, value FROM meta")}
        if "file_id" not in self._meta:
            with transaction(connection):
                self._write_meta(connection, "file_id", str(uuid4()))
        stored = row(connection, "SELECT version, hash, bytes FROM program ORDER BY ordinal DESC LIMIT 1")
        self._program = StoredProgram(*stored) if stored else None
        self._epochs = {}
        acked = dict(rows(connection, "SELECT epoch, upto_seq FROM ack"))
        current = None
        for epoch, prev in rows(connection, "SELECT epoch, prev FROM epoch ORDER BY ordinal"):
            ends = row(connection, "SELECT min(seq), max(seq) FROM record WHERE epoch = ?", (epoch,))
            first, last = ends if ends and ends[0] is not None else (1, 0)
            found = row(connection, "SELECT hash FROM record WHERE epoch = ? AND seq = ?", (epoch, last))
            self._epochs[epoch] = _Epoch(first, last, found[0] if found else prev, acked.get(epoch, 0))
            current = epoch
        self._waiting = self._count_waiting(connection)
        self._notices = self._read_notices(connection)
        self._head, self._last_at = None, None
        if current is not None:
            there = self._epochs[current]
            found = row(
                connection,
                "SELECT cum_count, cum_earned, cum_redeemed FROM effect WHERE epoch = ? AND seq = ?",
                (current, there.head_seq),
            )
            totals = Totals(*found) if found else Totals()
            receipts = rows(connection, "SELECT coalesce(max(receipt), 0) FROM effect")[0][0]
            self._head = JournalHead(current, there.head_seq, there.head_hash, totals, receipts)
            [(self._last_at,)] = rows(
                connection, "SELECT max(at) FROM effect WHERE epoch = ? AND seq = ?", (current, there.head_seq)
            )

    @property
    def file_id(self) -> UUID:
        """Return the id this file was created with; a copy has the same."""
        return UUID(str(self._meta["file_id"]))

    @property
    def is_empty(self) -> bool:
        """Return whether no epoch has been opened yet."""
        return self._head is None

    # -- writing facts ---------------------------------------------------------------------------------------------

    def append(self, build: Build, *, receipt: bool = False, occurred_at: int) -> SealedRecord:
        """Commit the record that `build` makes for the head, durably, before returning.

        Raises `Refused` `journal_unavailable` or `disk_full`; then nothing has been recorded.
        """
        with self._ready():
            self.witness()
            head = self.head()
            if receipt:
                head = replace(head, receipts=head.receipts + 1)
            sealed, totals, effect = build(head)
            self._commit(sealed, totals, effect or Effect(), head.receipts, occurred_at, prev=None)
            return sealed

    def open_epoch(self, epoch: int, prev: bytes, build: Build, *, occurred_at: int) -> SealedRecord:
        """Begin a new epoch with its `epoch_open` record; redemption waits for `clear_redemption_hold`."""
        with self._ready():
            self.witness()
            last = self._head
            totals, receipts = (last.totals, last.receipts) if last else (Totals(), 0)
            sealed, totals, effect = build(JournalHead(epoch, 0, prev, totals, receipts))
            self._commit(sealed, totals, effect or Effect(), receipts, occurred_at, prev=prev)
            return sealed

    def skip_receipts(self, upto: int) -> None:
        """Never give a receipt number up to `upto` again: a journal put back from a copy has given some of them."""
        with self._lock:
            if self._head is not None and self._head.receipts < upto:
                self._head = replace(self._head, receipts=upto)

    def _commit(
        self, sealed: SealedRecord, totals: Totals, effect: Effect, receipt: int, at: int, *, prev: bytes | None
    ) -> None:
        try:
            self._insert(sealed, totals, effect, receipt, at, prev)
        except _FULL as error:
            if self._reserve is None or not self._reserve.release():
                self._full = True
                raise Refused("disk_full", path=str(self.path.parent)) from error
            _LOG.warning("the disk is full: the reserve was given up for one record")
            self._full = True
            try:
                self._insert(sealed, totals, effect, receipt, at, prev)
            except _FULL as again:
                raise Refused("disk_full", path=str(self.path.parent)) from again
        except _FAILED as error:
            _LOG.exception("the journal could not be written; reopening it")
            self._failed = True
            self._reopen()
            # A commit whose sync failed may be on the disk all the same: what the file says now is the truth.
            if row(self._connection, "SELECT 1 FROM record WHERE id = ?", (sealed.id.bytes,)) is None:
                raise Refused("journal_unavailable") from error
        self._head, self._last_at = JournalHead(sealed.epoch, sealed.seq, sealed.hash, totals, receipt), at
        there = self._epochs.setdefault(sealed.epoch, _Epoch(1, 0, sealed.prev))
        there.head_seq, there.head_hash = sealed.seq, sealed.hash
        oldest = self._waiting.oldest
        self._waiting = Waiting(self._waiting.count + 1, at if oldest is None else oldest)

    def _insert(
        self, sealed: SealedRecord, totals: Totals, effect: Effect, receipt: int, at: int, prev: bytes | None
    ) -> None:
        connection = self._connection
        guest = effect.guest.bytes if effect.guest else None
        uses = canonical.encode(effect.uses).decode() if effect.uses else ""
        with transaction(connection):
            if prev is not None:
                connection.execute(
                    "INSERT INTO epoch (epoch, prev, opened_at) VALUES (?, ?, ?)", (sealed.epoch, prev, at)
                )
                self._write_meta(connection, _HELD, True)
            connection.execute(
                "INSERT INTO record VALUES (?, ?, ?, ?, ?, ?, ?)",
                (sealed.epoch, sealed.seq, sealed.id.bytes, sealed.prev, sealed.hash, sealed.sig, sealed.payload),
            )
            place = (sealed.epoch, sealed.seq, at, guest, signed(effect.handle))
            points = (effect.earned, effect.redeemed, effect.day, uses, effect.program, receipt)
            connection.execute(_EFFECT, (*place, *points, totals.count, totals.earned, totals.redeemed))

    @contextmanager
    def _ready(self) -> Iterator[None]:
        with self._lock:
            if self._failed:
                self._reopen()
            if self._full:
                if self._reserve is None or not self._reserve.hold():
                    raise Refused("disk_full", path=str(self.path.parent))
                self._full = False
            yield

    def _reopen(self) -> None:
        try:
            self._connection.close()
            self._connection = self._open()
            if self.broken_at() is not None:
                raise Unreadable(str(self.path))
        except (Unreadable, Refused, apsw.Error) as error:
            _LOG.exception("the journal cannot be reopened")
            raise Refused("journal_unavailable") from error
        self._failed = False

    # -- reading facts ---------------------------------------------------------------------------------------------

    def head(self) -> JournalHead:
        """Return where the next record goes."""
        if self._head is None:
            raise Broken("no epoch has been opened in this journal")
        return self._head

    def last_at(self) -> int | None:
        """Return the newest record's `occurred_at`, None in an empty journal."""
        return self._last_at

    def epochs(self) -> list[EpochHead]:
        """Return every epoch in the order it was opened."""
        with self._lock:
            return [EpochHead(e, k.first_seq, k.head_seq, k.head_hash, k.acked) for e, k in self._epochs.items()]

    def records(self, epoch: int, from_seq: int, limit: int) -> list[SealedRecord]:
        """Return up to `limit` records of an epoch from a seq on, in order."""
        with self._lock:
            found = rows(
                self._connection,
                "SELECT epoch, seq, id, prev, hash, sig, payload FROM record WHERE epoch = ? AND seq >= ?"
                " ORDER BY seq LIMIT ?",
                (epoch, from_seq, limit),
            )
        return [
            SealedRecord(e, s, UUID(bytes=i), prev, digest, sig, body) for e, s, i, prev, digest, sig, body in found
        ]

    def private(self, record_id: UUID) -> bytes | None:
        """Return the personal fields that go with a record, None where it has none."""
        with self._lock:
            found = row(
                self._connection, "SELECT salt || ciphertext FROM private WHERE record_id = ?", (record_id.bytes,)
            )
        return found[0] if found else None

    def members(self, epoch: int) -> list[tuple[int, UUID, bytes]]:
        """Return (seq, id, hash) of every record of an epoch, in order."""
        with self._lock:
            found = rows(self._connection, "SELECT seq, id, hash FROM record WHERE epoch = ? ORDER BY seq", (epoch,))
        return [(seq, UUID(bytes=i), digest) for seq, i, digest in found]

    def holds(self, epoch: int, seq: int) -> bytes | None:
        """Return the hash of one record, None where the journal has no such."""
        with self._lock:
            found = row(self._connection, "SELECT hash FROM record WHERE epoch = ? AND seq = ?", (epoch, seq))
        return found[0] if found else None

    def broken_at(self, tail: int = TAIL) -> tuple[int, int] | None:
        """Return (epoch, seq) of the first record of the present epoch's tail whose chain does not hold, else None."""
        with self._lock:
            if self._head is None:
                return None
            epoch, upto = self._head.epoch, self._head.seq
            start = max(1, upto - tail + 1)
            found = rows(
                self._connection,
                "SELECT seq, prev, hash, payload FROM record WHERE epoch = ? AND seq >= ? ORDER BY seq",
                (epoch, start),
            )
            [(opened,)] = rows(self._connection, "SELECT prev FROM epoch WHERE epoch = ?", (epoch,))
        before = opened if start == 1 else found[0][1] if found else b""
        for expected, (seq, prev, digest, payload) in enumerate(found, start=start):
            if seq != expected or prev != before or chain_hash(prev, payload) != digest:
                return epoch, expected
            before = digest
        return None if start + len(found) == upto + 1 else (epoch, start + len(found))

    # -- what the server has ---------------------------------------------------------------------------------------

    def acknowledge(self, epoch: int, upto_seq: int, incarnation: UUID, feed_seq: int) -> None:
        """Note that the server holds an epoch up to a seq, their effects shown by a cursor of `feed_seq`."""
        with self._lock:
            there = self._epochs[epoch]
            upto = max(upto_seq, there.acked)
            with transaction(self._connection):
                self._connection.execute(
                    "INSERT INTO ack VALUES (?, ?, ?, ?) ON CONFLICT (epoch) DO UPDATE SET"
                    " upto_seq = excluded.upto_seq, incarnation = excluded.incarnation, feed_seq = excluded.feed_seq",
                    (epoch, upto, incarnation.bytes, feed_seq),
                )
                self._connection.execute(
                    "UPDATE effect SET feed_seq = ? WHERE epoch = ? AND seq > ? AND seq <= ? AND feed_seq IS NULL",
                    (feed_seq, epoch, there.acked, upto),
                )
            there.acked = upto
            self._waiting = self._count_waiting(self._connection)

    def rewind(self, epoch: int, upto_seq: int) -> None:
        """Forget acknowledgements after `upto_seq`: these records will be pushed again."""
        with self._lock:
            there = self._epochs[epoch]
            upto = min(upto_seq, there.acked)
            with transaction(self._connection):
                self._connection.execute("UPDATE ack SET upto_seq = ? WHERE epoch = ?", (upto, epoch))
                self._connection.execute(
                    "UPDATE effect SET feed_seq = NULL, settled = 0 WHERE epoch = ? AND seq > ?", (epoch, upto)
                )
            there.acked = upto
            self._waiting = self._count_waiting(self._connection)

    def rebind(self, incarnation: UUID) -> None:
        """Note that what is acknowledged is so in a new life of the server, and shown by any page read from now on."""
        with self._lock, transaction(self._connection):
            self._connection.execute("UPDATE ack SET incarnation = ?, feed_seq = 0", (incarnation.bytes,))
            self._connection.execute("UPDATE effect SET feed_seq = 0 WHERE settled = 0 AND feed_seq IS NOT NULL")

    def waiting(self) -> Waiting:
        """Return how much is not acknowledged; from memory, so that the main thread may ask."""
        return self._waiting

    def _count_waiting(self, connection: apsw.Connection) -> Waiting:
        behind = [(e, k) for e, k in self._epochs.items() if k.head_seq > k.acked]
        if not behind:
            return Waiting()
        first = "SELECT at FROM effect WHERE epoch = ? AND seq > ? ORDER BY seq LIMIT 1"
        ages = [at for epoch, k in behind for (at,) in rows(connection, first, (epoch, k.acked))]
        return Waiting(sum(k.head_seq - max(k.acked, k.first_seq - 1) for _, k in behind), min(ages, default=None))

    def overlay(self, guest: UUID, handle: int | None, cursor: int | None) -> Overlay:
        """Return own effects on a guest, or by handle while it was unknown, that a cache at `cursor` lacks."""
        shown = -1 if cursor is None else cursor
        wanted = "SELECT earned, redeemed, uses, day FROM effect WHERE settled = 0"
        wanted += " AND (feed_seq IS NULL OR feed_seq > ?) AND"
        with self._lock:
            found = rows(self._connection, f"{wanted} guest = ?", (shown, guest.bytes))
            if handle is not None:
                found += rows(self._connection, f"{wanted} guest IS NULL AND handle = ?", (shown, signed(handle)))
        uses = [(rule, day, n) for *_, text, day in found if text for rule, n in json.loads(text).items()]
        return Overlay(sum(row[0] for row in found), sum(row[1] for row in found), tuple(uses))

    def offline_use(self, guest: UUID) -> OfflineUse:
        """Return redemptions since the last sync."""
        with self._lock:
            [(points, count, device)] = rows(
                self._connection,
                "SELECT coalesce(sum(redeemed) FILTER (WHERE guest = ?1), 0), count(*) FILTER (WHERE guest = ?1),"
                " coalesce(sum(redeemed), 0) FROM effect WHERE settled = 0 AND redeemed > 0",
                (guest.bytes,),
            )
        return OfflineUse(points, count, device)

    def settle(self, cursor: int) -> bool:
        """Begin counting redemptions anew if a completed pull at `cursor` has seen every acknowledged one."""
        with self._lock:
            with transaction(self._connection):
                self._connection.execute(
                    "UPDATE effect SET feed_seq = ? WHERE feed_seq = ?", (cursor, SEEN_BY_NEXT_PULL)
                )
            behind = row(
                self._connection,
                "SELECT 1 FROM effect WHERE settled = 0 AND redeemed > 0 AND feed_seq > ? LIMIT 1",
                (cursor,),
            )
            if behind is not None:
                return False
            with transaction(self._connection):
                self._connection.execute("UPDATE effect SET settled = 1 WHERE settled = 0 AND feed_seq <= ?", (cursor,))
        return True

    def redemption_held(self) -> bool:
        """Return whether a new epoch still waits for hello, reconcile and pull."""
        return bool(self._meta.get(_HELD, True))

    def clear_redemption_hold(self) -> None:
        """Allow redemption again: hello, reconcile and pull of the present epoch have completed."""
        if self.redemption_held():
            self.put(_HELD, False)

    # -- programs, settings, notices -------------------------------------------------------------------------------

    def program(self) -> StoredProgram | None:
        """Return the program in force; from memory, so that the main thread may ask."""
        return self._program

    def remember_program(self, program: StoredProgram) -> None:
        """Put a program in force; older ones stay while an unacknowledged record names them."""
        with self._lock:
            if self._program == program:
                return
            self._store_program(program)
            self._program = program

    def _store_program(self, program: StoredProgram) -> None:
        with transaction(self._connection):
            self._connection.execute(
                "INSERT INTO program (ordinal, version, hash, bytes) VALUES"
                " ((SELECT coalesce(max(ordinal), 0) + 1 FROM program), ?, ?, ?)"
                " ON CONFLICT (hash) DO UPDATE SET ordinal = excluded.ordinal",
                (program.version, program.hash, program.bytes),
            )
            self._connection.execute(
                "DELETE FROM program WHERE ordinal NOT IN (SELECT ordinal FROM program ORDER BY ordinal DESC LIMIT ?)"
                " AND hash NOT IN (SELECT program FROM effect WHERE feed_seq IS NULL AND program IS NOT NULL)",
                (KEPT_PROGRAMS,),
            )

    def programs(self) -> list[StoredProgram]:
        """Return every program kept, newest first."""
        with self._lock:
            found = rows(self._connection, "SELECT version, hash, bytes FROM program ORDER BY ordinal DESC")
        return [StoredProgram(*row) for row in found]

    def get(self, key: str) -> Json:
        """Return a small setting kept with the facts, None where absent."""
        return self._meta.get(key)

    def put(self, key: str, value: Json) -> None:
        """Keep a small setting durably."""
        with self._lock, transaction(self._connection):
            self._write_meta(self._connection, key, value)

    def put_changed(self, key: str, value: Json) -> None:
        """Keep a small setting if it differs from what is kept."""
        if self._meta.get(key) != value:
            self.put(key, value)

    def _write_meta(self, connection: apsw.Connection, key: str, value: Json) -> None:
        text = canonical.encode(value).decode()
        connection.execute(
            "INSERT INTO meta VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value", (key, text)
        )
        self._meta[key] = value

    def notices(self) -> list[Notice]:
        """Return what nobody has read yet, oldest first; from memory, so that the main thread may ask."""
        return list(self._notices)

    def notify(self, code: str, facts: Mapping[str, Json], at: int) -> None:
        """Keep a notice until it is dismissed; the same code and facts are kept once."""
        with self._lock:
            with transaction(self._connection):
                self._connection.execute(
                    "INSERT OR IGNORE INTO notice (code, facts, at) VALUES (?, ?, ?)",
                    (code, canonical.encode(facts).decode(), at),
                )
            self._notices = self._read_notices(self._connection)

    def dismiss(self, notice: int) -> None:
        """Forget a notice that somebody has read."""
        with self._lock:
            with transaction(self._connection):
                self._connection.execute("DELETE FROM notice WHERE id = ?", (notice,))
            self._notices = self._read_notices(self._connection)

    def _read_notices(self, connection: apsw.Connection) -> list[Notice]:
        found = rows(connection, "SELECT id, code, facts, at FROM notice ORDER BY id")
        return [Notice(number, code, json.loads(facts), from_ms(at)) for number, code, facts, at in found]

    # -- guarding --------------------------------------------------------------------------------------------------

    def witness(self) -> None:
        """Write the head to the witness file, if it has moved since."""
        with self._lock:
            head = self._head
            if self._witness is None or head is None or self._witnessed == (head.epoch, head.seq):
                return
            try:
                self._witness.write(Witnessed(self.file_id, head.epoch, head.seq, head.hash, head.totals))
            except OSError:
                _LOG.exception("the witness cannot be written; the journal itself is sound")
                return
            self._witnessed = (head.epoch, head.seq)

    def usable(self) -> bool:
        """Return whether a record could be committed now, as far as is known."""
        return not (self._full or self._failed)

    def checked(self) -> bool:
        """Return whether the whole file has been read and found sound since it was opened."""
        return self._checked

    def check_whole(self) -> bool:
        """Read every page over a connection of its own (0.4 s for 169 MB), so that selling need not wait."""
        try:
            other = connect(self.path, self._key, durable=True, cache_kib=CACHE_KIB, vfs=self._vfs)
            try:
                found = row(other, "PRAGMA quick_check(1)")
            finally:
                other.close()
        except (Unreadable, apsw.Error):
            _LOG.exception("the journal's check failed")
            return False
        self._checked = found is not None and found[0] == "ok"
        return self._checked

    def close(self) -> None:
        """Write the witness and close the file."""
        with self._lock:
            self.witness()
            self._connection.close()


def signed(handle: int | None) -> int | None:
    """Return a handle of 64 unsigned bits as SQLite holds it."""
    return None if handle is None else handle - (1 << 64) if handle >= 1 << 63 else handle
