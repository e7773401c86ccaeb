"""Points expire, and a redemption made while they lived arrives: in their grace, and long after it."""

from __future__ import annotations

import asyncio
from uuid import UUID

import pytest

from loyalty_desk.domain.record import ExceptionKind
from server.guests import merging
from server.ledger.late import Expired, Late, parts_back
from server.ledger.posting import flag_bits
from tests.server.fake_till import T0, FakeTill
from tests.server.ledger.expiring import DAY_MS, LATE_EXPIRY, expire, on_day, points_live
from tests.server.world import World

pytestmark = [pytest.mark.anyio, pytest.mark.postgres]
OVERDRAFT = flag_bits([ExceptionKind.OVERDRAFT])


async def last(world: World, till: FakeTill) -> int:
    return (await world.push(till)).results[-1].flags


async def lived(world: World, earned: int = 100) -> tuple[FakeTill, FakeTill, UUID]:
    """Return two tills and a guest who was given points on day 0."""
    await points_live(world, "days", 10)
    one, other, (guest,) = await world.till(), await world.till(), await world.guests()
    one.sale(guest.id, earned=earned, total=earned * 10_000)
    on_day(world, 0)
    await world.push(one)
    return one, other, guest.id


async def test_scenario_27_within_the_grace_a_redemption_uses_the_lot_itself(world: World) -> None:
    _, other, guest = await lived(world)
    on_day(world, 8, other)
    other.sale(guest, redeemed=60)
    on_day(world, 14)
    assert await expire(world) == 0
    assert await last(world, other) == 0
    assert await world.balance(guest) == 40
    on_day(world, 20)
    assert await expire(world) == 1
    assert await world.balance(guest) == 0
    await world.require_sound()


async def test_scenario_28_long_after_it_the_points_come_back_for_it_and_the_rest_stays_dead(world: World) -> None:
    one, other, guest = await lived(world)
    on_day(world, 8, other)
    other.sale(guest, redeemed=60)
    on_day(world, 28)
    assert await expire(world) == 1
    one.clock.now_ms = T0 + 28 * DAY_MS
    one.sale(guest, earned=500, total=5_000_000)
    await world.push(one)
    assert await last(world, other) == LATE_EXPIRY
    # What was earned since is untouched: the sale took what it would have taken on its day.
    assert await world.balance(guest) == 500
    kinds = "select kind, count(*) from ledger_tx where origin = 'server' group by 1 order by 1"
    assert await world.sql(kinds) == [("expire", 1), ("reinstate", 1)]
    assert await world.sql("select posted from account where kind = 'breakage'") == [(40,)]
    assert await world.sql("select count(*) from exception where kind = 'LATE_EXPIRY'") == [(1,)]
    assert await last(world, other) == 0  # a duplicate
    on_day(world, 30)
    assert await expire(world) == 0
    await world.require_sound()


async def test_more_than_had_expired_is_taken_from_what_there_is_and_two_sales_share(world: World) -> None:
    _, other, guest = await lived(world)
    on_day(world, 8, other)
    other.sale(guest, redeemed=60)
    other.sale(guest, redeemed=60)
    on_day(world, 28)
    await expire(world)
    assert [one.flags for one in (await world.push(other)).results][1:] == [LATE_EXPIRY, LATE_EXPIRY | OVERDRAFT]
    assert await world.balance(guest) == -20
    assert await world.sql("select posted from account where kind = 'breakage'") == [(0,)]
    await world.require_sound()


async def test_what_was_redeemed_after_its_end_brings_nothing_back(world: World) -> None:
    _, other, guest = await lived(world)
    on_day(world, 12, other)
    other.sale(guest, redeemed=60)
    on_day(world, 28)
    await expire(world)
    assert await last(world, other) == OVERDRAFT
    assert await world.balance(guest) == -60


async def test_points_of_a_guest_merged_since_come_back_to_the_survivor(world: World) -> None:
    _, other, guest = await lived(world)
    (survivor,) = await world.guests()
    on_day(world, 8, other)
    other.sale(guest, redeemed=60)
    on_day(world, 28)
    await expire(world)
    await merging.merge(world.ground, world.network, guest, survivor.id, world.clock.now())
    assert await last(world, other) == LATE_EXPIRY
    assert (await world.balance(guest), await world.balance(survivor.id)) == (0, 0)
    await world.require_sound()


async def test_two_late_tills_at_once_share_what_had_expired(world: World) -> None:
    one, other, guest = await lived(world)
    on_day(world, 8, one, other)
    for till in (one, other):
        till.sale(guest, redeemed=80)
    on_day(world, 28)
    await expire(world)
    found = await asyncio.gather(last(world, one), last(world, other))
    assert sorted(found) == [LATE_EXPIRY, LATE_EXPIRY | OVERDRAFT]
    assert await world.balance(guest) == -60
    await world.require_sound()


def test_the_earliest_to_die_comes_back_first_and_only_what_lived_then() -> None:
    guest, other, sale = (UUID(int=number) for number in range(3))

    def lot(number: int, earned: int, expires: int, left: int, owner: UUID = guest) -> Expired:
        return Expired(owner, UUID(int=100 + number), earned, expires, False, left)

    lots = [lot(1, 0, 50, 5), lot(2, 0, 20, 5), lot(3, 30, 60, 5), lot(4, 0, 40, 0), lot(5, 0, 40, 9, other)]
    late = Late(sale, guest, 7, 20)
    assert [(one.expiry.int - 100, points) for one, points in parts_back(late, lots)] == [(1, 5)]
    late = Late(sale, guest, 7, 19)
    assert [(one.expiry.int - 100, points) for one, points in parts_back(late, lots)] == [(2, 5), (1, 2)]
