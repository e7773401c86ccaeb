"""Questions of many requests, put to the database together: what is asked while an answer is on its way waits for it.

A transaction with one statement costs server and database many times what the statement does, so twenty questions in
one cost little more than one. Nobody waits where nobody else asks. A question is answered by a transaction that begins
after it was asked: an answer is never older than its question, and who was revoked before asking is found revoked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from uuid import UUID

from server.kit.db import Connection, Database
from server.kit.errors import is_conflict, is_outage

MOST_AT_ONCE = 64
type _Question[Asked, Told] = tuple[Asked, asyncio.Future[Told]]


class Together[Asked, Told]:
    """Answers questions of one kind by `answer`, which is given those of one network and returns as many answers.

    Where it fails nothing of its transaction is kept, and it is given each question by itself: who asked the one that
    fails is told why. Where the database is away, all who wait are told at once.
    """

    def __init__(
        self,
        db: Database,
        answer: Callable[[Connection, UUID, Sequence[Asked]], Awaitable[Sequence[Told]]],
        most: int = MOST_AT_ONCE,
    ) -> None:
        self._db = db
        self._answer = answer
        self._most = most
        self._waiting: dict[UUID, list[_Question[Asked, Told]]] = {}
        self._work: set[asyncio.Task[None]] = set()

    async def ask(self, network: UUID, asked: Asked) -> Told:
        """Return the answer to a question of a network; raises what `answer` raises, and the database's errors."""
        told: asyncio.Future[Told] = asyncio.get_running_loop().create_future()
        if network in self._waiting:
            self._waiting[network].append((asked, told))
        else:
            self._waiting[network] = [(asked, told)]
            task = asyncio.create_task(self._answer_all(network))
            self._work.add(task)
            task.add_done_callback(self._work.discard)
        return await told

    async def close(self) -> None:
        """Answer what waits."""
        while self._work:
            await asyncio.wait(self._work)

    async def _answer_all(self, network: UUID) -> None:
        waiting, taken = self._waiting[network], list[_Question[Asked, Told]]()
        try:
            while waiting:
                taken, waiting[: self._most] = waiting[: self._most], []
                try:
                    await self._settle(network, taken)
                except Exception as error:  # noqa: BLE001 - it is told to whoever asked
                    # Whoever waits behind an outage has waited for it already, and would for the next.
                    _fail([*taken, *waiting], error)
                    waiting.clear()
        finally:
            # Whoever comes from here on begins anew; only where this task is ended from outside is anybody left.
            del self._waiting[network]
            for _, told in [*taken, *waiting]:
                told.cancel()

    async def _settle(self, network: UUID, taken: Sequence[_Question[Asked, Told]]) -> None:
        """Answer questions, together or else each by itself; raises what says that the database is away."""
        try:
            async with self._db.begin(network) as connection:
                # Whoever has hung up by now is not asked for: a hold would be kept that nobody knows of.
                left = [one for one in taken if not one[1].done()]
                answers = await self._answer(connection, network, [asked for asked, _ in left]) if left else []
            told_all = list(zip((told for _, told in left), answers, strict=True))
        except Exception as error:
            if is_outage(error) and not is_conflict(error):
                raise
            if len(taken) == 1:
                _fail(taken, error)
                return
            for one in taken:
                await self._settle(network, [one])
            return
        for told, answer in told_all:
            if not told.done():
                told.set_result(answer)


def _fail(asked: Sequence[_Question[Any, Any]], error: Exception) -> None:
    for _, told in asked:
        if not told.done():
            told.set_exception(error)
            # Whoever hung up asks for no exception; it is not one that nobody looked at.
            told.exception()
