"""What of the journal the server has: acknowledgements, what a balance still has to add, what counts as offline."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from uuid import UUID

import apsw
import msgspec

from loyalty_desk.services.ports.journal import SEEN_BY_NEXT_PULL, Effect, EpochHead, OfflineUse, Overlay, Waiting
from loyalty_desk.store.engine import row, rows, transaction
from loyalty_desk.store.journal_file import JournalFile, mended

HELD = "redemption_held"


class Reach(msgspec.Struct):
    """How far an epoch goes in this file, and how far the server has acknowledged it."""

    first_seq: int
    head_seq: int
    head_hash: bytes
    acked: int = 0


class AcknowledgedJournal(JournalFile):
    """The server's side of the facts. `settled` = a completed pull has shown the effect (migrations, `first`)."""

    def __init__(self, path: Path, key: bytes, *, vfs: str | None = None) -> None:
        """Open as `JournalFile`."""
        self._epochs: dict[int, Reach] = {}
        self._waiting = Waiting()
        self._given: Mapping[tuple[int, str, str], int] = {}
        super().__init__(path, key, vfs=vfs)

    def _load(self, connection: apsw.Connection) -> None:
        super()._load(connection)
        self._epochs = {}
        acked = dict(rows(connection, "SELECT epoch, upto_seq FROM ack"))
        for epoch, prev in rows(connection, "SELECT epoch, prev FROM epoch ORDER BY ordinal"):
            ends = row(connection, "SELECT min(seq), max(seq) FROM record WHERE epoch = ?", (epoch,))
            first, last = ends if ends and ends[0] is not None else (1, 0)
            found = row(connection, "SELECT hash FROM record WHERE epoch = ? AND seq = ?", (epoch, last))
            self._epochs[epoch] = Reach(first, last, found[0] if found else prev, acked.get(epoch, 0))
        self._waiting = self._count_waiting(connection)
        given = rows(connection, "SELECT epoch, rule, period, amount FROM given")
        self._given = {(epoch, rule, period): amount for epoch, rule, period, amount in given}

    def given(self) -> Mapping[tuple[int, str, str], int]:
        """Return what each epoch has given of limits for all guests together; from memory, for the main thread too."""
        return self._given

    def epochs(self) -> list[EpochHead]:
        """Return every epoch in the order it was opened."""
        with self._lock:
            return [EpochHead(e, k.first_seq, k.head_seq, k.head_hash, k.acked) for e, k in self._epochs.items()]

    @mended
    def acknowledge(self, epoch: int, upto_seq: int, incarnation: UUID, feed_seq: int) -> None:
        """Note that the server holds an epoch up to a seq, their effects shown by a cursor of `feed_seq`."""
        with self._lock:
            connection = self._live()
            there = self._epochs[epoch]
            upto = max(upto_seq, there.acked)
            with transaction(connection):
                connection.execute(
                    "INSERT INTO ack VALUES (?, ?, ?, ?) ON CONFLICT (epoch) DO UPDATE SET"
                    " upto_seq = excluded.upto_seq, incarnation = excluded.incarnation, feed_seq = excluded.feed_seq",
                    (epoch, upto, incarnation.bytes, feed_seq),
                )
                connection.execute(
                    "UPDATE effect SET feed_seq = ? WHERE epoch = ? AND seq > ? AND seq <= ? AND feed_seq IS NULL",
                    (feed_seq, epoch, there.acked, upto),
                )
            there.acked = upto
            self._waiting = self._count_waiting(connection)

    @mended
    def rewind(self, epoch: int, upto_seq: int) -> None:
        """Forget acknowledgements after `upto_seq`: these records will be pushed again."""
        with self._lock:
            connection = self._live()
            there = self._epochs[epoch]
            upto = min(upto_seq, there.acked)
            with transaction(connection):
                connection.execute("UPDATE ack SET upto_seq = ? WHERE epoch = ?", (upto, epoch))
                connection.execute(
                    "UPDATE effect SET feed_seq = NULL, settled = 0 WHERE epoch = ? AND seq > ?", (epoch, upto)
                )
            there.acked = upto
            self._waiting = self._count_waiting(connection)

    @mended
    def rebind(self, incarnation: UUID) -> None:
        """Note that what is acknowledged is so in a new life of the server, and shown by any page read from now on."""
        with self._lock:
            connection = self._live()
            with transaction(connection):
                connection.execute("UPDATE ack SET incarnation = ?, feed_seq = 0", (incarnation.bytes,))
                connection.execute("UPDATE effect SET feed_seq = 0 WHERE settled = 0 AND feed_seq IS NOT NULL")

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

    @mended
    def overlay(self, guest: UUID, handle: int | None, cursor: int | None) -> Overlay:
        """Return own effects on a guest, or by handle while it was unknown, that a cache at `cursor` lacks."""
        shown = -1 if cursor is None else cursor
        wanted = "SELECT earned, redeemed, uses, day FROM effect WHERE settled = 0"
        wanted += " AND (feed_seq IS NULL OR feed_seq > ?) AND"
        with self._lock:
            connection = self._live()
            found = rows(connection, f"{wanted} guest = ?", (shown, guest.bytes))
            if handle is not None:
                found += rows(connection, f"{wanted} guest IS NULL AND handle = ?", (shown, signed(handle)))
        uses = [(rule, day, n) for *_, text, day in found if text for rule, n in json.loads(text).items()]
        return Overlay(sum(row[0] for row in found), sum(row[1] for row in found), tuple(uses))

    @mended
    def offline_use(self, guest: UUID, now: int | None = None) -> OfflineUse:
        """Return redemptions since the last sync; without those that the server still holds at `now` (ms)."""
        with self._lock:
            [(points, count, device)] = rows(
                self._live(),
                "SELECT coalesce(sum(offline) FILTER (WHERE guest = ?1), 0), count(*) FILTER (WHERE guest = ?1),"
                " coalesce(sum(offline), 0) FROM effect WHERE settled = 0 AND offline > 0"
                " AND (hold_until IS NULL OR ?2 IS NULL OR hold_until < ?2)",
                (guest.bytes, now),
            )
        return OfflineUse(points, count, device)

    @mended
    def settle(self, cursor: int) -> bool:
        """Begin counting redemptions anew if a completed pull at `cursor` has seen every acknowledged one."""
        with self._lock:
            connection = self._live()
            with transaction(connection):
                connection.execute("UPDATE effect SET feed_seq = ? WHERE feed_seq = ?", (cursor, SEEN_BY_NEXT_PULL))
            behind = row(
                connection,
                "SELECT 1 FROM effect WHERE settled = 0 AND redeemed > 0 AND feed_seq > ? LIMIT 1",
                (cursor,),
            )
            if behind is not None:
                return False
            with transaction(connection):
                connection.execute("UPDATE effect SET settled = 1 WHERE settled = 0 AND feed_seq <= ?", (cursor,))
        return True

    def redemption_held(self) -> bool:
        """Return whether a new epoch still waits for hello, reconcile and pull."""
        return bool(self._meta.get(HELD, True))

    def clear_redemption_hold(self) -> None:
        """Allow redemption again: hello, reconcile and pull of the present epoch have completed."""
        if self.redemption_held():
            self.put(HELD, False)


def with_given(
    before: Mapping[tuple[int, str, str], int], epoch: int, effect: Effect
) -> Mapping[tuple[int, str, str], int]:
    """Return what epochs have given with what a record of one gives added; a new mapping: others may be reading."""
    more = {(epoch, *key): before.get((epoch, *key), 0) + amount for key, amount in effect.given.items()}
    return {**before, **more}


def signed(handle: int | None) -> int | None:
    """Return a handle of 64 unsigned bits as SQLite holds it."""
    return None if handle is None else handle - (1 << 64) if handle >= 1 << 63 else handle
