"""A clock that has leapt ends nobody's points: the jobs wait until it has stood there for some hours."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import psycopg
import pytest

from server.jobs.bench import Bench
from server.jobs.clock_watch import LEAP, PATIENCE, ClockWatch
from server.jobs.nightly import run_all
from server.ledger.shelf import ProgramShelf
from tests.server.ledger.conftest import world
from tests.server.world import World

__all__ = ["world"]

HERE, ELSEWHERE = uuid4(), uuid4()
LAST = datetime(2026, 3, 1, tzinfo=UTC)


class Ticks:
    """Milliseconds that move when told."""

    def __init__(self) -> None:
        self.at = 5

    def __call__(self) -> int:
        return self.at


def test_a_leap_is_believed_when_it_has_lasted() -> None:
    ticks = Ticks()
    watch = ClockWatch(ticks)
    assert watch.believes(HERE, LAST, None)
    assert watch.believes(HERE, LAST + LEAP, LAST)
    assert watch.believes(HERE, LAST - timedelta(days=4_000), LAST)  # nothing ends by a clock that stands behind
    leapt = LAST + LEAP + timedelta(seconds=1)
    assert not watch.believes(HERE, leapt, LAST)
    ticks.at += PATIENCE // timedelta(milliseconds=1) - 1
    assert not watch.believes(HERE, leapt + PATIENCE, LAST)
    assert not watch.believes(ELSEWHERE, leapt, LAST)
    ticks.at += 1
    assert watch.believes(HERE, leapt + PATIENCE, LAST)
    assert not watch.believes(ELSEWHERE, leapt, LAST)


def test_a_clock_that_was_set_right_is_watched_anew() -> None:
    ticks = Ticks()
    watch = ClockWatch(ticks)
    assert not watch.believes(HERE, LAST + timedelta(days=365), LAST)
    assert watch.believes(HERE, LAST + timedelta(hours=1), LAST)
    ticks.at += PATIENCE // timedelta(milliseconds=1)
    assert not watch.believes(HERE, LAST + timedelta(days=365), LAST)


@pytest.mark.anyio
@pytest.mark.postgres
async def test_a_year_ahead_for_an_hour_expires_nothing(
    world: World, admin: psycopg.Connection, expect_log: Callable[[str], None]
) -> None:
    admin.execute("update network set created_at = %s", (world.clock.now(),))
    expect_log("the clock says .*they ran last at .*jobs run")
    till, (guest,) = await world.till(), await world.guests()
    till.sale(guest.id, earned=50)
    await world.push(till)
    await world.sql("update lot set expires_at = $1 returning 1", world.clock.now() + timedelta(days=90))
    ticks = Ticks()
    bench, watch = Bench(world.ground.db, world.ground.vault, ProgramShelf()), ClockWatch(ticks)
    await run_all(bench, world.clock.now, watch)
    world.clock.at += timedelta(days=365)
    await run_all(bench, world.clock.now, watch)
    assert await world.balance(guest.id) == 50
    world.clock.at -= timedelta(days=365)
    await run_all(bench, world.clock.now, watch)
    world.clock.at += timedelta(days=365)
    await run_all(bench, world.clock.now, watch)
    ticks.at += PATIENCE // timedelta(milliseconds=1)
    await run_all(bench, world.clock.now, watch)
    assert await world.balance(guest.id) == 0
    # So long it stood there that it was believed; what it did then does not make a leap of months believed.
    till.sale(guest.id, earned=70)
    world.clock.at -= timedelta(days=365)
    await world.push(till)
    await world.sql("update lot set expires_at = $1 where remaining > 0 returning 1", world.clock.now())
    await run_all(bench, world.clock.now, watch)
    world.clock.at += timedelta(days=200)
    await run_all(bench, world.clock.now, watch)
    assert await world.balance(guest.id) == 70


@pytest.mark.anyio
@pytest.mark.postgres
async def test_the_first_jobs_of_a_network_do_not_believe_a_clock_a_year_ahead(
    world: World, admin: psycopg.Connection, expect_log: Callable[[str], None]
) -> None:
    expect_log("the clock says .*they ran last at .*jobs run")
    admin.execute("update network set created_at = %s", (world.clock.now(),))
    till, (guest,) = await world.till(), await world.guests()
    till.sale(guest.id, earned=50)
    await world.push(till)
    await world.sql("update lot set expires_at = $1 returning 1", world.clock.now() + timedelta(days=90))
    bench, watch = Bench(world.ground.db, world.ground.vault, ProgramShelf()), ClockWatch(Ticks())
    world.clock.at += timedelta(days=365)
    await run_all(bench, world.clock.now, watch)
    assert await world.balance(guest.id) == 50
