"""Redemptions that nothing bears, steps shown twice, holds that ran out, tier discounts over tills."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest

from loyalty_desk.domain.clock import to_ms
from loyalty_desk.domain.guest_code import CodeKind, parse
from loyalty_desk.domain.record import Credential, ExceptionKind, RecordKind
from loyalty_desk.domain.signed_codes import IssuedCode, RotatingCode, SignedCode
from loyalty_desk.wire.v1.rows import CredentialRow
from loyalty_desk.wire.v1.sync import FeedTable
from server.guests import codes, merging
from server.ledger.posting import flag_bits
from tests.server.asking import guest_with, hold, hold_of
from tests.server.fake_till import FakeTill
from tests.server.ledger.returns import give_back, whole
from tests.server.world import World

pytestmark = [pytest.mark.anyio, pytest.mark.postgres]

EVIDENCE, REPLAY = flag_bits([ExceptionKind.EVIDENCE]), flag_bits([ExceptionKind.REPLAY])
HOLD_EXPIRED, VELOCITY = flag_bits([ExceptionKind.HOLD_EXPIRED]), flag_bits([ExceptionKind.VELOCITY])
OVERDRAFT, REVOKED = flag_bits([ExceptionKind.OVERDRAFT]), flag_bits([ExceptionKind.REVOKED])


def set_clock(world: World, *tills: FakeTill) -> None:
    """Let tills agree with the server about the time."""
    for till in tills:
        till.clock.now_ms = to_ms(world.clock.now())


async def shown_by(world: World, guest: UUID, count: int = 1) -> list[RotatingCode]:
    """Return what the guest's phone shows now and later."""
    made = await codes.rotating(world.ground, world.network, guest, world.clock.now(), count)
    return [_read(one.text) for one in made]  # type: ignore[misc]


def _read(text: str) -> SignedCode:
    signed = parse(text).signed
    assert signed is not None
    return signed


def redeem(till: FakeTill, guest: UUID, points: int, code: SignedCode | None, **changed: Any) -> None:
    """Write a sale that spends points with a rotating or an issued code."""
    kind = CodeKind.LD3 if isinstance(code, IssuedCode) else CodeKind.LD4
    given: dict[str, Any] = {
        "guest_id": guest,
        "points_redeemed": points,
        "money_total": 10_000,
        "credential": Credential(kind, 1 if code is None else code.handle),
        "token_evidence": None if code is None else code.to_bytes(),
    }
    till.write(RecordKind.SALE, **(given | changed))


async def flags(world: World, till: FakeTill) -> list[int]:
    return [one.flags for one in (await world.push(till)).results[1:]]


async def posted(world: World, kind: str) -> int:
    found = await world.sql("select coalesce(sum(posted), 0)::bigint from account where kind = $1", kind)
    return int(found[0][0])


async def test_a_good_code_pays_from_the_guest_and_tills_are_told_of_its_step(world: World) -> None:
    till, (guest,) = await world.till(), await world.guests()
    till.sale(guest.id, earned=500)
    set_clock(world, till)
    (code,) = await shown_by(world, guest.id)
    redeem(till, guest.id, 300, code)
    assert await flags(world, till) == [0, 0]
    assert (await world.balance(guest.id), await posted(world, "offline_loss")) == (200, 0)
    rows = [one.row for one in (await world.pull(till)).rows if one.table == FeedTable.CREDENTIAL]
    (row,) = [msgspec.convert(one, CredentialRow) for one in rows if one is not None and one["kind"] == "phone"]
    assert (row.guest, row.step, bool(row.root)) == (str(guest.id), 1, True)
    await world.require_sound()


@pytest.mark.parametrize(
    ("reason", "spoil"),
    [
        ("code_missing", lambda _: None),
        ("code_signature", lambda code: replace(code, balance=code.balance + 1)),
        ("code_signature", lambda code: replace(code, value=bytes(16))),
        ("code_signature", lambda code: replace(code, step=2)),
        ("code_key_unknown", lambda code: replace(code, kid=9)),
        ("code_other_network", lambda code: replace(code, tag=bytes(len(code.tag)))),
    ],
)
async def test_scenario_68_forged_or_missing_evidence_is_charged_to_the_store(
    world: World, reason: str, spoil: Any
) -> None:
    till, (guest,) = await world.till(), await world.guests()
    till.sale(guest.id, earned=500)
    set_clock(world, till)
    code, _ = await shown_by(world, guest.id, 2)
    redeem(till, guest.id, 300, spoil(code), credential=Credential(CodeKind.LD4, code.handle))
    assert await flags(world, till) == [0, EVIDENCE]
    assert (await world.balance(guest.id), await posted(world, "offline_loss")) == (500, -300)
    assert await posted(world, "liability") == 300
    found = await world.sql("select kind, facts, state from exception")
    assert found == [("EVIDENCE", {"reason": reason, "points": 300}, "open")]
    # What is not proved uses nothing up: the real code pays still.
    redeem(till, guest.id, 100, code)
    assert (await flags(world, till))[-1] == 0
    await world.require_sound()


