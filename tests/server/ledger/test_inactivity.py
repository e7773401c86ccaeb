"""Under the inactivity policy a check lengthens the life of points, however late its till comes (INV-19)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from loyalty_desk.domain.canonical import Json
from loyalty_desk.domain.clock import from_ms
from server.ledger.own import OwnPosting
from server.ledger.posting import PROMO_COST
from server.programs import defaults
from server.programs import service as programs
from tests.server.fake_till import T0
from tests.server.world import World

DAY_MS = 86_400_000
pytestmark = [pytest.mark.anyio, pytest.mark.postgres]


async def ends(world: World) -> dict[int, datetime | None]:
    return dict(await world.sql("select amount, expires_at from lot"))


async def bonus(world: World, guest: UUID, points: int, expires_at: datetime) -> None:
    """Give points with an end of their own, as a birthday does."""

    async def nothing(*_: object) -> list[Any]:
        return []

    async with world.ground.db.begin(world.network) as connection:
        posting = await OwnPosting.lock(connection, world.network, [guest], world.clock.now())
        posting.credit(guest, "gift", "adjust", points, PROMO_COST, {}, expires_at=expires_at, own_expiry=True)
        await posting.write(nothing)


async def test_a_late_check_shortens_nothing_and_reaches_points_that_a_later_one_met_as_dead(world: World) -> None:
    async with world.ground.db.begin(world.network) as connection:
        content: dict[str, Json] = {**defaults.mixed("RUB"), "expiry": {"type": "inactivity", "days": 2}}
        await programs.publish(connection, world.network, content, "UTC")
    (guest,) = await world.guests()
    early, late = await world.till(), await world.till()
    midnight = from_ms(T0).replace(hour=0, minute=0, second=0, microsecond=0)
    world.clock.at = from_ms(T0 + 60_000)
    early.sale(guest.id, earned=10, total=100_000)
    await world.push(early)
    gift = midnight + timedelta(days=9)
    await bonus(world, guest.id, 7, gift)
    assert await ends(world) == {10: midnight + timedelta(days=3), 7: gift}

    world.clock.at = from_ms(T0 + 4 * DAY_MS)
    late.clock.now_ms = T0 + 4 * DAY_MS - 60_000
    late.sale(guest.id)
    await world.push(late)
    assert await ends(world) == {10: midnight + timedelta(days=3), 7: gift}

    early.clock.now_ms = T0 + 2 * DAY_MS
    early.sale(guest.id, earned=3)
    await world.push(early)
    six_days = midnight + timedelta(days=7)
    assert await ends(world) == {10: six_days, 3: six_days, 7: gift}
    assert await world.sql("select own_expiry from lot where amount = 7") == [(True,)]
