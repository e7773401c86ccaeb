"""Records that need another one first: in what order a batch is posted, what waits, what waited for this batch.

A return is posted behind its sale, whichever till either comes from and in whatever order they arrive. Whoever posts a
sale takes up what waited for it; whoever brings a return posts alone in its network, so neither can miss the other.
Nobody honest has many records wait for one: beyond `MOST_AT_ONCE` they wait on for the jobs (`taking_up.take_up_left`),
or a modified till could keep a network's pushes waiting by a chain of returns that one sale sets off.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from loyalty_desk.domain.contents import TransferContents
from loyalty_desk.domain.program import Program
from loyalty_desk.domain.record import BadRecord, Record, RecordKind
from loyalty_desk.wire.v1.sync import QuarantineReason
from server.ledger.intake import Incoming
from server.ledger.returns import RETURNS, SALES, Counting, Original, Returning
from server.ledger.store import LedgerStore
from server.ledger.terms import program_version

MOST_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Ready:
    """A record that can be posted, and the branch it stands in. `number` is its row in quarantine, None: it is new."""

    source: Incoming
    record: Record
    branch: int
    number: int | None = None


@dataclass(slots=True)
class Arranged:
    """`ready` in the order of posting. `waiting` and `refused` are new ones that are set aside, with the reason.

    `settled` are rows of quarantine that are done with, `condemned` those that can never be posted, and why,
    `postponed` those that wait for something else now, and `taken_up` is how many were looked at in all. `guests` are
    those known of the guests that transfers name.
    """

    ready: list[Ready] = field(default_factory=list)
    waiting: list[Ready] = field(default_factory=list)
    refused: list[tuple[Ready, str]] = field(default_factory=list)
    settled: list[int] = field(default_factory=list)
    condemned: list[tuple[int, QuarantineReason, str]] = field(default_factory=list)
    postponed: list[tuple[int, UUID]] = field(default_factory=list)
    originals: dict[UUID, Original] = field(default_factory=dict)
    guests: set[UUID] = field(default_factory=set)
    taken_up: int = 0

    def missing(self, record: Record) -> UUID | None:
        """Return what a record waits for: the sale it takes back, or a guest whose points it moves."""
        if record.kind in RETURNS:
            return None if record.reverses_id in self.originals else record.reverses_id
        if record.kind is RecordKind.TRANSFER:
            return next((one for one in moved_between(record) if one not in self.guests), None)
        return None


async def arrange(store: LedgerStore, fresh: Sequence[Ready], here: Sequence[UUID] = ()) -> Arranged:
    """Return what of `fresh`, and of what has waited for it, is posted in which order.

    `here` are sales and guests that have come another way: what has waited for them is taken up too.
    """
    made = Arranged()
    posted: dict[UUID, Ready] = {}
    pending = [*fresh, *(await _taken_up(store, made, here, posted) if here else [])]
    wanted = {one.record.reverses_id for one in pending if one.record.kind in RETURNS} - {None}
    stored = await store.originals([one for one in wanted if one is not None]) if wanted else {}
    made.originals.update(stored)
    made.guests |= await _known(store, [one.record for one in fresh])
    while pending:
        before = len(posted)
        left: list[Ready] = []
        for one in pending:
            if _take(made, one, posted):
                continue
            left.append(one)
        new = list(posted)[before:]
        pending = left + (await _waited(store, made, new, posted) if new else [])
        if not new:
            break
    made.waiting = [one for one in pending if one.number is None]
    for one in pending:
        of = made.missing(one.record)
        if one.number is not None and of is not None:
            made.postponed.append((one.number, of))
    return made


def moved_between(record: Record) -> tuple[UUID, UUID]:
    """Return the giver and the receiver that a transfer names."""
    assert record.guest_id is not None  # noqa: S101 - it has been read as a transfer
    return record.guest_id, TransferContents.from_check(record.check).to


async def _known(store: LedgerStore, records: Sequence[Record]) -> set[UUID]:
    named = {one for record in records if record.kind is RecordKind.TRANSFER for one in moved_between(record)}
    return set(await store.survivors(named)) if named else set()


def _take(made: Arranged, one: Ready, posted: dict[UUID, Ready]) -> bool:
    """Post a record if nothing is missing, or settle that it never will be; return False where it has to wait."""
    record = one.record
    if one.number is not None and record.id in posted:
        # The same id twice in quarantine: of a forked journal, or made up.
        if posted[record.id].source.hash == one.source.hash:
            made.settled.append(one.number)
        else:
            made.condemned.append((one.number, QuarantineReason.ID_REUSE, "another record has this id"))
        return True
    if record.kind in RETURNS:
        of = record.reverses_id
        assert of is not None  # noqa: S101 - it has been read as a return
        if of not in made.originals and of in posted:
            made.originals[of] = Original(posted[of].record)
        original = made.originals.get(of)
        if original is None:
            return False
        if original.record.kind not in SALES:
            detail = f"it takes back a {original.record.kind.value}"
            if one.number is None:
                made.refused.append((one, detail))
            else:
                made.condemned.append((one.number, QuarantineReason.BAD_SCHEMA, detail))
            return True
    if made.missing(record) is not None:
        return False
    if record.kind is RecordKind.REGISTER and record.guest_id is not None:
        made.guests.add(record.guest_id)
    posted[record.id] = one
    made.ready.append(one)
    if one.number is not None:
        made.settled.append(one.number)
    return True


async def _waited(store: LedgerStore, made: Arranged, new: Sequence[UUID], posted: Mapping[UUID, Ready]) -> list[Ready]:
    """Return the records in quarantine that waited for these."""
    named = [posted[one].record for one in new]
    guests = [one.guest_id for one in named if one.kind is RecordKind.REGISTER and one.guest_id is not None]
    return await _taken_up(store, made, [*new, *guests], posted)


async def _taken_up(
    store: LedgerStore, made: Arranged, here: Sequence[UUID], posted: Mapping[UUID, Ready]
) -> list[Ready]:
    left = MOST_AT_ONCE - made.taken_up
    rows = await store.waiting_for(here, left) if left > 0 else []
    made.taken_up += len(rows)
    known = await store.known_ids([one.source.id for one in rows]) if rows else {}
    found: list[Ready] = []
    for row in rows:
        if row.source.id in known and row.source.id not in posted:
            if known[row.source.id] == row.source.hash:
                made.settled.append(row.number)
            else:
                made.condemned.append((row.number, QuarantineReason.ID_REUSE, "another record has this id"))
            continue
        try:
            record = Record.from_payload(row.source.payload)
        except BadRecord as error:
            made.condemned.append((row.number, QuarantineReason.BAD_SCHEMA, str(error)[:200]))
            continue
        found.append(Ready(row.source, record, row.branch, row.number))
    made.guests |= await _known(store, [one.record for one in found])
    return found


class Back:
    """What came back of sales, counted on while a batch is planned; `programs` are the versions the sales name."""

    def __init__(self, originals: Mapping[UUID, Original], programs: Mapping[int | None, Program | None]) -> None:
        self._originals = originals
        self._programs = programs
        self._countings: dict[UUID, Counting] = {}

    def of(self, record: Record) -> Returning:
        """Count a return and say what it changes."""
        assert record.reverses_id is not None  # noqa: S101 - it has been read as a return
        original = self._originals[record.reverses_id]
        counting = self._countings.get(record.reverses_id)
        if counting is None:
            program = self._programs.get(program_version(original.record))
            counting = Counting(original.record, program, original.returns)
            self._countings[record.reverses_id] = counting
        before, after = counting.now, counting.add(record)
        original.returns.append(record)
        return Returning(
            original.record, before, after, original.sources, original.is_stores, original.who, original.woke
        )