async def test_a_code_of_somebody_else_or_of_another_hour_bears_nothing(world: World) -> None:
    till, (guest, other) = await world.till(), await world.guests(2)
    till.sale(guest.id, earned=500)
    set_clock(world, till)
    (theirs,) = await shown_by(world, other.id)
    redeem(till, guest.id, 50, theirs)
    (mine,) = await shown_by(world, guest.id)
    world.clock.at += timedelta(hours=1)
    set_clock(world, till)
    redeem(till, guest.id, 50, mine)
    assert await flags(world, till) == [0, EVIDENCE, EVIDENCE]
    assert await world.balance(guest.id) == 500
    reasons = await world.sql("select facts ->> 'reason' from exception order by id")
    assert reasons == [("code_signature",), ("code_expired",)]


@pytest.mark.parametrize("at_once", [True, False])
async def test_what_the_store_paid_comes_back_to_the_store(world: World, at_once: bool) -> None:
    till, (guest,) = await world.till(), await world.guests()
    till.sale(guest.id, earned=500)
    redeem(till, guest.id, 300, None)
    sale = till.of_epoch[-1].id
    if not at_once:
        assert (await flags(world, till))[-1] == EVIDENCE
        assert (await world.balance(guest.id), await posted(world, "offline_loss")) == (500, -300)
    give_back(till, sale, guest.id, whole(0, 300), RecordKind.VOID)
    assert (await world.push(till)).results[-1].status == "posted"
    assert (await world.balance(guest.id), await posted(world, "offline_loss")) == (500, 0)
    assert await posted(world, "liability") == 0
    await world.require_sound()


async def test_an_old_picture_is_not_made_good_by_an_old_time_of_the_till(world: World) -> None:
    till, (guest,) = await world.till(), await world.guests()
    till.sale(guest.id, earned=500)
    set_clock(world, till)
    (code,) = await shown_by(world, guest.id)
    redeem(till, guest.id, 50, code, occurred_at=till.clock.now_ms)
    assert (await flags(world, till))[-1] == 0
    later = await shown_by(world, guest.id)
    world.clock.at += timedelta(hours=1)
    (seq,) = (await world.sql("select n from feed_counter"))[0]
    # The feed that it had seen is of now, so its sale is not of an hour ago.
    put = "insert into feed_commit (network_id, n, committed_at) values ($1, $2, $3) returning n"
    await world.sql(put, world.network, seq + 1_000, world.clock.now())
    redeem(
        till,
        guest.id,
        50,
        later[0],
        cache_feed_seq=seq + 1_000,
        occurred_at=to_ms(world.clock.now() - timedelta(hours=1)),
    )
    assert (await flags(world, till))[-1] & EVIDENCE


async def test_an_ld3_and_a_code_that_only_the_server_can_check(world: World) -> None:
    till, (guest,) = await world.till(), await world.guests()
    till.sale(guest.id, earned=500)
    set_clock(world, till)
    (card,) = await codes.issued(world.ground, world.network, guest.id, world.clock.now(), timedelta(days=1))
    code = _read(card.text)
    redeem(till, guest.id, 50, code)
    redeem(till, guest.id, 50, code)  # it turns over nothing: the limits bound it
    for kind in (CodeKind.LD2, CodeKind.SHORT):
        redeem(till, guest.id, 50, None, credential=Credential(kind, None))
    assert await flags(world, till) == [0, 0, 0, EVIDENCE, EVIDENCE]
    assert await world.balance(guest.id) == 400


async def test_a_guest_merged_away_still_proves_who_spends(world: World) -> None:
    till, (old, new) = await world.till(), await world.guests(2)
    till.sale(old.id, earned=500)
    await world.push(till)
    set_clock(world, till)
    (code,) = await shown_by(world, old.id)
    await merging.merge(world.ground, world.network, old.id, new.id, world.clock.now())
    redeem(till, old.id, 300, code)
    assert (await flags(world, till))[-1] == 0
    assert await world.balance(new.id) == 200


async def test_scenario_48_one_step_at_two_tills_is_posted_and_told_of(world: World) -> None:
    one, other, (guest,) = await world.till(), await world.till(), await world.guests()
    one.sale(guest.id, earned=500)
    await world.push(one)
    set_clock(world, one, other)
    (code,) = await shown_by(world, guest.id)
    redeem(one, guest.id, 100, code)
    redeem(other, guest.id, 100, code)
    assert (await flags(world, one))[-1] == 0
    assert (await flags(world, other))[-1] == REPLAY
    assert (await world.balance(guest.id), await posted(world, "offline_loss")) == (300, 0)
    first = one.of_epoch[-1].id
    assert await world.sql("select facts -> 'paid_for' from exception") == [([str(first)],)]


