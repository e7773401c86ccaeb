"""Taking out of a damaged journal what can still be read and still proves itself, so that it reaches the server."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import UUID

import apsw
import msgspec

from loyalty_desk.domain.canonical import text_to_bytes
from loyalty_desk.domain.errors import Refused
from loyalty_desk.domain.record import BadRecord, Record, RecordKind, SealedRecord, chain_hash
from loyalty_desk.services.ports.journal import Effect
from loyalty_desk.store.engine import Unreadable, connect, rows
from loyalty_desk.store.journal import CARRIED, SqliteJournal
from loyalty_desk.store.journal_file import CACHE_KIB

_LOG = logging.getLogger(__name__)
_DAMAGED = (apsw.CorruptError, apsw.NotADBError, apsw.IOError)


class Salvaged(msgspec.Struct, frozen=True):
    """A record that could be read, and what it does."""

    sealed: SealedRecord
    record: Record
    effect: Effect


def salvage(damaged: Path, key: bytes, into: SqliteJournal) -> int:
    """Copy every readable record whose hash holds into an empty journal; return how many.

    Records are read one by one: pages are encrypted and authenticated singly, so a damaged one costs what lies on it. A
    record whose own hash fails is left where it is: the damaged file is kept. All count as not acknowledged; what the
    server has it answers as duplicates. What is missing between them becomes a hole that the next push names.
    """
    try:
        connection = connect(damaged, key, durable=True, cache_kib=CACHE_KIB)
    except (Unreadable, Refused):
        return 0
    try:
        found = 0
        for epoch, prev, opened_at in _epochs(connection):
            records = list(_records(connection, epoch))
            if records:
                into.take_over(epoch, prev or records[0].sealed.prev, opened_at, records)
                found += len(records)
        for table in CARRIED:
            into.take_rows(table, *_readable(connection, table))
        into.answer_doubt()
        return found
    finally:
        connection.close()


def _epochs(connection: apsw.Connection) -> list[tuple[int, bytes | None, int]]:
    try:
        return [
            (e, p, at) for e, p, at in rows(connection, "SELECT epoch, prev, opened_at FROM epoch ORDER BY ordinal")
        ]
    except _DAMAGED:
        pass
    try:
        return [
            (e, None, 0) for (e,) in rows(connection, "SELECT DISTINCT epoch FROM record NOT INDEXED ORDER BY rowid")
        ]
    except _DAMAGED:
        return []


def _records(connection: apsw.Connection, epoch: int) -> Iterator[Salvaged]:
    for seq in _seqs(connection, epoch):
        sql = "SELECT id, prev, hash, sig, payload FROM record WHERE epoch = ? AND seq = ?"
        try:
            found = rows(connection, sql, (epoch, seq))
        except _DAMAGED:
            continue
        for key, prev, digest, sig, payload in found:
            if chain_hash(prev, payload) != digest:
                _LOG.warning("record %d of the damaged journal does not hold and is left there", seq)
                continue
            try:
                record = Record.from_payload(payload)
            except BadRecord:
                continue
            sealed = SealedRecord(epoch, seq, UUID(bytes=key), prev, digest, sig, payload)
            yield Salvaged(sealed, record, _effect(record))


def _readable(connection: apsw.Connection, table: str) -> tuple[Sequence[str], list[tuple[Any, ...]]]:
    """Return the columns of a table and its rows up to the first that cannot be read."""
    columns: list[str] = []
    found: list[tuple[Any, ...]] = []
    with suppress(*_DAMAGED):
        columns = [str(one[1]) for one in rows(connection, f"PRAGMA table_info({table})")]
        found.extend(connection.execute(f"SELECT * FROM {table}"))  # noqa: S608 - one of ours
    return columns, found


def _seqs(connection: apsw.Connection, epoch: int) -> range:
    try:
        [(last,)] = rows(connection, "SELECT max(seq) FROM record WHERE epoch = ?", (epoch,))
        return range(1, (last or 0) + 1)
    except _DAMAGED:
        # The index is what is damaged: the effects, beside it, know how far the epoch went.
        try:
            [(last,)] = rows(connection, "SELECT max(seq) FROM effect WHERE epoch = ?", (epoch,))
            return range(1, (last or 0) + 1)
        except _DAMAGED:
            return range(0)


def _effect(record: Record) -> Effect:
    program = None
    if record.check is not None:
        with suppress(ValueError):
            program = text_to_bytes(str(record.check.get("program_hash")))
    handle = record.credential.handle if record.credential is not None and record.guest_id is None else None
    if record.kind is RecordKind.REGISTER and record.credential is not None:
        handle = record.credential.handle
    return Effect(
        record.guest_id,
        handle,
        record.points_earned,
        record.points_redeemed,
        record.business_day,
        {},
        program,
        offline=record.points_redeemed if record.kind in (RecordKind.SALE, RecordKind.EXCHANGE) else 0,
        reverses=record.reverses_id,
        registers=record.kind is RecordKind.REGISTER,
        numbered=record.receipt_no is not None,
    )
