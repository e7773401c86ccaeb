"""All jobs of a network, and when each is due. What is done once a day is done in the network's own days."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from datetime import datetime
from uuid import UUID
from zoneinfo import ZoneInfo

from loyalty_desk.domain.days import day_of
from server.jobs.bench import Bench, go_through, guests_behind, last_run
from server.jobs.birthdays import birthdays_page
from server.jobs.clock_watch import PATIENCE, ClockWatch
from server.kit.db import Connection
from server.kit.errors import is_conflict, is_outage, sqlstate
from server.ledger import words
from server.ledger.attention import put_forward
from server.ledger.expiry import expire_due, show_points
from server.ledger.old_uses import forget_uses
from server.ledger.taking_up import take_up_left
from server.ledger.tier_review import review_tiers
from server.ledger.write_off import write_off_due

_LOG = logging.getLogger(__name__)
_TRIES = 5
_BETWEEN_TRIES_S = 0.2


@dataclass(slots=True)
class Worked:
    """What a run has done: entries posted, guests whose figures changed, records put before a person or taken up."""

    expired: int = 0
    birthdays: int = 0
    written_off: int = 0
    tiers: int = 0
    shown: int = 0
    put_forward: int = 0
    taken_up: int = 0

    def __str__(self) -> str:
        return ", ".join(f"{name} {count}" for name, count in asdict(self).items())


async def run_jobs(bench: Bench, network: UUID, now: datetime) -> Worked:
    """Do everything that is due at `now`; called again it does what is left, which may be nothing."""
    period = await _today(bench, network, now)
    made = Worked()
    made.expired = await _until_none(bench, network, lambda c: expire_due(c, network, bench.render, now, bench.page))

    async def birthdays(connection: Connection, after: UUID | None) -> tuple[UUID | None, int]:
        return await birthdays_page(bench, connection, network, now, after)

    async def write_offs(connection: Connection, after: UUID | None) -> tuple[UUID | None, int]:
        program = await bench.program(connection, network)
        clamp = program is not None and program.settings.clamp_to_zero
        return await write_off_due(
            connection, network, bench.render, now, clamp_to_zero=clamp, after=after, limit=bench.page
        )

    async def tiers(connection: Connection, after: UUID | None) -> tuple[UUID | None, int]:
        program = await bench.program(connection, network)
        page = await guests_behind(connection, network, after, bench.page)
        if program is None or not page:
            return None, 0
        return page[-1], await review_tiers(connection, network, bench.render, program, page, now)

    made.birthdays = await go_through(bench, network, "birthdays", period, now, birthdays)
    made.written_off = await go_through(bench, network, "write_offs", period, now, write_offs)
    made.tiers = await go_through(bench, network, "tiers", period, now, tiers)
    made.taken_up = await take_up_left(bench.db, network, bench.tools, now)
    made.put_forward = await _until_none(bench, network, lambda c: put_forward(c, network, now))
    await _until_none(bench, network, lambda c: words.forget_again(c, network))
    await _until_none(bench, network, lambda c: forget_uses(c, network, now))
    made.shown = await _until_none(bench, network, lambda c: show_points(c, network, bench.render, now, bench.page))
    return made


async def run_all(bench: Bench, now: Callable[[], datetime], watch: ClockWatch) -> None:
    """Do what is due in every network; what fails in one is logged, tried again next time, and stops no other."""
    for network in await bench.db.networks():
        try:
            at = now()
            last = await last_run(bench, network, at)
            if not watch.believes(network, at, last):
                _LOG.error(
                    "jobs of %s wait: the clock says %s, they ran last at %s. Set it right; if it is, they run in %d"
                    " hours, or now by: loyalty-server jobs run",
                    network,
                    f"{at:%Y-%m-%d %H:%M}",
                    f"{last:%Y-%m-%d %H:%M}",
                    PATIENCE.total_seconds() // 3_600,
                )
                continue
            made = await _patiently(lambda network=network: run_jobs(bench, network, now()))  # type: ignore[misc]
        except Exception as error:  # noqa: BLE001 - every job resumes where it was
            if is_outage(error):
                _LOG.warning("jobs of %s wait for the database", network)
            else:
                _LOG.error("jobs of %s failed: %s %s", network, type(error).__name__, sqlstate(error) or "")
        else:
            _LOG.info("jobs of %s: %s", network, made)


async def _patiently[T](work: Callable[[], Awaitable[T]]) -> T:
    """Try again where two transactions met: a deadlock ends one of them, and nothing of it was kept."""
    for _ in range(_TRIES - 1):
        try:
            return await work()
        except Exception as error:
            if not is_conflict(error):
                raise
        await asyncio.sleep(_BETWEEN_TRIES_S)
    return await work()


async def _until_none(bench: Bench, network: UUID, page: Callable[[Connection], Awaitable[int]]) -> int:
    done = 0
    while True:
        async with bench.db.begin(network) as connection:
            count = await page(connection)
        if not count:
            return done
        done += count


async def _today(bench: Bench, network: UUID, now: datetime) -> str:
    async with bench.db.begin(network) as connection:
        program = await bench.program(connection, network)
    return day_of(now, ZoneInfo(program.zone if program else "UTC")).isoformat()
