"""Following the server's feed into the cache, and knowing when the end has been reached.

The pages of one pull are put into the cache together. One alone would show a wrong balance for a while: a guest whose
sale here lies behind its cursor may come on a later page, because somebody else's sale has moved the row there since.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from hashlib import sha256
from itertools import pairwise
from uuid import UUID

from msgspec.structs import replace

from loyalty_desk.domain.canonical import Json, NotCanonical, text_to_bytes
from loyalty_desk.domain.errors import BadInput
from loyalty_desk.domain.program import Program
from loyalty_desk.services.bootstrapping import Bootstrap
from loyalty_desk.services.ports.cache import Cache, CacheLost
from loyalty_desk.services.ports.journal import Journal, StoredProgram
from loyalty_desk.services.ports.machine import Random
from loyalty_desk.services.ports.server import LedgerClient, NotOurServer, ServerSaid
from loyalty_desk.services.staff import Cashier
from loyalty_desk.services.trust import Trust
from loyalty_desk.services.trusted_clock import TrustedClock
from loyalty_desk.wire.v1.errors import ErrorCode
from loyalty_desk.wire.v1.sync import MAX_PULL_ROWS, FeedTable, PullAnswer, cursor_text

# A feed longer than this is applied in parts: a balance may be off between two of them.
MOST_ROWS_AT_ONCE = 100_000
MOST_RESTARTS = 1
# Between half of it and one and a half pass before what differed also when read anew is read again: where the fault is
# the server's, every till reads everything.
ANEW_EVERY_MS = 60 * 60 * 1_000
_ADOPTED = (FeedTable.PROGRAM, FeedTable.KEYSET)


class Puller:
    """Pulls until the feed's end; a cache that turns out wrong is read again from 0, then about once an hour."""

    def __init__(
        self,
        journal: Journal,
        cache: Cache,
        client: LedgerClient,
        clock: TrustedClock,
        trust: Trust,
        cashier: Cashier,
        random: Random,
        bootstrap: Bootstrap | None = None,
    ) -> None:
        self._journal = journal
        self._cache = cache
        self._client = client
        self._clock = clock
        self._trust = trust
        self._cashier = cashier
        self._random = random
        self._bootstrap = bootstrap
        self._start: tuple[UUID, int | None] | None = None
        self._page: PullAnswer | None = None
        self._wrong_before = self._anew = False
        self._rests_until: int | None = None
        self._adopted = False
        self.applied = 0

    def pull(self, incarnation: UUID, stopping: Callable[[], bool], *, final: bool = True) -> str | None:
        """Apply the feed to its end; return a code where the cache cannot be trusted, else None.

        `final` False leaves out what a completed pull settles: the server has not proved itself yet.
        """
        if not self._adopted:
            self._adopt()
        tries = 0
        while not stopping():
            try:
                page = self._next(incarnation, stopping, anew=self._anew)
            except CacheLost:
                tries += 1
                if tries > MOST_RESTARTS:
                    return "cache_unusable"
                continue
            except ServerSaid as said:
                if said.code != ErrorCode.MUST_BOOTSTRAP or self._bootstrap is None:
                    raise
                tries += 1
                if tries > MOST_RESTARTS:
                    return "cache_unusable"
                self._adopted = False
                error = self._bootstrap.fetch(incarnation, stopping)
                if error is not None:
                    return error
                self._anew = False
                self._adopt()
                continue
            if page is None:
                return None
            self._anew = False
            self.applied += len(page.rows)
            if any(change.table in _ADOPTED for change in page.rows):
                self._adopt()
            if page.has_more:
                continue
            if self._is_right(page):
                if final:
                    self._complete(page.next)
                return None
            if self._wrong_before and self._rest():
                self._journal.notify("cache_mismatch", {}, self._clock.now_ms())
                return "cache_mismatch"
            # Owed until it is done, however often it is cut.
            self._wrong_before = self._anew = True
        return None

    def _next(self, incarnation: UUID, stopping: Callable[[], bool], *, anew: bool) -> PullAnswer | None:
        """Apply what lies behind the cursor, or everything in place of it, and return it; None where stopped."""
        before = self._cache.state()
        page = None
        if not anew:
            try:
                # A first load goes in page by page: the sooner a guest is known the better; nothing is redeemed yet.
                page = self._gathered(incarnation, before.cursor, stopping, MOST_ROWS_AT_ONCE if before.complete else 1)
            except ServerSaid as said:
                if said.code != ErrorCode.MUST_BOOTSTRAP or before.cursor is None:
                    raise
                anew = True
        if anew:
            # What is here, however old, is sold by until all of the new is.
            page = self._gathered(incarnation, None, stopping, MOST_ROWS_AT_ONCE)
            if page is not None:
                self._cache.wipe(incarnation)
                before = self._cache.state()
        if page is not None:
            self._start = self._page = None
            self._cache.apply(page, onto=before)
        return page

    def _gathered(
        self, incarnation: UUID, cursor: int | None, stopping: Callable[[], bool], enough: int
    ) -> PullAnswer | None:
        """Return what the feed has behind a cursor as one page, of a long feed `enough` rows; None if stopped.

        What was fetched before a cut is kept: the next attempt fetches the rest.
        """
        if self._start != (incarnation, cursor):
            self._start, self._page = (incarnation, cursor), None
        while self._page is None or (self._page.has_more and len(self._page.rows) < enough):
            if stopping():
                return None
            there = self._page
            try:
                page = self._fetched(incarnation, cursor if there is None else there.next)
            except ServerSaid:
                self._page = None
                raise
            self._page = page if there is None else replace(page, rows=there.rows + page.rows)
        return self._page

    def _fetched(self, incarnation: UUID, after: int | None) -> PullAnswer:
        cursor = None if after is None else cursor_text(incarnation, after)
        page = self._client.pull(cursor, MAX_PULL_ROWS)
        numbers = [after or 0, *(change.seq for change in page.rows)]
        in_order = all(one < other for one, other in pairwise(numbers))
        if page.incarnation != incarnation or not in_order or page.next < numbers[-1]:
            raise NotOurServer("the page does not follow the cursor")
        if page.has_more and page.next == after:
            raise NotOurServer("the page leads nowhere")
        return page

    def _is_right(self, page: PullAnswer) -> bool:
        state, checkpoint = self._cache.state(), page.checkpoint
        return checkpoint is None or (checkpoint.rows, checkpoint.digest) == (state.rows, state.digest)

    def _rest(self) -> bool:
        """Begin, or end in time, the rest of a cache that differed also when read anew; return whether it lasts."""
        now = self._clock.monotonic_ms()
        if self._rests_until is None:
            self._rests_until = now + round(ANEW_EVERY_MS * (0.5 + self._random.random()))
        elif now >= self._rests_until:
            self._rests_until = None
        return self._rests_until is not None

    def _complete(self, cursor: int) -> None:
        self._wrong_before = False
        self._rests_until = None
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
