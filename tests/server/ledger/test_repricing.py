"""Pushed sales are priced again by the same kernel: what differs is an exception, never a rejection."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from datetime import UTC
from typing import Any
from uuid import UUID

import psycopg
import pytest

from loyalty_desk.domain.basket import Basket
from loyalty_desk.domain.canonical import Json
from loyalty_desk.domain.check import check_to_payload
from loyalty_desk.domain.clock import from_ms
from loyalty_desk.domain.pricing import Choices, quote
from loyalty_desk.domain.program import Program
from server.kit.db import Database
from server.ledger.repricing import OLDEST, Repricer
from server.ledger.shelf import ProgramShelf
from server.programs import service as programs
from tests.server.fake_till import FakeTill
from tests.server.world import World

pytestmark = [pytest.mark.anyio, pytest.mark.postgres]


async def in_force(world: World) -> Program:
    async with world.ground.db.begin(world.network) as connection:
        found = await programs.current(connection, world.network)
    assert found is not None
    return found


def sell(till: FakeTill, program: Program, amount: int = 100_000, **changed: Json) -> None:
    """Write an anonymous sale as the till's kernel prices it, then `changed` in its check."""
    basket = Basket.of_amount("RUB", amount, zone=UTC)
    at = till.clock.now_ms + 1_000
    quoted = quote(basket, None, program, from_ms(at))
    check = check_to_payload(basket, None, Choices(), quoted) | changed
    till.sale(total=quoted.total, check=check)


async def drained(world: World) -> list[tuple[Any, ...]]:
    async with asyncio.timeout(20):
        while (await world.sql("select count(*) from reprice_queue"))[0][0]:  # noqa: ASYNC110 - another task works
            await asyncio.sleep(0.01)
    return await world.sql("select facts from exception where kind = 'RULE_DRIFT' order by id")


async def test_an_honest_sale_leaves_no_trace_and_a_wrong_one_says_what_differs(world: World) -> None:
    till, program = await world.till(), await in_force(world)
    sell(till, program)
    sell(till, program, discount_total=70, total=99_930)
    answer = await world.push(till)
    assert [one.status.value for one in answer.results] == ["posted"] * 3
    ((facts,),) = await drained(world)
    assert {one["field"]: (one["claimed"], one["priced"]) for one in facts["differences"]} == {
        "discount_total": (70, 0),
        "total": (99_930, 100_000),
        "record_money_total": (100_000, 99_930),
    }


async def test_an_unknown_program_and_an_unreadable_check_are_said_and_stop_nothing(world: World) -> None:
    till, program = await world.till(), await in_force(world)
    sell(till, program, program_version=77)
    sell(till, program, lines=[{"net": "x"}])
    sell(till, program)
    await world.push(till)
    assert [facts["reason"] for (facts,) in await drained(world)] == ["program_unknown", "check_unreadable"]


async def test_what_waits_is_done_once_by_two_workers_after_a_restart(world: World) -> None:
    till, program = await world.till(), await in_force(world)
    for _ in range(30):
        sell(till, program, total=1)
    await world.push(till)
    await drained(world)
    again = "insert into reprice_queue (network_id, tx_id) select network_id, id from ledger_tx where kind = 'sale'"
    await world.sql(f"{again} returning 1")
    workers = [Repricer(world.ground.db, ProgramShelf()) for _ in range(2)]
    done = 0
    for _ in range(10):
        done += sum(await asyncio.gather(*(worker.step(world.network, 5) for worker in workers)))
    assert (await world.sql("select count(*) from reprice_queue")) == [(0,)]
    assert len(await drained(world)) == 30
    assert done == 30


class PoisonedFirst(Repricer):
    """A repricer whose first network cannot be worked on."""

    async def step(self, network: UUID, limit: int = 200) -> int:
        if network == FIRST:
            raise RuntimeError("poison")
        return await super().step(network, limit)


class TwoNetworks(Database):
    """The database of one network that names another before it."""

    def __init__(self, real: Database) -> None:
        self.begin = real.begin  # type: ignore[method-assign]
        self._found = real.networks

    async def networks(self) -> list[UUID]:
        return [FIRST, *await self._found()]


