"""Under the inactivity policy a check made in time keeps points alive, whenever its till comes (INV-19)."""

from __future__ import annotations

import random
from dataclasses import dataclass
from uuid import UUID

import pytest

from loyalty_desk.domain.canonical import Json
from loyalty_desk.domain.record import RecordKind
from server.guests import merging
from tests.server.fake_till import FakeTill
from tests.server.ledger.expiring import LATE_EXPIRY, expire, on_day, points_live
from tests.server.ledger.returns import give_back, whole
from tests.server.world import World

pytestmark = [pytest.mark.anyio, pytest.mark.postgres]
LIVES, DAYS, GUESTS = 10, 60, 24


async def left(world: World) -> int:
    """Return what the network still owes its guests in all, once it is checked to be sound."""
    await world.require_sound()
    return int((await world.sql("select coalesce(sum(remaining), 0) from lot where state = 'open'"))[0][0])


async def earned_on_day_0(world: World) -> tuple[FakeTill, FakeTill, UUID]:
    await points_live(world, "inactivity", LIVES)
    one, other, (guest,) = await world.till(), await world.till(), await world.guests()
    on_day(world, 0, one)
    one.sale(guest.id, earned=100, total=1_000_000)
    await world.push(one)
    return one, other, guest.id


async def test_a_check_made_in_time_brings_back_what_expired_before_its_till_came(world: World) -> None:
    one, other, guest = await earned_on_day_0(world)
    on_day(world, 9, other)
    other.sale(guest)
    on_day(world, 18, one)
    assert await expire(world) == 1
    one.sale(guest)
    await world.push(one)
    assert await world.balance(guest) == 0
    assert (await world.push(other)).results[-1].flags == LATE_EXPIRY
    # The late check keeps them to day 19, so the one of day 18 met them alive and keeps them to day 28.
    assert await world.balance(guest) == 100
    assert await world.sql("select posted from account where kind = 'breakage'") == [(0,)]
    assert (await world.push(other)).results[-1].flags == 0  # a duplicate brings nothing twice
    on_day(world, 35)
    assert await expire(world) == 0
    on_day(world, 37)
    assert await expire(world) == 1
    assert await left(world) == 0


async def test_what_was_spent_meanwhile_is_covered_again(world: World) -> None:
    one, other, guest = await earned_on_day_0(world)
    on_day(world, 9, other)
    other.sale(guest)
    on_day(world, 18, one)
    await expire(world)
    one.sale(guest, redeemed=60)
    await world.push(one)
    assert await world.balance(guest) == -60
    await world.push(other)
    assert await world.balance(guest) == 40
    assert await left(world) == 40


async def test_a_check_made_after_their_end_brings_nothing_back(world: World) -> None:
    _, other, guest = await earned_on_day_0(world)
    on_day(world, 11, other)
    other.sale(guest)
    on_day(world, 25)
    assert await expire(world) == 1
    assert (await world.push(other)).results[-1].flags == 0
    assert await world.balance(guest) == 0


async def test_each_late_check_that_spends_or_keeps_what_was_dead_shows(world: World) -> None:
    _, other, guest = await earned_on_day_0(world)
    for day, redeemed in ((9, 0), (18, 0), (18, 30), (5, 0), (26, 0), (30, 10), (38, 0)):
        on_day(world, day, other)
        other.sale(guest, redeemed=redeemed)
    on_day(world, 40)
    assert await expire(world) == 1
    # The clock of day 5 ran backwards, and the check of day 38 is no older than any till may be.
    flags = [one.flags & LATE_EXPIRY for one in (await world.push(other)).results[1:]]
    assert flags == [LATE_EXPIRY, LATE_EXPIRY, LATE_EXPIRY, 0, LATE_EXPIRY, LATE_EXPIRY, 0]
    assert await world.balance(guest) == 60
    assert await world.sql("select count(*) from exception where kind = 'LATE_EXPIRY'") == [(5,)]


