"""A till's journal in memory, with the semantics of `store.journal`, on a disk that may lie, lose, copy and go back.

`Medium` is what lies on the disk; a `MemoryJournal` is a process that has it open. A differential test holds it to the
real journal.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from uuid import UUID

from msgspec import structs

from loyalty_desk.domain.canonical import Json
from loyalty_desk.domain.clock import from_ms
from loyalty_desk.domain.errors import Broken
from loyalty_desk.domain.record import SealedRecord, Totals, chain_hash
from loyalty_desk.services.ports.journal import (
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
from loyalty_desk.store.journal_acks import with_given
from loyalty_desk.store.witness import Witnessed

_HELD = "redemption_held"


@dataclass(frozen=True, slots=True)
class EffectRow:
    """A row of `effect`."""

    effect: Effect
    at: int
    receipt: int
    totals: Totals
    feed_seq: int | None = None
    settled: bool = False


@dataclass(slots=True)
class Medium:
    """A journal file."""

    file_id: UUID
    opened: dict[int, bytes] = field(default_factory=dict)
    records: dict[tuple[int, int], SealedRecord] = field(default_factory=dict)
    effects: dict[tuple[int, int], EffectRow] = field(default_factory=dict)
    acks: dict[int, int] = field(default_factory=dict)
    meta: dict[str, Json] = field(default_factory=dict)
    programs: list[StoredProgram] = field(default_factory=list)
    notices: dict[tuple[str, str], Notice] = field(default_factory=dict)
    noticed: int = 0

    def copy(self) -> Medium:
        """Return a copy of the file."""
        return Medium(
            self.file_id,
            self.opened.copy(),
            self.records.copy(),
            self.effects.copy(),
            self.acks.copy(),
            self.meta.copy(),
            self.programs.copy(),
            self.notices.copy(),
            self.noticed,
        )


class MemoryWitness:
    """The witness file: the last head that was written."""

    def __init__(self, seen: Witnessed | None = None) -> None:
        self.seen = seen

    def read(self) -> Witnessed | None:
        return self.seen

    def write(self, seen: Witnessed) -> None:
        self.seen = seen


class MemoryJournal:
    """`ports.Journal` over a medium, and what `store.boot.examine` asks. `on_commit` is told of every commit."""

    def __init__(self, medium: Medium, witness: MemoryWitness, on_commit: Callable[[str], None]) -> None:
        self._medium = medium
        self._witness = witness
        self._on_commit = on_commit
        self._witnessed: tuple[int, int] | None = None
        self._heads: dict[int, tuple[int, int, bytes]] = {}
        self._head: JournalHead | None = None
        self._at: int | None = None
        self._given: Mapping[tuple[int, str, str], int] = {}
        for (epoch, _), row in medium.effects.items():
            if row.effect.given:
                self._given = with_given(self._given, epoch, row.effect)
        self.is_checked = True
        for epoch, prev in medium.opened.items():
            seqs = [seq for e, seq in medium.records if e == epoch]
            last = max(seqs, default=0)
            digest = medium.records[epoch, last].hash if seqs else prev
            self._heads[epoch] = (min(seqs, default=1), last, digest)
        if self._heads:
            epoch = list(self._heads)[-1]
            _, seq, digest = self._heads[epoch]
            row = medium.effects.get((epoch, seq))
            receipts = max((one.receipt for one in medium.effects.values()), default=0)
            self._head = JournalHead(epoch, seq, digest, row.totals if row else Totals(), receipts)
            self._at = None if row is None else row.at

    # -- what the boot check asks ----------------------------------------------------------------------------------

    @property
    def is_empty(self) -> bool:
        return self._head is None

    def holds(self, epoch: int, seq: int) -> bytes | None:
        found = self._medium.records.get((epoch, seq))
        return None if found is None else found.hash

    def broken_at(self) -> tuple[int, int] | None:
        if self._head is None:
            return None
        epoch = self._head.epoch
        before = self._medium.opened[epoch]
        for seq in range(1, self._head.seq + 1):
            found = self._medium.records.get((epoch, seq))
            if found is None or found.prev != before or chain_hash(found.prev, found.payload) != found.hash:
                return epoch, seq
            before = found.hash
        return None

    def skip_receipts(self, upto: int) -> None:
        if self._head is not None and self._head.receipts < upto:
            self._head = structs.replace(self._head, receipts=upto)

    # -- writing facts ---------------------------------------------------------------------------------------------

    def append(self, build: Build, *, receipt: bool = False, occurred_at: int) -> SealedRecord:
        self.witness()
        head = self.head()
        if receipt:
            head = structs.replace(head, receipts=head.receipts + 1)
        sealed, totals, effect = build(head)
        self._commit(sealed, totals, effect or Effect(), head.receipts, occurred_at)
        return sealed

    def open_epoch(self, epoch: int, first: bytes, build: Build, *, occurred_at: int) -> SealedRecord:
        self.witness()
        last = self._head
        prev, totals, receipts = (last.hash, last.totals, last.receipts) if last else (first, Totals(), 0)
        sealed, totals, effect = build(JournalHead(epoch, 0, prev, totals, receipts))
        self._medium.opened[epoch] = prev
        self._medium.meta[_HELD] = True
        self._commit(sealed, totals, effect or Effect(), receipts, occurred_at)
        return sealed

    def _commit(self, sealed: SealedRecord, totals: Totals, effect: Effect, receipt: int, at: int) -> None:
        place = (sealed.epoch, sealed.seq)
        self._medium.records[place] = sealed
        self._medium.effects[place] = EffectRow(effect, at, receipt, totals)
        first = self._heads.get(sealed.epoch, (1, 0, b""))[0]
        self._heads[sealed.epoch] = (first, sealed.seq, sealed.hash)
        self._head, self._at = JournalHead(sealed.epoch, sealed.seq, sealed.hash, totals, receipt), at
        self._medium.meta |= effect.settings
        if effect.given:
            self._given = with_given(self._given, sealed.epoch, effect)
        self._on_commit("record")

    # -- reading facts ---------------------------------------------------------------------------------------------

    def head(self) -> JournalHead:
        if self._head is None:
            raise Broken("no epoch has been opened in this journal")
        return self._head

    def last_at(self) -> int | None:
        return self._at

    def epochs(self) -> list[EpochHead]:
        acks = self._medium.acks
        return [EpochHead(epoch, *head, acks.get(epoch, 0)) for epoch, head in self._heads.items()]

    def records(self, epoch: int, from_seq: int, limit: int) -> list[SealedRecord]:
        last = self._heads[epoch][1]
        found = (self._medium.records.get((epoch, seq)) for seq in range(from_seq, last + 1))
        return [one for one in found if one is not None][:limit]

    def private(self, record_id: UUID) -> bytes | None:
        effects, records = self._medium.effects, self._medium.records
        return next((effects[place].effect.private for place, one in records.items() if one.id == record_id), None)

    def members(self, epoch: int) -> list[tuple[int, UUID, bytes]]:
        return [(one.seq, one.id, one.hash) for one in self.records(epoch, 1, 1 << 31)]

    # -- what the server has ---------------------------------------------------------------------------------------

    def acknowledge(self, epoch: int, upto_seq: int, incarnation: UUID, feed_seq: int) -> None:
        acked = self._medium.acks.get(epoch, 0)
        upto = max(upto_seq, acked)
        self._medium.acks[epoch] = upto
        for seq in range(acked + 1, upto + 1):
            row = self._medium.effects.get((epoch, seq))
            if row is not None and row.feed_seq is None:
                self._medium.effects[epoch, seq] = replace(row, feed_seq=feed_seq)
        self._on_commit("acknowledge")

    def rewind(self, epoch: int, upto_seq: int) -> None:
        upto = min(upto_seq, self._medium.acks.get(epoch, 0))
        if epoch in self._medium.acks:
            self._medium.acks[epoch] = upto
        for place, row in self._medium.effects.items():
            if place[0] == epoch and place[1] > upto:
                self._medium.effects[place] = replace(row, feed_seq=None, settled=False)
        self._on_commit("rewind")

    def rebind(self, incarnation: UUID) -> None:
        for place, row in self._medium.effects.items():
            if not row.settled and row.feed_seq is not None:
                self._medium.effects[place] = replace(row, feed_seq=0)
        self._on_commit("rebind")

    def waiting(self) -> Waiting:
        behind = [one for one in self.epochs() if one.head_seq > one.acked_seq]
        if not behind:
            return Waiting()
        waits = [
            self._medium.effects[place].at
            for one in behind
            for place in [min(p for p in self._medium.effects if p[0] == one.epoch and p[1] > one.acked_seq)]
        ]
        return Waiting(
            sum(one.head_seq - max(one.acked_seq, one.first_seq - 1) for one in behind), min(waits, default=None)
        )  # fmt: skip

    def overlay(self, guest: UUID, handle: int | None, cursor: int | None) -> Overlay:
        shown = -1 if cursor is None else cursor
        found = [
            row.effect
            for row in self._medium.effects.values()
            if not row.settled
            and (row.feed_seq is None or row.feed_seq > shown)
            and (
                row.effect.guest == guest
                or (handle is not None and row.effect.guest is None and row.effect.handle == handle)
            )
        ]
        uses = [(rule, one.day, count) for one in found for rule, count in one.uses.items()]
        return Overlay(sum(one.earned for one in found), sum(one.redeemed for one in found), tuple(uses))

    def offline_use(self, guest: UUID, now: int | None = None) -> OfflineUse:
        unsettled = (row.effect for row in self._medium.effects.values() if not row.settled)
        found = [
            (one.guest, one.redeemed if one.offline is None else one.offline)
            for one in unsettled
            if one.hold_until is None or now is None or one.hold_until < now
        ]
        mine = [points for of, points in found if of == guest and points > 0]
        return OfflineUse(sum(mine), len(mine), sum(points for _, points in found))

    def redeemed_step(self, handle: int, root: bytes) -> int:
        steps = (found.effect.step for found in self._medium.effects.values())
        return max((one.step for one in steps if one and (one.handle, one.root) == (handle, root)), default=0)

    def registered(self, handle: int | None = None, guest: UUID | None = None) -> SealedRecord | None:
        found = None
        for place, row in self._medium.effects.items():
            mine = (handle is not None and row.effect.handle == handle) or (
                guest is not None and row.effect.guest == guest
            )
            found = self._medium.records[place] if row.effect.registers and mine else found
        return found

    def registrations_waiting(self) -> list[SealedRecord]:
        acked = {one.epoch: one.acked_seq for one in self.epochs()}
        registers = [place for place, row in self._medium.effects.items() if row.effect.registers]
        return [self._medium.records[place] for place in registers if place[1] > acked[place[0]]]

    def tier_discounts(self, guest: UUID, day: str) -> tuple[int, int]:
        effects = (row.effect for row in self._medium.effects.values())
        given = [one.tier_discount for one in effects if (one.guest, one.day) == (guest, day) and one.tier_discount]
        return len(given), sum(given)

    def given(self) -> Mapping[tuple[int, str, str], int]:
        return self._given

    def settle(self, cursor: int) -> bool:
        effects = self._medium.effects
        for place, row in effects.items():
            if row.feed_seq == SEEN_BY_NEXT_PULL:
                effects[place] = replace(row, feed_seq=cursor)
        for row in effects.values():
            if not row.settled and row.effect.redeemed > 0 and row.feed_seq is not None and row.feed_seq > cursor:
                return False
        for place, row in effects.items():
            if not row.settled and row.feed_seq is not None and row.feed_seq <= cursor:
                effects[place] = replace(row, settled=True)
        self._on_commit("settle")
        return True

    def redemption_held(self) -> bool:
        return bool(self._medium.meta.get(_HELD, True))

    def clear_redemption_hold(self) -> None:
        if self.redemption_held():
            self.put(_HELD, False)

    # -- programs, settings, notices -------------------------------------------------------------------------------

    def program(self) -> StoredProgram | None:
        return self._medium.programs[-1] if self._medium.programs else None

    def remember_program(self, program: StoredProgram) -> None:
        if self.program() != program:
            self._medium.programs.append(program)
            self._on_commit("program")

    def get(self, key: str) -> Json:
        return self._medium.meta.get(key)

    def put(self, key: str, value: Json) -> None:
        self._medium.meta[key] = value
        self._on_commit(key)

    def put_changed(self, key: str, value: Json) -> None:
        if self._medium.meta.get(key) != value:
            self.put(key, value)

    def notices(self) -> list[Notice]:
        return list(self._medium.notices.values())

    def notify(self, code: str, facts: Mapping[str, Json], at: int) -> None:
        key = (code, repr(sorted(facts.items())))
        if key not in self._medium.notices:
            self._medium.noticed += 1
            self._medium.notices[key] = Notice(self._medium.noticed, code, dict(facts), from_ms(at))

    def dismiss(self, notice: int) -> None:
        for key, one in list(self._medium.notices.items()):
            if one.id == notice:
                del self._medium.notices[key]

    # -- guarding --------------------------------------------------------------------------------------------------

    def witness(self) -> None:
        head = self._head
        if head is None or self._witnessed == (head.epoch, head.seq):
            return
        self._witness.write(Witnessed(self._medium.file_id, head.epoch, head.seq, head.hash, head.totals))
        self._witnessed = (head.epoch, head.seq)

    def usable(self) -> bool:
        return True

    def checked(self) -> bool:
        return self.is_checked
