"""Minted points are posted, wait for a manager, and pay for nothing meanwhile."""

from __future__ import annotations

import pytest

from loyalty_desk.domain.record import ExceptionKind
from loyalty_desk.wire.v1.rows import ProfileRow
from server.ledger.ceiling import OLDEST
from server.ledger.posting import flag_bits
from server.verify import verify
from tests.server.world import World

pytestmark = [pytest.mark.anyio, pytest.mark.postgres]
POINTS_A_DAY = ProfileRow().granted_points
VELOCITY = flag_bits([ExceptionKind.VELOCITY])
LOTS = "select amount, remaining, state from lot order by state desc, amount"


async def shown(world: World) -> int:
    return int((await world.sql("select points from guest_state"))[0][0])


async def sound(world: World) -> bool:
    (made,) = await verify(world.ground)
    assert made.findings == []
    return True


async def test_what_one_sale_mints_above_the_cap_of_the_day_is_held(world: World) -> None:
    till, (guest,) = await world.till(), await world.guests()
    till.sale(guest.id, earned=POINTS_A_DAY + 70)
    assert [one.flags for one in (await world.push(till)).results] == [0, VELOCITY]
    assert await world.sql(LOTS) == [(POINTS_A_DAY, POINTS_A_DAY, "open"), (70, 70, "held")]
    assert (await world.balance(guest.id), await shown(world)) == (POINTS_A_DAY + 70, POINTS_A_DAY)
    assert await world.sql("select kind, facts from exception") == [
        ("VELOCITY", {"earned": POINTS_A_DAY + 70, "held": 70})
    ]
    assert await world.sql("select l.state from entry e join lot l on l.id = e.lot_id") == [("open",)]
    assert await sound(world)


async def test_the_cap_counts_over_pushes_and_tills_and_held_points_pay_for_nothing(world: World) -> None:
    one, other, (guest,) = await world.till(), await world.till(), await world.guests()
    one.sale(guest.id, earned=POINTS_A_DAY - 10)
    await world.push(one)
    other.sale(guest.id, earned=25)
    other.sale(guest.id, earned=5)
    assert [found.flags for found in (await world.push(other)).results] == [0, VELOCITY, VELOCITY]
    one.sale(guest.id, redeemed=POINTS_A_DAY + 8)
    await world.push(one)
    assert await world.sql("select posted, debt from account where kind = 'guest'") == [(12, 8)]
    assert await world.sql("select sum(remaining) from lot where state = 'held'") == [(20,)]
    assert await shown(world) == -8
    assert await sound(world)


async def test_held_points_do_not_use_up_the_next_guests_or_days_allowance(world: World) -> None:
    till, (first, second) = await world.till(), await world.guests(2)
    till.sale(first.id, earned=POINTS_A_DAY * 1_000)
    till.sale(second.id, earned=POINTS_A_DAY)
    assert [one.flags for one in (await world.push(till)).results] == [0, VELOCITY, 0]
    world.clock.advance(days=1)
    till.clock.now_ms += 86_400_000
    till.sale(first.id, earned=POINTS_A_DAY)
    assert (await world.push(till)).results[-1].flags == 0
    assert await sound(world)


async def test_days_long_ago_cannot_be_invented_for_more(world: World) -> None:
    till, (guest,) = await world.till(), await world.guests()
    for days in range(20, 0, -1):
        till.sale(guest.id, earned=POINTS_A_DAY, occurred_at=till.clock.now_ms - days * 86_400_000)
    await world.push(till)
    (spendable,) = (await world.sql("select sum(remaining) from lot where state = 'open'"))[0]
    assert spendable <= POINTS_A_DAY * (OLDEST.days + 1)
