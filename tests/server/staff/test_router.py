"""Logging in over HTTP."""

from collections.abc import AsyncIterator
from uuid import uuid4

import httpx2
import pytest

from loyalty_desk.wire.v1 import codec
from server.kit.ground import Base, Ground
from server.networks.service import MadeNetwork
from server.settings import Settings
from server.staff import logins, service
from server.staff.router import GoOn, LoggedIn, LogIn
from tests.server.world import World, open_world, read, refusal

pytestmark = [pytest.mark.anyio, pytest.mark.postgres]
PASSWORD = "correct horse battery"


@pytest.fixture
async def world(ground: Ground, base: Base, settings: Settings, made: MadeNetwork) -> AsyncIterator[World]:
    """A network with an owner, and the application over it."""
    async with open_world(ground, base, settings, made) as found:
        async with ground.db.begin(found.network) as connection:
            who = uuid4()
            await service.put(connection, found.network, service.Member(who, "Olga", "owner"))
            await logins.set_login(connection, found.network, who, "olga", PASSWORD, found.clock.now())
        yield found


async def post(world: World, path: str, message: object, token: str = "") -> httpx2.Response:
    headers = {"Content-Type": codec.CONTENT_TYPE, "Authorization": f"Bearer {token}"}
    return await world.client.post(f"/api/v1/staff/{path}", content=codec.encode(message), headers=headers)


async def test_in_on_and_out(world: World) -> None:
    first = read(LoggedIn, await post(world, "login", LogIn(world.network, "olga", PASSWORD)))
    second = read(LoggedIn, await post(world, "refresh", GoOn(world.network, first.refresh)))
    assert second.role == "owner"
    assert (await post(world, "logout", {}, second.access)).status_code == 200
    assert refusal(await post(world, "logout", {}, second.access)) == (401, "BAD_TOKEN")
    assert refusal(await post(world, "refresh", GoOn(world.network, second.refresh))) == (401, "BAD_TOKEN")


async def test_wrong_is_told_from_nothing_and_limited(world: World) -> None:
    for message in (
        LogIn(world.network, "olga", "x"),
        LogIn(world.network, "nobody", "x"),
        LogIn(uuid4(), "olga", "x"),
    ):
        assert refusal(await post(world, "login", message)) == (403, "BAD_TOKEN")
    for _ in range(3):
        assert (await post(world, "login", LogIn(world.network, "olga", "x"))).status_code == 403
    late = await post(world, "login", LogIn(world.network, "olga", PASSWORD))
    assert refusal(late) == (429, "TOO_MANY")
    assert late.headers["retry-after"] == "600"
    assert refusal(await post(world, "login", {"login": 1})) == (400, "BAD_BODY")
