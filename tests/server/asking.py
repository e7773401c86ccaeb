"""Requests of a till beside the sync protocol, signed as it signs them."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import httpx2

from loyalty_desk.wire.v1 import codec
from loyalty_desk.wire.v1.holds import HoldAnswer, HoldRequest
from server.guests import service as guests
from server.ledger.own import OwnPosting
from server.ledger.posting import PROMO_COST
from tests.server.fake_till import FakeTill
from tests.server.world import World, read

BASE = "/api/v1"


async def ask(world: World, till: FakeTill, path: str, message: object, method: str = "POST") -> httpx2.Response:
    """Send a signed request and return whatever came."""
    body = b"" if message is None else codec.encode(message)
    target = f"{BASE}/{path}"
    return await world.client.request(method, target, content=body, headers=till.headers(method, target, body))


def hold_of(till: FakeTill, guest: UUID, amount: int, code: str = "ld1", **fields: object) -> HoldRequest:
    """Return a request for a hold."""
    given: dict[str, object] = {"id": uuid4(), **fields}
    return HoldRequest(till.network, till.device, guest=guest, amount=amount, code=code, **given)  # type: ignore[arg-type]


async def hold(world: World, till: FakeTill, asked: HoldRequest) -> HoldAnswer:
    """Ask for a hold and return the answer."""
    return read(HoldAnswer, await ask(world, till, "holds", asked))


async def guest_with(world: World, till: FakeTill, points: int) -> UUID:
    """Return a guest to whom so many points were given; what `till` has written so far is pushed."""

    async def render(connection: Any, network: UUID, ids: Any) -> Any:
        return await guests.changes(connection, network, world.ground.vault, ids)

    (made,) = await world.guests()
    await world.push(till)
    async with world.ground.db.begin(world.network) as connection:
        posting = await OwnPosting.lock(connection, world.network, [made.id], world.clock.now())
        posting.credit(made.id, f"gift:{made.id}", "adjust", points, PROMO_COST, {})
        await posting.write(render)
    return made.id
