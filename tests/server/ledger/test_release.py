"""A manager names the last record of a revoked till that is believed: up to it everything posts, and nothing beyond."""

from __future__ import annotations

import asyncio
from uuid import UUID, uuid4

import pytest

from loyalty_desk.domain.errors import BadInput, Refused
from loyalty_desk.domain.record import RecordKind
from server.ledger.release import Released, release
from server.ledger.shelf import ProgramShelf
from server.services import ledger_tools
from tests.server.fake_till import FakeTill
from tests.server.ledger.returns import give_back, whole
from tests.server.world import World

pytestmark = [pytest.mark.anyio, pytest.mark.postgres]
MANAGER = UUID(int=8)


async def let_go(world: World, number: int, note: str = "The till was found") -> Released:
    tools = ledger_tools(world.ground, ProgramShelf())
    return await release(world.ground.db, tools, world.network, number, MANAGER, note, world.clock.now())


async def revoke(world: World, till: FakeTill) -> None:
    await world.sql("update device set state = 'revoked' where id = $1 returning 1", till.device)


async def row_of(world: World, till: FakeTill, seq: int) -> int:
    found = await world.sql("select id from quarantine where device_id = $1 and seq = $2", till.device, seq)
    return int(found[0][0])


async def test_scenario_44_of_300_set_aside_the_first_100_are_released(world: World) -> None:
    till, (guest,) = await world.till(), await world.guests()
    for _ in range(99):
        till.sale(guest.id, earned=1)
    assert (await world.push(till)).results[-1].status == "posted"
    await revoke(world, till)
    for _ in range(300):
        till.sale(guest.id, earned=1)
    for start in (100, 300):
        await world.push(till, till.push(till.of_epoch[start : start + 200]))
    assert await world.sql("select count(*), min(reason) from quarantine") == [(300, "AFTER_REVOCATION")]
    assert await let_go(world, await row_of(world, till, 200)) == Released(100, 0, 0)
    assert await world.balance(guest.id) == 199
    states = "select state, count(*), min(seq), max(seq) from quarantine group by 1 order by 1"
    assert await world.sql(states) == [("open", 200, 201, 400), ("replayed", 100, 101, 200)]
    named = "select distinct resolver, note from quarantine where state = 'replayed'"
    assert await world.sql(named) == [(MANAGER, "The till was found")]
    answer = await world.push(till, till.push(till.of_epoch[190:210]))
    assert [one.status for one in answer.results] == ["duplicate"] * 10 + ["quarantined"] * 10
    await world.require_sound()


async def test_the_rest_is_released_later_and_nothing_twice(world: World) -> None:
    till, (guest,) = await world.till(), await world.guests()
    await world.push(till)
    await revoke(world, till)
    for _ in range(4):
        till.sale(guest.id, earned=10)
    await world.push(till)
    first, last = await row_of(world, till, 3), await row_of(world, till, 5)
    found = await asyncio.gather(let_go(world, first), let_go(world, last), return_exceptions=True)
    assert sum(one.posted for one in found if isinstance(one, Released)) in (4, 2)
    if any(isinstance(one, Refused) for one in found):
        await let_go(world, last)
    assert await world.balance(guest.id) == 40
    with pytest.raises(Refused, match="quarantine_settled"):
        await let_go(world, last)


async def test_a_refund_among_them_waits_for_its_sale_and_what_is_no_record_stays(world: World) -> None:
    till, other, (guest,) = await world.till(), await world.till(), await world.guests()
    sale = other.sale(guest.id, earned=50)
    await world.push(till)
    await revoke(world, till)
    give_back(till, sale.id, guest.id, whole(50, 0))
    broken = till.write(RecordKind.VOID, guest_id=guest.id)
    till.sale(guest.id, earned=5)
    await world.push(till)
    assert await let_go(world, await row_of(world, till, 4)) == Released(1, 1, 1)
    assert await world.sql("select record_id, reason from quarantine where state = 'open'") == [
        (broken.id, "BAD_SCHEMA")
    ]
    await world.push(other)
    assert await world.balance(guest.id) == 5


async def test_only_what_came_after_a_revocation_is_released_and_never_without_a_reason(world: World) -> None:
    till, (guest,) = await world.till(), await world.guests()
    give_back(till, UUID(int=3), guest.id, whole(1, 0))
    till.write(RecordKind.VOID, guest_id=guest.id)
    await world.push(till)
    number = await row_of(world, till, 3)
    with pytest.raises(Refused, match="quarantine_kept"):
        await let_go(world, number)
    with pytest.raises(BadInput, match="note_missing"):
        await let_go(world, number, " ")
    with pytest.raises(Refused, match="quarantine_unknown"):
        await let_go(world, 999)


async def test_a_store_that_the_network_has_not_is_charged_by_no_release(world: World) -> None:
    till, (guest,) = await world.till(), await world.guests()
    await world.push(till)
    await revoke(world, till)
    till.sale(guest.id, earned=1)
    mine, till.store = till.store, uuid4()
    till.sale(guest.id, earned=7, redeemed=1)
    till.store = mine
    till.sale(guest.id, earned=1)
    await world.push(till)
    assert await let_go(world, await row_of(world, till, 4)) == Released(2, 0, 1)
    assert await world.balance(guest.id) == 2
    kept = "select reason, detail from quarantine where state = 'open'"
    assert await world.sql(kept) == [("BAD_SCHEMA", "its store is none of this network")]
    with pytest.raises(Refused, match="quarantine_kept"):
        await let_go(world, await row_of(world, till, 3))
    await world.require_sound()
