"""Days that pass, and the job that lets points die: shared by the tests of what comes after it."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from loyalty_desk.domain.canonical import Json
from loyalty_desk.domain.clock import from_ms
from loyalty_desk.domain.record import ExceptionKind
from server.guests import service
from server.kit import feed
from server.ledger.expiry import expire_due
from server.ledger.posting import flag_bits
from server.programs import defaults
from server.programs import service as programs
from tests.server.fake_till import T0, FakeTill
from tests.server.world import World

DAY_MS = 86_400_000
LATE_EXPIRY = flag_bits([ExceptionKind.LATE_EXPIRY])


async def points_live(world: World, policy: str, days: int) -> None:
    """Publish a program whose points expire by a policy."""
    async with world.ground.db.begin(world.network) as connection:
        content: dict[str, Json] = {**defaults.mixed("RUB"), "expiry": {"type": policy, "days": days}}
        published = await programs.publish(connection, world.network, content, "UTC")
        await feed.record(connection, world.network, [published.change])


async def expire(world: World) -> int:
    """Run the nightly job once; return what it says."""

    async def render(connection: Any, network: UUID, guests: Any) -> Any:
        return await service.changes(connection, network, world.ground.vault, guests)

    async with world.ground.db.begin(world.network) as connection:
        return await expire_due(connection, world.network, render, world.clock.now())


def on_day(world: World, day: int, *tills: FakeTill) -> None:
    """Let it be a day, at the server and at these tills."""
    world.clock.at = from_ms(T0 + day * DAY_MS + 300_000)
    for till in tills:
        till.clock.now_ms = T0 + day * DAY_MS
