"""Defects put into the code under test, one at a time: each shows that a kind of fault bites and would be reported."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from unittest import mock
from uuid import UUID

import msgspec

from loyalty_desk.services import pushing
from loyalty_desk.services.ports.server import NotOurServer, ServerSaid
from loyalty_desk.services.sync import SyncEngine
from loyalty_desk.wire.v1.errors import ErrorCode
from loyalty_desk.wire.v1.sync import HelloAnswer, PushAnswer, PushRequest, PushResult, Status
from server.kit import feed
from server.kit.errors import ApiError
from server.ledger import batch
from server.ledger.leases import LIFE
from server.ledger.repository import EpochRow
from server.ledger.storing import Sourced
from tests.simulation import sim_server, sim_till
from tests.simulation.faults import Fault, Mutation
from tests.simulation.memory_cache import Stored
from tests.simulation.memory_journal import MemoryJournal, MemoryWitness
from tests.simulation.memory_leases import MemoryLeases
from tests.simulation.memory_ledger import MemoryStore, Tx
from tests.simulation.network import SimClient
from tests.simulation.sim_server import SimServer
from tests.simulation.world import World

_TTL_MS = 24 * 60 * 60 * 1_000
_OURS = {ErrorCode.GAP, ErrorCode.FORK, ErrorCode.STALE_INCARNATION}

# The faults without which each would go unseen: a run with these alone has to report it.
BITES: dict[Mutation, frozenset[Fault]] = {
    Mutation.ACK_BEFORE_COMMIT: frozenset({Fault.CRASH_MID_BATCH}),
    Mutation.HALF_A_BATCH: frozenset({Fault.CRASH_MID_BATCH}),
    Mutation.NO_RECONCILE: frozenset({Fault.FAILOVER, Fault.RESTORE}),
    Mutation.DELETE_ON_4XX: frozenset({Fault.SERVER_ERROR}),
    Mutation.TTL_DEDUPE: frozenset({Fault.LOST_ANSWER, Fault.CRASH_AFTER_COMMIT}),
    Mutation.BARE_CONFLICT: frozenset({Fault.CLONE}),
    Mutation.PLAIN_SEQUENCE: frozenset(),
    Mutation.UNSYNCED_WITNESS: frozenset({Fault.ROLLBACK}),
    Mutation.UNSYNCED_JOURNAL: frozenset({Fault.POWER_CUT}),
    Mutation.ANY_ANSWER_ACKS: frozenset({Fault.PORTAL}),
    Mutation.ACK_DROPS_OVERLAY: frozenset({Fault.LOST_REQUEST}),
    Mutation.CURSOR_OUTLIVES_CACHE: frozenset({Fault.CACHE_LOST}),
    Mutation.PULL_AT_ANY_TIME: frozenset({Fault.LOST_ANSWER}),
    Mutation.BLIND_TO_RESTORE: frozenset({Fault.SILENT_RESTORE}),
    Mutation.IDS_BY_CLOCK: frozenset({Fault.CLOCK}),
    Mutation.POISON_BLOCKS: frozenset({Fault.POISON}),
    Mutation.FORGOTTEN_EPOCH: frozenset({Fault.ROLLBACK_UNSEEN}),
    Mutation.DROPPED_WHEN_SUSPENDED: frozenset({Fault.SUSPEND}),
    Mutation.RECLAIMED_BY_TIME: frozenset(),
    Mutation.GIVEN_UNTIL_ACKNOWLEDGED: frozenset(),
    Mutation.LEASES_FORGOTTEN: frozenset({Fault.RESTORE}),
}
# Defects of what may be given a limited number of times: seen where the program has such a rule.
OF_GIFTS = frozenset({Mutation.RECLAIMED_BY_TIME, Mutation.GIVEN_UNTIL_ACKNOWLEDGED, Mutation.LEASES_FORGOTTEN})


@contextmanager
def mutated(mutation: Mutation) -> Iterator[None]:
    """Run with one defect."""
    with ExitStack() as stack:
        for target, name, value in _PATCHES[mutation]():
            stack.enter_context(mock.patch.object(target, name, value))
        yield


type _Patch = tuple[Any, str, Any]


def _ack_before_commit() -> Iterable[_Patch]:
    yield SimServer, "acks_before_commit", True


def _half_a_batch() -> Iterable[_Patch]:
    """Every statement is its own transaction: what was written before the crash stays, the rest does not."""

    def crash(server: SimServer, store: MemoryStore) -> None:
        tables = server.tables.copy()
        tables.txs, tables.places, tables.epochs = store.tables.txs, store.tables.places, store.tables.epochs
        server.history.append(tables)
        raise sim_server.Crash

    yield SimServer, "on_crash", crash


def _no_reconcile() -> Iterable[_Patch]:
    def nothing(engine: SyncEngine, incarnation: UUID) -> None:
        engine._reconciled_at = engine._clock.monotonic_ms()

    yield SyncEngine, "_reconcile", nothing


def _delete_on_4xx() -> Iterable[_Patch]:
    real = SimClient.push

    def push(client: SimClient, request: PushRequest) -> PushAnswer:
        try:
            return real(client, request)
        except ServerSaid as said:
            if 400 <= said.status < 500 and said.code not in _OURS:
                for one in request.records:
                    client._till.disk.journal.records.pop((request.epoch, one.seq), None)
                    client._till.disk.journal.effects.pop((request.epoch, one.seq), None)
                    client._till.disk.journal.acks[request.epoch] = one.seq
            raise

    yield SimClient, "push", push


def _ttl_dedupe() -> Iterable[_Patch]:
    def is_remembered(store: MemoryStore, tx: Tx) -> bool:
        return store._now.timestamp() * 1_000 - tx.recorded_at < _TTL_MS

    async def known_ids(store: MemoryStore, ids: Iterable[UUID]) -> dict[UUID, bytes | None]:
        found = store.tables.txs
        return {one: found[one].hash for one in ids if one in found and is_remembered(store, found[one])}

    real = MemoryStore.epoch_branches

    async def epoch_branches(store: MemoryStore, device: UUID, epoch: int, first: int, last: int) -> list[EpochRow]:
        rows = await real(store, device, epoch, first, last)
        for row in rows:
            held = row.branch.held
            for seq in list(held):
                tx = store.tables.places.get((device, epoch, row.branch.number, seq))
                if tx is not None and not is_remembered(store, tx):
                    del held[seq]  # type: ignore[attr-defined]
        return rows

    def insert(store: MemoryStore, tx: Tx) -> bool:
        known = store.tables.txs.get(tx.id)
        if known is not None:
            if is_remembered(store, known):
                return False
            store.tables.doubles.append(tx)
        store.tables.txs[tx.id] = tx
        store.tables.places[tx.device, tx.epoch, tx.branch, tx.seq] = tx
        return True

    yield MemoryStore, "known_ids", known_ids
    yield MemoryStore, "epoch_branches", epoch_branches
    yield MemoryStore, "insert", insert


def _bare_conflict() -> Iterable[_Patch]:
    """UNIQUE (device, epoch, seq) and `ON CONFLICT DO NOTHING` without a target."""
    real = MemoryStore.insert_postings

    async def insert_postings(
        store: MemoryStore, rows: Sequence[Sourced], queued: Sequence[UUID], recorded_at: Any
    ) -> int:
        taken = {(tx.device, tx.epoch, tx.seq) for tx in store.tables.txs.values()}
        records = [(one, one.posted.fact.record) for one in rows]
        free = [one for one, record in records if (record.device, record.epoch, record.seq) not in taken]
        await real(store, free, queued, recorded_at)
        return len(rows)

    yield MemoryStore, "insert_postings", insert_postings


def _plain_sequence() -> Iterable[_Patch]:
    """A number is drawn early and committed late: every third commit carries one that readers have passed."""
    real = MemoryStore.feed_changes

    async def feed_changes(store: MemoryStore, changes: Sequence[feed.Change]) -> int:
        n = await real(store, changes)
        tables = store.tables
        if n % 3 == 0 and changes:
            place = (changes[-1].table.value, changes[-1].key)
            tables.feed[place] = (max(1, tables.feed[place][0] - 2), tables.feed[place][1])
        return n

    yield MemoryStore, "feed_changes", feed_changes


def _unsynced_witness() -> Iterable[_Patch]:
    yield MemoryWitness, "write", lambda witness, seen: None


def _unsynced_journal() -> Iterable[_Patch]:
    """`synchronous=NORMAL`: a power cut takes the newest records, and the witness was not to know."""
    real = sim_till.SimTill.boot

    def boot(till: sim_till.SimTill) -> str | None:
        medium = till.disk.journal
        if medium.opened:
            epoch = list(medium.opened)[-1]
            seqs = sorted(seq for e, seq in medium.records if e == epoch)
            for seq in seqs[-1:] if len(seqs) > 1 else ():
                del medium.records[epoch, seq], medium.effects[epoch, seq]
        return real(till)

    yield sim_till.SimTill, "boot", boot


def _any_answer_acks() -> Iterable[_Patch]:
    """A page of the hotel is 200, and 200 is an answer."""
    real = SimClient.push

    def push(client: SimClient, request: PushRequest) -> PushAnswer:
        try:
            return real(client, request)
        except NotOurServer:
            results = [PushResult(one.seq, Status.POSTED) for one in request.records]
            return PushAnswer(request.incarnation, results, 0)

    yield SimClient, "push", push


def _ack_drops_overlay() -> Iterable[_Patch]:
    real = MemoryJournal.acknowledge

    def acknowledge(journal: MemoryJournal, epoch: int, upto_seq: int, incarnation: UUID, feed_seq: int) -> None:
        real(journal, epoch, upto_seq, incarnation, 0)

    yield MemoryJournal, "acknowledge", acknowledge


def _cursor_outlives_cache() -> Iterable[_Patch]:
    """The cursor is kept outside the cache, and still there when the rows are lost."""

    def lose_cache(world: World, disk: sim_till.Disk) -> None:
        disk.cache = Stored(disk.cache.state)

    yield World, "lose_cache", lose_cache


def _pull_at_any_time() -> Iterable[_Patch]:
    """Pull before the pushes are answered."""
    real = pushing.Pusher.push_all

    def push_all(pusher: pushing.Pusher, incarnation: UUID, stopping: Callable[[], bool]) -> None:
        try:
            real(pusher, incarnation, stopping)
        except pushing.LedgerShrank:
            raise
        except Exception as error:
            if type(error).__name__ not in ("NoAnswer", "NotOurServer"):
                raise

    yield pushing.Pusher, "push_all", push_all


def _blind_to_restore() -> Iterable[_Patch]:
    """Neither hello nor pull compares what the till was told with what there is."""
    real = SyncEngine._hello

    def hello(engine: SyncEngine) -> HelloAnswer:
        with mock.patch.object(sim_server, "hello", _hello_without_proof):
            return real(engine)

    async def _hello_without_proof(stores: Any, message: Any, now: Any, key: Any) -> HelloAnswer:
        from server.sync.hello import hello as answer

        return await answer(stores, msgspec.structs.replace(message, acked=[], cursor=None), now, key)

    async def _pull_without_proof(stores: Any, signer: Any, cursor: str | None, limit: int) -> Any:
        from server.sync.pull import pull as answer

        after = int(cursor.split(".")[1]) if cursor else 0
        if after > stores.tables.n:
            raise ApiError(410, ErrorCode.MUST_BOOTSTRAP, "Read it anew.")
        return await answer(stores, signer, cursor, limit)

    yield SyncEngine, "_hello", hello
    yield sim_server, "pull", _pull_without_proof


def _ids_by_clock() -> Iterable[_Patch]:
    from loyalty_desk.services import recording

    class ByClock:
        def __init__(self, now_ms: Callable[[], int], random_bits: Callable[[int], int]) -> None:
            self._now_ms = now_ms

        def __call__(self) -> UUID:
            return UUID(int=(self._now_ms() % (1 << 48)) << 80 | 0x7 << 76 | 0x8 << 60)

    yield recording, "IdMaker", ByClock


def _poison_blocks() -> Iterable[_Patch]:
    """One record that cannot be read refuses the whole push."""
    real = batch.Batch.run

    async def run(self: batch.Batch, incoming: Any, holes: Any) -> Any:
        if any(one.record is None for one in incoming):
            raise ApiError(400, ErrorCode.BAD_BODY, "A record cannot be read.")
        return await real(self, incoming, holes)

    yield batch.Batch, "run", run


def _forgotten_epoch() -> Iterable[_Patch]:
    """Only the present epoch is pushed."""

    def push_all(pusher: pushing.Pusher, incarnation: UUID, stopping: Callable[[], bool]) -> None:
        pusher._push_epoch(pusher._journal.head().epoch, incarnation, stopping)

    yield pushing.Pusher, "push_all", push_all


def _dropped_when_suspended() -> Iterable[_Patch]:
    """A suspended till's push is answered, and nothing is stored."""
    real = batch.Batch.run

    async def run(self: batch.Batch, incoming: Any, holes: Any) -> Any:
        device = await self._store.lock_device(self._push.device, alone=False)
        if device is not None and device.state != "active":
            return batch.Done([PushResult(one.seq, Status.POSTED) for one in incoming], 0)
        return await real(self, incoming, holes)

    yield batch.Batch, "run", run