@pytest.mark.parametrize("kind", [RecordKind.VOID, RecordKind.REFUND])
@pytest.mark.parametrize("at_once", [True, False])
async def test_a_return_of_a_check_that_woke_points_shows_and_leaves_them_awake(
    world: World, *, kind: RecordKind, at_once: bool
) -> None:
    one, other, guest = await earned_on_day_0(world)
    on_day(world, 9, other)
    sale = other.sale(guest)
    on_day(world, 18, one)
    await expire(world)
    one.sale(guest, redeemed=60)
    await world.push(one)
    if not at_once:
        await world.push(other)
    other.clock.now_ms += 60_000
    returned = give_back(other, sale.id, guest, whole(0, 0), kind)
    assert (await world.push(other)).results[-1].flags == LATE_EXPIRY
    told = await world.sql("select facts from exception where kind = 'LATE_EXPIRY' and tx_id = $1", returned.id)
    assert told == [({"of": str(sale.id)},)]
    # Taken back with it, they would be owed by a guest who spent them while the check stood: it is a person's to judge.
    assert await world.balance(guest) == 40


async def test_points_with_an_end_of_their_own_stay_dead(world: World) -> None:
    one, other, guest = await earned_on_day_0(world)
    on_day(world, 2, one)
    own: dict[str, Json] = {"program_version": 1, "own_expiry": [{"rule": "gift", "points": 50, "days": 3}]}
    one.sale(guest, earned=50, total=500_000, check=own)
    await world.push(one)
    for day in (4, 14):
        on_day(world, day, other)
        other.sale(guest)
    on_day(world, 22)
    assert await expire(world) == 2
    assert [one.flags for one in (await world.push(other)).results] == [0, LATE_EXPIRY, LATE_EXPIRY]
    assert await world.balance(guest) == 100


async def test_points_of_a_guest_merged_since_come_back_to_the_survivor(world: World) -> None:
    _, other, guest = await earned_on_day_0(world)
    (survivor,) = await world.guests()
    on_day(world, 9, other)
    other.sale(guest)
    on_day(world, 25)
    await expire(world)
    await merging.merge(world.ground, world.network, guest, survivor.id, world.clock.now())
    await world.push(other)
    assert (await world.balance(guest), await world.balance(survivor.id)) == (0, 100)
    on_day(world, 27)
    assert await expire(world) == 1
    assert await left(world) == 0


@dataclass(frozen=True)
class Check:
    """What one guest does on one day at one till."""

    day: int
    till: int
    earned: int
    redeemed: int


def life(draw: random.Random) -> list[Check]:
    """Return the checks of a guest who never spends more than is alive."""
    made: list[Check] = []
    alive, ends = 0, -1
    for day in sorted(draw.sample(range(DAYS), draw.randint(2, 8))):
        # A check of a day keeps what lives through that day ten days more.
        alive = alive if day <= ends else 0
        redeemed = draw.randint(0, min(alive, 90)) if draw.random() < 0.4 else 0
        earned = draw.randint(0, 90)
        alive, ends = alive - redeemed + earned, day + LIVES
        made.append(Check(day, draw.randrange(3), earned, redeemed))
    return made


@pytest.mark.parametrize("seed", [1, 2])
async def test_late_tills_end_as_those_that_came_every_day(world: World, seed: int) -> None:
    draw = random.Random(seed)
    await points_live(world, "inactivity", LIVES)
    lives = [life(draw) for _ in range(GUESTS)]
    punctual, late = await world.guests(GUESTS), await world.guests(GUESTS)
    daily, tills = await world.till(), [await world.till() for _ in range(3)]
    comes = [{DAYS, *draw.sample(range(DAYS), 3)} for _ in tills]
    for day in range(DAYS + 1):
        on_day(world, day, daily, *tills)
        await expire(world)
        for number, checks in enumerate(lives):
            for one in [check for check in checks if check.day == day]:
                daily.sale(punctual[number].id, earned=one.earned, redeemed=one.redeemed, total=1_000_000)
                tills[one.till].sale(late[number].id, earned=one.earned, redeemed=one.redeemed, total=1_000_000)
        await world.push(daily)
        for place, till in enumerate(tills):
            if day in comes[place]:
                await world.push(till)
    assert await world.sql("select count(*) > 0 from ledger_tx where kind = 'reinstate'") == [(True,)]
    for more in (1, LIVES, LIVES + 9):
        on_day(world, DAYS + more)
        while await expire(world):
            pass
        for one, other, checks in zip(punctual, late, lives, strict=True):
            assert await world.balance(one.id) == await world.balance(other.id), (more, checks, comes)
    assert await left(world) == 0
