"""Metrics: what Prometheus reads, and that nobody is named in it."""

from collections.abc import AsyncIterator

import httpx2
import pytest

from server.kit.ground import Base, Ground
from server.networks.service import MadeNetwork
from server.settings import Settings
from tests.server.world import World, open_world

pytestmark = [pytest.mark.anyio, pytest.mark.postgres]


@pytest.fixture
async def world(ground: Ground, base: Base, settings: Settings, made: MadeNetwork) -> AsyncIterator[World]:
    """The network under test and the application over it."""
    async with open_world(ground, base, settings, made) as found:
        yield found


async def test_figures_are_counted_and_name_nobody(world: World) -> None:
    (guest,) = await world.guests(1, phone="+79161234567")
    till = await world.till()
    till.sale(guest.id, redeemed=10)
    await world.push(till)
    answer = await world.client.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain")
    lines = dict(line.rsplit(" ", 1) for line in answer.text.splitlines() if not line.startswith("#"))
    mine = f'{{network="{world.network}"}}'
    assert lines["loyalty_networks"] == "1"
    assert lines[f"loyalty_exceptions_open{mine}"] >= "1"
    assert lines[f"loyalty_tills_active{mine}"] == "1"
    assert lines[f"loyalty_quarantine_open{mine}"] == "0"
    assert not any(text in answer.text for text in ("Guest", "4567", guest.member_no, str(guest.id)))


async def test_another_machine_is_told_nothing(world: World) -> None:
    transport = httpx2.ASGITransport(app=world.app, client=("10.0.0.7", 1))
    async with httpx2.AsyncClient(transport=transport, base_url="http://server") as client:
        answer = await client.get("/metrics")
    assert (answer.status_code, answer.json()["code"]) == (403, "LOCAL_ONLY")


@pytest.mark.parametrize("header", ["Forwarded", "X-Forwarded-For", "X-Real-IP", "Via"])
async def test_a_proxy_on_this_machine_passes_nothing_on(world: World, header: str) -> None:
    answer = await world.client.get("/metrics", headers={header: "for=10.0.0.7"})
    assert answer.status_code == 403
