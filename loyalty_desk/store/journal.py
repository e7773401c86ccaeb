"""`journal.db`: the till's facts. A sale exists when, and only when, its commit here has returned."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol
from uuid import UUID

import apsw
from msgspec.structs import replace

from loyalty_desk.domain import canonical
from loyalty_desk.domain.errors import Broken, Refused
from loyalty_desk.domain.record import Record, SealedRecord, Totals, chain_hash
from loyalty_desk.services.ports.journal import Build, Effect, JournalHead, Waiting
from loyalty_desk.store import limbo
from loyalty_desk.store.engine import Unreadable, is_damage, row, rows, transaction
from loyalty_desk.store.journal_acks import HELD, Reach, signed, with_given
from loyalty_desk.store.journal_archive import ArchivedJournal
from loyalty_desk.store.journal_file import FAILED, FULL, mark, mended
from loyalty_desk.store.reserve import Reserve
from loyalty_desk.store.witness import Witness, Witnessed

TAIL = 1_000
EPOCH_DUE = "epoch_due"
# What a salvage carries over beside the records, and what of the settings belongs to one file alone.
CARRIED = ("private", "pruned", "step", "pin_tries", "program", "notice", "given", "meta")
_OF_THE_FILE = frozenset({"file_id", HELD, EPOCH_DUE})
_LOG = logging.getLogger(__name__)
_EFFECT = (
    "INSERT INTO effect (epoch, seq, at, guest, handle, earned, redeemed, day, uses, program, receipt, cum_count,"
    " cum_earned, cum_redeemed, offline, hold_until, reverses, tier_discount, registers, numbered)"
    " VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)"
)


class Taken(Protocol):
    """A record out of another file, with what it does."""

    @property
    def sealed(self) -> SealedRecord:
        """Return its bytes and place."""
        ...

    @property
    def record(self) -> Record:
        """Return what it says."""
        ...

    @property
    def effect(self) -> Effect:
        """Return what it does to a guest."""
        ...


class SqliteJournal(ArchivedJournal):
    """The facts themselves: appended, chained, read back and guarded."""

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
        self._witness = witness
        self._reserve = reserve
        self._head: JournalHead | None = None
        self._last_at: int | None = None
        self._witnessed: tuple[int, int] | None = None
        self._full = False
        # A refusal of an earlier run, told below if the disk has kept its record after all.
        self._limbo: UUID | None = limbo.remembered(path)
        super().__init__(path, key, vfs=vfs)
        if not self.is_empty:
            # An empty file has no answer yet: what a damaged one still proves is taken over into it.
            self.answer_doubt()

    def _load(self, connection: apsw.Connection) -> None:
        super()._load(connection)
        self._head, self._last_at = None, None
        if self._epochs:
            current, there = list(self._epochs.items())[-1]
            at = (current, there.head_seq)
            found = row(
                connection,
                "SELECT at, cum_count, cum_earned, cum_redeemed FROM effect WHERE epoch = ? AND seq = ?",
                at,
            )
            self._last_at, totals = (found[0], Totals(*found[1:])) if found else (None, Totals())
            [(receipts,)] = rows(connection, "SELECT coalesce(max(receipt), 0) FROM effect")
            self._head = JournalHead(current, there.head_seq, there.head_hash, totals, receipts)

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

    def open_epoch(self, epoch: int, first: bytes, build: Build, *, occurred_at: int) -> SealedRecord:
        """Begin a new epoch with its `epoch_open` record; redemption waits for `clear_redemption_hold`.

        Its parent is the head at the moment of writing; `first` is its `prev` where the journal has no epoch yet.
        """
        with self._ready():
            self.witness()
            last = self._head
            prev, totals, receipts = (last.hash, last.totals, last.receipts) if last else (first, Totals(), 0)
            sealed, totals, effect = build(JournalHead(epoch, 0, prev, totals, receipts))
            self._commit(sealed, totals, effect or Effect(), receipts, occurred_at, prev=prev)
            return sealed

    def take_over(self, epoch: int, prev: bytes, opened_at: int, found: Sequence[Taken]) -> None:
        """Put records of another file into this one as an epoch of their own, none of them acknowledged."""
        with self._lock:
            with transaction(self._live()):
                # Until a new epoch is open nothing may be written on behind these: more of them may be with the server.
                self._write_meta(self._connection, EPOCH_DUE, True)
                self._connection.execute(
                    "INSERT INTO epoch (epoch, prev, opened_at) VALUES (?, ?, ?)", (epoch, prev, opened_at)
                )
                for one in found:
                    number = (one.record.receipt_no or "").rpartition("-")[2]
                    receipt = int(number) if number.isascii() and number.isdigit() else 0
                    self._write(one.sealed, one.record.totals, one.effect, receipt, one.record.occurred_at)
            self._load(self._connection)

    def begin_anew(self) -> Path:
        """As `JournalFile.begin_anew`; what is known from memory is in the new file from the start."""
        with self._lock:
            self.witness()
            program, settings = self._program, dict(self._meta)
            aside = super().begin_anew()
            kept = [(key, canonical.encode(value).decode()) for key, value in settings.items()]
            self.take_rows("meta", ("key", "value"), kept)
            if program is not None:
                self.remember_program(program)
            return aside

    def take_rows(self, table: str, columns: Sequence[str], found: Sequence[tuple[Any, ...]]) -> None:
        """Take over what another file, perhaps of an older schema, kept beside its facts in one of `CARRIED`."""
        lasting = [one for one in found if table != "meta" or one[0] not in _OF_THE_FILE]
        if not lasting:
            return
        names, marks = ", ".join(columns), ", ".join("?" * len(columns))
        with self._lock:
            connection = self._live()
            with transaction(connection):
                connection.executemany(
                    f"INSERT OR IGNORE INTO {table} ({names}) VALUES ({marks})",  # noqa: S608 - names of our own
                    lasting,
                )
            self._load(connection)

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
        except FULL as error:
            if self._reserve is None or not self._reserve.release():
                self._full = True
                raise Refused("disk_full", path=str(self.path.parent)) from error
            _LOG.warning("the disk is full: the reserve was given up for one record")
            self._full = True
            try:
                self._insert(sealed, totals, effect, receipt, at, prev)
            except FULL as again:
                raise Refused("disk_full", path=str(self.path.parent)) from again
        except FAILED as error:
            _LOG.exception("the journal could not be written; reopening it")
            self._failed = True
            if is_damage(error):
                self.note_damage()
            try:
                there_after_all = self._has(self._again(), sealed)
            except (Refused, *FAILED) as again:
                # Whether it is on the disk is known at a later reopening: it is told then, never sold twice in silence.
                self._failed, self._limbo = True, sealed.id
                limbo.remember(self.path, sealed.id)
                raise Refused("journal_unavailable", path=str(self.path.parent)) from again
            # A commit whose sync failed may be on the disk all the same: what the file says now is the truth, and
            # `_load` has read it.
            if there_after_all:
                return
            raise Refused("journal_unavailable", path=str(self.path.parent)) from error
        if prev is not None:
            self._meta |= {HELD: True, EPOCH_DUE: False}
        self._head, self._last_at = JournalHead(sealed.epoch, sealed.seq, sealed.hash, totals, receipt), at
        self._meta |= effect.settings
        if effect.given:
            self._given = with_given(self._given, sealed.epoch, effect)
        there = self._epochs.setdefault(sealed.epoch, Reach(1, 0, sealed.prev))
        there.head_seq, there.head_hash = sealed.seq, sealed.hash
        oldest = self._waiting.oldest
        self._waiting = Waiting(self._waiting.count + 1, at if oldest is None else oldest)

    def _again(self) -> apsw.Connection:
        """Return a connection to what the disk really has: the file reopened, a new one where it is damaged."""
        if not self._damaged:
            try:
                self._reopen()
            except Refused:
                if not self._damaged or self._mend is None:
                    raise
        return self._live()

    def _insert(
        self, sealed: SealedRecord, totals: Totals, effect: Effect, receipt: int, at: int, prev: bytes | None
    ) -> None:
        connection = self._connection
        with transaction(connection):
            if prev is not None:
                connection.execute(
                    "INSERT INTO epoch (epoch, prev, opened_at) VALUES (?, ?, ?)", (sealed.epoch, prev, at)
                )
                self._write_meta(connection, HELD, True)
                self._write_meta(connection, EPOCH_DUE, False)
            self._write(sealed, totals, effect, receipt, at)

    def _write(self, sealed: SealedRecord, totals: Totals, effect: Effect, receipt: int, at: int) -> None:
        guest = effect.guest.bytes if effect.guest else None
        uses = json.dumps(dict(effect.uses)) if effect.uses else ""
        self._connection.execute(
            "INSERT INTO record VALUES (?, ?, ?, ?, ?, ?, ?)",
            (sealed.epoch, sealed.seq, sealed.id.bytes, sealed.prev, sealed.hash, sealed.sig, sealed.payload),
        )
        place = (sealed.epoch, sealed.seq, at, guest, signed(effect.handle))
        points = (effect.earned, effect.redeemed, effect.day, uses, effect.program, receipt)
        offline = effect.redeemed if effect.offline is None else effect.offline
        reverses = effect.reverses.bytes if effect.reverses else None
        more = (offline, effect.hold_until, reverses, effect.tier_discount, effect.registers, effect.numbered)
        self._connection.execute(_EFFECT, (*place, *points, totals.count, totals.earned, totals.redeemed, *more))
        if effect.private is not None:
            # The file is encrypted as a whole; the salt is inside, where the record's digest finds it.
            self._connection.execute("INSERT INTO private VALUES (?, ?, ?)", (sealed.id.bytes, b"", effect.private))
        if effect.step is not None:
            self._connection.execute(
                "INSERT INTO step VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET highest = max(highest, excluded.highest)",
                (signed(effect.step.handle), effect.step.root, effect.step.step),
            )
        for key, value in effect.settings.items():
            self._write_meta(self._connection, key, value)
        for (rule, period), amount in effect.given.items():
            self._connection.execute(
                "INSERT INTO given VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET amount = amount + excluded.amount",
                (sealed.epoch, rule, period, amount),
            )

    @contextmanager
    def _ready(self) -> Iterator[None]:
        with self._lock:
            if self._file_there() != self._file:
                _LOG.error("the journal's file was taken away or replaced while it is open")
                self._damaged = True
            self._live()
            if self._damaged:
                raise Refused("journal_unavailable", path=str(self.path.parent))
            if self._full:
                if self._reserve is None or not self._reserve.hold():
                    raise Refused("disk_full", path=str(self.path.parent))
                self._full = False
            yield

    def _prove(self, connection: apsw.Connection) -> None:
        super()._prove(connection)
        if self._broken_in(connection, TAIL) is not None:
            raise Unreadable(str(self.path))
        self._tell_limbo(connection)

    def answer_doubt(self) -> None:
        """Tell people of a sale that was refused and is recorded after all; asked when this file has all there is."""
        with self._lock:
            self._tell_limbo(self._connection)

    def _tell_limbo(self, connection: apsw.Connection) -> None:
        """Say of a refused record whether it is on the disk after all; then it is no question any more."""
        refused = self._limbo
        if refused is None:
            return
        found = row(connection, "SELECT payload FROM record WHERE id = ?", (refused.bytes,))
        if found is not None:
            _LOG.warning("record %s was refused and is recorded after all", refused)
            told = Record.from_payload(found[0])
            if told.receipt_no is not None:
                # Not through `notify`, which keeps going without the notice: until it is kept, nothing may be sold on.
                facts = canonical.encode({"receipt": told.receipt_no}).decode()
                with transaction(connection):
                    connection.execute(
                        "INSERT OR IGNORE INTO notice (code, facts, at) VALUES (?, ?, ?)",
                        ("sale_recorded_after_all", facts, told.occurred_at),
                    )
                self._notices = self._read_notices(connection)
        limbo.forget(self.path)
        self._limbo = None

    def _has(self, connection: apsw.Connection, sealed: SealedRecord) -> bool:
        return row(connection, "SELECT 1 FROM record WHERE id = ?", (sealed.id.bytes,)) is not None

    # -- reading facts ---------------------------------------------------------------------------------------------

    def head(self) -> JournalHead:
        """Return where the next record goes."""
        if self._head is None:
            raise Broken("no epoch has been opened in this journal")
        return self._head

    def last_at(self) -> int | None:
        """Return the newest record's `occurred_at`, None in an empty journal."""
        return self._last_at

    @mended
    def records(self, epoch: int, from_seq: int, limit: int) -> list[SealedRecord]:
        """Return up to `limit` records of an epoch from a seq on, in order."""
        with self._lock:
            found = rows(
                self._live(),
                "SELECT epoch, seq, id, prev, hash, sig, payload FROM record WHERE epoch = ? AND seq >= ?"
                " ORDER BY seq LIMIT ?",
                (epoch, from_seq, limit),
            )
        return [
            SealedRecord(e, s, UUID(bytes=i), prev, digest, sig, body) for e, s, i, prev, digest, sig, body in found
        ]

    @mended
    def private(self, record_id: UUID) -> bytes | None:
        """Return the personal fields that go with a record, None where it has none."""
        with self._lock:
            found = row(
                self._live(),
                "SELECT CAST(salt || ciphertext AS BLOB) FROM private WHERE record_id = ?",
                (record_id.bytes,),
            )
        return found[0] if found else None

    @mended
    def members(self, epoch: int) -> list[tuple[int, UUID, bytes]]:
        """Return (seq, id, hash) of every record of an epoch, in order."""
        with self._lock:
            found = rows(self._live(), "SELECT seq, id, hash FROM record WHERE epoch = ? ORDER BY seq", (epoch,))
        return [(seq, UUID(bytes=i), digest) for seq, i, digest in found]

    @mended
    def redeemed_step(self, handle: int, root: bytes) -> int:
        """Return the highest step of a rotating code's chain that has paid here, 0 where none has."""
        with self._lock:
            found = row(self._live(), "SELECT highest FROM step WHERE handle = ? AND root = ?", (signed(handle), root))
        return int(found[0]) if found else 0

    def holds(self, epoch: int, seq: int) -> bytes | None:
        """Return the hash of one record, None where the journal has no such."""
        with self._lock:
            found = row(self._live(), "SELECT hash FROM record WHERE epoch = ? AND seq = ?", (epoch, seq))
        return found[0] if found else None

    def broken_at(self, tail: int = TAIL) -> tuple[int, int] | None:
        """Return (epoch, seq) of the first record of the present epoch's tail whose chain does not hold, else None."""
        with self._lock:
            return self._broken_in(self._live(), tail)

    def _broken_in(self, connection: apsw.Connection, tail: int) -> tuple[int, int] | None:
        if self._head is None:
            return None
        epoch, upto = self._head.epoch, self._head.seq
        gone = row(connection, "SELECT seq, hash FROM pruned WHERE epoch = ?", (epoch,))
        first, opened = (gone[0] + 1, gone[1]) if gone else (1, None)
        start = max(first, upto - tail + 1)
        found = rows(
            connection,
            "SELECT seq, prev, hash, payload FROM record WHERE epoch = ? AND seq >= ? ORDER BY seq",
            (epoch, start),
        )
        if opened is None:
            [(opened,)] = rows(connection, "SELECT prev FROM epoch WHERE epoch = ?", (epoch,))
        before = opened if start == first else found[0][1] if found else b""
        for expected, (seq, prev, digest, payload) in enumerate(found, start=start):
            if seq != expected or prev != before or chain_hash(prev, payload) != digest:
                return epoch, expected
            before = digest
        return None if start + len(found) == upto + 1 else (epoch, start + len(found))

    def prove_readable(self) -> None:
        """Read what the next sale and the next push read; raises `Unreadable` where a page of it is damaged."""
        if mark(self.path).exists():
            raise Unreadable(f"{self.path} was found damaged earlier")
        try:
            self.broken_at()
            with self._lock:
                for _ in self._live().execute("SELECT * FROM effect WHERE settled = 0"):
                    pass
                unsent = "SELECT * FROM record WHERE epoch = ? AND seq > ?"
                for epoch, there in self._epochs.items():
                    for _ in self._connection.execute(unsent, (epoch, there.acked)):
                        pass
        except apsw.Error as error:
            if is_damage(error):
                raise Unreadable(str(self.path)) from error
            raise

    def abandon(self) -> None:
        """Close the file as it is, writing nothing more, not even the witness."""
        with self._lock:
            self._connection.close()

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
        return not (self._full or self._failed or self._damaged)

    def is_full(self) -> bool:
        """Return whether the disk could hold no more when it was last asked."""
        return self._full

    def regain(self) -> bool:
        """Ask the disk again and return as `usable`: nobody tries to sell while the till says that it cannot."""
        with suppress(Refused), self._ready():
            pass
        return self.usable()

    def close(self) -> None:
        """Write the witness and close the file."""
        with self._lock:
            self.witness()
            self._connection.close()
