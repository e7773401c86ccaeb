"""What was noted of codes is forgotten when no push can ask for it any more, and not a day sooner."""

from __future__ import annotations

from datetime import timedelta

import pytest

from server.ledger.evidence import OLDEST
from server.ledger.old_uses import KEPT, forget_uses
from tests.server.ledger.test_guards import (
    EVIDENCE,
    REPLAY,
    VELOCITY,
    discounted,
    flags,
    posted,
    redeem,
    set_clock,
    shown_by,
)
from tests.server.world import World

pytestmark = [pytest.mark.anyio, pytest.mark.postgres]
MINUTE = timedelta(minutes=1)


async def forgotten(world: World, limit: int = 5_000) -> int:
    async with world.ground.db.begin(world.network) as connection:
        return await forget_uses(connection, world.network, world.clock.now(), limit)


@pytest.mark.parametrize(("later", "found", "lost"), [(-MINUTE, REPLAY, 0), (timedelta(days=2), EVIDENCE, -100)])
async def test_a_step_that_comes_again_is_told_of_while_it_proves_and_proves_nothing_once_it_is_forgotten(
    world: World, later: timedelta, found: int, lost: int
) -> None:
    one, other, (guest,) = await world.till(), await world.till(), await world.guests()
    one.sale(guest.id, earned=500)
    set_clock(world, one, other)
    (code,) = await shown_by(world, guest.id)
    redeem(one, guest.id, 100, code)
    redeem(other, guest.id, 100, code)
    await world.push(one)
    world.clock.at += OLDEST + later
    assert await forgotten(world) == (0 if later < timedelta() else 1)
    assert (await flags(world, other))[-1] == found
    assert await posted(world, "offline_loss") == lost
    await world.require_sound()


async def test_steps_are_kept_a_day_longer_than_they_prove_and_are_forgotten_in_parts(world: World) -> None:
    till, (guest,) = await world.till(), await world.guests()
    till.sale(guest.id, earned=500)
    set_clock(world, till)
    for code in await shown_by(world, guest.id, 3):
        redeem(till, guest.id, 10, code)
        till.clock.now_ms += 30_000
    world.clock.at += 2 * MINUTE
    await world.push(till)
    world.clock.at += OLDEST + timedelta(days=1)
    assert await forgotten(world) == 0
    world.clock.at += MINUTE
    assert [await forgotten(world, 2), await forgotten(world, 2), await forgotten(world, 2)] == [2, 1, 0]


@pytest.mark.parametrize(("later", "found"), [(-MINUTE, VELOCITY), (MINUTE, 0)])
async def test_a_guests_day_over_two_tills_is_added_up_for_200_days(world: World, later: timedelta, found: int) -> None:
    one, other, (guest,) = await world.till(), await world.till(), await world.guests()
    set_clock(world, one, other)
    for _ in range(3):
        one.sale(guest.id, check=discounted(100))
    other.sale(guest.id, check=discounted(100))
    await world.push(one)
    world.clock.at += KEPT["tier_use"] + later
    assert await forgotten(world) == (0 if found else 3)
    assert (await flags(world, other))[-1] & VELOCITY == found