async def test_a_step_pays_once_at_a_till_and_never_where_the_till_had_been_told(world: World) -> None:
    one, other, (guest,) = await world.till(), await world.till(), await world.guests()
    one.sale(guest.id, earned=500)
    await world.push(one)
    set_clock(world, one, other)
    (code,) = await shown_by(world, guest.id)
    redeem(one, guest.id, 100, code)
    redeem(one, guest.id, 100, code)
    assert (await flags(world, one))[-2:] == [0, REPLAY | EVIDENCE]
    redeem(other, guest.id, 100, code, cache_feed_seq=(await world.pull(other)).next)
    assert (await flags(world, other))[-1] == REPLAY | EVIDENCE
    assert (await world.balance(guest.id), await posted(world, "offline_loss")) == (400, -200)
    await world.require_sound()


async def test_an_old_chain_that_comes_late_does_not_hide_the_new_one(world: World) -> None:
    one, other, (guest,) = await world.till(), await world.till(), await world.guests()
    one.sale(guest.id, earned=500)
    await world.push(one)
    set_clock(world, one)
    (old,) = await shown_by(world, guest.id)
    redeem(one, guest.id, 10, old)
    world.clock.at += timedelta(minutes=10)
    set_clock(world, other)
    (new,) = await shown_by(world, guest.id)
    redeem(other, guest.id, 10, new)
    await world.push(other)
    assert (await flags(world, one))[-1] == 0
    assert await world.sql("select last_root from credential where kind = 'phone'") == [(new.root,)]


async def test_a_sale_of_a_hold_needs_no_other_proof_and_says_when_the_hold_had_lapsed(world: World) -> None:
    till = await world.till()
    guest = await guest_with(world, till, 500)
    set_clock(world, till)
    in_time, late, lost = (hold_of(till, guest, 50) for _ in range(3))
    for asked in (in_time, late):
        assert (await hold(world, till, asked)).outcome == "pending"
    redeem(till, guest, 50, None, check={"hold": str(in_time.id)})
    assert (await flags(world, till))[-1] == 0
    world.clock.at += timedelta(minutes=5)
    redeem(till, guest, 50, None, check={"hold": str(late.id)})
    redeem(till, guest, 50, None, check={"hold": str(lost.id)})  # never arrived: this is an offline one
    redeem(till, guest, 50, None, check={"hold": str(late.id)})  # one hold bears one sale
    assert (await flags(world, till))[-3:] == [HOLD_EXPIRED, EVIDENCE, HOLD_EXPIRED | EVIDENCE]
    assert (await world.balance(guest), await posted(world, "offline_loss")) == (400, -100)
    states = await world.sql("select state, tx_id is not null from hold order by made_at")
    assert states == [("posted", True), ("expired", True)]
    await world.require_sound()


async def test_a_hold_bears_no_more_than_it_held_and_for_nobody_else(world: World) -> None:
    till, other = await world.till(), await world.till()
    guest = await guest_with(world, till, 500)
    (stranger,) = await world.guests()
    set_clock(world, till, other)
    small, theirs, elsewhere = (hold_of(till, guest, 50) for _ in range(3))
    for asked in (small, theirs, elsewhere):
        await hold(world, till, asked)
    redeem(till, guest, 51, None, check={"hold": str(small.id)})
    redeem(till, stranger.id, 50, None, check={"hold": str(theirs.id)})
    assert (await flags(world, till))[-2:] == [EVIDENCE, EVIDENCE]
    redeem(other, guest, 50, None, check={"hold": str(elsewhere.id)})
    assert (await flags(world, other))[-1] == EVIDENCE | HOLD_EXPIRED
    assert await world.balance(guest) == 500


def discounted(amount: int) -> dict[str, Any]:
    """Return a check of which the tier took so much."""
    return {"lines": [{"net": 1, "discounts": [{"rule": "tier", "amount": amount}, {"rule": "r", "amount": 9}]}]}


async def test_tier_discounts_by_weak_codes_over_tills_are_told_of(world: World) -> None:
    one, other, (guest,) = await world.till(), await world.till(), await world.guests()
    for _ in range(3):
        one.sale(guest.id, check=discounted(100))
    assert await flags(world, one) == [0, 0, 0]  # beyond its bounds a till asks a manager
    other.sale(guest.id, check=discounted(100))
    other.sale(guest.id, check={"lines": []})
    redeem(other, guest.id, 0, None, check=discounted(100))  # an LD4 has no bounds
    assert await flags(world, other) == [VELOCITY, 0, 0]
    told = "select facts -> 'checks', facts -> 'discount' from exception where kind = 'VELOCITY'"
    assert await world.sql(told) == [(4, 400)]


