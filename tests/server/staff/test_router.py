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


async def try_from(world: World, peer: str, forwarded: str | None) -> int:
    """Return the status of a wrong login by `peer`, who names `forwarded` as the one it speaks for."""
    transport = httpx2.ASGITransport(app=world.app, client=(peer, 40_000))
    headers = {"Content-Type": codec.CONTENT_TYPE} | ({} if forwarded is None else {"X-Forwarded-For": forwarded})
    async with httpx2.AsyncClient(transport=transport, base_url="http://server") as client:
        body = codec.encode(LogIn(world.network, f"guess-{uuid4()}", "x"))
        return (await client.post("/api/v1/staff/login", content=body, headers=headers)).status_code


async def test_nobody_is_believed_to_speak_for_others_unless_named(world: World) -> None:
    tries = [await try_from(world, "10.0.0.5", f"203.0.113.{number}") for number in range(6)]
    assert tries == [403] * 5 + [429]
    assert await try_from(world, "10.0.0.6", "10.0.0.5") == 403


async def test_behind_a_proxy_that_is_named_each_is_counted_alone(
    ground: Ground, base: Base, settings: Settings, made: MadeNetwork
) -> None:
    trusting = settings.model_copy(update={"trusted_proxies": "127.0.0.1, 10.1.0.0/16"})
    async with open_world(ground, base, trusting, made) as world:
        assert [await try_from(world, "127.0.0.1", "203.0.113.1") for _ in range(6)] == [403] * 5 + [429]
        assert await try_from(world, "127.0.0.1", "203.0.113.2") == 403
        # What the guesser says of itself stands before what the proxies have seen.
        assert await try_from(world, "127.0.0.1", "198.51.100.7, 203.0.113.1, 10.1.2.3") == 429
        # Who is no proxy is not believed, and a proxy that names nobody is itself.
        assert [await try_from(world, "192.0.2.9", f"203.0.113.{number}") for number in range(6)] == [403] * 5 + [429]
        assert [await try_from(world, "10.1.0.1", None) for _ in range(6)] == [403] * 5 + [429]
