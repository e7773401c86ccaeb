"""Limits: so many tries in a while and a day, counted together whoever counts."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from server.kit.ground import Ground
from server.kit.limits import LOGIN, LOOKUP, Limit, forgive, take
from server.networks.service import MadeNetwork

pytestmark = [pytest.mark.anyio, pytest.mark.postgres]
NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


async def tried(ground: Ground, made: MadeNetwork, limit: Limit, at: datetime, subject: str = "anna") -> int | None:
    async with ground.db.begin(made.network.id) as connection:
        return await take(connection, made.network.id, limit, subject, at)


async def test_five_logins_in_ten_minutes_and_the_sixth_waits(ground: Ground, made: MadeNetwork) -> None:
    for minute in range(5):
        assert await tried(ground, made, LOGIN, NOON + timedelta(minutes=minute)) is None
    assert await tried(ground, made, LOGIN, NOON + timedelta(minutes=5)) == 300
    assert await tried(ground, made, LOGIN, NOON + timedelta(minutes=5), "boris") is None
    assert await tried(ground, made, LOGIN, NOON + timedelta(minutes=10)) is None
    assert await tried(ground, made, LOGIN, NOON + timedelta(minutes=10)) == 60
    async with ground.db.begin(made.network.id) as connection:
        await forgive(connection, made.network.id, LOGIN, "anna")
    assert await tried(ground, made, LOGIN, NOON + timedelta(minutes=10)) is None


async def test_sixteen_at_once_get_no_more_than_the_limit(ground: Ground, made: MadeNetwork) -> None:
    found = await asyncio.gather(*[tried(ground, made, LOGIN, NOON) for _ in range(16)])
    assert sum(one is None for one in found) == LOGIN.times


async def test_a_stolen_till_cannot_read_out_the_guests(ground: Ground, made: MadeNetwork) -> None:
    small = Limit(LOOKUP.what, 3, LOOKUP.within, 7)
    allowed = [await tried(ground, made, small, NOON + timedelta(seconds=10 * n), "till") for n in range(60)]
    assert allowed.count(None) == 7
    assert allowed[-1] == 12 * 3600 - 590
    assert await tried(ground, made, small, NOON + timedelta(days=1), "till") is None
    assert (LOOKUP.times, LOOKUP.within, LOOKUP.a_day) == (60, timedelta(minutes=1), 2_000)
