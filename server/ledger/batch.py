"""One push in one transaction: sort its records, plan their postings, write the plan.

Lock order: the device, which makes its pushes take turns; guests' accounts by id, with their states; system accounts by
id; the feed's counter. The last two in the last statements before the commit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from uuid import UUID

from loyalty_desk.domain.canonical import Json
from loyalty_desk.domain.clock import to_ms
from loyalty_desk.domain.guest_code import HANDLE_BYTES
from loyalty_desk.domain.program import Program
from loyalty_desk.domain.record import ExceptionKind, Record, RecordKind, Totals, genesis
from loyalty_desk.wire.v1.errors import ErrorCode
from loyalty_desk.wire.v1.sync import Hole, PushRequest, PushResult, QuarantineReason, Status
from server.kit.errors import ApiError
from server.ledger.awaiting import Arranged, Back, Ready, arrange, moved_between
from server.ledger.branching import Branch, Gap, Placement, place
from server.ledger.by_hand import BY_HAND, ByHand, givers
from server.ledger.ceiling import Ceiling, earners
from server.ledger.guards import Guards
from server.ledger.intake import Incoming
from server.ledger.moves import GuestChange
from server.ledger.posting import (
    POSTABLE,
    AccountKey,
    AccountKind,
    Fact,
    GuestState,
    HeldOf,
    Plan,
    Posted,
    Raised,
    Terms,
    continuity,
    plan,
)
from server.ledger.registrations import Registrar
from server.ledger.repository import DeviceRow, EpochRow, GuestAccount
from server.ledger.returns import NOTHING_BACK, RETURNS, SALES, Returning, came_back, is_follow, who
from server.ledger.store import LedgerStore
from server.ledger.storing import Quarantined, RaisedRow, Sourced
from server.ledger.terms import program_version, terms_of, tier_of
from server.ledger.timing import Effective, Place, behind_others, in_turn
from server.ledger.words import Words, words_of

# A staff id is no longer, and what a till made up need not be.
_SHOWN = 40
_QUARTER_MS = 15 * 60 * 1000
# What others may be about to post another way, not having seen it.
_ALONE = RETURNS | {RecordKind.REGISTER, RecordKind.TRANSFER}
_ALARMS = frozenset({ExceptionKind.ID_REUSE, ExceptionKind.FORK})


class Raced(Exception):
    """Somebody else stored a part of this a moment ago: roll back and plan again with what is there now."""


@dataclass(slots=True)
class Done:
    """What became of a push, or of a part of one. `queued` says that sales wait to be priced again."""

    results: list[PushResult] = field(default_factory=list)
    feed_seq: int = 0
    forked: bool = False
    queued: bool = False


@dataclass(slots=True)
class _Sorted:
    """The fresh records of a push: to be posted, or to be set aside."""

    postable: list[Ready] = field(default_factory=list)
    quarantined: list[Quarantined] = field(default_factory=list)
    raised: dict[int, list[Raised]] = field(default_factory=dict)
    reused: list[tuple[int, UUID]] = field(default_factory=list)


class Batch:
    """A push being posted within one transaction of its network; made for it and thrown away with it.

    `bringer` is the till that brings records of another one.
    """

    def __init__(self, store: LedgerStore, push: PushRequest, now: datetime, bringer: UUID | None = None) -> None:
        self._bringer = bringer
        self._store = store
        self._push = push
        self._now = now
        self._guards = Guards(store.guards, now)
        self._at = UUID(int=0)
        self._registrar = Registrar(store.registers)
        self._words: dict[UUID, Words] = {}
        self._here: Sequence[UUID] = ()
        self._counted: dict[Place, int] = {}
        self._results: dict[int, PushResult] = {}
        self._ids = {one.seq: one.id for one in push.records}

    async def run(self, incoming: Sequence[Incoming], holes: Sequence[Hole]) -> Done:
        """Write everything and return what to answer after the commit; raises `ApiError` 401, 409 and `Raced`."""
        store, push = self._store, self._push
        device = await self._lock_device(incoming)
        if not incoming:
            return Done(feed_seq=await store.feed_length())
        epochs = await store.epoch_branches(push.device, push.epoch, incoming[0].seq - 1, incoming[-1].seq)
        placed = place(incoming, [one.branch for one in epochs], holes)
        if isinstance(placed, Gap):
            text = f"Records before {incoming[0].seq} are missing: the server expects {placed.expected_seq}."
            raise ApiError(409, ErrorCode.GAP, text, expected_seq=placed.expected_seq)
        self._seen_before(incoming, placed, epochs)
        if not placed.fresh:
            feed_seq = await store.feed_length()
            return Done([self._results[one.seq] for one in incoming], feed_seq)
        epoch = next((one for one in epochs if one.branch.number == placed.branch), None)
        if epoch is not None:
            held = epoch.counted.items()
            self._counted = {Place(push.device, push.epoch, placed.branch, seq + 1): at for seq, at in held}
        sorted_out = await self._sort(placed, device)
        totals = await self._check_totals(placed, epoch, sorted_out)
        await self._store_head(placed, epoch, sorted_out, totals)
        feed_seq, queued = await self._post(placed.branch, sorted_out, device)
        return Done([self._results[one.seq] for one in incoming], feed_seq, placed.forked, queued)

    async def release(self, ready: Sequence[Ready]) -> Done:
        """Post records of this till that were set aside and are rows of quarantine; raises as `run`."""
        device = await self._lock_device([], alone=True)
        feed_seq, queued = await self._post(0, _Sorted(list(ready)), device)
        return Done(feed_seq=feed_seq, queued=queued)

    async def take_up(self, here: Sequence[UUID], owners: Mapping[str, UUID], device: DeviceRow) -> Done:
        """Post what has waited for sales and guests that came another way, and for the owners of cards.

        The caller has the network's turn; `device` has the store whose limits hold. Raises `Raced`.
        """
        self._here = here
        await self._registrar.gather(here, owners)
        feed_seq, queued = await self._post(0, _Sorted(), device)
        return Done(feed_seq=feed_seq, queued=queued)

    async def _post(self, branch: int, sorted_out: _Sorted, device: DeviceRow) -> tuple[int, bool]:
        """Plan and write; return the feed's length and whether anything is to be priced again."""
        store = self._store
        self._at = device.store
        arranged = await self._arrange(sorted_out)
        await self._registrar.admit(arranged.ready)
        await self._count_back()
        facts = await self._facts(arranged, sorted_out, device)
        guests, planned = await self._plan(facts)
        queued = [
            one.fact.record.id
            for one in planned.posted
            if one.fact.claim is None and one.fact.record.check is not None and one.fact.record.kind in SALES | RETURNS
        ]
        accounts = await self._write(branch, sorted_out, arranged, guests, planned, queued)
        changes = (await store.guest_changes(list(guests)) if guests else []) + self._guards.changes
        changes += await self._registrar.changes()
        moved = {accounts[key]: amount for key, amount in planned.moved.items() if key.kind is not AccountKind.GUEST}
        if moved:
            await store.move_system_accounts(moved)
        return await store.feed_changes(changes), bool(queued)

    async def _lock_device(self, incoming: Sequence[Incoming], *, alone: bool = False) -> DeviceRow:
        alone = alone or any(one.record is not None and one.record.kind in _ALONE for one in incoming)
        row = await self._store.lock_device(self._push.device, alone=alone)
        if row is None:
            raise ApiError(401, ErrorCode.UNKNOWN_DEVICE, "This till is not known here. Enrol it again.")
        if row.incarnation != self._push.incarnation:
            text = "The server's data has begun a new life. Say hello again."
            raise ApiError(409, ErrorCode.STALE_INCARNATION, text)
        return row

    def _seen_before(self, incoming: Sequence[Incoming], placed: Placement, epochs: Sequence[EpochRow]) -> None:
        fresh = {one.seq for one in placed.fresh}
        for one in incoming:
            if one.seq not in fresh:
                reason = next((row.unposted[one.seq] for row in epochs if _holds_unposted(row, one)), None)
                status = Status.DUPLICATE if reason is None else Status.QUARANTINED
                self._results[one.seq] = PushResult(one.seq, status, reason=reason)

    async def _sort(self, placed: Placement, device: DeviceRow) -> _Sorted:
        """Tell what can be posted from what is set aside and from what is held under another place already."""
        made = _Sorted()
        known = await self._store.known_ids([one.id for one in placed.fresh])
        # A till stands in a store, or stood in another one: which is charged for what it accepts is not its to invent.
        elsewhere = {one.record.store for one in placed.fresh if one.record is not None} - {device.store}
        strange = await self._store.strange_stores(elsewhere) if elsewhere else set()
        for one in placed.fresh:
            reason, detail = one.fault, one.detail
            if device.state == "revoked":
                reason, detail = QuarantineReason.AFTER_REVOCATION, one.detail
            elif reason is None and one.id in known:
                if known[one.id] == one.hash:
                    self._results[one.seq] = PushResult(one.seq, Status.DUPLICATE)
                    continue
                reason, detail = QuarantineReason.ID_REUSE, "another record has this id"
                made.reused.append((one.seq, one.id))
            elif reason is None and one.record is not None and one.record.kind not in POSTABLE:
                reason, detail = QuarantineReason.WAITING_DEP, f"{one.record.kind.value} is not posted yet"
            elif reason is None and one.record is not None and one.record.store in strange:
                reason, detail = QuarantineReason.BAD_SCHEMA, "its store is none of this network"
            if reason is None and one.record is not None:
                known[one.id] = one.hash
                made.postable.append(Ready(one, one.record, placed.branch))
            else:
                assert reason is not None  # noqa: S101 - a record is read or has a fault
                self._set_aside(made, one, reason, detail)
        return made

    async def _arrange(self, sorted_out: _Sorted) -> Arranged:
        """Order what is posted, and set aside what waits for another record or takes back what cannot be."""
        made = await arrange(self._store, sorted_out.postable, self._here)
        for one in made.waiting:
            of = made.missing(one.record)
            detail = f"{'the guest' if one.record.kind is RecordKind.TRANSFER else 'the sale'} {of} is not here yet"
            self._set_aside(sorted_out, one.source, QuarantineReason.WAITING_DEP, detail, waits_for=of)
        for one, detail in made.refused:
            self._set_aside(sorted_out, one.source, QuarantineReason.BAD_SCHEMA, detail)
        return made

    def _set_aside(
        self, made: _Sorted, one: Incoming, reason: QuarantineReason, detail: str, waits_for: UUID | None = None
    ) -> None:
        sealed = None
        if one.private is not None:
            sealed = self._store.seal(f"private {one.id}", one.private)
        self._results[one.seq] = PushResult(one.seq, Status.QUARANTINED, reason=reason.value)
        made.quarantined.append(
            Quarantined(
                seq=one.seq,
                record_id=one.id,
                raw=one.payload,
                raw_hash=one.payload_hash,
                hash=one.hash,
                prev=one.prev,
                reason=reason.value,
                detail=detail,
                private_sealed=sealed,
                waits_for=waits_for,
            )
        )

    async def _check_totals(self, placed: Placement, epoch: EpochRow | None, sorted_out: _Sorted) -> Totals:
        """Note where running totals do not continue, and return those of the last fresh record."""
        before = await self._totals_before(placed, epoch)
        raised = sorted_out.raised
        first = placed.fresh[0]
        if placed.opens and placed.forked:
            raised.setdefault(first.seq, []).append(Raised(ExceptionKind.FORK, None, {"seq": first.seq}))
        for hole in placed.holes:
            facts: dict[str, Json] = {"first": hole.first, "last": hole.last, "reason": hole.reason[:200]}
            missing = None
            if first.record is not None and epoch is not None:
                missing = continuity(first.record, epoch.totals)
            raised.setdefault(first.seq, []).append(
                Raised(ExceptionKind.HOLE, None, facts | dict(missing.details if missing else {}))
            )
        if self._bringer is not None:
            for one in placed.fresh:
                brought = Raised(ExceptionKind.SALVAGED, None, {"by": str(self._bringer)})
                raised.setdefault(one.seq, []).append(brought)
        expected_seq = first.seq
        last = Totals()
        for one in placed.fresh:
            if one.seq != expected_seq:
                before = None
            expected_seq = one.seq + 1
            if one.record is None:
                # What an unreadable record earned is unknown: the next one's totals will say it.
                before = None if before is None else Totals(before.count + 1, before.earned, before.redeemed)
                last = before or Totals(last.count + 1, last.earned, last.redeemed)
                continue
            hole_found = None if before is None else continuity(one.record, before)
            if hole_found is not None:
                raised.setdefault(one.seq, []).append(hole_found)
            before = last = one.record.totals
        return last

    async def _totals_before(self, placed: Placement, epoch: EpochRow | None) -> Totals | None:
        first = placed.fresh[0]
        if epoch is not None:
            return epoch.totals if first.seq == epoch.branch.head_seq + 1 else None
        if first.seq != 1:
            return None
        if first.prev == genesis(self._push.network, self._push.device, self._push.epoch):
            return Totals()
        parent = await self._store.parent_of(self._push.device, first.prev)
        if parent is None:
            return None
        return parent[1] if isinstance(parent[1], Totals) else Record.from_payload(parent[1]).totals

    async def _store_head(self, placed: Placement, epoch: EpochRow | None, sorted_out: _Sorted, totals: Totals) -> None:
        stored = len(sorted_out.postable) + len(sorted_out.quarantined)
        last = placed.fresh[-1]
        if epoch is None or last.seq > epoch.branch.head_seq:
            branch = Branch(placed.branch, last.seq, last.hash, {})
        else:
            branch, totals = epoch.branch, epoch.totals
        row = EpochRow(branch, stored + (0 if epoch is None else epoch.count), totals, {})
        first = placed.fresh[0]
        parent: tuple[int | None, bytes] | None = None
        if epoch is None and first.prev != genesis(self._push.network, self._push.device, self._push.epoch):
            found = await self._store.parent_of(self._push.device, first.prev)
            parent = (None if found is None else found[0], first.prev)
        written = await self._store.store_head(
            self._push.device,
            self._push.epoch,
            row,
            old_head=None if epoch is None else epoch.branch.head_seq,
            parent=parent,
            forked_at=first.seq if placed.opens and placed.forked else None,
            opened_reason=_opened_reason(first),
        )
        if not written:
            raise Raced

    async def _facts(self, arranged: Arranged, sorted_out: _Sorted, device: DeviceRow) -> list[Fact]:
        store = self._store
        records = [one.record for one in arranged.ready]
        by_handle = await store.guests_of_handles({_handle(one) for one in records if one.guest_id is None} - {b""})
        named = {one.guest_id for one in records if one.guest_id is not None} | set(by_handle.values())
        named |= {moved_between(one)[1] for one in records if one.kind is RecordKind.TRANSFER}
        alive = await store.survivors(named) if named else {}
        cursors = {one.cache_feed_seq for one in records if one.cache_feed_seq}
        reached = await store.feed_times(list(cursors)) if cursors else {}
        effective = await self._times(arranged.ready, device, reached)
        for of, owner in self._registrar.claimed().items():
            if of in arranged.originals:
                arranged.originals[of].guest = owner
        back = await self._back(arranged)
        forged = await self._approved_by_nobody(records)
        facts: list[Fact] = []
        for one in arranged.ready:
            record = one.record
            claimed = record.guest_id or by_handle.get(_handle(record))
            guest = None if claimed is None else alive.get(claimed)
            shown = record.guest_id is not None or record.credential is not None
            unknown = guest is None and (shown or record.points_earned > 0 or record.points_redeemed > 0)
            returning = None
            if record.kind in RETURNS and record.reverses_id is not None:
                # Whose points come and go is said by the sale, whatever the return says.
                original = arranged.originals[record.reverses_id]
                guest, unknown, returning = original.guest, original.is_unknown, back.of(record)
            if record.id in arranged.originals:
                arranged.originals[record.id].guest = guest
                arranged.originals[record.id].who = who(record) if returning is None else returning.who
            raised = tuple(sorted_out.raised.get(record.seq, ())) if one.number is None else ()
            raised += self._registrar.raised.get(record.id, ())
            if record.kind in BY_HAND:
                raised += self._read_words(one) or forged.get(record.id, ())
            receiver = alive[moved_between(record)[1]] if record.kind is RecordKind.TRANSFER else None
            facts.append(
                Fact(
                    record,
                    guest,
                    unknown,
                    effective[record.id].at,
                    effective[record.id].clock_off,
                    raised,
                    returning,
                    receiver=receiver,
                )
            )
        await self._guards.look(facts, {of: one.earliest for of, one in effective.items()})
        return facts

    async def _times(
        self, ready: Sequence[Ready], device: DeviceRow, reached: Mapping[int, datetime]
    ) -> dict[UUID, Effective]:
        """Return when records count, by the feed they had seen and by what stands before them in their tills."""
        records = [(Place(r.record.device, r.record.epoch, r.branch, r.record.seq), r.record) for r in ready]
        unknown = [one for one in behind_others(one for one, _ in records) if one not in self._counted]
        before = {**self._counted, **(await self._store.counted_before(unknown) if unknown else {})}
        sights = {} if device.sight is None else {self._push.device: device.sight}
        published = {seq: to_ms(at) for seq, at in reached.items()}
        return in_turn(records, sights, published, before, to_ms(self._now))

    async def _approved_by_nobody(self, records: Sequence[Record]) -> dict[UUID, tuple[Raised, ...]]:
        """Return the points by hand that no manager of the network approved, whatever the till says."""
        approved = {one.id: str((one.check or {}).get("approved_by")) for one in records if one.kind in BY_HAND}
        known = await self._store.guards.may_approve(set(approved.values())) if approved else set()
        return {
            one.id: (Raised(ExceptionKind.EVIDENCE, one.guest_id, {"approved_by": approved[one.id][:_SHOWN]}),)
            for one in records
            if one.id in approved and approved[one.id] not in known
        }

    def _read_words(self, one: Ready) -> tuple[Raised, ...]:
        """Note what a manager wrote beside a record, and return that it is not what the record was made with."""
        words, wrong = words_of(one.record, one.source.private)
        if words is not None:
            self._words[words.tx] = words
        return (Raised(ExceptionKind.EVIDENCE, one.record.guest_id, {"private": wrong}),) if wrong else ()

    async def _count_back(self) -> None:
        """Let sales that waited for their guest count for what is left of them."""
        claims = {one.claim.of: one for one in self._registrar.claims if one.claim is not None}
        originals = await self._store.originals(list(claims)) if claims else {}
        for of, original in originals.items():
            if original.record.kind in SALES and original.returns:
                version = program_version(original.record) if any(map(is_follow, original.returns)) else None
                program = None if version is None else await self._store.program(version)
                back = came_back(original.record, program, original.returns)
                claims[of] = replace(claims[of], returning=Returning(original.record, NOTHING_BACK, back))
        self._registrar.claims = list(claims.values())

    async def _back(self, arranged: Arranged) -> Back:
        """Return who counts what comes back; a program is needed where points of a return follow."""
        follows = {one.record.reverses_id for one in arranged.ready if is_follow(one.record)}
        follows |= {of for of, one in arranged.originals.items() if any(map(is_follow, one.returns))}
        versions = {program_version(one.record) for of, one in arranged.originals.items() if of in follows} - {None}
        return Back(arranged.originals, {version: await self._store.program(version) for version in versions})

    async def _plan(self, facts: Sequence[Fact]) -> tuple[dict[UUID, GuestAccount], Plan]:
        store = self._store
        claims = self._registrar.claims
        wanted = {one for fact in [*claims, *facts] for one in (fact.guest, fact.receiver) if one is not None}
        guests = await store.lock_guests(wanted)
        if guests.keys() != wanted or any(one.merged_into is not None for one in guests.values()):
            # Merged between the look and the lock: their points belong to somebody else by now.
            raise Raced
        facts = [*claims, *await self._guards.weigh(facts)]
        in_force = await store.program(None) if guests else None
        programs: dict[int | None, Program | None] = {}
        for version in {program_version(fact.record) for fact in facts if fact.guest is not None}:
            is_at_hand = version is None or (in_force is not None and in_force.version == version)
            programs[version] = in_force if is_at_hand else await store.program(version)

        known: dict[tuple[int | None, int], Terms] = {}

        def terms(record: Record, at: int) -> Terms:
            # They depend on the local day alone, and a day begins at a quarter of an hour in every zone.
            key = (program_version(record), at // _QUARTER_MS)
            if key not in known:
                known[key] = terms_of(programs[key[0]], at)
            return known[key]

        def tier(state: GuestState) -> str:
            return tier_of(in_force, state)

        facts = await self._guards.late(facts, terms)
        planned = plan(
            facts,
            {guest: one.holdings for guest, one in guests.items()},
            {guest: one.state for guest, one in guests.items()},
            terms,
            tier,
            await self._held_of(facts, in_force, lambda record: programs[program_version(record)] or in_force),
        )
        return guests, planned

    async def _held_of(
        self, facts: Sequence[Fact], in_force: Program | None, program_of: Callable[[Record], Program | None]
    ) -> HeldOf:
        earning, giving = earners(facts), givers(facts)
        if in_force is None or not (earning or giving):
            return lambda _: 0
        granted = await self._store.granted(earning, in_force.zone, self._now) if earning else {}
        given = await self._store.given_by_hand(giving, in_force.zone, self._now) if giving else {}
        limit = (await self._store.guards.profile(self._at)).granted_points
        ceiling = Ceiling(in_force.zone, lambda _: limit, self._now, granted, program_of)
        by_hand = ByHand(in_force.zone, in_force.point_unit, self._now, given)
        return lambda fact: by_hand.held(fact) if fact.record.kind in BY_HAND else ceiling.held(fact)

    async def _write(
        self,
        branch: int,
        sorted_out: _Sorted,
        arranged: Arranged,
        guests: Mapping[UUID, GuestAccount],
        planned: Plan,
        queued: Sequence[UUID],
    ) -> dict[AccountKey, int]:
        store = self._store
        sources = {one.record.id: one for one in arranged.ready}
        accounts = await store.system_accounts([key for key in planned.moved if key.kind is not AccountKind.GUEST])
        accounts |= {AccountKey(AccountKind.GUEST, guest): one.account_id for guest, one in guests.items()}
        if planned.posted:
            rows = [(one, sources[one.fact.record.id]) for one in planned.posted if one.fact.claim is None]
            new = await store.insert_postings(
                [Sourced(one, ready.source, ready.branch) for one, ready in rows], queued, self._now
            )
            if new != len(rows):
                raise Raced
            if self._words:
                await store.keep_words(list(self._words.values()))
            claims = [one for one in planned.posted if one.fact.claim is not None]
            if claims:
                await store.registers.insert_claims(claims, self._now)
        changed = [GuestChange.of(one, planned.moved, self._now) for one in guests.values()]
        await store.store_moves(planned.posted, accounts, changed, self._now)
        if sorted_out.quarantined:
            await store.insert_quarantined(self._push.device, self._push.epoch, branch, sorted_out.quarantined)
        if arranged.settled or arranged.condemned or arranged.postponed:
            await store.settle_waiting(arranged.settled, arranged.condemned, arranged.postponed, self._now)
        raised: dict[UUID, list[RaisedRow]] = {}
        for one in planned.posted:
            raised.setdefault(one.fact.record.device, []).extend(_row(one, found, accounts) for found in one.raised)
        raised.setdefault(self._push.device, []).extend(self._raised_unposted(sorted_out, arranged))
        for device, rows_of in raised.items():
            if rows_of:
                await store.insert_raised(device, rows_of)
        for one in planned.posted:
            record, flags = one.fact.record, one.flags
            if one.fact.claim is None and sources[record.id].number is None:
                status = Status.POSTED_FLAGGED if flags else Status.POSTED
                self._results[record.seq] = PushResult(record.seq, status, flags)
        return accounts

    def _raised_unposted(self, sorted_out: _Sorted, arranged: Arranged) -> list[RaisedRow]:
        """Return what is wrong around records that are not posted: a hole or a fork is one whatever it begins with."""
        posted = {one.record.seq for one in arranged.ready if one.number is None}
        around = [
            RaisedRow(one.kind, self._ids[seq], None, one.details, _severity(one.kind))
            for seq, found in sorted_out.raised.items()
            if seq not in posted
            for one in found
        ]
        return around + [
            RaisedRow(ExceptionKind.ID_REUSE, record_id, None, {"epoch": self._push.epoch, "seq": seq}, "alarm")
            for seq, record_id in sorted_out.reused
        ]


def _holds_unposted(row: EpochRow, one: Incoming) -> bool:
    return one.seq in row.unposted and row.branch.held.get(one.seq) == one.hash


def _handle(record: Record) -> bytes:
    if record.credential is None or record.credential.handle is None:
        return b""
    return record.credential.handle.to_bytes(HANDLE_BYTES, "big")


def _opened_reason(first: Incoming) -> str:
    if first.record is None or first.record.kind is not RecordKind.EPOCH_OPEN:
        return "unknown"
    return (first.record.opened_reason or "unknown")[:40]


def _row(posted: Posted, raised: Raised, accounts: Mapping[AccountKey, int]) -> RaisedRow:
    account = None if raised.guest is None else accounts.get(AccountKey(AccountKind.GUEST, raised.guest))
    return RaisedRow(
        raised.kind, raised.about or posted.fact.record.id, account, raised.details, _severity(raised.kind)
    )


def _severity(kind: ExceptionKind) -> str:
    return "alarm" if kind in _ALARMS else "warning"
