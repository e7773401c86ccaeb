"""Enrolment over the real application: waits for a person, works once, refuses with a sentence."""

from __future__ import annotations

from collections.abc import AsyncIterator
from uuid import UUID

import httpx2
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from loyalty_desk.wire.v1 import codec, signing
from loyalty_desk.wire.v1.enrol import EnrolAnswer, EnrolFinish, EnrolPending, EnrolStart
from server.kit.ground import Base, Ground
from server.networks.service import MadeNetwork
from server.settings import Settings
from server.tills import service as tills
from tests.server.fake_till import FakeTill
from tests.server.world import World, open_world, read, refusal

pytestmark = [pytest.mark.anyio, pytest.mark.postgres]


@pytest.fixture
async def world(ground: Ground, base: Base, settings: Settings, made: MadeNetwork) -> AsyncIterator[World]:
    async with open_world(ground, base, settings, made) as found:
        yield found


async def post(world: World, path: str, message: object) -> httpx2.Response:
    return await world.client.post(f"/api/v1/enrol/{path}", content=codec.encode(message))


def finish(key: Ed25519PrivateKey, network: UUID, pending: EnrolPending) -> EnrolFinish:
    sig = key.sign(signing.enrol_message(network, pending.pending, pending.nonce))
    return EnrolFinish(network, pending.pending, sig)


async def test_a_till_joins_waits_for_a_person_and_can_sell_and_pull(world: World) -> None:
    store = world.made.stores[0]
    opened = await tills.open_pairing(world.ground, world.network, store.id, "http://127.0.0.1:8765")
    till = FakeTill(world.network, store.id)
    start = EnrolStart(world.network, opened.pairing.code, till.public, "Bar")
    pending = read(EnrolPending, await post(world, "start", start))
    waits = await post(world, "finish", finish(till.key, world.network, pending))
    assert refusal(waits) == (202, "PAIRING_WAITS")
    shown = await tills.waiting(world.ground, world.network, opened.id)
    assert shown is not None
    assert shown.characters == signing.fingerprint(till.public, pending.nonce, world.network)
    await tills.confirm(world.ground, world.network, opened.id)
    wrong = await post(world, "finish", finish(Ed25519PrivateKey.generate(), world.network, pending))
    assert refusal(wrong) == (403, "BAD_SIGNATURE")
    joined = read(EnrolAnswer, await post(world, "finish", finish(till.key, world.network, pending)))
    assert (joined.store.zone, joined.store.currency, joined.profile["mode"]) == ("Europe/Moscow", "RUB", "floor")
    till.device, till.token, till.incarnation = joined.device, joined.token, joined.incarnation
    till.open_epoch()
    till.sale()
    assert len((await world.push(till)).results) == 2
    assert (await world.pull(till)).rows


async def test_a_code_shown_by_a_second_till_is_void_for_both(world: World) -> None:
    opened = await tills.open_pairing(world.ground, world.network, world.made.stores[0].id, "http://127.0.0.1:8765")
    one, two = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    first, second = (
        EnrolStart(world.network, opened.pairing.code, key.public_key().public_bytes_raw(), "Bar") for key in (one, two)
    )
    pending = read(EnrolPending, await post(world, "start", first))
    assert refusal(await post(world, "start", second)) == (403, "PAIRING_CODE")
    assert refusal(await post(world, "finish", finish(one, world.network, pending))) == (403, "PAIRING_CODE")


async def test_what_is_no_enrolment_is_refused_with_a_sentence(world: World) -> None:
    unknown = EnrolStart(world.network, bytes(16), bytes(32), "Bar")
    assert refusal(await post(world, "start", unknown)) == (403, "PAIRING_CODE")
    assert refusal(await post(world, "start", {"code": 1})) == (400, "BAD_BODY")
    assert refusal(await post(world, "start", EnrolStart(world.network, bytes(16), bytes(32), "\n"))) == (
        400,
        "BAD_BODY",
    )
    response = await world.client.post("/api/v1/enrol/start", content=bytes(5_000))
    assert refusal(response) == (413, "TOO_LARGE")
