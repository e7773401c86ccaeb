"""The nightly work, done once, done again, done by two at once and killed at any statement: the ledger is the same."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import asyncpg
import psycopg
import pytest

from server.jobs.nightly import Worked, run_jobs
from server.kit.errors import is_outage
from tests.server.jobs.conftest import LATER, Lived, audited, fingerprint

pytestmark = [pytest.mark.anyio, pytest.mark.postgres]
KILLS = 50


@contextmanager
def killed(admin: psycopg.Connection, at: int) -> Iterator[None]:
    """End the backend of whoever sends the statement, beginning or commit number `at`."""
    seen = 0

    def counted(ask: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def asked(connection: asyncpg.Connection, *given: Any, **named: Any) -> Any:
            nonlocal seen
            seen += 1
            if seen == at:
                admin.execute("select pg_terminate_backend(%s, 5000)", (connection.get_server_pid(),))
            return await ask(connection, *given, **named)

        return asked

    with pytest.MonkeyPatch.context() as patch:
        for name in ("fetch", "execute"):
            patch.setattr(asyncpg.Connection, name, counted(getattr(asyncpg.Connection, name)))
        yield


async def clean(lived: Lived) -> dict[str, Any]:
    async with lived.copy() as (bench, admin):
        made = await run_jobs(bench, lived.network, LATER)
        assert min(made.expired, made.birthdays, made.written_off, made.tiers, made.shown) > 0, made
        assert (await audited(bench, lived.network)).findings == []
        found = fingerprint(admin)
        assert await run_jobs(bench, lived.network, LATER) == Worked(), "a second run finds nothing to do"
        assert fingerprint(admin) == found
    return found


async def test_two_workers_at_once_do_what_one_does(lived: Lived) -> None:
    expected = await clean(lived)
    async with lived.copy() as (bench, admin):
        made = await asyncio.gather(*[run_jobs(bench, lived.network, LATER) for _ in range(2)])
        assert fingerprint(admin) == expected
        assert sum(one.expired for one in made) == sum(row[1] == "expire" for row in expected["transactions"])
        assert (await audited(bench, lived.network)).findings == []


async def test_killed_fifty_times_at_any_statement_the_result_is_that_of_one_clean_run(lived: Lived) -> None:
    expected = await clean(lived)
    chance = random.Random(29)
    kills = runs = 0
    while kills < KILLS:
        async with lived.copy() as (bench, admin):
            finished = False
            while not finished:
                # A whole run asks some 500 times, one that goes on after a kill much less.
                with killed(admin, chance.randrange(1, chance.choice((60, 525)))):
                    try:
                        await run_jobs(bench, lived.network, LATER)
                        finished = True
                    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
                        assert is_outage(error), error
                        kills += 1
            runs += 1
            assert fingerprint(admin) == expected, f"after {kills} kills"
            assert (await audited(bench, lived.network)).findings == []
    assert runs < KILLS


def rows_of_guest(found: dict[str, Any], guest: UUID) -> list[str]:
    return sorted(row[1] for row in found["transactions"] if row[3] == guest and row[2] == "server")


async def test_each_guest_gets_what_the_rules_say(lived: Lived) -> None:
    async with lived.copy() as (bench, admin):
        await run_jobs(bench, lived.network, LATER)
        found = fingerprint(admin)
        state = {
            row[0]: row[1:] for row in admin.execute("select guest_id, tier, points, spend, visits from guest_state")
        }
        first, second, third = lived.guests[0], lived.guests[1], lived.guests[2]
        # 100 earned, 530 redeemed: 430 owed; 7 of the late check and 50 of the birthday repay, 373 are written off.
        assert rows_of_guest(found, first) == ["adjust", "write_off"]
        assert state[first] == ("BRONZE", 0, 1_000, 1)
        amount = admin.execute(
            "select e.amount from entry e join ledger_tx x on x.id = e.tx_id join account a on a.id = e.account_id"
            " where x.kind = 'write_off' and x.guest_id = %s and a.kind = 'offline_loss' and a.store_id = x.store_id",
            (first,),
        ).fetchone()
        assert amount == (-373,)
        assert rows_of_guest(found, second) == ["adjust", "expire"]
        assert state[second] == ("BRONZE", 50, 0, 0)
        assert rows_of_guest(found, third) == ["adjust", "expire"]
        tiers = admin.execute(
            "select before, after, cause, measured from tier_change where guest_id = %s order by at", (third,)
        ).fetchall()
        assert tiers == [("BRONZE", "SILVER", "reached", 60_000), ("SILVER", "BRONZE", "fell", 0)]
        assert rows_of_guest(found, lived.guests[-1]) == []
        assert state[lived.guests[-1]] == ("BRONZE", 7, 1_000, 1)
        open_overdrafts = admin.execute("select count(*) from exception where kind = 'OVERDRAFT' and state = 'open'")
        assert open_overdrafts.fetchone() == (0,)
