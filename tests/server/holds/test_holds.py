"""Holds: one a id, never below what there is, ended once, and limits by what the guest has shown."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from uuid import UUID, uuid4

import msgspec
import psycopg
import pytest

from loyalty_desk.domain import guest_code
from loyalty_desk.domain.wallet_digits import rotating_digits
from loyalty_desk.wire.v1 import codec
from loyalty_desk.wire.v1.holds import HoldAnswer, HoldVoid
from server.guests import merging, shown
from server.guests.proof import short_hash, wallet_secret
from server.holds import service
from server.holds.service import Holds
from server.kit.ground import Ground
from server.ledger.own import OwnPosting
from tests.server.asking import ask, guest_with, hold, hold_of
from tests.server.fake_till import FakeTill
from tests.server.world import World, read, refusal

pytestmark = [pytest.mark.anyio, pytest.mark.postgres]


async def test_a_hold_takes_off_what_can_be_spent_and_asked_again_exists(world: World) -> None:
    till = await world.till()
    guest = await guest_with(world, till, 100)
    asked = hold_of(till, guest, 60)
    made = await hold(world, till, asked)
    assert (made.outcome, made.state, made.available, made.amount) == ("pending", "pending", 40, 60)
    again = await hold(world, till, asked)
    assert (again.outcome, again.state, again.available, again.expires_at) == ("exists", "pending", 40, made.expires_at)
    short = await hold(world, till, hold_of(till, guest, 41))
    assert (short.outcome, short.available) == ("insufficient", 40)
    assert (await hold(world, till, hold_of(till, guest, 40))).outcome == "pending"
    for other in (msgspec.structs.replace(asked, amount=1), msgspec.structs.replace(asked, guest=uuid4())):
        refused = await hold(world, till, other)
        assert (refused.outcome, refused.reason) == ("refused", "other_request")


async def test_a_hundred_tills_at_once_hold_each_point_once(world: World) -> None:
    till = await world.till()
    guest = await guest_with(world, till, 100)
    made = await asyncio.gather(*(hold(world, till, hold_of(till, guest, 3)) for _ in range(100)))
    outcomes = [one.outcome for one in made]
    assert (outcomes.count("pending"), outcomes.count("insufficient")) == (33, 67)
    assert min(one.available for one in made) == 1


async def test_a_lost_answer_asked_again_many_times_at_once_is_one_hold(
    world: World, admin: psycopg.Connection
) -> None:
    till = await world.till()
    guest = await guest_with(world, till, 100)
    asked = hold_of(till, guest, 60)
    made = await asyncio.gather(*(hold(world, till, asked) for _ in range(20)))
    assert sorted(one.outcome for one in made) == ["exists"] * 19 + ["pending"]
    assert {one.available for one in made} == {40}
    assert admin.execute("select count(*), sum(amount) from hold").fetchone() == (1, 60)


async def test_a_hold_ends_by_the_servers_clock_whether_anybody_notes_it(world: World) -> None:
    till = await world.till()
    guest = await guest_with(world, till, 100)
    asked = hold_of(till, guest, 80, ttl_s=120)
    await hold(world, till, asked)
    assert (await hold(world, till, hold_of(till, guest, 21))).outcome == "insufficient"
    world.clock.at += timedelta(seconds=120)
    assert read(HoldAnswer, await ask(world, till, f"holds/{asked.id}", None, "GET")).state == "expired"
    assert (await hold(world, till, hold_of(till, guest, 100))).outcome == "pending"
    async with world.ground.db.begin(world.network) as connection:
        assert await service.expire(connection, world.network, world.clock.now()) == 1
    voided = read(HoldAnswer, await ask(world, till, "holds/void", HoldVoid(till.network, till.device, asked.id)))
    assert (voided.state, voided.available) == ("expired", 0)


async def test_a_void_gives_the_points_back_once(world: World) -> None:
    till, other = await world.till(), await world.till()
    guest = await guest_with(world, till, 100)
    asked = hold_of(till, guest, 80)
    await hold(world, till, asked)
    assert refusal(await ask(world, other, f"holds/{asked.id}", None, "DELETE")) == (404, "NOT_FOUND")
    for _ in range(2):
        voided = read(HoldAnswer, await ask(world, till, f"holds/{asked.id}", None, "DELETE"))
        assert (voided.state, voided.available) == ("voided", 100)
    assert refusal(await ask(world, till, f"holds/{uuid4()}", None, "DELETE")) == (404, "NOT_FOUND")


async def settled(world: World, holds: dict[UUID, UUID]) -> dict[UUID, service.Settled]:
    tills = dict(await world.sql("select id, device_id from hold"))
    named = {one: (sale, tills.get(one, uuid4())) for one, sale in holds.items()}
    async with world.ground.db.begin(world.network) as connection:
        return await service.post_holds(connection, world.network, named, world.clock.now())


async def test_of_a_post_and_a_void_exactly_one_wins(world: World) -> None:
    till = await world.till()
    guest = await guest_with(world, till, 90)
    asked = [hold_of(till, guest, 3) for _ in range(30)]
    for one in asked:
        assert (await hold(world, till, one)).outcome == "pending"
    posts = [settled(world, {one.id: uuid4()}) for one in asked]
    voids = [ask(world, till, "holds/void", HoldVoid(till.network, till.device, one.id)) for one in asked]
    done = await asyncio.gather(*(work for pair in zip(posts, voids, strict=True) for work in pair))
    for one, posted, voided in zip(asked, done[::2], done[1::2], strict=True):
        state = read(HoldAnswer, voided).state  # type: ignore[arg-type]
        assert posted[one.id].in_time == (state == "posted"), one  # type: ignore[index]
        assert state in ("posted", "voided")


async def test_a_sale_spends_its_hold_once_and_says_when_it_came_too_late(world: World) -> None:
    till = await world.till()
    guest = await guest_with(world, till, 100)
    intime, late = hold_of(till, guest, 10), hold_of(till, guest, 10)
    for one in (intime, late):
        await hold(world, till, one)
    sale = uuid4()
    for _ in range(2):  # a push that is sent twice
        assert (await settled(world, {intime.id: sale}))[intime.id].in_time
    assert not (await settled(world, {intime.id: uuid4()}))[intime.id].in_time
    world.clock.at += timedelta(minutes=3)
    unknown = uuid4()
    found = await settled(world, {late.id: uuid4(), unknown: uuid4()})
    assert (found[late.id].state, found[late.id].in_time) == ("expired", False)
    assert (found[unknown].state, found[unknown].in_time) == ("unknown", False)


async def test_what_a_code_may_spend_online(world: World) -> None:
    till = await world.till()
    guest = await guest_with(world, till, 5_000)
    for code, amount, wanted in (
        ("ld1", 100, ("pending", "", None)),
        ("ld1", 101, ("refused", "code_limit", 100)),
        ("number", 1, ("refused", "code_limit", 0)),
        ("phone", 1, ("refused", "code_limit", 0)),
        ("ld2", 1, ("refused", "code_invalid", None)),
        ("ld4", 1, ("refused", "code_invalid", None)),
        ("short", 1, ("refused", "code_invalid", None)),
        ("gift", 1, ("refused", "code_invalid", None)),
    ):
        made = await hold(world, till, hold_of(till, guest, amount, code))
        assert (made.outcome, made.reason, made.limit) == wanted, code
    (other,) = await world.guests()
    card = guest_code.ld1(other.handles[0]).encode()
    assert (await hold(world, till, hold_of(till, guest, 1, evidence=card))).reason == "code_invalid"
    assert (await hold(world, till, hold_of(till, uuid4(), 1))).reason == "guest_unknown"
    assert (await hold(world, till, hold_of(till, guest, 1, evidence=b"\xff\x00"))).reason == "code_invalid"


async def test_the_digits_of_a_wallet_pay_once(world: World, admin: psycopg.Connection) -> None:
    till = await world.till()
    guest = await guest_with(world, till, 1_000)
    handle = bytes(range(8))
    admin.execute(
        "insert into credential (network_id, handle, guest_id, kind) values (%s, %s, %s, 'wallet')",
        (world.network, handle, guest),
    )
    secret = wallet_secret(world.ground.vault, world.network, handle)
    counter = int(world.clock.now().timestamp()) // 30
    text = guest_code.ld2(int.from_bytes(handle), rotating_digits(secret, counter)).encode()
    assert (await hold(world, till, hold_of(till, guest, 500, "ld2", evidence=text))).outcome == "pending"
    assert (await hold(world, till, hold_of(till, guest, 1, "ld2", evidence=text))).reason == "code_invalid"
    wrong = guest_code.ld2(int.from_bytes(handle), "00000000").encode()
    assert (await hold(world, till, hold_of(till, guest, 1, "ld2", evidence=wrong))).reason == "code_invalid"


async def give_short_code(world: World, guest: UUID, digits: str) -> None:
    async with world.ground.db.begin(world.network) as connection:
        hashed, now = short_hash(world.ground.vault, world.network, digits), world.clock.now()
        assert await shown.put_short_code(connection, world.network, hashed, guest, now + timedelta(minutes=5), now)


async def test_a_short_code_pays_once_confirms_more_and_is_guessed_five_times(world: World) -> None:
    till = await world.till()
    guest = await guest_with(world, till, 5_000)
    for amount in (100,) * 20:
        assert (await hold(world, till, hold_of(till, guest, amount))).outcome == "pending"
    assert (await hold(world, till, hold_of(till, guest, 1))).reason == "confirmation_needed"
    await give_short_code(world, guest, "123456")
    made = await hold(world, till, hold_of(till, guest, 2_500, "short", evidence=b"123456"))
    assert made.outcome == "pending"

    async def guess(digits: bytes, at: FakeTill = till) -> tuple[int, str]:
        response = await ask(world, at, "holds", hold_of(at, guest, 1, "short", evidence=digits))
        return refusal(response) if response.status_code != 200 else (200, read(HoldAnswer, response).reason)

    assert await guess(b"123456") == (200, "code_invalid")  # it has paid
    for number in range(4):
        assert await guess(b"%06d" % number) == (200, "code_invalid")
    assert await guess(b"000009") == (429, "TOO_MANY")
    assert await guess(b"000009", await world.till()) == (200, "code_invalid")
    world.clock.at += timedelta(minutes=10)
    assert await guess(b"000009") == (200, "code_invalid")


@pytest.mark.parametrize("code", ["ld1", "ld2", "number", "phone"])
async def test_a_short_code_is_guessed_five_times_whatever_the_till_calls_it(world: World, code: str) -> None:
    till = await world.till()
    guest = await guest_with(world, till, 100)
    await give_short_code(world, guest, "123456")
    for number in range(5):
        made = await hold(world, till, hold_of(till, guest, 1, code, evidence=b"%06d" % number))
        assert (made.outcome, made.reason) == ("refused", "code_invalid")
    response = await ask(world, till, "holds", hold_of(till, guest, 1, code, evidence=b"123456"))
    assert refusal(response) == (429, "TOO_MANY")


async def test_numbers_and_phones_tried_by_holds_count_as_lookups(world: World) -> None:
    till = await world.till()
    guest = await guest_with(world, till, 100)
    for number in range(60):
        phone = b"+79%09d" % number
        assert (await hold(world, till, hold_of(till, guest, 1, "phone", evidence=phone))).outcome == "refused"
    response = await ask(world, till, "holds", hold_of(till, guest, 1, "number", evidence=b"+79000000099"))
    assert refusal(response) == (429, "TOO_MANY")
    # A card's handle is no guess: nobody tries one in 2^64.
    assert (await hold(world, till, hold_of(till, guest, 1))).outcome == "pending"


async def test_a_short_code_of_somebody_with_a_phone_wants_its_last_four_digits(world: World) -> None:
    till = await world.till()
    (made,) = await world.guests(phone="+79161234567")
    till.sale(made.id, earned=500)
    await world.push(till)
    await give_short_code(world, made.id, "654321")
    for text, wanted in ((b"654321", "code_invalid"), (b"654321 0000", "code_invalid"), (b"654321 4567", "")):
        assert (await hold(world, till, hold_of(till, made.id, 400, "short", evidence=text))).reason == wanted


async def test_only_an_active_till_with_its_bearer_may_ask(world: World) -> None:
    guest = uuid4()
    for state, code in (
        ("suspended", "DEVICE_SUSPENDED"),
        ("revoked", "DEVICE_REVOKED"),
        ("cloned", "DEVICE_SUSPENDED"),
    ):
        till = await world.till(state=state)
        assert refusal(await ask(world, till, "holds", hold_of(till, guest, 1))) == (403, code)
    till, other = await world.till(), await world.till()
    assert refusal(await ask(world, till, "holds", hold_of(other, guest, 1))) == (403, "BAD_SIGNATURE")
    till.token = other.token
    assert refusal(await ask(world, till, "holds", hold_of(till, guest, 1))) == (401, "BAD_TOKEN")


async def test_a_hold_that_ran_out_and_paid_counts_in_its_day(world: World, admin: psycopg.Connection) -> None:
    till = await world.till()
    guest = await guest_with(world, till, 1_000)
    await asyncio.to_thread(
        admin.execute, "update profile set settings = settings || jsonb_build_object('confirm_points', 100)"
    )
    lapsed, left = hold_of(till, guest, 60), hold_of(till, guest, 40)
    for one in (lapsed, left):
        assert (await hold(world, till, one)).outcome == "pending"
    world.clock.at += timedelta(minutes=3)
    assert not (await settled(world, {lapsed.id: uuid4()}))[lapsed.id].in_time
    assert (await hold(world, till, hold_of(till, guest, 41))).reason == "confirmation_needed"
    assert (await hold(world, till, hold_of(till, guest, 40))).outcome == "pending"


async def test_holds_given_together_never_take_more_than_there_is_of_anybody(
    world: World, admin: psycopg.Connection
) -> None:
    tills = [await world.till() for _ in range(3)]
    guests = [await guest_with(world, tills[0], 100) for _ in range(4)]
    asked = [hold_of(tills[n % 3], guests[n % 4], 30) for n in range(60)]
    order = [*asked, *asked]
    said = await asyncio.gather(*(hold(world, tills[asked.index(one) % 3], one) for one in order))
    assert {one.outcome for one in said} <= {"pending", "insufficient", "exists"}
    given = [one.id for one in said if one.outcome == "pending"]
    assert len(given) == len(set(given)) == 4 * 3
    found = admin.execute("select asked, count(*), sum(amount) from hold group by asked").fetchall()
    assert sorted(row[1:] for row in found) == [(3, 90)] * 4
    assert {one.available for one in said if one.outcome == "insufficient"} == {10}


async def test_a_guest_whose_points_are_being_posted_keeps_nobody_else_waiting(world: World, ground: Ground) -> None:
    till = await world.till()
    busy, free = await guest_with(world, till, 100), await guest_with(world, till, 100)
    async with ground.db.begin(world.network) as connection:
        await OwnPosting.lock(connection, world.network, [busy], world.clock.now())
        waits = asyncio.create_task(hold(world, till, hold_of(till, busy, 10)))
        others = await asyncio.wait_for(
            asyncio.gather(*(hold(world, till, hold_of(till, free, 10)) for _ in range(10))), 10
        )
        assert [one.outcome for one in others] == ["pending"] * 10
        assert not waits.done()
    assert (await waits).outcome == "pending"


@pytest.mark.parametrize("encoding", ["zstd", "identity"])
async def test_a_packed_hold_is_decided_as_a_plain_one(world: World, encoding: str) -> None:
    till = await world.till()
    plain = codec.encode(hold_of(till, await guest_with(world, till, 100), 60))
    body = codec.pack(plain) if encoding == "zstd" else plain
    for outcome in ("pending", "exists"):
        headers = till.headers("POST", "/api/v1/holds", body) | {"Content-Encoding": encoding}
        said = read(HoldAnswer, await world.client.post("/api/v1/holds", content=body, headers=headers))
        assert (said.outcome, said.reason) == (outcome, "")


async def test_a_guest_merged_while_a_hold_is_decided_has_the_points_of_both(world: World) -> None:
    till = await world.till()
    loser, winner = await guest_with(world, till, 100), await guest_with(world, till, 10)
    asked, holds, now = hold_of(till, loser, 50), Holds(world.ground.db, world.ground.vault), world.clock.now()
    seen = await holds.before(world.network, till.device, asked)
    await merging.merge(world.ground, world.network, loser, winner, now)
    said = await holds.hold(seen, asked, now)
    assert (said.outcome, said.available) == ("pending", 60)
