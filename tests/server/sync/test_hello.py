"""Hello: signed by the network, heads as held, clock remembered, a database put back noticed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import msgspec
import psycopg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from loyalty_desk.domain.canonical import text_to_bytes
from loyalty_desk.domain.clock import to_ms
from loyalty_desk.wire.v1 import codec, signing
from loyalty_desk.wire.v1.errors import ErrorAnswer
from loyalty_desk.wire.v1.sync import Acked, Command, Head
from server.kit import incarnation
from server.kit.db import fetch
from server.networks import service as networks
from tests.server.fake_till import FakeTill
from tests.server.ledger.returns import give_back, said, whole
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


async def test_a_till_with_an_older_key_set_gets_the_newest_whatever_its_state(world: World) -> None:
    till = await world.till()
    row = next(one.row for one in (await world.pull(till)).rows if one.table == "keyset")
    for state in ("active", "suspended", "cloned", "revoked"):
        await world.sql("update device set state = $2 where id = $1 returning id", till.device, state)
        assert (await world.hello(till, keyset_version=0)).keyset == row is not None
        assert (await world.hello(till, keyset_version=1)).keyset is None
        assert (await world.hello(till)).keyset is None


async def test_only_a_till_that_gets_data_is_told_the_key_of_phones(world: World) -> None:
    till = await world.till()
    told = await world.hello(till, nonce=bytes(16))
    assert told.phone_key == world.ground.vault.lookup_key(world.network)
    async with world.ground.db.begin(world.network) as connection:
        public = (await networks.key_set(connection, world.network)).key(told.kid)
    assert public is not None
    message = signing.phones_message(world.network, bytes(16), told.phone_key)
    Ed25519PublicKey.from_public_bytes(public.public).verify(told.phone_sig, message)
    for state in ("suspended", "cloned", "revoked"):
        await world.sql("update device set state = $2 where id = $1 returning id", till.device, state)
        answer = await world.hello(till)
        assert (answer.phone_key, answer.phone_sig) == (b"", b"")


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
    held, beyond = acked(till, 2), acked(till, till.sale().seq)
    for claims, acked_in in (([held], life), ([beyond], uuid4()), ([], life)):
        assert (await world.hello(till, acked=claims, acked_in=acked_in)).incarnation == life
    asked = till.hello(acked=[beyond], acked_in=life)
    assert refusal(await world.post(till, "hello", asked)) == (409, "STALE_INCARNATION")
    assert (await world.hello(till)).incarnation != life


async def test_another_tills_record_in_the_place_of_one_that_was_acknowledged_is_no_such_record(world: World) -> None:
    """Of a cloned journal the server was put back to before one line of two, and the other is as long as ever."""
    till = await world.till()
    for _ in range(2):
        till.sale()
    await world.push(till)
    life = world.incarnation
    till.rewind(2)
    till.sale(earned=2)
    claim = acked(till, 3)
    asked = till.hello(acked=[acked(till, 2), claim], acked_in=life)
    assert refusal(await world.post(till, "hello", asked)) == (409, "STALE_INCARNATION")
    till.incarnation = life = (await world.hello(till)).incarnation
    assert refusal(await world.post(till, "push", till.push(till.journal[1:]))) == (409, "FORK")
    for upto in (2, 3):
        assert (await world.hello(till, acked=[acked(till, upto)], acked_in=life)).incarnation == life


def acked(till: FakeTill, seq: int) -> Acked:
    """Return the claim that a record of this journal was acknowledged, proved as a till proves it."""
    one = till.of_epoch[seq - 1]
    return Acked(one.epoch, one.seq, one.hash, one.sig)


async def test_a_claim_that_the_till_has_not_signed_ends_nothing(world: World) -> None:
    till, other = await world.till(), await world.till()
    await world.push(till)
    for one in (till, other):
        one.sale()
    mine, theirs = acked(till, 2), acked(other, 2)
    for claim in (
        Acked(till.epoch, 2),
        msgspec.structs.replace(mine, sig=None),
        msgspec.structs.replace(mine, hash=bytes(32)),
        msgspec.structs.replace(mine, seq=99),
        msgspec.structs.replace(mine, epoch=99),
        msgspec.structs.replace(mine, sig=theirs.sig, hash=theirs.hash),
    ):
        answer = await world.hello(till, acked=[claim], acked_in=world.incarnation)
        assert answer.incarnation == world.incarnation, claim


async def test_one_till_ends_a_life_once_in_ten_minutes_and_two_whenever_they_agree(world: World) -> None:
    one, two = await world.till(), await world.till()
    lives = [world.incarnation]

    async def claims(till: FakeTill) -> tuple[int, str]:
        response = await world.post(till, "hello", till.hello(cursor=10_000, incarnation=lives[-1]))
        if response.status_code == 409:
            lives.append((await world.hello(till)).incarnation)
        else:
            assert 0 < int(response.headers["Retry-After"]) <= 600
        return refusal(response)

    assert await claims(one) == (409, "STALE_INCARNATION")
    for _ in range(3):
        assert await claims(one) == (429, "TOO_MANY")
    world.clock.at += timedelta(minutes=9)
    assert await claims(one) == (429, "TOO_MANY")
    assert await claims(two) == (409, "STALE_INCARNATION")
    assert await claims(two) == (429, "TOO_MANY")
    world.clock.at += timedelta(minutes=10)
    assert await claims(one) == (409, "STALE_INCARNATION")
    assert len(set(lives)) == len(lives) == 4


async def test_a_cursor_beyond_the_end_sends_a_till_to_say_hello(world: World, admin: psycopg.Connection) -> None:
    till = await world.till()
    assert refusal(await world.get_page(till, 10_000)) == (409, "STALE_INCARNATION")
    assert admin.execute("select count(*) from server_meta").fetchone() == (1,)


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


async def test_two_tills_with_one_journal_are_told_to_enrol_and_lose_nothing(world: World) -> None:
    till = await world.till()
    till.sale()
    await world.push(till)
    twin = replace(till, journal=list(till.journal), clock=replace(till.clock), _ids=None)
    for one in (till, twin):
        one.sale()
    await world.push(till)
    world.clock.at += timedelta(minutes=1)
    assert refusal(await world.post(twin, "push", twin.push())) == (409, "FORK")
    # So far the twin may be the same till, put back from a copy: it is told to begin a new epoch, and is trusted.
    assert (await world.hello(twin)).commands == [Command.ROTATE_EPOCH]
    assert (await world.get_page(twin)).status_code == 200
    world.clock.at += timedelta(minutes=1)
    till.sale()
    await world.push(till)
    assert Command.SUSPEND in (await world.hello(till)).commands
    for one in (till, twin):
        assert refusal(await world.get_page(one)) == (403, "DEVICE_SUSPENDED")
        one.sale()
    assert [each.status.value for each in (await world.push(till)).results][-1] == "posted"
    posted = {one.id for one in (*till.journal, *twin.journal)}
    await world.post(twin, "push", twin.push())
    async with world.ground.db.begin(world.network) as connection:
        rows = await fetch(connection, "select id from ledger_tx where origin = 'till'")
        state = await fetch(connection, "select state from device where id = $1", till.device)
    assert {row.id for row in rows} == posted
    assert state[0].state == "cloned"


async def test_two_tills_that_both_began_a_new_epoch_are_seen_by_their_turns(world: World) -> None:
    till = await world.till()
    till.sale()
    await world.push(till)
    twin = replace(till, journal=list(till.journal), clock=replace(till.clock), _ids=None)
    for epoch, one in ((2, till), (3, twin)):
        one.open_epoch(epoch, "fork", one.journal[-1].hash)
        world.clock.at += timedelta(minutes=1)
        await world.push(one)
        # The first line may be that of a disk that is no more.
        assert (await world.hello(one)).commands == []
    world.clock.at += timedelta(minutes=1)
    till.sale()
    await world.push(till)
    assert Command.SUSPEND in (await world.hello(twin)).commands


async def test_a_return_that_waited_for_its_sale_makes_no_clone_of_an_honest_till(world: World) -> None:
    till, other, (guest,) = await world.till(), await world.till(), await world.guests()
    sale = other.sale(guest.id, earned=10)
    give_back(till, sale.id, guest.id, whole(10, 0))
    assert said(await world.push(till)) == ["WAITING_DEP"]
    # Put back from a copy, the till begins a new epoch; only then the sale arrives, and the return is posted with it.
    till.open_epoch(2, "rollback", till.journal[-1].hash)
    for one in (till, other):
        world.clock.at += timedelta(minutes=1)
        await world.push(one)
    assert await world.sql("select state from quarantine") == [("replayed",)]
    assert (await world.hello(till)).commands == []


@pytest.mark.parametrize(("goes_on", "clock_ms"), [(False, 0), (True, 0), (True, -365 * 86_400_000)])
async def test_an_old_epochs_end_sent_again_to_a_server_put_back_makes_no_clone(
    world: World, admin: psycopg.Connection, goes_on: bool, clock_ms: int
) -> None:
    till = await world.till()
    for _ in range(3):
        till.sale()
    kept, lost = till.journal[:2], till.journal[2:]
    old = replace(till, journal=list(till.journal), clock=replace(till.clock), _ids=None)
    await world.push(till, till.push(kept))
    # What had come behind it is lost with the database; the till is put back from a copy and begins a new epoch.
    async with world.ground.db.without_network() as connection:
        life = await incarnation.rotate(connection, "restore")
    world.clock.at += timedelta(minutes=1)
    admin.execute("update server_meta set started_at = %s where incarnation = %s", (world.clock.at, life.id))
    till.clock.now_ms += 60_000
    till.incarnation = old.incarnation = life.id
    world.clock.at += timedelta(minutes=1)
    till.open_epoch(2, "rollback", till.journal[-1].hash)
    await world.push(till, till.push(till.journal[-1:]))
    world.clock.at += timedelta(minutes=1)
    if goes_on:
        # A second machine, that sells on in the old epoch, whatever its clock says.
        old.clock.now_ms += 120_000 + clock_ms
        old.sale()
        lost = old.journal[2:]
    await world.push(old, old.push(lost))
    assert (Command.SUSPEND in (await world.hello(till)).commands) == goes_on


@pytest.mark.parametrize("goes_on", [False, True])
async def test_an_old_epoch_that_arrives_behind_the_beginning_of_the_new_one_makes_no_clone(
    world: World, goes_on: bool
) -> None:
    """The server was put back unseen while the new epoch was on its way: it holds that and nothing of the old one."""
    till = await world.till()
    till.sale()
    old = replace(till, journal=list(till.journal), clock=replace(till.clock), _ids=None)
    till.clock.now_ms += 60_000
    till.open_epoch(2, "rollback", till.journal[-1].hash)
    await world.push(till, till.push(till.journal[-1:]))
    if goes_on:
        # A second machine, that sells on in the old epoch.
        old.sale()
    world.clock.at += timedelta(minutes=1)
    await world.push(old, old.push(old.journal))
    world.clock.at += timedelta(minutes=1)
    till.sale()
    await world.push(till)
    assert (Command.SUSPEND in (await world.hello(till)).commands) == goes_on


async def test_a_server_whose_clock_stands_before_its_network_says_so(
    world: World, expect_log: Callable[[str], None]
) -> None:
    expect_log("is the server's clock right")
    till = await world.till()
    till.sale()
    world.clock.at -= timedelta(days=20_000)
    answer = await world.post(till, "hello", till.hello())
    assert refusal(answer) == (503, "OUTAGE")
    assert "clock" in codec.decode(ErrorAnswer, answer.content).text
    # Facts are posted all the same, and hello goes on when the clock is right again.
    assert (await world.push(till)).results[0].status.value.startswith("posted")
    world.clock.at += timedelta(days=20_000)
    await world.hello(till)
