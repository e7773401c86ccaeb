"""When jobs run in a serving process: every hour, spread out so that several workers do not start as one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

from apscheduler.schedulers.asyncio import AsyncIOScheduler

from loyalty_desk.domain.clock import Clock
from server.jobs.bench import Bench
from server.jobs.clock_watch import ClockWatch
from server.jobs.nightly import run_all

_SPREAD_S = 300
_FIRST = timedelta(minutes=1)


@asynccontextmanager
async def scheduled(bench: Bench, clock: Clock) -> AsyncIterator[None]:
    """Run the jobs every hour while the block lasts; one that is running when it ends resumes with the next server.

    Hourly although most is done once a day: a network's day begins by its own clock, and a night without a server is
    made good by the first hour with one.
    """
    scheduler = AsyncIOScheduler(timezone="UTC")
    scheduler.add_job(
        run_all,
        "interval",
        [bench, clock.now, ClockWatch(clock.monotonic_ms)],
        hours=1,
        jitter=_SPREAD_S,
        coalesce=True,
        max_instances=1,
        misfire_grace_time=None,
        next_run_time=datetime.now(UTC) + _FIRST,
    )
    scheduler.start()
    try:
        yield
    finally:
        scheduler.shutdown(wait=False)
