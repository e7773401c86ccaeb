"""What a till redeems in a day without proof: what it voids counts no more, and what it was told counts as it was."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

import pytest

from loyalty_desk.domain.record import ExceptionKind, RecordKind, SealedRecord
from server.ledger.old_uses import forget_uses
from server.ledger.posting import flag_bits
from server.networks.profiles import set_profile
from tests.server.fake_till import FakeTill
from tests.server.ledger.returns import give_back, whole
from tests.server.ledger.test_guards import posted, set_clock
from tests.server.world import World

pytestmark = [pytest.mark.anyio, pytest.mark.postgres]
EVIDENCE = flag_bits([ExceptionKind.EVIDENCE])
# Four outages of 5 000 points, 100 each time.
MOST = 200


def redeem(till: FakeTill, guest: UUID, count: int, points: int = 100) -> list[SealedRecord]:
    return [till.sale(guest, redeemed=points) for _ in range(count)]


def void(till: FakeTill, guest: UUID, sale: SealedRecord, points: int = 100) -> None:
    give_back(till, sale.id, guest, whole(0, points), RecordKind.VOID)


async def charged(world: World, till: FakeTill, sizes: tuple[int, ...] = ()) -> list[int]:
    """Push a till's journal in pieces of these sizes and then the rest; return the sales charged to its store."""
    found: list[int] = []
    first = 0
    for size in (*sizes, len(till.of_epoch)):
        part = till.of_epoch[first : first + size]
        if part:
            results = (await world.push(till, till.push(part))).results
            found += [one.seq for one in results if one.flags & EVIDENCE]
            first += len(part)
    return found


@pytest.mark.parametrize("sizes", [(), (1, 202, 2), (150, 60, 1, 1), (203, 3)])
async def test_what_a_till_voids_gives_its_room_back_in_whatever_pieces_it_comes(
    world: World, sizes: tuple[int, ...]
) -> None:
    till, (guest,) = await world.till(), await world.guests()
    set_clock(world, till)
    sales = redeem(till, guest.id, MOST + 1)
    for sale in (sales[3], sales[MOST], sales[3]):
        void(till, guest.id, sale)
    redeem(till, guest.id, 3)
    # One beyond the bound is charged; two voids leave room for one more, and a second void of a sale for none.
    assert await charged(world, till, sizes) == [MOST + 2, MOST + 7, MOST + 8]
    assert await posted(world, "offline_loss") == -200
    assert await world.sql("select sum(points)::bigint from unproved_use") == [((MOST + 2) * 100,)]
    await world.require_sound()


async def test_what_another_till_voids_gives_no_room_back(world: World) -> None:
    till, other, (guest,) = await world.till(), await world.till(), await world.guests()
    set_clock(world, till, other)
    sales = redeem(till, guest.id, MOST)
    assert await charged(world, till) == []
    void(other, guest.id, sales[0])
    await world.push(other)
    redeem(till, guest.id, 1)
    # Which of the two came first is chance: who is charged must not depend on it.
    assert await charged(world, till) == [MOST + 2]


async def lowered(world: World, till: FakeTill, hours: int, **limits: object) -> None:
    """Lower the limits, and let time pass before the till sells again."""
    await world.limit(**limits)
    world.clock.at += timedelta(hours=hours)
    set_clock(world, till)


async def test_what_was_redeemed_while_more_was_allowed_is_not_charged(world: World) -> None:
    await world.limit(device_points=10_000, cvm={"ld1": 200})
    till, (guest,) = await world.till(), await world.guests()
    world.clock.at = datetime.combine(
        world.clock.at.date() + timedelta(days=1), datetime.min.time(), world.clock.at.tzinfo
    )
    set_clock(world, till)
    redeem(till, guest.id, MOST, 200)
    await lowered(world, till, 23, device_points=1_000, cvm={"ld1": 50})
    # It has not pulled for 23 hours, as it may: to its knowledge all is as it was.
    redeem(till, guest.id, 1, 150)
    assert await charged(world, till) == [MOST + 2]
    ((facts,),) = await world.sql("select facts from exception where kind = 'VELOCITY'")
    assert facts == {"unproved": 40_150, "limit": 40_000}


async def test_what_was_redeemed_while_the_store_had_another_profile_is_not_charged(world: World) -> None:
    till, (guest,) = await world.till(), await world.guests()
    set_clock(world, till)
    async with world.ground.db.begin(world.network) as connection:
        changes = ["cvm.ld1=50", "max_age_hours=48"]
        await set_profile(connection, world.network, till.store, "kiosk", changes, world.clock.now())
    world.clock.at += timedelta(hours=23)
    set_clock(world, till)
    redeem(till, guest.id, 1, 100)
    assert await charged(world, till) == []
    world.clock.at += timedelta(hours=2)
    set_clock(world, till)
    redeem(till, guest.id, 1, 100)
    assert await charged(world, till) == [3]


async def test_what_was_redeemed_long_after_less_was_allowed_is_charged(world: World) -> None:
    await world.limit(device_points=10_000, cvm={"ld1": 200})
    till, (guest,) = await world.till(), await world.guests()
    set_clock(world, till)
    await lowered(world, till, 23, cvm={"ld1": 50})
    redeem(till, guest.id, 1, 200)
    await lowered(world, till, 2, device_points=1_000)
    redeem(till, guest.id, 1, 50)
    redeem(till, guest.id, 1, 51)
    world.clock.at += timedelta(days=2)
    set_clock(world, till)
    redeem(till, guest.id, 2 * MOST + 1, 50)
    assert await charged(world, till) == [4, 2 * MOST + 5]


async def test_days_long_past_are_forgotten_and_may_be_forgotten_again(world: World) -> None:
    till, (guest,) = await world.till(), await world.guests()
    set_clock(world, till)
    redeem(till, guest.id, 3)
    await world.push(till)
    world.clock.at += timedelta(days=20)
    set_clock(world, till)
    redeem(till, guest.id, 2, 50)
    await world.push(till)

    async def forget(days: int, limit: int) -> int:
        async with world.ground.db.begin(world.network) as connection:
            return await forget_uses(connection, world.network, world.clock.now() + timedelta(days=days), limit)

    assert [await forget(14, 2), await forget(16, 2), await forget(16, 2), await forget(16, 2)] == [0, 2, 1, 0]
    assert await world.sql("select points from unproved_use") == [(50,), (50,)]
    # What is forgotten is forgotten: its void gives nothing back, to no day.
    void(till, guest.id, till.of_epoch[1])
    await world.push(till)
    assert await world.sql("select points from unproved_use") == [(50,), (50,)]