def _reclaimed_by_time() -> Iterable[_Patch]:
    """What a till holds that was not heard of for an hour is given to others."""
    real = MemoryLeases.out_elsewhere

    async def out_elsewhere(store: MemoryLeases, device: UUID, now: datetime) -> Any:
        there = store._there
        heard = {till for till, one in there.holders.items() if one.expires_at > now + LIFE - timedelta(hours=1)}
        kept = MemoryLeases(store._store, store._program)
        tables = store._store.tables.copy()
        tables.leasing = replace(there, leases={till: of for till, of in there.leases.items() if till in heard})
        kept._store = MemoryStore(tables, store._store._signer, store._store._programs, now)
        return await real(kept, device, now)

    yield MemoryLeases, "out_elsewhere", out_elsewhere


def _given_until_acknowledged() -> Iterable[_Patch]:
    """What the server has is not counted as given any more."""

    def given(journal: MemoryJournal) -> Any:
        acks = journal._medium.acks
        found = Counter()
        for (epoch, seq), row in journal._medium.effects.items():
            for key, count in row.effect.given.items():
                found[epoch, *key] += count if seq > acks.get(epoch, 0) else 0
        return found

    yield MemoryJournal, "given", given


def _leases_forgotten() -> Iterable[_Patch]:
    """A server that was put back does not wait for what tills were let give since."""

    async def is_awaiting(store: MemoryLeases, device: UUID, now: Any) -> bool:
        return False

    yield MemoryLeases, "is_awaiting", is_awaiting


