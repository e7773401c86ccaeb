"""Held points: approved they can be spent and repay what is owed, denied they are gone; decided once, by somebody."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from uuid import UUID, uuid4

import psycopg
import pytest

from loyalty_desk.domain.errors import BadInput, Refused
from server.guests import service as guests
from server.kit.db import Connection
from server.kit.feed import Change
from server.ledger import approvals
from tests.server.world import World

pytestmark = [pytest.mark.anyio, pytest.mark.postgres]
BY = uuid4()


async def waiting(world: World) -> list[approvals.HeldLot]:
    async with world.ground.db.begin(world.network) as connection:
        return await approvals.held_lots(connection, world.network)


async def decide(world: World, lot: UUID, *, is_approved: bool, note: str = "looked at the receipts") -> int:
    async def render(connection: Connection, network: UUID, ids: Sequence[UUID]) -> list[Change]:
        return await guests.changes(connection, network, world.ground.vault, ids)

    async with world.ground.db.begin(world.network) as connection:
        return await approvals.decide(
            connection, world.network, lot, is_approved=is_approved, by=BY, note=note, render=render,
            now=world.clock.now(),
        )  # fmt: skip


async def spendable(world: World, guest: UUID) -> int:
    async with world.ground.db.begin(world.network) as connection:
        (view,) = await guests.repository.views(connection, world.network, [guest])
    return view.state.points


async def minted(world: World, redeemed: int = 0) -> tuple[UUID, approvals.HeldLot]:
    await world.limit(cvm={"ld1": 1 << 40})
    till = await world.till()
    (guest,) = await world.guests()
    till.sale(guest.id, earned=5_000)
    if redeemed:
        till.sale(guest.id, redeemed=redeemed)
    till.sale(guest.id, earned=700)
    await world.push(till)
    (lot,) = await waiting(world)
    assert (lot.guest, lot.amount) == (guest.id, 700)
    return guest.id, lot


@pytest.mark.parametrize("is_approved", [True, False])
async def test_held_points_are_spent_after_a_yes_and_gone_after_a_no(
    world: World, admin: psycopg.Connection, is_approved: bool
) -> None:
    guest, lot = await minted(world)
    assert await spendable(world, guest) == 5_000
    assert await decide(world, lot.id, is_approved=is_approved) == 700
    assert await spendable(world, guest) == (5_700 if is_approved else 5_000)
    assert await world.balance(guest) == (5_700 if is_approved else 5_000)
    assert await waiting(world) == []
    row = admin.execute("select state, resolver, note from exception where kind = 'VELOCITY'").fetchone()
    assert row == ("resolved", BY, "looked at the receipts")
    with pytest.raises(Refused, match="held_settled"):
        await decide(world, lot.id, is_approved=not is_approved)
    await world.require_sound()


async def test_approved_points_repay_what_is_owed_first(world: World) -> None:
    guest, lot = await minted(world, redeemed=5_300)
    assert await spendable(world, guest) == -300
    await decide(world, lot.id, is_approved=True)
    assert await spendable(world, guest) == 400
    await world.require_sound()


async def test_of_two_who_decide_at_once_one_has(world: World) -> None:
    guest, lot = await minted(world)
    work = [decide(world, lot.id, is_approved=number % 2 == 0) for number in range(6)]
    done = await asyncio.gather(*work, return_exceptions=True)
    assert sum(one == 700 for one in done) == 1
    assert {str(one.code) for one in done if isinstance(one, Refused)} == {"held_settled"}
    assert await spendable(world, guest) in (5_000, 5_700)


async def test_without_a_reason_or_a_lot_nothing_is_decided(world: World) -> None:
    _, lot = await minted(world)
    with pytest.raises(BadInput, match="note_missing"):
        await decide(world, lot.id, is_approved=True, note=" ")
    with pytest.raises(Refused, match="held_unknown"):
        await decide(world, uuid4(), is_approved=True)
    assert [one.id for one in await waiting(world)] == [lot.id]


async def test_points_that_were_taken_back_leave_the_day_as_it_was(world: World, admin: psycopg.Connection) -> None:
    set_limit = "update profile set settings = settings || jsonb_build_object('granted_points', %s::int)"
    till, (guest,) = await world.till(), await world.guests()
    await asyncio.to_thread(admin.execute, set_limit, (0,))
    till.sale(guest.id, earned=4_000)
    await world.push(till)
    (lot,) = await waiting(world)
    await decide(world, lot.id, is_approved=False)
    await asyncio.to_thread(admin.execute, set_limit, (5_000,))
    till.sale(guest.id, earned=5_000)
    assert (await world.push(till)).results[-1].flags == 0
    assert await waiting(world) == []
