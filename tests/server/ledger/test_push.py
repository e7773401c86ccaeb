"""Pushing through the real application into the real database: once, whole, in order, and nothing lost."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from typing import LiteralString
from uuid import uuid4

import msgspec
import psycopg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from loyalty_desk.domain.contents import ShiftOpenContents
from loyalty_desk.domain.quote import TIER_RULE
from loyalty_desk.domain.record import ExceptionKind, RecordKind
from loyalty_desk.wire.v1 import codec
from loyalty_desk.wire.v1.errors import ErrorAnswer
from loyalty_desk.wire.v1.sync import Command, Hole, PushAnswer, Status
from server.guests import leaving
from server.kit.db import fetch, write
from server.kit.feed import Change
from server.ledger.own import OwnPosting
from server.ledger.posting import flag_bits
from tests.server.fake_till import T0, FakeTill
from tests.server.ledger.returns import give_back, whole
from tests.server.world import World, refusal

pytestmark = [pytest.mark.anyio, pytest.mark.postgres]


@pytest.fixture
def poison_is_logged(expect_log: Callable[[str], None]) -> None:
    expect_log("cannot be stored")


@pytest.fixture
def outage_is_logged(expect_log: Callable[[str], None]) -> None:
    expect_log("the database is away|the database.s disk is full|the database may only be read")


def statuses(answer: PushAnswer) -> list[str]:
    return [one.status.value if one.reason is None else one.reason for one in answer.results]


async def posted(world: World, where: str = "true") -> int:
    return int((await world.sql(f"select count(*) from ledger_tx where {where}"))[0][0])


async def test_a_sale_is_posted_with_its_legs_its_lot_and_the_guests_new_balance(world: World) -> None:
    till = await world.till()
    (guest,) = await world.guests()
    till.sale(guest.id, earned=50, total=100_000)
    till.sale(guest.id, earned=7, redeemed=20, total=20_000)
    answer = await world.push(till)
    assert [one.status for one in answer.results] == [Status.POSTED] * 3
    assert await world.balance(guest.id) == 37
    assert await world.sql("select kind, posted from account where kind <> 'guest' order by kind") == [
        ("liability", 20),
        ("promo_cost", -57),
    ]
    lots = await world.sql("select amount, remaining, state from lot order by amount")
    assert lots == [(7, 7, "open"), (50, 30, "open")]
    assert await world.sql("select tier, points, spend, visits, first_visit::text from guest_state") == [
        ("BRONZE", 37, 120_000, 2, "2026-03-02")
    ]
    assert await world.sql("select sum(amount) from entry") == [(0,)]


async def test_a_push_repeated_100_times_posts_once_alone_and_by_16_at_a_time(world: World) -> None:
    till = await world.till()
    (guest,) = await world.guests()
    for _ in range(20):
        till.sale(guest.id, earned=5)
    first = await asyncio.gather(*(world.push(till) for _ in range(16)))
    assert sum(one.status is Status.POSTED for answer in first for one in answer.results) == 21
    for _ in range(84):
        assert set(statuses(await world.push(till))) == {"duplicate"}
    assert await posted(world) == 21
    assert await world.balance(guest.id) == 100
    assert await world.sql("select points, visits from guest_state") == [(100, 20)]


async def test_an_answer_that_was_lost_is_answered_again(world: World) -> None:
    till = await world.till()
    (guest,) = await world.guests()
    till.sale(guest.id, earned=5)
    await world.push(till)
    till.sale(guest.id, earned=5)
    again = await world.push(till)
    assert statuses(again) == ["duplicate", "duplicate", "posted"]
    assert await world.balance(guest.id) == 10


async def test_a_gap_is_named_and_closed_by_a_hole_which_is_counted_and_summed(world: World) -> None:
    till = await world.till()
    (guest,) = await world.guests()
    for _ in range(6):
        till.sale(guest.id, earned=5)
    await world.push(till, till.push(till.journal[:3]))
    response = await world.post(till, "push", till.push(till.journal[5:]))
    assert refusal(response) == (409, "GAP")
    assert codec.decode(ErrorAnswer, response.content).expected_seq == 4
    answer = await world.push(till, till.push(till.journal[5:], holes=[Hole(4, 5, "disk")]))
    assert [one.flags for one in answer.results] == [flag_bits([ExceptionKind.HOLE]), 0]
    ((facts,),) = await world.sql("select facts from exception where kind = 'HOLE'")
    assert facts == {"first": 4, "last": 5, "reason": "disk", "records": 2, "earned": 10, "redeemed": 0}
    late = await world.push(till, till.push(till.journal[3:5]))
    assert statuses(late) == ["posted", "posted"]
    assert await world.balance(guest.id) == 30


async def test_a_rewound_till_forks_both_lines_are_posted_and_it_begins_a_new_epoch(world: World) -> None:
    till = await world.till()
    (guest,) = await world.guests()
    for _ in range(4):
        till.sale(guest.id, earned=1)
    await world.push(till)
    till.rewind(2)
    for _ in range(2):
        till.sale(guest.id, earned=10)
    response = await world.post(till, "push", till.push(till.journal[1:]))
    assert refusal(response) == (409, "FORK")
    assert codec.decode(ErrorAnswer, response.content).epoch == till.epoch
    assert await world.balance(guest.id) == 24
    assert await world.sql("select branch, head_seq, count, forked_at from device_epoch order by branch") == [
        (0, 5, 5, None),
        (1, 4, 2, 3),
    ]
    assert (await world.reconcile(till)).mismatching[0].ids
    hello = await world.hello(till)
    assert hello.commands == [Command.ROTATE_EPOCH]
    assert hello.epochs[0].head_hash == till.journal[-1].hash
    assert statuses(await world.push(till, till.push(till.journal[1:]))) == ["duplicate"] * 3
    till.open_epoch(99, "fork", till.journal[-1].hash)
    till.sale(guest.id, earned=100)
    assert (await world.hello(till)).commands == []
    assert statuses(await world.push(till)) == ["posted", "posted"]
    assert await world.balance(guest.id) == 124
    assert await world.sql("select parent_epoch, opened_reason from device_epoch where epoch = 99") == [(1, "fork")]
    assert await world.sql("select kind from exception") == [("FORK",)]


async def test_a_used_id_is_quarantined_and_the_first_version_stays(world: World) -> None:
    till = await world.till()
    (guest,) = await world.guests()
    first = till.sale(guest.id, earned=5)
    await world.push(till)
    till.sale(guest.id, earned=5_000, record_id=first.id)
    till.sale(guest.id, earned=2)
    twice = till.sale(guest.id, earned=1)
    till.sale(guest.id, earned=1_000, record_id=twice.id)
    assert statuses(await world.push(till)) == ["duplicate", "duplicate", "ID_REUSE", "posted", "posted", "ID_REUSE"]
    assert await world.balance(guest.id) == 8
    assert statuses(await world.push(till)) == ["duplicate"] * 2 + ["ID_REUSE", "duplicate", "duplicate", "ID_REUSE"]
    assert await world.sql("select severity, tx_id from exception where kind = 'ID_REUSE' order by id") == [
        ("alarm", first.id),
        ("alarm", twice.id),
    ]


async def test_an_edited_record_is_quarantined_and_later_ones_post(world: World) -> None:
    till = await world.till()
    (guest,) = await world.guests()
    for _ in range(4):
        till.sale(guest.id, earned=5)
    push = till.push()
    edited = push.records[2].payload.replace(b'"earned":5', b'"earned":9')
    push.records[2] = msgspec.structs.replace(push.records[2], payload=edited)
    assert statuses(await world.push(till, push)) == ["posted", "posted", "BAD_HASH", "posted_flagged", "posted"]
    assert await world.balance(guest.id) == 15
    assert await world.sql("select seq, reason, raw = $1 from quarantine", edited) == [(3, "BAD_HASH", True)]
    assert (await world.reconcile(till)).mismatching == []


@pytest.mark.usefixtures("poison_is_logged")
async def test_one_record_that_cannot_be_stored_leaves_499_posted(world: World) -> None:
    till = await world.till()
    guest, full = await world.guests(2)
    earlier = await world.till()
    earlier.sale(guest.id, earned=100)
    earlier.sale(full.id, earned=1)
    await world.push(earlier)
    await world.sql("update account set posted = $2 where guest_id = $1 returning 1", full.id, (1 << 63) - 1)
    for number in range(499):
        till.sale(*([full.id] if number == 249 else [guest.id]), earned=1)
    answer = await world.push(till)
    assert len(answer.results) == 500
    assert [(one.seq, one.reason) for one in answer.results if one.reason] == [(251, "BAD_SCHEMA")]
    assert await posted(world) == 499 + 3
    assert await world.balance(guest.id) == 100 + 498
    assert await world.sql("select head_seq, count from device_epoch where head_seq > 3") == [(500, 500)]
    assert await world.sql("select detail from quarantine") == [("cannot be stored: 22003",)]
    (again,) = {one.status for one in (await world.push(till)).results if one.seq != 251}
    assert again is Status.DUPLICATE


@pytest.mark.usefixtures("poison_is_logged")
async def test_a_text_that_no_index_takes_is_set_aside_and_holds_up_nothing(world: World) -> None:
    till, (guest,) = await world.till(), await world.guests()
    till.sale(guest.id, earned=1)
    discount = {"lines": [{"discounts": [{"rule": TIER_RULE, "amount": 5}]}]}
    text = secrets.token_urlsafe(12_000)  # at random: what repeats itself is packed and fits
    till.write(RecordKind.SALE, guest_id=guest.id, money_total=5, check=discount, receipt_no=text)
    till.sale(guest.id, earned=2)
    answer = await world.push(till)
    assert [one.reason for one in answer.results] == [None, None, "BAD_SCHEMA", None]
    assert await world.sql("select detail from quarantine") == [("cannot be stored: 54000",)]
    assert await world.balance(guest.id) == 3


async def test_what_is_no_push_is_400_with_a_sentence_and_stores_nothing(world: World) -> None:
    till = await world.till()
    till.sale()
    for body in (b"", b"\xc1", codec.encode({"network": 1}), codec.encode([1, 2, 3])):
        target = "/api/v1/sync/push"
        response = await world.client.post(target, content=body, headers=till.headers("POST", target, body))
        assert refusal(response) == (400, "BAD_BODY")
    assert refusal(await world.post(till, "push", till.push(from_seq=7))) == (400, "BAD_BODY")
    assert await posted(world) == 0


async def test_another_key_another_till_and_an_altered_body_are_403(world: World) -> None:
    till, other = await world.till(), await world.till()
    till.sale()
    thief = msgspec.structs.replace(till.push(), device=other.device)
    assert refusal(await world.post(till, "push", thief)) == (403, "BAD_SIGNATURE")
    assert refusal(await world.post(other, "push", till.push())) == (403, "BAD_SIGNATURE")
    assert refusal(await world.post(till, "push", till.push(head_sig=bytes(64)))) == (403, "BAD_SIGNATURE")
    body = codec.encode(till.push())
    headers = till.headers("POST", "/api/v1/sync/push", body)
    response = await world.client.post("/api/v1/sync/push", content=body + b" ", headers=headers)
    assert refusal(response) == (403, "BAD_SIGNATURE")
    response = await world.client.post("/api/v1/sync/push?x=1", content=body, headers=headers)
    assert refusal(response) == (403, "BAD_SIGNATURE")
    till.key = Ed25519PrivateKey.generate()
    assert refusal(await world.post(till, "push", till.push())) == (403, "BAD_SIGNATURE")
    stranger = FakeTill(world.network, till.store)
    stranger.open_epoch()
    assert refusal(await world.post(stranger, "push", stranger.push())) == (401, "UNKNOWN_DEVICE")
    assert await posted(world) == 0


@pytest.mark.parametrize("known", ["delete from device", "update device set state = 'pending'"])
async def test_a_till_that_had_not_joined_an_older_backup_is_not_known_by_its_key(
    world: World, admin: psycopg.Connection, known: LiteralString
) -> None:
    till = await world.till()
    till.sale()
    assert refusal(await world.post(till, "push", till.push(till.journal[1:]))) == (409, "GAP")
    admin.execute(f"{known} where id = %s", [till.device])
    assert refusal(await world.post(till, "push", till.push())) == (401, "UNKNOWN_DEVICE")


async def test_unknown_guests_wait_in_suspense_and_a_handle_finds_its_guest(world: World) -> None:
    till = await world.till()
    (guest,) = await world.guests()
    till.sale(None, handle=guest.handles[0], earned=5)
    till.sale(uuid4(), earned=3, redeemed=1)
    till.sale(None, handle=12345, earned=4)
    till.sale()
    answer = await world.push(till)
    unknown = flag_bits([ExceptionKind.UNKNOWN_GUEST])
    assert [one.flags for one in answer.results] == [0, 0, unknown, unknown, 0]
    assert await world.balance(guest.id) == 5
    assert await world.sql("select posted from account where kind = 'suspense'") == [(6,)]


async def test_two_tills_spend_the_same_points_both_post_and_the_next_earning_repays(world: World) -> None:
    await world.limit(cvm={"ld1": 1 << 40})
    one, two = await world.till(), await world.till()
    (guest,) = await world.guests()
    one.sale(guest.id, earned=500)
    await world.push(one)
    one.sale(guest.id, redeemed=500)
    two.sale(guest.id, redeemed=500)
    await asyncio.gather(world.push(one), world.push(two))
    assert await world.balance(guest.id) == -500
    assert await world.sql("select debt from account where kind = 'guest'") == [(500,)]
    assert await world.sql("select points from guest_state") == [(-500,)]
    (overdraft,) = await world.sql("select facts, a.guest_id from exception e join account a on a.id = e.account_id")
    assert overdraft == ({"points": 500}, guest.id)
    two.sale(guest.id, earned=600)
    await world.push(two)
    assert await world.sql(
        "select posted, debt, (select points from guest_state) from account where kind = 'guest'"
    ) == [(100, 0, 100)]


@pytest.mark.usefixtures("outage_is_logged")
async def test_a_commit_that_fails_is_no_acknowledgement(world: World, admin: psycopg.Connection) -> None:
    till = await world.till()
    till.sale()
    await asyncio.to_thread(plant_failure, admin, "58030", deferred=True)
    response = await world.post(till, "push", till.push())
    assert refusal(response) == (503, "OUTAGE")
    assert response.headers["retry-after"]
    assert await posted(world) == 0
    await asyncio.to_thread(admin.execute, "drop trigger planted on ledger_tx")
    assert statuses(await world.push(till)) == ["posted", "posted"]


@pytest.mark.usefixtures("outage_is_logged")
@pytest.mark.parametrize("state", ["53100", "57014", "40001", "08006", "XX000", "25006"])
async def test_an_outage_of_the_database_is_503_and_quarantines_nothing(
    world: World, admin: psycopg.Connection, state: str
) -> None:
    till = await world.till()
    till.sale()
    await asyncio.to_thread(plant_failure, admin, state)
    assert refusal(await world.post(till, "push", till.push())) == (503, "OUTAGE")
    assert await world.sql("select (select count(*) from quarantine), (select count(*) from device_epoch)") == [(0, 0)]


async def test_an_account_of_the_network_that_is_full_is_an_outage_and_blames_no_record(
    world: World, expect_log: Callable[[str], None]
) -> None:
    expect_log("is full")
    till, (guest,) = await world.till(), await world.guests()
    till.sale(guest.id, earned=1)
    await world.push(till)
    await world.sql("update account set posted = $1 where kind = 'promo_cost' returning 1", -(1 << 63) + 3)
    till.sale(guest.id, earned=5)
    assert refusal(await world.post(till, "push", till.push())) == (503, "OUTAGE")
    assert await world.sql("select (select count(*) from quarantine), (select max(head_seq) from device_epoch)") == [
        (0, 2)
    ]
    await world.sql("update account set posted = -1 where kind = 'promo_cost' returning 1")
    assert statuses(await world.push(till)) == ["duplicate", "duplicate", "posted"]


async def test_one_till_cannot_stop_the_earnings_of_the_others(world: World) -> None:
    bad, honest, (guest,) = await world.till(), await world.till(), await world.guests()
    for earned in (1 << 62, 1 << 62, (1 << 63) - 1_000):
        before = bad.totals
        bad.sale(guest.id, earned=earned)
        bad.totals = before
    assert statuses(await world.push(bad)) == ["posted", *["BAD_SCHEMA"] * 3]
    honest.sale(guest.id, earned=7)
    assert statuses(await world.push(honest)) == ["posted", "posted"]
    assert await world.balance(guest.id) == 7


async def test_what_waits_is_sealed_and_what_has_no_entries_is_posted(world: World) -> None:
    till = await world.till()
    (guest,) = await world.guests()
    till.sale(guest.id, earned=5)
    till.write(RecordKind.SHIFT_OPEN, check=ShiftOpenContents(till.new_id(), 1).to_check())
    give_back(till, till.new_id(), guest.id, whole(5, 0))
    push = till.push()
    push.records[-1] = msgspec.structs.replace(push.records[-1], private=b"a name")
    assert statuses(await world.push(till, push)) == ["posted", "posted", "posted", "WAITING_DEP"]
    rows = await world.sql("select state, private_sealed from quarantine")
    assert rows[0][0] == "waiting_dependency"
    assert b"a name" not in rows[0][1]


async def test_a_revoked_till_keeps_what_it_posted_and_the_rest_is_set_aside(world: World) -> None:
    till = await world.till()
    till.sale()
    await world.push(till)
    await world.sql("update device set state = 'revoked' returning 1")
    till.sale()
    assert statuses(await world.push(till)) == ["duplicate", "duplicate", "AFTER_REVOCATION"]
    assert refusal(await world.get_page(till)) == (403, "DEVICE_REVOKED")
    assert Command.SUSPEND in (await world.hello(till)).commands


async def test_another_life_of_the_database_wants_a_new_hello(world: World) -> None:
    till = await world.till()
    assert refusal(await world.post(till, "push", till.push(incarnation=uuid4()))) == (409, "STALE_INCARNATION")
    assert await posted(world) == 0


async def test_a_clock_years_off_changes_the_effective_time_and_the_flags_alone(world: World) -> None:
    till = await world.till()
    (guest,) = await world.guests()
    till.sale(guest.id, earned=5, occurred_at=T0 + 10 * 365 * 86_400_000)
    till.sale(guest.id, earned=5, occurred_at=-(1 << 62))
    till.sale(guest.id, redeemed=4)
    answer = await world.push(till)
    clock = flag_bits([ExceptionKind.CLOCK])
    assert [one.flags for one in answer.results] == [0, clock, clock, 0]
    assert await world.balance(guest.id) == 6
    await world.hello(till)
    till.sale(guest.id, earned=1, occurred_at=5)
    await world.push(till)
    (row,) = await world.sql("select effective_at from ledger_tx where seq = 5")
    assert abs((row[0] - world.clock.now()).total_seconds()) < 5


async def test_an_empty_push_and_holes_alone_change_nothing(world: World) -> None:
    till = await world.till()
    answer = await world.push(till, till.push([]))
    assert answer.results == []
    assert await posted(world) == 0


async def test_two_pushes_of_a_network_at_once_and_the_others_wait(world: World) -> None:
    tills = [await world.till() for _ in range(8)]
    (guest,) = await world.guests()
    for till in tills:
        for _ in range(5):
            till.sale(guest.id, earned=3, redeemed=1)
    answers = await asyncio.gather(*(world.push(till) for till in tills))
    assert all(one.status in (Status.POSTED, Status.POSTED_FLAGGED) for answer in answers for one in answer.results)
    assert await world.balance(guest.id) == 8 * 5 * 2
    assert len({answer.feed_seq for answer in answers}) == 8


async def test_what_is_larger_than_allowed_is_413_packed_and_unpacked(world: World) -> None:
    till = await world.till()
    target = "/api/v1/sync/push"
    for body, headers in (
        (bytes(codec.MAX_BODY_BYTES + 1), {}),
        (codec.pack(bytes(codec.MAX_UNPACKED_BYTES + 1)), {"Content-Encoding": "zstd"}),
    ):
        response = await world.client.post(target, content=body, headers=till.headers("POST", target, body) | headers)
        assert refusal(response) == (413, "TOO_LARGE")
    body = b"not zstd"
    headers = till.headers("POST", target, body) | {"Content-Encoding": "zstd"}
    assert refusal(await world.client.post(target, content=body, headers=headers)) == (400, "BAD_BODY")


async def test_a_hole_or_a_fork_is_told_of_whatever_it_begins_with(world: World) -> None:
    till = await world.till()
    for _ in range(5):
        till.sale()
    await world.push(till, till.push(till.journal[:2]))
    spoilt = till.push(till.journal[4:], holes=[Hole(3, 4, "disk")])
    spoilt.records[0] = msgspec.structs.replace(spoilt.records[0], payload=b'{"v":1}')
    for _ in range(2):
        assert statuses(await world.push(till, spoilt))[0] == "BAD_HASH"
    assert await world.sql("select tx_id from exception where kind = 'HOLE'") == [(till.journal[4].id,)]
    await world.sql("update device set state = 'revoked' returning 1")
    till.rewind(1)
    till.sale()
    assert refusal(await world.post(till, "push", till.push())) == (409, "FORK")
    kinds = await world.sql("select kind, count(*), max(severity) from exception group by kind order by kind")
    assert kinds == [("FORK", 1, "alarm"), ("HOLE", 1, "warning")]


async def test_a_fork_names_the_feed_number_that_its_records_reached(world: World) -> None:
    till, (guest,) = await world.till(), await world.guests()
    till.sale(guest.id, earned=1)
    first = await world.push(till)
    till.rewind(1)
    till.sale(guest.id, earned=2)
    response = await world.post(till, "push", till.push())
    assert refusal(response) == (409, "FORK")
    assert codec.decode(ErrorAnswer, response.content).feed_seq == first.feed_seq + 1


async def test_a_push_that_meets_a_merge_posts_to_the_survivor(world: World) -> None:
    till = await world.till()
    old, new = await world.guests(2)
    till.sale(old.id, earned=5)
    await world.push(till)
    till.sale(old.id, earned=7)
    async with world.ground.db.begin(world.network) as connection:
        # The merge holds both guests; the push has looked who they are and waits for them.
        posting = await OwnPosting.lock(connection, world.network, [old.id, new.id], world.clock.now())
        pushing = asyncio.create_task(world.push(till))
        await waits_for_a_lock(world)
        posting.merge(old.id, new.id)
        await write(
            connection,
            "update guest_state set merged_into = $2 where network_id = $1 and guest_id = $3",
            world.network,
            new.id,
            old.id,
        )
        await posting.write(no_rows, shown=[old.id, new.id])
    assert statuses(await pushing)[-1] == "posted"
    assert (await world.balance(old.id), await world.balance(new.id)) == (0, 12)


async def test_a_push_that_meets_an_erasure_posts_to_nobodys_name_and_wakes_nobody(world: World) -> None:
    till, (guest,) = await world.till(), await world.guests()
    till.sale(guest.id, earned=5)
    await world.push(till)
    till.sale(guest.id, earned=7)
    # The push holds the guest and has not committed; the erasure wants the same row and waits for it, or the other way.
    erasing, pushing = await asyncio.gather(
        leaving.erase(world.ground, world.network, guest.id), world.push(till), return_exceptions=True
    )
    assert (erasing, statuses(pushing)[-1]) == (1, "posted")  # type: ignore[arg-type]
    till.sale(guest.id, earned=1)
    async with world.ground.db.begin(world.network) as connection:
        # Held as an erasure holds them: the push waits for its end and finds the guest gone, and posts all the same.
        await OwnPosting.lock(connection, world.network, [guest.id], world.clock.now())
        waiting = asyncio.create_task(world.push(till))
        await waits_for_a_lock(world)
    assert statuses(await waiting)[-1] == "posted"
    assert await world.balance(guest.id) == 13
    rows = [one.row for one in (await world.pull(till)).rows if one.key == str(guest.id)]
    assert rows == [None]


async def no_rows(*_: object) -> list[Change]:
    return []


async def waits_for_a_lock(world: World) -> None:
    """Return when some backend of this database waits for a lock."""
    async with asyncio.timeout(10):
        while True:
            async with world.ground.db.without_network() as connection:
                if await fetch(
                    connection,
                    "select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'",
                ):
                    return
            await asyncio.sleep(0.01)


def plant_failure(admin: psycopg.Connection, state: str, *, deferred: bool = False) -> None:
    """Make every insert into the ledger fail with an SQLSTATE, at once or at the commit.

    Called in a thread: what the application does in the background may hold the table until its loop goes on.
    """
    admin.execute(
        "create function planted() returns trigger language plpgsql as"
        f" $$ begin raise exception 'planted' using errcode = '{state}'; end $$"
    )
    kind = "constraint trigger planted after" if deferred else "trigger planted before"
    when = "deferrable initially deferred for each row" if deferred else "for each row"
    admin.execute(f"create {kind} insert on ledger_tx {when} execute function planted()")