_PATCHES: dict[Mutation, Callable[[], Iterable[_Patch]]] = {
    Mutation.ACK_BEFORE_COMMIT: _ack_before_commit,
    Mutation.HALF_A_BATCH: _half_a_batch,
    Mutation.NO_RECONCILE: _no_reconcile,
    Mutation.DELETE_ON_4XX: _delete_on_4xx,
    Mutation.TTL_DEDUPE: _ttl_dedupe,
    Mutation.BARE_CONFLICT: _bare_conflict,
    Mutation.PLAIN_SEQUENCE: _plain_sequence,
    Mutation.UNSYNCED_WITNESS: _unsynced_witness,
    Mutation.UNSYNCED_JOURNAL: _unsynced_journal,
    Mutation.ANY_ANSWER_ACKS: _any_answer_acks,
    Mutation.ACK_DROPS_OVERLAY: _ack_drops_overlay,
    Mutation.CURSOR_OUTLIVES_CACHE: _cursor_outlives_cache,
    Mutation.PULL_AT_ANY_TIME: _pull_at_any_time,
    Mutation.BLIND_TO_RESTORE: _blind_to_restore,
    Mutation.IDS_BY_CLOCK: _ids_by_clock,
    Mutation.POISON_BLOCKS: _poison_blocks,
    Mutation.FORGOTTEN_EPOCH: _forgotten_epoch,
    Mutation.DROPPED_WHEN_SUSPENDED: _dropped_when_suspended,
    Mutation.RECLAIMED_BY_TIME: _reclaimed_by_time,
    Mutation.GIVEN_UNTIL_ACKNOWLEDGED: _given_until_acknowledged,
    Mutation.LEASES_FORGOTTEN: _leases_forgotten,
}
