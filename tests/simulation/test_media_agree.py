"""The till's journal and cache in memory say what the real ones say, whatever is done to them in whatever order."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from loyalty_desk.domain.record import handle_text
from loyalty_desk.services.leases import INCARNATION
from loyalty_desk.services.ports.cache import CachedGuest, CredentialState
from loyalty_desk.services.ports.journal import SEEN_BY_NEXT_PULL, StoredProgram
from loyalty_desk.services.recording import Recorder
from loyalty_desk.services.trusted_clock import TrustedClock
from loyalty_desk.store.cache import SqliteCache
from loyalty_desk.store.journal import SqliteJournal
from loyalty_desk.wire.v1.leases import Lease, LeaseAnswer, LeaseRequest
from loyalty_desk.wire.v1.rows import GuestRow
from loyalty_desk.wire.v1.sync import FeedRow, PullAnswer
from tests.loyalty_desk.till_parts import DEVICE_KEY, GUEST, HANDLE, IDENTITY, KEY, KnownBootClock, sale
from tests.simulation.memory_cache import MemoryCache, Stored
from tests.simulation.memory_journal import Medium, MemoryJournal, MemoryWitness

LIVES = [UUID(int=1), UUID(int=2)]
OTHER = UUID(int=77)
_FILES = iter(range(1 << 30))

_SALES = st.tuples(
    st.just("sale"), st.integers(0, 50), st.integers(0, 20), st.sampled_from((GUEST, OTHER, None)), st.booleans()
)
_STEPS = st.lists(
    st.one_of(
        _SALES,
        _SALES,
        st.tuples(st.just("acknowledge"), st.integers(0, 3), st.integers(0, 9), st.sampled_from((3, 7, 9, 1 << 62))),
        st.tuples(st.just("rewind"), st.integers(0, 3), st.integers(0, 9)),
        st.tuples(st.just("rebind")),
        st.tuples(st.just("settle"), st.sampled_from((2, 5, 8, 20))),
        st.tuples(st.just("open_epoch")),
        st.tuples(st.just("clear")),
        st.tuples(st.just("notify"), st.sampled_from("ab"), st.integers(0, 1)),
        st.tuples(st.just("program"), st.integers(1, 3)),
        st.tuples(st.just("reopen")),
        st.tuples(st.just("skip"), st.integers(0, 30)),
        st.tuples(st.just("gift"), st.sampled_from("ab"), st.integers(1, 3)),
    ),
    max_size=25,
)


class Pair:
    """One journal twice, each written by a recorder with the same clock and the same randomness."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / f"{next(_FILES)}.db"
        self.medium = Medium(UUID(int=9))
        self.clock = KnownBootClock()
        self.randoms = [random.Random(5), random.Random(5)]
        self.real, self.memory = SqliteJournal(self.path, KEY), self._memory()
        self.both("open_epoch")

    def _memory(self) -> MemoryJournal:
        return MemoryJournal(self.medium, MemoryWitness(), lambda what: None)

    def both(self, what: str, *given: Any) -> None:
        """Do one thing to both."""
        self.clock.advance(seconds=1)
        if what == "reopen":
            self.real.close()
            self.real, self.memory = SqliteJournal(self.path, KEY), self._memory()
            return
        for journal, source in zip((self.real, self.memory), self.randoms, strict=True):
            _do(
                journal, Recorder(IDENTITY, DEVICE_KEY, journal, TrustedClock(self.clock, journal), source), what, given
            )

    def compare(self) -> None:
        """Hold everything that a service can ask of one to the other."""
        said = [_said(journal) for journal in (self.real, self.memory)]
        assert said[0] == said[1]


def _do(journal: Any, recorder: Recorder, what: str, given: tuple[Any, ...]) -> None:
    if what == "sale":
        earned, redeemed, guest, with_handle = given
        recorder.record(sale(earned, redeemed, guest=guest, handle=HANDLE if with_handle or guest is None else None))
    elif what == "gift":
        epoch = journal.head().epoch
        life, clock = LIVES[0], recorder._clock
        clock.learn(clock.now_ms(), clock.monotonic_ms(), clock.monotonic_ms())
        journal.put(INCARNATION, str(life))
        request = LeaseRequest(IDENTITY.network, IDENTITY.device, life, epoch, 0)
        upto = [Lease(rule, "", 1_000) for rule in "ab"]
        recorder.leases.accept(request, LeaseAnswer(life, epoch, 1, 1 << 62, upto))
        recorder.record(replace(sale(), given={(given[0], ""): given[1]}))
    elif what == "open_epoch":
        recorder.open_epoch("manual")
    elif what in ("acknowledge", "rewind"):
        epochs = journal.epochs()
        there = epochs[given[0] % len(epochs)]
        upto = min(given[1], there.head_seq)
        if what == "rewind":
            journal.rewind(there.epoch, upto)
        else:
            feed_seq = SEEN_BY_NEXT_PULL if given[2] == 1 << 62 else given[2]
            journal.acknowledge(there.epoch, upto, LIVES[0], feed_seq)
    elif what == "rebind":
        journal.rebind(LIVES[1])
    elif what == "settle":
        journal.settle(given[0])
    elif what == "clear":
        journal.clear_redemption_hold()
    elif what == "notify":
        journal.notify(given[0], {"n": given[1]}, 1_772_452_800_000)
    elif what == "program":
        journal.remember_program(StoredProgram(given[0], bytes([given[0]]) * 32, b"body"))
    else:
        journal.skip_receipts(given[0])


