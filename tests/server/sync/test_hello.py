"""Hello: signed by the network, heads as held, clock remembered, a database put back noticed."""

from __future__ import annotations

from uuid import uuid4

import msgspec
import psycopg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from loyalty_desk.domain.canonical import text_to_bytes
from loyalty_desk.domain.clock import to_ms
from loyalty_desk.wire.v1 import signing
from loyalty_desk.wire.v1.sync import Acked, Command, Head
from tests.server.world import World, refusal

pytestmark = [pytest.mark.anyio, pytest.mark.postgres]


async def test_the_answer_is_signed_by_a_key_of_the_published_key_set(world: World) -> None:
    till = await world.till()
    asked = till.hello()
    answer = await world.hello(till, nonce=asked.nonce)
    keyset = next(row.row for row in (await world.pull(till)).rows if row.table == "keyset")
    assert keyset is not None
    keys = {key["kid"]: key["public"] for key in keyset["document"]["keys"]}  # type: ignore[index,call-overload]
    public = Ed25519PublicKey.from_public_bytes(text_to_bytes(keys[answer.kid]))
    message = signing.hello_message(world.network, asked.nonce, answer.server_time, answer.incarnation)
    public.verify(answer.sig, message)
    assert answer.server_time == to_ms(world.clock.now())
    assert (answer.keyset_version, answer.max_payload, answer.commands) == (1, 65_536, [])


async def test_heads_are_those_held(world: World) -> None:
    till = await world.till()
    assert (await world.hello(till)).epochs == []
    till.sale()
    await world.push(till)
    head = till.journal[-1]
    till.sale()
    assert (await world.hello(till)).epochs == [Head(till.epoch, head.seq, head.hash)]


async def test_a_till_that_has_seen_more_begins_a_new_life_for_all(world: World) -> None:
    one, two = await world.till(), await world.till()
    one.sale()
    await world.push(one)
    n = (await world.pull(one)).next
    assert (await world.hello(one, cursor=n)).incarnation == world.incarnation
    assert refusal(await world.post(one, "hello", one.hello(cursor=n + 1))) == (409, "STALE_INCARNATION")
    assert refusal(await world.post(two, "push", two.push())) == (409, "STALE_INCARNATION")
    assert refusal(await world.get_page(two, n)) == (410, "MUST_BOOTSTRAP")
    one.incarnation = (await world.hello(one, cursor=n + 1)).incarnation
    assert one.incarnation != world.incarnation
    assert (await world.hello(two, cursor=n + 1)).incarnation == one.incarnation
    assert (await world.reconcile(one)).mismatching == []
    two.incarnation = one.incarnation
    assert len((await world.push(two)).results) == 1


async def test_a_till_that_was_told_of_more_than_is_held_begins_a_new_life(world: World) -> None:
    till = await world.till()
    till.sale()
    await world.push(till)
    life = world.incarnation
    for acked, acked_in in (([Acked(till.epoch, 2)], life), ([Acked(till.epoch, 3)], uuid4()), ([], life)):
        assert (await world.hello(till, acked=acked, acked_in=acked_in)).incarnation == life
    beyond = till.hello(acked=[Acked(till.epoch, 3)], acked_in=life)
    assert refusal(await world.post(till, "hello", beyond)) == (409, "STALE_INCARNATION")
    assert (await world.hello(till)).incarnation != life


async def test_a_rotated_life_is_not_rotated_again_by_late_tills(world: World, admin: psycopg.Connection) -> None:
    tills = [await world.till() for _ in range(3)]
    for till in tills:
        await world.post(till, "hello", till.hello(cursor=10_000))
    assert admin.execute("select count(*) from server_meta").fetchone() == (2,)


async def test_a_suspended_till_is_told_and_may_still_push(world: World) -> None:
    till = await world.till(state="suspended")
    assert (await world.hello(till)).commands == [Command.SUSPEND]
    till.sale()
    assert len((await world.push(till)).results) == 2
    assert refusal(await world.get_page(till)) == (403, "DEVICE_SUSPENDED")


async def test_a_revoked_till_is_told_in_the_signed_answer(world: World) -> None:
    till = await world.till(state="revoked")
    assert (await world.hello(till)).commands == [Command.SUSPEND, Command.REVOKE]


async def test_a_hello_that_is_none_is_refused_with_a_sentence(world: World) -> None:
    till = await world.till()
    assert refusal(await world.post(till, "hello", till.hello(monotonic_ms=1 << 63))) == (400, "BAD_BODY")
    assert refusal(await world.post(till, "hello", {"network": "x"})) == (400, "BAD_BODY")
    other = msgspec.structs.replace(till.hello(), device=uuid4())
    assert refusal(await world.post(till, "hello", other)) == (403, "BAD_SIGNATURE")


async def test_a_till_that_is_still_pending_is_not_known(world: World) -> None:
    till = await world.till(state="pending")
    assert refusal(await world.post(till, "hello", till.hello())) == (401, "UNKNOWN_DEVICE")
