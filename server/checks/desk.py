"""Committing checks of other systems in groups: what is waiting within two milliseconds shares one transaction.

A commit costs a disk its flush; 500 of them in one cost the same. Each caller is answered after the commit that holds
its check. One that cannot be stored is found by halving and refused alone, and a caller who hangs up changes nothing:
its check is posted all the same and answered when it asks again.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from loyalty_desk.domain.clock import Clock
from loyalty_desk.domain.errors import ForPerson
from loyalty_desk.wire.v1.errors import ErrorCode
from server.checks.committing import Said, commit
from server.checks.quoting import quote_all
from server.checks.record import Paid
from server.checks.schemas import CommitAnswer, CommitRequest, QuoteAnswer, QuoteRequest
from server.kit.db import Connection, Database
from server.kit.errors import ApiError, is_conflict, is_outage, is_unfit, outage, sqlstate
from server.kit.together import Together
from server.ledger.online import Taken
from server.ledger.store import Tools
from server.systems.service import Asker

_LOG = logging.getLogger(__name__)
GATHER_S = 0.002
MOST_AT_ONCE = 500
# Pricing one takes a third of a millisecond in which nobody else is answered.
QUOTES_AT_ONCE = 32
MOST_WAITING = 5_000
_TRIES = 4


@dataclass(slots=True)
class _Waiting:
    paid: Paid
    answer: asyncio.Future[CommitAnswer]


@dataclass(slots=True)
class _Queue:
    waiting: deque[_Waiting] = field(default_factory=deque)
    worker: asyncio.Task[None] | None = None


class CheckDesk:
    """Prices and commits checks of other systems; one a process."""

    def __init__(self, db: Database, tools: Tools, clock: Clock) -> None:
        self._db = db
        self._tools = tools
        self._clock = clock
        self._queues: dict[UUID, _Queue] = {}
        self._quotes = Together(db, self._price, QUOTES_AT_ONCE)

    async def quote(self, asker: Asker, asked: QuoteRequest) -> QuoteAnswer:
        """Return what a check costs now; nothing is kept. Raises `ForPerson`."""
        said = await self._quotes.ask(asker.network, (asker, asked))
        if isinstance(said, ForPerson):
            raise said
        return said

    async def commit(self, asker: Asker, asked: CommitRequest) -> CommitAnswer:
        """Post a check once and return what it came to, after the commit.

        Raises `ApiError` 409 for an id that is another check's or another price, 429 where too many wait; `ForPerson`.
        """
        queue = self._queues.setdefault(asker.network, _Queue())
        if len(queue.waiting) >= MOST_WAITING:
            text = "Too many checks wait to be stored. Try again in a moment."
            raise ApiError(429, ErrorCode.TOO_MANY, text, retry_after_s=2)
        answer: asyncio.Future[CommitAnswer] = asyncio.get_running_loop().create_future()
        queue.waiting.append(_Waiting(Paid.of(asker, asked), answer))
        if queue.worker is None:
            queue.worker = asyncio.create_task(self._work(asker.network, queue))
        return await asyncio.shield(answer)

    async def close(self) -> None:
        """Store what waits; nobody may be left without an answer."""
        await self._quotes.close()
        await asyncio.gather(*(one.worker for one in self._queues.values() if one.worker), return_exceptions=True)

    async def _price(
        self, connection: Connection, network: UUID, group: Sequence[tuple[Asker, QuoteRequest]]
    ) -> list[QuoteAnswer | ForPerson]:
        return await quote_all(connection, network, self._tools, group, self._clock.now())

    async def _work(self, network: UUID, queue: _Queue) -> None:
        try:
            while queue.waiting:
                if len(queue.waiting) < MOST_AT_ONCE:
                    await asyncio.sleep(GATHER_S)
                taken = [queue.waiting.popleft() for _ in range(min(len(queue.waiting), MOST_AT_ONCE))]
                if not await self._settle(network, taken):
                    # Whoever waits behind an outage has waited for it already, and would for the next.
                    _refuse(queue.waiting)
                    queue.waiting.clear()
        finally:
            queue.worker = None

    async def _settle(self, network: UUID, group: Sequence[_Waiting]) -> bool:
        """Answer every one of a group: together if they can be stored together, else by halves.

        Returns whether the database is there; where it is not, all have been told.
        """
        error: Exception | None = None
        for _ in range(_TRIES):
            try:
                answers = await self._post(network, group)
            except Exception as failed:  # noqa: BLE001 - whoever waits is told, whatever it is
                error = failed
                if isinstance(failed, Taken) or is_conflict(failed):
                    continue
                break
            for one, said in zip(group, answers, strict=True):
                _tell(one, said)
            return True
        assert error is not None  # noqa: S101 - the loop ends by an answer or an error
        met_another = isinstance(error, Taken) or is_conflict(error)
        if met_another or is_outage(error):
            _refuse(group)
            return met_another
        if len(group) == 1:
            _LOG.error("a check cannot be stored: %s %s", type(error).__name__, sqlstate(error) or "")
            _tell(group[0], _unfit() if is_unfit(error) else error)
            return True
        middle = len(group) // 2
        if await self._settle(network, group[:middle]):
            return await self._settle(network, group[middle:])
        _refuse(group[middle:])
        return False

    async def _post(self, network: UUID, group: Sequence[_Waiting]) -> list[Said]:
        now = self._clock.now()
        async with self._db.begin(network) as connection:
            return await commit(connection, network, self._tools, [one.paid for one in group], now)


def _unfit() -> ApiError:
    return ApiError(422, ErrorCode.REFUSED, "This check cannot be stored: a figure or a text in it is out of bounds.")


def _refuse(group: Iterable[_Waiting]) -> None:
    for one in group:
        _tell(one, outage())


def _tell(one: _Waiting, said: Said) -> None:
    if one.answer.done():
        return
    if isinstance(said, CommitAnswer):
        one.answer.set_result(said)
        return
    one.answer.set_exception(said)
    # Whoever hung up asks for no exception; it is not one that nobody looked at.
    one.answer.exception()
