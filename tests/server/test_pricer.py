"""Pricing again in a process of its own: it works, begins anew when killed, ends with the server."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable

import psutil
import pytest

from server import pricer
from server.kit.ground import Base, Ground
from server.kit.process import command_line
from server.ledger.repricing import Repricer
from server.networks.service import MadeNetwork
from server.settings import Settings
from tests.server.world import World, open_world

WITHIN_S = 60


@pytest.fixture
def of_this_database(monkeypatch: pytest.MonkeyPatch, base: Base, settings: Settings) -> None:
    monkeypatch.setenv("DATABASE_URL", base.app.render_as_string(hide_password=False))
    monkeypatch.setenv("LOYALTY_DATA_DIR", str(settings.data_dir))
    monkeypatch.setenv("LOYALTY_WITNESS_DIR", str(settings.witness_dir))
    assert settings.master_key is not None
    monkeypatch.setenv("LOYALTY_MASTER_KEY", settings.master_key.get_secret_value())


def started() -> list[psutil.Process]:
    return [one for one in psutil.Process().children() if "server.pricer" in (command_line(one.pid) or ())]


@pytest.fixture
async def world(ground: Ground, base: Base, settings: Settings, made: MadeNetwork) -> AsyncIterator[World]:
    async with open_world(ground, base, settings, made) as opened:
        yield opened


async def until(found: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(WITHIN_S):
        while not await found():  # noqa: ASYNC110 - another process works
            await asyncio.sleep(0.05)


@pytest.mark.anyio
@pytest.mark.postgres
@pytest.mark.usefixtures("of_this_database")
async def test_what_waits_is_priced_and_a_killed_process_begins_again(
    world: World, monkeypatch: pytest.MonkeyPatch, expect_log: Callable[[str], None]
) -> None:
    async def nothing(_self: Repricer, _network: object, _limit: int = 0) -> int:
        return 0

    monkeypatch.setattr(Repricer, "step", nothing)  # the application's own, so that only the other process works
    expect_log("has ended with")
    till = await world.till()
    till.sale(total=1, check={"program_version": 77})
    await world.push(till)

    async def done() -> bool:
        return await world.sql("select count(*) from reprice_queue") == [(0,)]

    assert not await done()
    with pricer.beside():
        await until(done)
        (first,) = started()
        os.kill(first.pid, signal.SIGKILL)

        async def anew() -> bool:
            return any(one.pid != first.pid for one in started())

        await until(anew)
        till.sale(total=1, check={"program_version": 77})
        await world.push(till)
        await until(done)
    assert not started()
    assert len(await world.sql("select 1 from exception where kind = 'RULE_DRIFT'")) == 2
