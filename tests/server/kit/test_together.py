"""Questions asked together: each gets its own answer, none an older one than itself, and one that fails fails alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, cast
from uuid import UUID, uuid4

import pytest
from asyncpg import DeadlockDetectedError

from server.kit.db import Connection, Database
from server.kit.together import Together

pytestmark = pytest.mark.anyio
NETWORK = uuid4()


@dataclass
class Ledger:
    """A database that is asked for the double of numbers, and notes what was asked together and when it began."""

    asked: list[tuple[UUID, list[int]]] = field(default_factory=list)
    begun: int = 0
    goes_on: asyncio.Event = field(default_factory=asyncio.Event)
    fails_with: Exception | None = None
    goes_away_with: Exception | None = None

    @asynccontextmanager
    async def begin(self, network: UUID) -> AsyncIterator[Any]:
        if self.fails_with is not None:
            raise self.fails_with
        self.begun += 1
        await self.goes_on.wait()
        if self.goes_away_with is not None:
            raise self.goes_away_with
        yield network

    async def double(self, connection: Connection, network: UUID, numbers: Sequence[int]) -> list[int]:
        assert connection is cast("object", network)
        self.asked.append((network, list(numbers)))
        if 13 in numbers:
            raise ZeroDivisionError
        return [2 * one for one in numbers]


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


@pytest.fixture
def together(ledger: Ledger) -> Together[int, int]:
    return Together(cast("Database", ledger), ledger.double, most=4)


async def turned() -> None:
    """Let everybody who can go on do so."""
    for _ in range(20):
        await asyncio.sleep(0)


async def test_what_is_asked_meanwhile_is_asked_together_and_by_a_transaction_that_begins_after_it(
    together: Together[int, int], ledger: Ledger
) -> None:
    first = asyncio.create_task(together.ask(NETWORK, 1))
    await turned()
    assert ledger.begun == 1
    rest = [asyncio.create_task(together.ask(NETWORK, number)) for number in range(2, 8)]
    await turned()
    assert ledger.begun == 1
    ledger.goes_on.set()
    assert await asyncio.gather(first, *rest) == [2, 4, 6, 8, 10, 12, 14]
    # What had begun took in nobody who asked after it; no more than four go at once.
    assert ledger.asked == [(NETWORK, [1]), (NETWORK, [2, 3, 4, 5]), (NETWORK, [6, 7])]
    assert ledger.begun == 3


async def test_networks_are_asked_apart_and_forgotten_when_they_are_answered(
    together: Together[int, int], ledger: Ledger
) -> None:
    other = uuid4()
    ledger.goes_on.set()
    assert await asyncio.gather(*(together.ask(one, 5) for one in (NETWORK, other, NETWORK))) == [10, 10, 10]
    assert sorted(ledger.asked) == sorted([(NETWORK, [5, 5]), (other, [5])])
    assert not together._waiting


async def test_one_that_fails_fails_alone(together: Together[int, int], ledger: Ledger) -> None:
    ledger.goes_on.set()
    said = await asyncio.gather(*(together.ask(NETWORK, one) for one in (1, 13, 2)), return_exceptions=True)
    assert (said[0], said[2]) == (2, 4)
    assert isinstance(said[1], ZeroDivisionError)
    assert await together.ask(NETWORK, 3) == 6


async def test_an_outage_is_told_to_all_of_them_at_once(together: Together[int, int], ledger: Ledger) -> None:
    ledger.fails_with = ConnectionRefusedError("nobody there")
    said = await asyncio.gather(*(together.ask(NETWORK, one) for one in range(3)), return_exceptions=True)
    assert [type(one) for one in said] == [ConnectionRefusedError] * 3
    ledger.fails_with = None
    ledger.goes_on.set()
    assert await together.ask(NETWORK, 3) == 6


async def test_who_waits_behind_an_outage_hears_of_it_with_those_who_met_it(
    together: Together[int, int], ledger: Ledger
) -> None:
    asking = [asyncio.create_task(together.ask(NETWORK, 1))]
    await turned()
    asking += [asyncio.create_task(together.ask(NETWORK, one)) for one in range(2, 12)]
    await turned()
    ledger.goes_away_with = TimeoutError("no connection")
    ledger.goes_on.set()
    said = await asyncio.gather(*asking, return_exceptions=True)
    assert [type(one) for one in said] == [TimeoutError] * 11
    assert ledger.begun == 1
    ledger.goes_away_with = None
    assert await together.ask(NETWORK, 3) == 6


async def test_a_conflict_of_one_alone_is_nobody_elses(ledger: Ledger) -> None:
    async def meets_at_13(connection: Connection, network: UUID, numbers: Sequence[int]) -> list[int]:
        if 13 in numbers:
            raise DeadlockDetectedError
        return [2 * one for one in numbers]

    together = Together(cast("Database", ledger), meets_at_13, most=2)
    asked = [asyncio.create_task(together.ask(NETWORK, number)) for number in (1, 13, 2, 3)]
    await turned()
    ledger.goes_on.set()
    said = await asyncio.gather(*asked, return_exceptions=True)
    assert isinstance(said[1], DeadlockDetectedError)
    assert [said[0], *said[2:]] == [2, 4, 6]


async def test_nothing_is_done_for_who_hung_up_before_it_began(together: Together[int, int], ledger: Ledger) -> None:
    asking = [asyncio.create_task(together.ask(NETWORK, one)) for one in (1, 2, 3, 4, 5, 6, 7)]
    await turned()
    for place in (1, 4, 5):
        asking[place].cancel()
    await turned()
    ledger.goes_on.set()
    await asyncio.wait(asking)
    assert ledger.asked == [(NETWORK, [1, 3, 4]), (NETWORK, [7])]


async def test_where_everybody_hung_up_nothing_is_asked(together: Together[int, int], ledger: Ledger) -> None:
    asking = asyncio.create_task(together.ask(NETWORK, 1))
    await turned()
    asking.cancel()
    await turned()
    ledger.goes_on.set()
    await together.close()
    assert not ledger.asked
    assert await together.ask(NETWORK, 2) == 4


async def test_who_hangs_up_takes_nobody_along(together: Together[int, int], ledger: Ledger) -> None:
    asking = [asyncio.create_task(together.ask(NETWORK, one)) for one in (1, 2, 3)]
    await turned()
    asking[0].cancel()
    asking[2].cancel()
    ledger.goes_on.set()
    assert await asking[1] == 4
    await asyncio.wait(asking)
    assert asking[0].cancelled()
    assert asking[2].cancelled()


async def test_closing_answers_who_waits(together: Together[int, int], ledger: Ledger) -> None:
    asking = asyncio.create_task(together.ask(NETWORK, 1))
    await turned()
    closing = asyncio.create_task(together.close())
    ledger.goes_on.set()
    await closing
    assert await asking == 2


async def test_who_met_a_deadlock_together_is_asked_alone(ledger: Ledger) -> None:
    met: list[int] = []

    async def meets_once(connection: Connection, network: UUID, numbers: Sequence[int]) -> list[int]:
        met.append(len(numbers))
        if len(numbers) > 1:
            raise DeadlockDetectedError
        return [2 * one for one in numbers]

    together = Together(cast("Database", ledger), meets_once, most=4)
    asked = [asyncio.create_task(together.ask(NETWORK, number)) for number in range(1, 5)]
    await turned()
    ledger.goes_on.set()
    assert await asyncio.gather(*asked) == [2, 4, 6, 8]
    assert met == [4, 1, 1, 1, 1]


async def test_answers_that_are_too_few_leave_nobody_waiting(ledger: Ledger) -> None:
    async def one_short(connection: Connection, network: UUID, numbers: Sequence[int]) -> list[int]:
        return [2 * one for one in numbers][:-1]

    together = Together(cast("Database", ledger), one_short, most=4)
    ledger.goes_on.set()
    said = await asyncio.gather(*(together.ask(NETWORK, number) for number in range(6)), return_exceptions=True)
    assert [type(one) for one in said] == [ValueError] * 6
