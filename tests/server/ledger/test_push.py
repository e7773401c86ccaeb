"""Pushing over the real application into the real database: once, whole, in order, and nothing lost."""

from __future__ import annotations

import asyncio
from uuid import uuid4

import pytest

from loyalty_desk.wire.v1.sync import Status
from tests.server.world import World

pytestmark = [pytest.mark.anyio, pytest.mark.postgres]


async def test_a_sale_is_posted_with_its_legs_its_lot_and_the_guests_new_balance(world: World) -> None:
    till = await world.till()
    (guest,) = await world.guests()
    till.sale(guest.id, earned=50, total=100_000)
    till.sale(guest.id, earned=7, redeemed=20, total=20_000)
    answer = await world.push(till)
    assert [one.status for one in answer.results] == [Status.POSTED] * 3
    assert await world.balance(guest.id) == 37
    assert await world.sql("select kind, posted from account where kind <> 'guest' order by kind") == [
        ("liability", 20),
        ("promo_cost", -57),
    ]
    assert await world.sql("select amount, remaining, state from lot order by amount") == [
        (7, 7, "open"),
        (50, 30, "open"),
    ]
    assert await world.sql("select tier, points, spend, visits, first_visit::text from guest_state") == [
        ("BRONZE", 37, 120_000, 2, "2026-03-02")
    ]
    assert await world.sql("select sum(amount) from entry") == [(0,)]