FIRST = UUID(int=1)
QUEUE_AGAIN = "insert into reprice_queue (network_id, tx_id) select network_id, id from ledger_tx where kind = 'sale'"


async def test_what_stops_one_network_does_not_stop_the_next(world: World, expect_log: Callable[[str], None]) -> None:
    expect_log("pricing again failed")
    till, program = await world.till(), await in_force(world)
    sell(till, program, total=1)
    await world.push(till)
    await drained(world)
    await world.sql(f"{QUEUE_AGAIN} returning 1")
    working = asyncio.create_task(PoisonedFirst(TwoNetworks(world.ground.db), ProgramShelf()).run())
    assert len(await drained(world)) == 1
    working.cancel()
    await asyncio.gather(working, return_exceptions=True)


async def test_a_stored_record_that_cannot_be_read_is_said_and_stops_nothing(
    world: World, admin: psycopg.Connection, expect_log: Callable[[str], None]
) -> None:
    expect_log("cannot be read")
    till, program = await world.till(), await in_force(world)
    sell(till, program)
    sell(till, program, total=1)
    await world.push(till)
    await drained(world)
    admin.execute("set session_replication_role = replica")
    admin.execute("delete from exception")
    admin.execute("update ledger_tx set payload = 'x' where seq = 2")
    await world.sql(f"{QUEUE_AGAIN} returning 1")
    assert await Repricer(world.ground.db, ProgramShelf()).step(world.network) == 2
    assert sorted(str(facts.get("reason")) for (facts,) in await drained(world)) == ["None", "record_unreadable"]


async def test_another_program_under_the_same_version_is_a_difference(world: World) -> None:
    till, program = await world.till(), await in_force(world)
    sell(till, program, program_hash="A" * 43)
    await world.push(till)
    ((facts,),) = await drained(world)
    assert [one["field"] for one in facts["differences"]] == ["program_hash"]


def handled(node: dict[str, Any]) -> int:
    """Return how many rows a plan and all below it gave or looked at in vain."""
    rows = sum(node.get(key, 0) for key in ("Actual Rows", "Rows Removed by Filter", "Rows Removed by Join Filter"))
    return int(rows * node["Actual Loops"]) + sum(map(handled, node.get("Plans", ())))


async def test_a_queue_that_was_empty_when_it_was_last_looked_at_is_not_gone_through_for_each_sale(
    world: World, admin: psycopg.Connection
) -> None:
    till, program = await world.till(), await in_force(world)
    for _ in range(300):
        sell(till, program)
    await world.push(till)
    await drained(world)
    admin.execute("analyze")
    admin.execute(QUEUE_AGAIN)
    ((found,),) = await world.sql(f"explain (analyze, format json) {OLDEST}", world.network, 100)
    assert handled(found[0]["Plan"]) < 10 * 300


class Slow(Repricer):
    """A repricer that takes its time for each look, and finds `found` sales at every other one; none is real."""

    def __init__(self, db: Database, found: int) -> None:
        super().__init__(db, ProgramShelf(), look_every_s=0.01)
        self.found = found
        self.looks = 0
        self.looked_again = asyncio.Event()

    async def step(self, network: UUID, limit: int = 200) -> int:
        self.looks += 1
        if self.looks == 3:
            self.looked_again.set()
        await asyncio.sleep(0.1 if self.looks % 2 else 0)
        return self.found if self.looks % 2 else 0


@pytest.mark.parametrize(("found", "is_soon"), [(1, True), (0, False)])
async def test_who_has_priced_looks_again_soon_and_who_has_looked_in_vain_rests(
    world: World, found: int, is_soon: bool
) -> None:
    repricer = Slow(world.ground.db, found)
    working = asyncio.create_task(repricer.run())
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(repricer.looked_again.wait(), 1.5)
    working.cancel()
    await asyncio.gather(working, return_exceptions=True)
    assert repricer.looked_again.is_set() is is_soon
