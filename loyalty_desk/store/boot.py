"""Opening the journal at start: whatever the disk did meanwhile, nothing is deleted and selling can go on."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from loyalty_desk.domain.canonical import Json
from loyalty_desk.domain.errors import Refused
from loyalty_desk.store.engine import Unreadable
from loyalty_desk.store.journal import EPOCH_DUE, SqliteJournal
from loyalty_desk.store.journal_file import set_aside
from loyalty_desk.store.reserve import Reserve
from loyalty_desk.store.salvage import salvage
from loyalty_desk.store.witness import Witness

_LOG = logging.getLogger(__name__)


class Finding(msgspec.Struct, frozen=True):
    """What the boot check found. `reason` None: go on in the present epoch; else a new one begins before any sale.

    `notice` is a code with `facts` for people; receipt numbers up to `receipts` may have been given already.
    """

    reason: str | None
    notice: str | None = None
    facts: Mapping[str, Json] = msgspec.field(default_factory=dict)
    receipts: int = 0


def open_journal(
    path: Path, key: bytes, witness: Witness, reserve: Reserve, *, vfs: str | None = None
) -> tuple[SqliteJournal, Path | None]:
    """Return the journal, and where an unreadable one was set aside to; `key` must be known to be the file's."""
    try:
        journal = SqliteJournal(path, key, witness, reserve, vfs=vfs)
        try:
            journal.prove_readable()
        except BaseException:
            journal.abandon()
            raise
        return journal, None
    except Unreadable:
        aside = set_aside(path)
        _LOG.exception("the journal cannot be read and is set aside as %s", aside.name)
        journal = SqliteJournal(path, key, witness, reserve, vfs=vfs)
        found = salvage(aside, key, journal)
        _LOG.warning("%d records of the damaged journal could be taken over", found)
        return journal, aside


def with_room[T](reserve: Reserve, work: Callable[[], T]) -> T:
    """Return what opening something gives; a full disk gets the reserve's room for it, once."""
    try:
        return work()
    except Refused as refused:
        if refused.code != "disk_full" or not reserve.release():
            raise
        _LOG.warning("the disk is full: the reserve was given up so that the till can open")
        return work()


def renew(journal: SqliteJournal, key: bytes, witness: Witness) -> Finding:
    """Replace a journal that was found damaged, or taken away, while it is open; return what people should hear."""
    aside = journal.begin_anew()
    _LOG.error("the journal is damaged and is set aside as %s while the till runs", aside.name)
    found = salvage(aside, key, journal)
    _LOG.warning("%d records of the damaged journal could be taken over", found)
    return examine(journal, witness, aside)


def examine(journal: SqliteJournal, witness: Witness, aside: Path | None) -> Finding:
    """Compare the journal with its witness and its own chain."""
    seen = witness.read()
    if journal.is_empty or aside is not None:
        # A till that has joined a network has had an epoch: an empty journal is a lost one, with or without a witness.
        saved = sum(len(journal.members(epoch.epoch)) for epoch in journal.epochs())
        facts: dict[str, Json] = {"file": aside.name if aside is not None else "", "saved": saved}
        if seen is not None:
            facts |= {"seq": seen.seq, "records": seen.totals.count}
        notice = "journal_set_aside" if aside is not None else "journal_lost"
        return Finding("restore", notice, facts, seen.totals.count if seen else 0)
    if journal.get(EPOCH_DUE):
        # The till ended between taking records over and opening the epoch behind them.
        return Finding("restore", "journal_set_aside", {"file": ""}, seen.totals.count if seen else 0)
    broken = journal.broken_at()
    if broken is not None:
        return Finding("restore", "journal_chain_broken", {"seq": broken[1]}, seen.totals.count if seen else 0)
    if seen is None or journal.holds(seen.epoch, seen.seq) == seen.hash:
        return Finding(None)
    head = journal.head().totals
    lost: dict[str, Json] = {
        "records": seen.totals.count - head.count,
        "earned": seen.totals.earned - head.earned,
        "redeemed": seen.totals.redeemed - head.redeemed,
    }
    return Finding("rollback", "journal_rolled_back", lost, seen.totals.count)
