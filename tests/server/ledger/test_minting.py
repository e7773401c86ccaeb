"""Scenario 67: a till with a changed program and a real key mints points; they buy no more than a day may give."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from loyalty_desk.domain.contents import AdjustContents, AdjustReason
from loyalty_desk.domain.guest_code import CodeKind, parse
from loyalty_desk.domain.record import Credential, ExceptionKind, RecordKind
from loyalty_desk.wire.v1.rows import ProfileRow
from server.guests import codes
from server.kit import feed
from server.ledger.posting import flag_bits
from server.programs import defaults
from server.programs import service as programs
from tests.server.asking import hold, hold_of
from tests.server.fake_till import FakeTill
from tests.server.world import World

pytestmark = [pytest.mark.anyio, pytest.mark.postgres]
MILLION = 1_000_000
CAP = ProfileRow().granted_points
VELOCITY = flag_bits([ExceptionKind.VELOCITY])


async def publish_mixed(world: World) -> None:
    """Let a check earn 3 to 7 percent of what is paid, a point being a ruble."""
    async with world.ground.db.begin(world.network) as connection:
        published = await programs.publish(connection, world.network, defaults.mixed("RUB"), "Europe/Moscow")
        await feed.record(connection, world.network, [published.change])


async def spendable(world: World, till: FakeTill, guest: UUID) -> int:
    """Return how many points the server holds for this guest in all, asked in the largest pieces there are."""
    got, piece = 0, 1 << 20
    while piece:
        (code,) = await codes.rotating(world.ground, world.network, guest, world.clock.now(), 1)
        evidence = code.text.encode()
        made = await hold(world, till, hold_of(till, guest, piece, "ld4", evidence=evidence))
        if made.outcome == "pending":
            got += piece
        else:
            piece //= 2
        world.clock.at += timedelta(milliseconds=1)
    return got


async def mint(till: FakeTill, guest: UUID, how: str) -> None:
    """Write what a till with another program would."""
    match how:
        case "rate":  # 10 000 points a ruble
            till.sale(guest, earned=MILLION, total=10_000)
        case "check":  # a check that nobody paid, at the honest rate
            till.sale(guest, earned=MILLION, total=100 * MILLION * 100 // 7)
        case "many":  # cut into pieces that look like checks
            for _ in range(200):
                till.sale(guest, earned=MILLION // 200, total=10_000_000)
        case "credit":
            check = AdjustContents(AdjustReason.GOODWILL, str(UUID(int=7))).to_check()
            till.write(RecordKind.ADJUST, guest_id=guest, points_earned=MILLION, check=check)


@pytest.mark.parametrize("how", ["rate", "check", "many", "credit"])
async def test_a_modified_till_mints_a_million_points_and_spends_no_more_than_the_cap_of_a_day(
    world: World, how: str
) -> None:
    await publish_mixed(world)
    await world.limit(confirm_points=1 << 40)  # what is looked at here is what there is to spend
    till, other, (guest,) = await world.till(), await world.till(), await world.guests()
    await mint(till, guest.id, how)
    answer = await world.push(till)
    assert all(one.status in ("posted", "posted_flagged", "quarantined") for one in answer.results)
    got = await spendable(world, other, guest.id)
    assert got <= (7 if how == "rate" else CAP)
    # What it mints on, under any date it likes, adds nothing to today.
    for days in (1, 100, -100):
        moment = till.clock.now_ms - days * 86_400_000
        till.sale(guest.id, earned=MILLION, total=10_000, occurred_at=moment)
    await world.push(till)
    assert got + await spendable(world, other, guest.id) <= CAP + 4 * 7
    await world.require_sound()


async def test_minted_points_pay_no_debt_that_the_till_makes_offline(world: World) -> None:
    await publish_mixed(world)
    till, (guest,) = await world.till(), await world.guests()
    till.sale(guest.id, earned=MILLION, total=10_000)
    await world.push(till)
    till.clock.now_ms = int(world.clock.now().timestamp() * 1_000)
    (code,) = await codes.rotating(world.ground, world.network, guest.id, world.clock.now(), 1)
    signed = parse(code.text).signed
    assert signed is not None
    fields: dict[str, Any] = {
        "guest_id": guest.id,
        "money_total": 1,
        "credential": Credential(CodeKind.LD4, code.handle),
        "token_evidence": signed.to_bytes(),
    }
    till.write(RecordKind.SALE, points_redeemed=500, **fields)
    flags = (await world.push(till)).results[-1].flags
    assert flags == flag_bits([ExceptionKind.OVERDRAFT])
    assert await world.sql("select debt from account where kind = 'guest'") == [(493,)]
    assert await world.sql("select sum(remaining) from lot where state = 'held'") == [(MILLION - 7,)]


async def test_the_cap_is_the_profiles_own(world: World) -> None:
    await world.limit(granted_points=30)
    till, (guest,) = await world.till(), await world.guests()
    till.sale(guest.id, earned=31)
    assert (await world.push(till)).results[-1].flags == VELOCITY
    assert await world.sql("select amount, state from lot order by amount") == [(1, "held"), (30, "open")]


async def test_a_modified_till_spends_nothing_of_a_guest_by_a_code_that_proves_nothing(world: World) -> None:
    till, (guest,) = await world.till(), await world.guests()
    till.sale(guest.id, earned=4_000)
    till.sale(guest.id, redeemed=100)
    till.sale(guest.id, redeemed=101)
    for code in (CodeKind.NUMBER, CodeKind.PHONE):
        till.write(
            RecordKind.SALE, guest_id=guest.id, points_redeemed=1, credential=Credential(code, None), money_total=1
        )
    till.write(RecordKind.SALE, guest_id=guest.id, points_redeemed=3_000, money_total=1)
    answer = await world.push(till)
    evidence = flag_bits([ExceptionKind.EVIDENCE])
    assert [one.flags for one in answer.results[1:]] == [0, 0, *[evidence] * 4]
    assert await world.balance(guest.id) == 3_900
    assert await world.sql("select posted from account where kind = 'offline_loss'") == [(-3_103,)]
    await world.require_sound()
