"""Anything that the OpenAPI document allows, and much that it does not, sent to every path: no answer is a fault.

Cases come from schemathesis. Paths of tills are signed and speak for the till that signs, so that what is generated
reaches the service behind the signature; every status that comes back has to be in the document, with a sentence.
"""

from __future__ import annotations

import asyncio
import base64
import importlib
import pkgutil
from collections.abc import AsyncIterator, Mapping
from typing import Any
from uuid import uuid4

import httpx2
import msgspec
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings

from loyalty_desk.wire import v1
from loyalty_desk.wire.v1 import codec
from loyalty_desk.wire.v1.errors import ErrorAnswer
from server.checks import schemas as checks
from server.guests import router as guests_router
from server.kit.ground import Base, Ground
from server.networks.service import MadeNetwork
from server.settings import Settings
from server.staff import router as staff_router
from server.systems import service as systems
from tests.server.asking import guest_with
from tests.server.fake_till import FakeTill
from tests.server.world import World, open_world

pytestmark = [pytest.mark.anyio, pytest.mark.postgres]
EXAMPLES = 20
LITTLE = settings(
    max_examples=EXAMPLES,
    phases=[Phase.explicit, Phase.generate],
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
KINDS: Mapping[str, type] = {
    kind.__name__: kind
    for module in (
        *(importlib.import_module(f"{v1.__name__}.{one.name}") for one in pkgutil.iter_modules(v1.__path__)),
        checks,
        staff_router,
        guests_router,
    )
    for kind in vars(module).values()
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct)
}


@schemathesis.serializer(codec.CONTENT_TYPE)
def as_msgpack(_: schemathesis.SerializationContext, value: Any) -> bytes:
    """Tell schemathesis that bodies of this kind can be sent; `body_of` does it."""
    return msgspec.msgpack.encode(value, enc_hook=str)


@pytest.fixture
async def world(ground: Ground, base: Base, settings: Settings, made: MadeNetwork) -> AsyncIterator[World]:
    async with open_world(ground, base, settings, made) as found:
        yield found


async def test_no_path_of_the_document_answers_anything_with_a_fault(world: World) -> None:
    till = await world.till()
    guest = await guest_with(world, till, 500)
    async with world.ground.db.begin(world.network) as connection:
        store = world.made.stores[0].id
        _, bearer = await systems.add(connection, world.network, "shop", store, world.clock.now())
    document = (await world.client.get("/openapi.json")).json()
    loop = asyncio.get_running_loop()
    tried: dict[str, set[int]] = {}

    async def send(case: Any, operation: Any) -> None:
        known = {"network": str(world.network), "device": str(till.device), "guest": str(guest)}
        known |= {"incarnation": str(till.incarnation), "id": str(uuid4())}
        response = await answer_to(world, till, bearer, case, known)
        name = f"{operation.method.upper()} {operation.path}"
        tried.setdefault(name, set()).add(response.status_code)
        # The first load is being made in the background: that is an answer, with when to ask again.
        waits = response.status_code == 503 and b"SNAPSHOT_WAITS" in response.content
        assert response.status_code < 500 or waits, (name, case.body, response.content)
        documented = operation.definition.raw["responses"]
        assert str(response.status_code) in documented or response.status_code in (400, 404, 405, 422), name
        if response.status_code >= 400 and response.headers["content-type"] == codec.CONTENT_TYPE:
            error = codec.decode(ErrorAnswer, response.content)
            assert error.code.isupper()
            assert error.text.strip()

    def generate() -> None:
        schema = schemathesis.openapi.from_dict(document)
        for found in schema.get_all_operations():
            operation = found.ok()

            def one(case: Any) -> None:
                asyncio.run_coroutine_threadsafe(send(case, case.operation), loop).result(60)

            given(case=operation.as_strategy())(LITTLE(one))()

    await asyncio.to_thread(generate)
    assert {name.partition(" ")[2] for name in tried} == set(document["paths"])
    for name in ("POST /api/v1/holds", "POST /api/v1/checks/quote", "POST /api/v1/sync/reconcile"):
        assert 200 in tried[name], f"nothing that was sent to {name} was understood: {tried[name]}"


async def test_every_example_of_the_document_is_what_its_path_understands(world: World) -> None:
    document = (await world.client.get("/openapi.json")).json()
    seen = 0
    for path, methods in document["paths"].items():
        for operation in methods.values():
            body = operation.get("requestBody")
            if body is None:
                continue
            kind = KINDS[body["description"].partition(",")[0]]
            for content in body["content"].values():
                assert msgspec.convert(content["example"], kind, strict=False), path
                seen += 1
    assert seen > 12


async def answer_to(world: World, till: FakeTill, bearer: str, case: Any, known: Mapping[str, str]) -> httpx2.Response:
    """Send a case with what its path asks for: a signature, a token, the contract's encoding."""
    method = case.method.upper()
    target = case.formatted_path
    query = dict(case.query or {})
    if query:
        target += "?" + str(httpx2.QueryParams({name: plain(text) for name, text in query.items()}))
    body, kind = body_of(case, known)
    headers = till.headers(method, target, body)
    if target.startswith(("/api/v1/checks", "/api/v1/staff", "/api/v1/guests/short")):
        headers["Authorization"] = f"Bearer {bearer}"
    if kind:
        headers["Content-Type"] = kind
    else:
        headers.pop("Content-Type", None)
    return await world.client.request(method, target, content=body, headers=headers)


def body_of(case: Any, known: Mapping[str, str]) -> tuple[bytes, str]:
    """Return the bytes of a case's body; ids that a path checks first are those of this world."""
    body = case.body
    if body is None or type(body).__name__ == "NotSet":
        return b"", ""
    if isinstance(body, dict):
        body = {**body, **{name: text for name, text in known.items() if name in body}}
        if "/checks/" in case.operation.path:
            # Of what a check is refused for at once, the commonest are taken out.
            body |= {
                "currency": "RUB",
                "guest": "",
                "rewards": [],
                "gifts": {},
                "amount": None if body.get("lines") else 5,
            }
            body |= {name: [] for name in ("coupons", "codes") if name in body}
    if case.media_type == "application/json":
        return msgspec.json.encode(body, enc_hook=str), case.media_type
    name = case.operation.definition.raw["requestBody"]["description"].partition(",")[0]
    try:
        return codec.encode(msgspec.convert(body, KINDS[name], strict=False)), codec.CONTENT_TYPE
    except (msgspec.ValidationError, KeyError, ValueError):
        try:
            return msgspec.msgpack.encode(body, enc_hook=str), codec.CONTENT_TYPE
        except (OverflowError, TypeError, ValueError):
            return base64.b64encode(repr(body).encode()), codec.CONTENT_TYPE


def plain(value: Any) -> str:
    """Return a query's value as text."""
    return value if isinstance(value, str) else msgspec.json.encode(value, enc_hook=str).decode()