def _said(journal: Any) -> list[Any]:
    said: list[Any] = [journal.head(), journal.last_at(), journal.epochs(), journal.waiting(), journal.broken_at()]
    said += [journal.given(), journal.redemption_held(), journal.program(), journal.is_empty]
    said += [(one.code, one.facts) for one in journal.notices()]
    for epoch in journal.epochs():
        said += [journal.members(epoch.epoch), journal.records(epoch.epoch, 2, 3), journal.holds(epoch.epoch, 2)]
    for guest in (GUEST, OTHER):
        said.append(journal.offline_use(guest))
        for cursor in (None, 0, 4, 8, 30):
            for handle in (None, HANDLE):
                overlay = journal.overlay(guest, handle, cursor)
                said.append((overlay.earned, overlay.redeemed, sorted(overlay.uses)))
    return said


@settings(max_examples=60)
@given(steps=_STEPS)
def test_the_journal_in_memory_is_the_journal(tmp_path_factory: Any, steps: list[tuple[Any, ...]]) -> None:
    pair = Pair(tmp_path_factory.getbasetemp())
    try:
        for step in steps:
            pair.both(*step)
            pair.compare()
    finally:
        pair.real.close()


_ROW = st.one_of(
    st.tuples(st.just("guest"), st.sampled_from([str(GUEST), str(OTHER)]), st.integers(0, 9)),
    st.tuples(st.just("credential"), st.just(handle_text(HANDLE)), st.integers(0, 1)),
    st.tuples(st.just("store"), st.just(str(IDENTITY.store)), st.integers(0, 1)),
)


def _row(table: str, value: int) -> dict[str, Any] | None:
    if value == 0:
        return None
    if table == "guest":
        return {"points": value, "member_no": f"{value}"}
    if table == "credential":
        return {"guest": str(GUEST), "kind": "card"}
    return {"name": "Here", "zone": "UTC", "currency": "RUB"}


def _guest(found: CachedGuest | CredentialState | None) -> Any:
    if not isinstance(found, CachedGuest):
        return found
    return found.id, [getattr(found.row, name) for name in GuestRow.__struct_fields__], found.credential


_PAGES = st.lists(st.one_of(st.lists(_ROW, max_size=4), st.sampled_from(("wipe", "completed", "reopen"))), max_size=8)


@settings(max_examples=40)
@given(pages=_PAGES)
def test_the_cache_in_memory_is_the_cache(tmp_path_factory: Any, pages: list[Any]) -> None:
    path = tmp_path_factory.getbasetemp() / f"cache-{next(_FILES)}.db"
    stored = Stored()
    real: Any = SqliteCache(path, KEY)
    memory: Any = MemoryCache(stored, lambda what: None)
    n = 0
    try:
        for page in pages:
            if page == "reopen":
                real.close()
                real = SqliteCache(path, KEY)
            for cache in (real, memory):
                if page == "wipe":
                    cache.wipe(LIVES[0])
                elif page == "completed":
                    cache.completed(5, LIVES[1], 7)
                elif page != "reopen":
                    rows = [FeedRow(n + i, t, key, _row(t, v)) for i, (t, key, v) in enumerate(page, start=1)]
                    cache.apply(PullAnswer(LIVES[0], rows, n + len(rows), False))
            n += len(page) if isinstance(page, list) else 0
            said = [
                (
                    cache.state(),
                    _guest(cache.guest(GUEST)),
                    _guest(cache.guest(OTHER)),
                    _guest(cache.by_handle(HANDLE)),
                    cache.by_member_number("3") is None,
                    cache.store(IDENTITY.store),
                    cache.document("program"),
                )
                for cache in (real, memory)
            ]
            assert said[0] == said[1]
    finally:
        real.close()
