"""Minted points are posted, wait for a manager, and pay for nothing meanwhile."""

from __future__ import annotations

import pytest

from loyalty_desk.domain.record import ExceptionKind
from loyalty_desk.wire.v1.rows import ProfileRow
from server.ledger.ceiling import OLDEST
from server.ledger.posting import flag_bits
from tests.server.ledger.returns import register, whole
from tests.server.ledger.test_returns import exchange
from tests.server.world import World

pytestmark = [pytest.mark.anyio, pytest.mark.postgres]
POINTS_A_DAY = ProfileRow().granted_points
VELOCITY = flag_bits([ExceptionKind.VELOCITY])
LOTS = "select amount, remaining, state from lot order by state desc, amount"


async def shown(world: World) -> int:
    return int((await world.sql("select points from guest_state"))[0][0])


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
    await world.require_sound()


async def test_the_cap_counts_over_pushes_and_tills_and_held_points_pay_for_nothing(world: World) -> None:
    await world.limit(cvm={"ld1": 1 << 40})
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
    await world.require_sound()


async def test_held_points_do_not_use_up_the_next_guests_or_days_allowance(world: World) -> None:
    till, (first, second) = await world.till(), await world.guests(2)
    till.sale(first.id, earned=POINTS_A_DAY * 1_000)
    till.sale(second.id, earned=POINTS_A_DAY)
    assert [one.flags for one in (await world.push(till)).results] == [0, VELOCITY, 0]
    world.clock.advance(days=1)
    till.clock.now_ms += 86_400_000
    till.sale(first.id, earned=POINTS_A_DAY)
    assert (await world.push(till)).results[-1].flags == 0
    await world.require_sound()


async def test_days_long_ago_cannot_be_invented_for_more(world: World) -> None:
    till, (guest,) = await world.till(), await world.guests()
    for days in range(20, 0, -1):
        till.sale(guest.id, earned=POINTS_A_DAY, occurred_at=till.clock.now_ms - days * 86_400_000)
    await world.push(till)
    (spendable,) = (await world.sql("select sum(remaining) from lot where state = 'open'"))[0]
    assert spendable <= POINTS_A_DAY * (OLDEST.days + 1)


async def test_what_waited_for_its_guest_counts_in_their_day(world: World) -> None:
    one, two = await world.till(), await world.till()
    guest, _ = register(one)
    two.sale(guest, earned=POINTS_A_DAY - 10)
    await world.push(two)
    await world.push(one)
    two.sale(guest, earned=25)
    assert [found.flags for found in (await world.push(two)).results][-1] == VELOCITY
    assert await world.sql("select amount from lot where state = 'held'") == [(15,)]
    assert await shown(world) == POINTS_A_DAY
    await world.require_sound()


async def test_points_that_a_claimed_exchange_gave_back_are_not_of_the_day(world: World) -> None:
    await world.limit(cvm={"ld1": 1 << 40})
    one, two = await world.till(), await world.till()
    guest, _ = register(one)
    bought = two.sale(guest, earned=5, redeemed=400)
    exchange(two, bought.id, guest, whole(5, 400), earned=POINTS_A_DAY - 10, redeemed=0)
    await world.push(two)
    await world.push(one)
    two.sale(guest, earned=25)
    assert [found.flags for found in (await world.push(two)).results][-1] == VELOCITY
    # The sale's own points came back, and stand in its day as those of any sale that came back.
    assert await world.sql("select amount from lot where state = 'held'") == [(20,)]
    await world.require_sound()
