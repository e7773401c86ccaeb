"""Requests of a till beside the sync protocol, signed as it signs them."""

from __future__ import annotations

from uuid import UUID, uuid4

import httpx2

from loyalty_desk.wire.v1 import codec
from loyalty_desk.wire.v1.holds import HoldAnswer, HoldRequest
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
    """Return a guest who has so many points, from a sale of this till."""
    (made,) = await world.guests()
    till.sale(made.id, earned=points)
    await world.push(till)
    return made.id
