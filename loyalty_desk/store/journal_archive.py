"""Looking things up among the facts: a sale by id or receipt, what came back of it, a guest's own, and PIN tries."""

from __future__ import annotations

from uuid import UUID

from loyalty_desk.domain.record import SealedRecord
from loyalty_desk.services.ports.journal import PinTries
from loyalty_desk.store.engine import row, rows, transaction
from loyalty_desk.store.journal_acks import AcknowledgedJournal, signed
from loyalty_desk.store.journal_file import mended

_RECORD = "SELECT r.epoch, r.seq, r.id, r.prev, r.hash, r.sig, r.payload FROM record r"
_OF_EFFECT = f"{_RECORD} JOIN effect e ON e.epoch = r.epoch AND e.seq = r.seq WHERE"


class ArchivedJournal(AcknowledgedJournal):
    """`ports.Archive` and `ports.PinLog` over the journal's file."""

    def find(self, record_id: UUID) -> SealedRecord | None:
        """Return a record by its id, None where this journal has none."""
        with self._lock:
            found = rows(self._live(), f"{_RECORD} WHERE r.id = ?", (record_id.bytes,))
        return _sealed(found)[0] if found else None

    def numbered(self, number: int) -> list[SealedRecord]:
        """Return the records whose receipt has a running number; series of different epochs may share one."""
        with self._lock:
            return _sealed(rows(self._live(), f"{_OF_EFFECT} e.receipt = ? AND e.numbered = 1", (number,)))

    def returns_of(self, sale: UUID) -> list[SealedRecord]:
        """Return the voids, refunds and exchanges of a sale, oldest first."""
        with self._lock:
            return _sealed(rows(self._live(), f"{_OF_EFFECT} e.reverses = ? ORDER BY r.rowid", (sale.bytes,)))

    def of_guest(self, guest: UUID, limit: int) -> list[SealedRecord]:
        """Return the newest records of a guest at this till, newest first."""
        with self._lock:
            sql = f"{_OF_EFFECT} e.guest = ? ORDER BY e.at DESC, r.rowid DESC LIMIT ?"
            return _sealed(rows(self._live(), sql, (guest.bytes, limit)))

    def newest(self, limit: int) -> list[SealedRecord]:
        """Return the newest records with a receipt, newest first."""
        with self._lock:
            sql = f"{_OF_EFFECT} e.numbered = 1 ORDER BY r.rowid DESC LIMIT ?"
            return _sealed(rows(self._live(), sql, (limit,)))

    def registered(self, handle: int | None = None, guest: UUID | None = None) -> SealedRecord | None:
        """Return the registration made here of a card's handle or of a guest, the newest."""
        with self._lock:
            sql = f"{_OF_EFFECT} e.registers = 1 AND (e.handle = ? OR e.guest = ?) ORDER BY r.rowid DESC LIMIT 1"
            found = _sealed(rows(self._live(), sql, (signed(handle), guest.bytes if guest else None)))
        return found[0] if found else None

    def registrations_waiting(self) -> list[SealedRecord]:
        """Return the registrations that the server has not acknowledged, in order."""
        with self._lock:
            unsent = "NOT EXISTS (SELECT 1 FROM ack a WHERE a.epoch = r.epoch AND a.upto_seq >= r.seq)"
            return _sealed(rows(self._live(), f"{_OF_EFFECT} e.registers = 1 AND {unsent} ORDER BY r.rowid"))

    def tier_discounts(self, guest: UUID, day: str) -> tuple[int, int]:
        """Return how many checks of a guest got the tier's discount by a weak code on a business day, and how much."""
        with self._lock:
            sql = "SELECT count(*), coalesce(sum(tier_discount), 0) FROM effect"
            found = row(self._live(), f"{sql} WHERE guest = ? AND day = ? AND tier_discount > 0", (guest.bytes, day))
        return (found[0], found[1]) if found else (0, 0)

    def pin_tries(self, staff: str) -> PinTries:
        """Return how often a PIN was wrong lately, and until when none is taken (ms UTC)."""
        with self._lock:
            found = row(self._live(), "SELECT failed, until, since FROM pin_tries WHERE staff = ?", (staff,))
        return PinTries(*found) if found else PinTries()

    @mended
    def note_pin(self, staff: str, tries: PinTries) -> None:
        """Keep the tries of somebody durably, before the PIN is looked at."""
        with self._lock:
            connection = self._live()
            with transaction(connection):
                connection.execute(
                    "INSERT INTO pin_tries (staff, failed, until, since) VALUES (?, ?, ?, ?) ON CONFLICT (staff)"
                    " DO UPDATE SET failed = excluded.failed, until = excluded.until, since = excluded.since",
                    (staff, tries.failed, tries.until, tries.since),
                )


def _sealed(found: list[tuple[object, ...]]) -> list[SealedRecord]:
    return [
        SealedRecord(e, s, UUID(bytes=i), prev, digest, sig, body)  # type: ignore[arg-type]
        for e, s, i, prev, digest, sig, body in found
    ]
