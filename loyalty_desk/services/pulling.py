"""Following the server's feed into the cache, page by page, and knowing when the end has been reached."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from hashlib import sha256
from itertools import pairwise
from uuid import UUID

from loyalty_desk.domain.canonical import Json, NotCanonical, text_to_bytes
from loyalty_desk.domain.errors import BadInput
from loyalty_desk.domain.program import Program
from loyalty_desk.services.ports import Cache, CacheLost, Journal, LedgerClient, NotOurServer, ServerSaid, StoredProgram
from loyalty_desk.services.staff import Cashier
from loyalty_desk.services.trust import Trust
from loyalty_desk.services.trusted_clock import TrustedClock
from loyalty_desk.wire.v1.errors import ErrorCode
from loyalty_desk.wire.v1.sync import MAX_PULL_ROWS, FeedTable, PullAnswer, cursor_text

_ADOPTED = (FeedTable.PROGRAM, FeedTable.KEYSET)


class Puller:
    """Pulls until the feed's end; a cache that turns out wrong is read again from 0, once."""

    def __init__(
        self, journal: Journal, cache: Cache, client: LedgerClient, clock: TrustedClock, trust: Trust, cashier: Cashier
    ) -> None:
        self._journal = journal
        self._cache = cache
        self._client = client
        self._clock = clock
        self._trust = trust
        self._cashier = cashier
        self._wrong_before = False
        self._adopted = False
        self.applied = 0

    def pull(self, incarnation: UUID, stopping: Callable[[], bool], *, final: bool = True) -> str | None:
        """Apply pages to the end; return a code where the cache cannot be trusted, else None.

        `final` False leaves out what a completed pull settles: the server has not proved itself yet.
        """
        if not self._adopted:
            self._adopt()
        restarts = 0
        while not stopping():
            before = self._cache.state().cursor
            try:
                page = self._page(incarnation, before)
                self._cache.apply(page)
            except ServerSaid as said:
                if said.code != ErrorCode.MUST_BOOTSTRAP or before is None:
                    raise
                self._cache.wipe(incarnation)
                continue
            except CacheLost:
                restarts += 1
                if restarts > 1:
                    return "cache_unusable"
                continue
            self.applied += len(page.rows)
            if any(change.table in _ADOPTED for change in page.rows):
                self._adopt()
            if page.has_more:
                continue
            if self._is_right(page):
                if final:
                    self._complete(page.next)
                return None
            if self._wrong_before:
                self._journal.notify("cache_mismatch", {}, self._clock.now_ms())
                return "cache_mismatch"
            self._wrong_before = True
            self._cache.wipe(incarnation)
        return None

    def _page(self, incarnation: UUID, before: int | None) -> PullAnswer:
        cursor = None if before is None else cursor_text(incarnation, before)
        page = self._client.pull(cursor, MAX_PULL_ROWS)
        numbers = [before or 0, *(change.seq for change in page.rows)]
        in_order = all(one < other for one, other in pairwise(numbers))
        if page.incarnation != incarnation or not in_order or page.next < numbers[-1]:
            raise NotOurServer("the page does not follow the cursor")
        if page.has_more and page.next == before:
            raise NotOurServer("the page leads nowhere")
        return page

    def _is_right(self, page: PullAnswer) -> bool:
        state, checkpoint = self._cache.state(), page.checkpoint
        return checkpoint is None or (checkpoint.rows, checkpoint.digest) == (state.rows, state.digest)

    def _complete(self, cursor: int) -> None:
        self._wrong_before = False
        self._cache.completed(self._clock.now_ms(), self._clock.boot_id, self._clock.monotonic_ms())
        self._journal.settle(cursor)
        self._cashier.remember()

    def _adopt(self) -> None:
        """Put what must outlive the cache into the journal: the program and the key set."""
        keyset = self._cache.document(FeedTable.KEYSET)
        if keyset is not None and not self._trust.adopt(keyset):
            self._journal.notify("keyset_refused", {}, self._clock.now_ms())
        program = self._cache.document(FeedTable.PROGRAM)
        if program is not None:
            stored = program_of_row(program)
            if stored is None:
                self._journal.notify("program_refused", {"version": program.get("version")}, self._clock.now_ms())
            else:
                self._journal.remember_program(stored)
        self._adopted = True


def program_of_row(row: Mapping[str, Json]) -> StoredProgram | None:
    """Return the program of a feed row; None where its bytes are not what the row says or cannot be understood."""
    try:
        body = text_to_bytes(str(row.get("bytes")))
        program = Program.from_bytes(body)
        if text_to_bytes(str(row.get("hash"))) != sha256(body).digest():
            return None
    except (NotCanonical, BadInput, ValueError):
        return None
    return StoredProgram(program.version, program.hash, body)