async def test_one_large_tier_discount_over_two_tills_is_told_of_and_another_day_begins_anew(world: World) -> None:
    one, other, (guest,) = await world.till(), await world.till(), await world.guests()
    one.sale(guest.id, check=discounted(200_000))
    await world.push(one)
    other.sale(guest.id, check=discounted(100_001))
    other.write(
        RecordKind.SALE,
        guest_id=guest.id,
        money_total=1,
        business_day="2030-01-01",
        check=discounted(290_000),
    )
    assert await flags(world, other) == [VELOCITY, 0]


async def test_scenario_31_nobody_known_is_no_proof_and_nothing_breaks(world: World) -> None:
    till = await world.till()
    redeem(till, uuid4(), 50, None, check={"hold": "no uuid", "lines": 5})
    (found,) = await flags(world, till)
    assert found & EVIDENCE
    assert (await posted(world, "suspense"), await posted(world, "offline_loss")) == (0, -50)


async def test_a_sale_by_a_blocked_card_is_told_of_and_what_came_before_stands(world: World) -> None:
    till = await world.till()
    guest = await guest_with(world, till, 1_000)
    set_clock(world, till)
    ((handle,),) = await world.sql("select handle from credential where guest_id = $1 and kind = 'card'", guest)
    card = int.from_bytes(bytes(handle), "big")
    (before, after) = await shown_by(world, guest, 2)
    redeem(till, guest, 200, before)
    till.sale(guest, redeemed=50, earned=10, handle=card)
    world.clock.at += timedelta(seconds=30)
    assert await codes.block(world.ground, world.network, guest, None, world.clock.now()) == 2
    set_clock(world, till)
    redeem(till, guest, 300, after)
    till.sale(guest, earned=10, handle=card)
    till.sale(None, earned=10, handle=card)
    world.clock.at += timedelta(seconds=10)
    assert await flags(world, till) == [0, 0, EVIDENCE | REVOKED, REVOKED, REVOKED]
    # Of what was spent after the block the store bears the points; who earned by the card is its guest.
    assert await world.balance(guest) == 1_000 - 200 - 50 + 30
    assert await posted(world, "offline_loss") == -300
    rows = {row.key: row.row for row in (await world.pull(till)).rows if row.table == FeedTable.CREDENTIAL}
    assert {(row["state"], row["generation"]) for row in rows.values() if row} == {("blocked", 1)}
    assert await codes.block(world.ground, world.network, guest, card, world.clock.now()) == 0
    await world.require_sound()


async def test_a_till_that_claims_card_after_card_is_held_to_what_four_outages_may_cost(world: World) -> None:
    till, other, (guest, second) = await world.till(), await world.till(), await world.guests(2)
    set_clock(world, till, other)
    for number in range(202):
        till.sale((guest, second)[number % 2].id, redeemed=100)
    found = await flags(world, till)
    assert [one & (EVIDENCE | VELOCITY) for one in found] == [0] * 200 + [EVIDENCE | VELOCITY] * 2
    taken = await world.balance(guest.id) + await world.balance(second.id)
    assert (taken, await posted(world, "offline_loss")) == (-20_000, -200)
    # It goes on from push to push, and what was pushed twice counts once.
    till.sale(guest.id, redeemed=1)
    assert (await flags(world, till))[-1] & EVIDENCE
    assert await world.sql("select sum(points)::bigint from unproved_use") == [(20_201,)]
    # What is proved, another till, and the next day are not concerned.
    (code,) = await shown_by(world, guest.id)
    redeem(till, guest.id, 300, code)
    assert not (await flags(world, till))[-1] & EVIDENCE
    other.sale(guest.id, redeemed=100)
    assert not (await flags(world, other))[-1] & EVIDENCE
    world.clock.at += timedelta(days=1)
    set_clock(world, till)
    till.sale(guest.id, redeemed=100)
    assert not (await flags(world, till))[-1] & EVIDENCE
    await world.require_sound()


async def test_what_the_server_has_held_points_for_counts_for_no_day(world: World) -> None:
    till = await world.till()
    guest = await guest_with(world, till, 300)
    set_clock(world, till)
    asked = hold_of(till, guest, 100)
    assert (await hold(world, till, asked)).outcome == "pending"
    till.sale(guest, redeemed=100, check={"hold": str(asked.id)})
    till.sale(guest, redeemed=10)
    await world.push(till)
    assert await world.sql("select points from unproved_use") == [(10,)]


async def test_a_store_that_sets_less_for_an_outage_is_not_charged_for_several_in_a_day(world: World) -> None:
    await world.limit(device_points=100)
    till, (guest,) = await world.till(), await world.guests()
    set_clock(world, till)
    for _ in range(3):
        till.sale(guest.id, redeemed=100)
    assert not any(one & EVIDENCE for one in await flags(world, till))
