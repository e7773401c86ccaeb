"""Reviewing tiers keeps nobody at the counter waiting, and reckons with what was posted while it looked."""

import asyncio
from contextlib import closing
from datetime import timedelta
from uuid import UUID

import psycopg
import pytest

from server.jobs.bench import Bench, guests_behind
from server.jobs.nightly import run_jobs
from server.ledger.tier_review import review_tiers
from tests.server.conftest import superuser
from tests.server.jobs.conftest import LATER, Lived

pytestmark = [pytest.mark.anyio, pytest.mark.postgres]
PATIENCE_S = 20
NIGHT = LATER + timedelta(days=1)


async def review(bench: Bench, network: UUID) -> int:
    async with bench.db.begin(network) as connection:
        program = await bench.program(connection, network)
        assert program is not None
        page = await guests_behind(connection, network, None, 100)
        return await review_tiers(connection, network, bench.render, program, page, NIGHT)


async def somebody_waits(admin: psycopg.Connection) -> None:
    while not admin.execute("select 1 from pg_locks where not granted").fetchall():  # noqa: ASYNC110 - another process
        await asyncio.sleep(0.01)


async def test_who_does_not_change_is_reviewed_while_somebody_else_posts(lived: Lived) -> None:
    async with lived.copy() as (bench, admin):
        await run_jobs(bench, lived.network, LATER)
        with closing(superuser(lived.cluster, admin.info.dbname)) as posting, posting.transaction():
            posting.execute("select 1 from account a join guest_state using (network_id, guest_id) for update")
            assert await asyncio.wait_for(review(bench, lived.network), PATIENCE_S) == 0


async def test_what_is_posted_between_looking_and_locking_counts(lived: Lived) -> None:
    guest = lived.guests[1]
    async with lived.copy() as (bench, admin):
        await run_jobs(bench, lived.network, LATER)
        admin.execute("update guest_state set visits = visits + 1 where guest_id = %s", (guest,))
        with closing(superuser(lived.cluster, admin.info.dbname)) as posting:
            with posting.transaction():
                posting.execute("select 1 from guest_state where guest_id = %s for update", (guest,))
                posting.execute(
                    "insert into tier_grant (network_id, id, guest_id, tier, since, until, reason)"
                    " values (%s, gen_random_uuid(), %s, 'GOLD', %s, %s, 'a friend of the house')",
                    (lived.network, guest, LATER, LATER + timedelta(days=30)),
                )
                reviewing = asyncio.create_task(review(bench, lived.network))
                await asyncio.wait_for(somebody_waits(admin), PATIENCE_S)
            assert await asyncio.wait_for(reviewing, PATIENCE_S) == 1
        assert admin.execute("select tier from guest_state where guest_id = %s", (guest,)).fetchall() == [("GOLD",)]
