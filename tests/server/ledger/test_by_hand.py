"""Points given, taken and moved by hand at a till: posted at once, above a limit for a manager to look at."""

from __future__ import annotations

from uuid import UUID

import pytest

from loyalty_desk.domain.contents import AdjustContents, AdjustReason, TransferContents
from loyalty_desk.domain.record import ExceptionKind, RecordKind, SealedRecord
from server.ledger.by_hand import POINTS_A_TILL_DAY, POINTS_EACH
from server.ledger.posting import flag_bits
from tests.server.fake_till import FakeTill
from tests.server.ledger.returns import balances, findings, raised, register, said
from tests.server.world import World

pytestmark = [pytest.mark.anyio, pytest.mark.postgres]
VELOCITY = flag_bits([ExceptionKind.VELOCITY])
_DAY = 86_400_000


def adjust(till: FakeTill, guest: UUID, points: int) -> SealedRecord:
    """Give points by hand, or take them."""
    return till.write(
        RecordKind.ADJUST,
        guest_id=guest,
        check=AdjustContents(AdjustReason.GOODWILL, "anna").to_check(),
        points_earned=max(0, points),
        points_redeemed=max(0, -points),
    )


def transfer(till: FakeTill, guest: UUID, to: UUID, points: int) -> SealedRecord:
    """Move points from one guest to another."""
    check = TransferContents(to, AdjustReason.FAMILY, "anna").to_check()
    return till.write(RecordKind.TRANSFER, guest_id=guest, check=check, points_redeemed=points)


async def shown(world: World, guest: UUID) -> int:
    """Return what a guest can spend."""
    return int((await world.sql("select points from guest_state where guest_id = $1", guest))[0][0])


async def test_points_are_given_and_taken_by_hand(world: World) -> None:
    till, (guest,) = await world.till(), await world.guests()
    adjust(till, guest.id, 300)
    adjust(till, guest.id, -120)
    assert said(await world.push(till)) == ["posted", "posted"]
    assert await balances(world) == {"guest": 180, "promo_cost": -180}
    assert await world.sql("select spend, visits, earned from guest_state where guest_id = $1", guest.id) == [(0, 0, 0)]
    assert await findings(world) == []


async def test_what_is_above_each_limit_waits_for_a_manager(world: World) -> None:
    till, other, (guest,) = await world.till(), await world.till(), await world.guests()
    adjust(till, guest.id, POINTS_EACH + 70)
    assert [one.flags for one in (await world.push(till)).results] == [0, VELOCITY]
    assert (await world.balance(guest.id), await shown(world, guest.id)) == (POINTS_EACH + 70, POINTS_EACH)
    for _ in range(POINTS_A_TILL_DAY // POINTS_EACH):
        adjust(till, guest.id, POINTS_EACH)
    answer = await world.push(till)
    assert [one.flags for one in answer.results][2:] == [0] * (POINTS_A_TILL_DAY // POINTS_EACH - 1) + [VELOCITY]
    assert await shown(world, guest.id) == POINTS_A_TILL_DAY
    # Each till has its own day, and each day is a new one.
    adjust(other, guest.id, POINTS_EACH)
    till.clock.now_ms += _DAY
    other.clock.now_ms += _DAY
    await world.push(other)
    assert await shown(world, guest.id) == POINTS_A_TILL_DAY + POINTS_EACH
    assert await findings(world) == []


async def test_points_move_with_the_lives_they_had(world: World) -> None:
    till, (giver, to) = await world.till(), await world.guests(2)
    till.sale(giver.id, earned=100)
    await world.push(till)
    transfer(till, giver.id, to.id, 60)
    assert said(await world.push(till))[-1] == "posted"
    assert (await world.balance(giver.id), await world.balance(to.id)) == (40, 60)
    lots = await world.sql("select expires_at, sum(remaining)::bigint from lot group by 1")
    assert [row[1] for row in lots] == [100]
    assert await balances(world) == {"guest": 100, "promo_cost": -100}
    assert await findings(world) == []


async def test_points_that_the_giver_has_not_are_spent_by_nobody(world: World) -> None:
    till, (giver, to) = await world.till(), await world.guests(2)
    till.sale(giver.id, earned=30)
    made = transfer(till, giver.id, to.id, 100)
    assert said(await world.push(till)) == ["posted", "posted_flagged"]
    assert (await world.balance(giver.id), await world.balance(to.id)) == (-70, 100)
    assert await shown(world, to.id) == 30
    assert await raised(world, "OVERDRAFT") == [(made.id, {"points": 70})]
    assert await findings(world) == []


async def test_a_transfer_waits_until_both_are_registered(world: World) -> None:
    one, two, three = await world.till(), await world.till(), await world.till()
    giver, _ = register(one, phone="+79161234561")
    one.sale(giver, earned=50)
    to, _ = register(two, phone="+79161234562")
    transfer(three, giver, to, 20)
    assert said(await world.push(three)) == ["WAITING_DEP"]
    assert said(await world.push(one)) == ["posted", "posted"]
    assert await world.sql("select state, waits_for from quarantine") == [("waiting_dependency", to)]
    assert said(await world.push(two)) == ["posted"]
    assert (await world.balance(giver), await world.balance(to)) == (30, 20)
    assert await world.sql("select state from quarantine") == [("replayed",)]
    assert await findings(world) == []


async def test_points_given_to_a_guest_nobody_knows_yet_wait_for_them(world: World) -> None:
    one, two = await world.till(), await world.till()
    guest, _ = register(one)
    adjust(two, guest, POINTS_EACH + 1)
    assert said(await world.push(two)) == ["posted_flagged"]
    await world.push(one)
    assert (await world.balance(guest), await shown(world, guest)) == (POINTS_EACH + 1, POINTS_EACH)
    assert await findings(world) == []


async def test_what_waited_for_its_guest_counts_in_the_till_s_day(world: World) -> None:
    one, two = await world.till(), await world.till()
    for place in range(POINTS_A_TILL_DAY // POINTS_EACH):
        guest, _ = register(one, phone=f"+791612345{place:02}")
        adjust(two, guest, POINTS_EACH)
    await world.push(two)
    await world.push(one)
    (late,) = await world.guests()
    adjust(two, late.id, POINTS_EACH)
    assert [one.flags for one in (await world.push(two)).results][-1] == VELOCITY
    assert (await world.balance(late.id), await shown(world, late.id)) == (POINTS_EACH, 0)
    assert await findings(world) == []


async def test_what_cannot_be_read_is_set_aside(world: World) -> None:
    till, (guest,) = await world.till(), await world.guests()
    transfer(till, guest.id, guest.id, 20)
    till.write(RecordKind.ADJUST, guest_id=guest.id, points_earned=5)
    till.write(RecordKind.ADJUST, guest_id=guest.id, check={"reason": "because"}, points_earned=5)
    assert said(await world.push(till)) == ["BAD_SCHEMA"] * 3
