"""Voids and refunds through the real route: up to what is left of the sale, and in whatever order they come."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from loyalty_desk.domain.basket import Basket, Line
from loyalty_desk.domain.canonical import Json
from loyalty_desk.domain.check import check_to_payload
from loyalty_desk.domain.clock import from_ms
from loyalty_desk.domain.guest import GuestFacts
from loyalty_desk.domain.guest_code import CodeKind
from loyalty_desk.domain.pricing import NO_CHOICES, quote
from loyalty_desk.domain.program import Program
from loyalty_desk.domain.record import Credential, ExceptionKind, RecordKind, SealedRecord
from loyalty_desk.domain.refund import Refund
from loyalty_desk.domain.return_contents import ExchangeContents, FollowContents, FollowedLine
from server.kit import feed
from server.kit.db import fetch_value
from server.ledger import attention
from server.ledger.posting import flag_bits
from server.programs import service as programs
from tests.server.fake_till import FakeTill
from tests.server.ledger.returns import balances, findings, give_back, raised, said, whole
from tests.server.world import World

pytestmark = [pytest.mark.anyio, pytest.mark.postgres]
EARNING: dict[str, Json] = {
    "currency": "RUB",
    "rules": [
        {
            "id": "points",
            "name": {"ru": "Баллы", "en": "Points"},
            "effects": [{"type": "earn_rate", "rate_bp": 500}],
            "conditions": [],
        }
    ],
}
EXCESS = flag_bits([ExceptionKind.EXCESS_RETURN])


async def test_a_void_takes_a_sale_back(world: World) -> None:
    till, (guest,) = await world.till(), await world.guests()
    till.sale(guest.id, earned=100)
    sale = till.sale(guest.id, earned=7, redeemed=40)
    give_back(till, sale.id, guest.id, whole(7, 40), RecordKind.VOID)
    assert said(await world.push(till)) == ["posted", "posted", "posted"]
    assert await balances(world) == {"guest": 100, "promo_cost": -100}
    assert await world.sql("select points, spend, visits, earned from guest_state where points <> 0") == [
        (100, 10_000, 1, 100)
    ]


@pytest.mark.parametrize("in_one_push", [True, False])
async def test_given_back_points_live_as_before_but_thirty_days_at_least(world: World, in_one_push: bool) -> None:
    till, (guest,) = await world.till(), await world.guests()
    till.sale(guest.id, earned=100)
    sale = till.sale(guest.id, redeemed=40)
    if not in_one_push:
        await world.push(till)
    give_back(till, sale.id, guest.id, whole(0, 40))
    await world.push(till)
    lots = await world.sql("select remaining, expires_at from lot where remaining > 0 order by remaining")
    assert [row[0] for row in lots] == [40, 60]
    assert lots[0][1] == lots[1][1]


async def test_two_tills_refund_one_sale_and_the_store_bears_the_second(world: World) -> None:
    one, two, (guest,) = await world.till(), await world.till(), await world.guests()
    one.sale(guest.id, earned=100)
    sale = one.sale(guest.id, earned=10, redeemed=30)
    give_back(one, sale.id, guest.id, whole(10, 30))
    give_back(two, sale.id, guest.id, whole(10, 30))
    assert [found.flags for found in (await world.push(one)).results] == [0, 0, 0, 0]
    assert [found.flags for found in (await world.push(two)).results] == [0, EXCESS]
    assert await world.balance(guest.id) == 100
    assert await balances(world) == {"guest": 100, "promo_cost": -90, "liability": -30, "refund_loss": 20}
    facts = {"earned": 10, "spent": 30, "by": str(two.journal[-1].id)}
    assert await raised(world, "EXCESS_RETURN") == [(sale.id, facts)]
    # A third one raises nothing new about this sale, and the books still balance.
    give_back(one, sale.id, guest.id, whole(10, 30))
    assert said(await world.push(one))[-1] == "posted_flagged"
    assert len(await raised(world, "EXCESS_RETURN")) == 1
    assert (await world.sql("select coalesce(sum(amount), 0)::bigint from entry"))[0][0] == 0


async def test_a_return_waits_for_its_sale_and_is_posted_with_it(world: World) -> None:
    one, two, (guest,) = await world.till(), await world.till(), await world.guests()
    one.sale(guest.id, earned=100)
    sale = one.sale(guest.id, earned=10, redeemed=30)
    give_back(two, sale.id, guest.id, whole(10, 30))
    two.sale(guest.id, earned=1)
    assert said(await world.push(two)) == ["WAITING_DEP", "posted"]
    assert await world.sql("select state, waits_for from quarantine") == [("waiting_dependency", sale.id)]
    assert said(await world.push(two)) == ["WAITING_DEP", "duplicate"]
    assert said(await world.push(one)) == ["posted", "posted"]
    assert await world.balance(guest.id) == 101
    assert await world.sql("select state from quarantine") == [("replayed",)]
    # The till's journal is whole on the server: nothing to send again, whichever way it asks.
    assert said(await world.push(two)) == ["duplicate", "duplicate"]
    assert not (await world.reconcile(two)).mismatching


async def test_what_has_waited_for_thirty_days_is_put_before_a_person_and_still_posted(world: World) -> None:
    one, two, (guest,) = await world.till(), await world.till(), await world.guests()
    sale = one.sale(guest.id, earned=10)
    give_back(two, sale.id, guest.id, whole(10, 0))
    await world.push(two)

    async def put_forward(days: int) -> tuple[int, str]:
        async with world.ground.db.begin(world.network) as connection:
            now = await fetch_value(connection, "select now()")
            count = await attention.put_forward(connection, world.network, now + timedelta(days=days))
        return count, (await world.sql("select state from quarantine"))[0][0]

    assert await put_forward(29) == (0, "waiting_dependency")
    assert await put_forward(31) == (1, "open")
    assert await put_forward(31) == (0, "open")
    assert said(await world.push(one)) == ["posted"]
    assert await world.sql("select state from quarantine") == [("replayed",)]
    assert await world.balance(guest.id) == 0


async def test_a_return_of_what_is_no_sale_is_set_aside(world: World) -> None:
    one, two, (guest,) = await world.till(), await world.till(), await world.guests()
    sale = one.sale(guest.id, earned=10)
    refund = give_back(one, sale.id, guest.id, whole(10, 0))
    give_back(one, refund.id, guest.id, whole(0, 10))
    assert said(await world.push(one)) == ["posted", "posted", "BAD_SCHEMA"]
    # Nor does it matter that nobody could know yet what it takes back.
    third = two.sale(guest.id, earned=5)
    void = give_back(two, third.id, guest.id, whole(5, 0), RecordKind.VOID)
    give_back(one, void.id, guest.id, whole(0, 5))
    assert said(await world.push(one))[-1] == "WAITING_DEP"
    await world.push(two)
    rows = await world.sql("select reason, state from quarantine order by id")
    assert rows == [("BAD_SCHEMA", "open"), ("BAD_SCHEMA", "open")]
    assert await world.balance(guest.id) == 0


async def test_a_return_that_contradicts_itself_is_set_aside(world: World) -> None:
    till, (guest,) = await world.till(), await world.guests()
    sale = till.sale(guest.id, earned=10)
    till.write(RecordKind.REFUND, guest_id=guest.id, reverses_id=sale.id)
    till.write(RecordKind.VOID, guest_id=guest.id, check={"currency": "RUB"})
    mine = uuid4()
    give_back(till, mine, guest.id, whole(1, 0), record_id=mine)
    assert said(await world.push(till)) == ["posted", "BAD_SCHEMA", "BAD_SCHEMA", "BAD_SCHEMA"]


async def test_the_sale_says_whose_points_come_back(world: World) -> None:
    till, (guest, other) = await world.till(), await world.guests(2)
    sale = till.sale(guest.id, earned=50)
    give_back(till, sale.id, other.id, whole(50, 0))
    await world.push(till)
    assert (await world.balance(guest.id), await world.balance(other.id)) == (0, 0)


async def test_held_points_of_a_sale_go_first_when_it_comes_back(world: World) -> None:
    till, (guest,) = await world.till(), await world.guests()
    sale = till.sale(guest.id, earned=6_000)
    give_back(till, sale.id, guest.id, whole(1_500, 0, is_whole=False))
    await world.push(till)
    lots = await world.sql("select state, remaining from lot order by amount")
    assert lots == [("reversed", 0), ("open", 4_500)]


async def priced(world: World, at: int) -> tuple[Program, dict[str, Json], int]:
    """Put a program into force and return it, a check of two lines priced with it, and the points it earns."""
    async with world.ground.db.begin(world.network) as connection:
        published = await programs.publish(connection, world.network, EARNING, "UTC")
        await feed.record(connection, world.network, [published.change])
    program = published.program
    basket = Basket("RUB", (Line("a", quantity_milli=2_000, unit_price=30_000), Line("b", unit_price=40_000)))
    quoted = quote(basket, GuestFacts(), program, from_ms(at), NO_CHOICES)
    return program, check_to_payload(basket, GuestFacts(), NO_CHOICES, quoted), quoted.earned_points


def follow(till: FakeTill, sale: UUID, *lines: FollowedLine) -> SealedRecord:
    """Write a refund that tells goods and money alone."""
    money = sum(one.money for one in lines)
    contents = FollowContents("RUB", from_ms(till.clock.now_ms), money, lines)
    return till.write(RecordKind.REFUND, check=contents.to_check(), money_total=money, reverses_id=sale)


async def test_points_of_another_tills_sale_follow(world: World) -> None:
    one, two, (guest,) = await world.till(), await world.till(), await world.guests()
    _, check, earned = await priced(world, one.clock.now_ms)
    assert earned > 10
    sale = one.sale(guest.id, earned=earned, total=100_000, check=check)
    follow(two, sale.id, FollowedLine("b", 1_000, 40_000))
    await world.push(two)
    await world.push(one)
    assert await world.balance(guest.id) == earned - earned * 4 // 10
    follow(two, sale.id, FollowedLine("a", 1_000, 30_000))
    follow(two, sale.id, FollowedLine("a", 1_000, 30_000))
    assert said(await world.push(two)) == ["duplicate", "posted", "posted"]
    assert await world.balance(guest.id) == 0
    # What came back already comes back once.
    follow(two, sale.id, FollowedLine("a", 2_000, 60_000))
    await world.push(two)
    assert await world.balance(guest.id) == 0
    assert await world.sql("select spend, visits from guest_state where guest_id = $1", guest.id) == [(0, 0)]


async def test_points_follow_the_money_where_the_check_cannot_be_priced_again(world: World) -> None:
    till, (guest,) = await world.till(), await world.guests()
    sale = till.sale(guest.id, earned=100, redeemed=0, total=10_000)
    follow(till, sale.id, FollowedLine("x", 1_000, 2_500))
    await world.push(till)
    assert await world.balance(guest.id) == 75


def exchange(
    till: FakeTill, sale: UUID, guest: UUID, refund: Refund, *, earned: int, redeemed: int, **fields: Any
) -> SealedRecord:
    """Write an exchange; its points are those of the new sale."""
    return till.write(
        RecordKind.EXCHANGE,
        guest_id=guest,
        check=ExchangeContents.to_check({}, refund),
        points_earned=earned,
        points_redeemed=redeemed,
        money_total=20_000,
        reverses_id=sale,
        **({"credential": Credential(CodeKind.LD1, 1)} | fields),
    )


async def test_an_exchange_posts_both_sides_at_once(world: World) -> None:
    till, (guest,) = await world.till(), await world.guests()
    till.sale(guest.id, earned=100)
    sale = till.sale(guest.id, earned=10, redeemed=60)
    made = exchange(till, sale.id, guest.id, whole(10, 60), earned=25, redeemed=90)
    assert said(await world.push(till)) == ["posted"] * 3
    # 100 + 10 − 60, and then + 60 − 10 − 90 + 25: nothing was ever owed.
    assert await world.balance(guest.id) == 35
    assert await raised(world, "OVERDRAFT") == []
    assert await world.sql("select spend, visits from guest_state where guest_id = $1", guest.id) == [(30_000, 2)]
    assert (await world.sql("select count(*) from entry where tx_id = $1", made.id))[0][0] == 8
    # What was bought in exchange can come back like anything else.
    give_back(till, made.id, guest.id, whole(25, 90, 20_000), RecordKind.VOID)
    assert said(await world.push(till))[-1] == "posted"
    assert await world.balance(guest.id) == 100
    assert await findings(world) == []


async def test_an_exchange_waits_with_its_new_sale_and_what_waits_for_it(world: World) -> None:
    one, two, (guest,) = await world.till(), await world.till(), await world.guests()
    sale = one.sale(guest.id, earned=10)
    made = exchange(two, sale.id, guest.id, whole(10, 0), earned=25, redeemed=0)
    give_back(two, made.id, guest.id, whole(25, 0, 20_000))
    assert said(await world.push(two)) == ["WAITING_DEP", "WAITING_DEP"]
    assert said(await world.push(one)) == ["posted"]
    assert await world.balance(guest.id) == 0
    assert (await world.sql("select count(*) from ledger_tx where kind in ('exchange', 'refund')"))[0][0] == 2
    assert await findings(world) == []


async def test_figures_that_no_exchange_can_have_are_set_aside(world: World) -> None:
    till, (guest,) = await world.till(), await world.guests()
    sale = till.sale(guest.id, earned=10)
    exchange(till, sale.id, guest.id, whole(1 << 62, 0), earned=25, redeemed=0)
    assert said(await world.push(till)) == ["posted", "BAD_SCHEMA"]


async def test_the_audit_sees_returns_that_moved_too_much(world: World, admin: psycopg.Connection) -> None:
    one, two, (guest,) = await world.till(), await world.till(), await world.guests()
    sale = one.sale(guest.id, earned=10, redeemed=0)
    give_back(one, sale.id, guest.id, whole(10, 0))
    give_back(two, sale.id, guest.id, whole(10, 0))
    follow(two, sale.id, FollowedLine("x", 1_000, 2_500))
    await world.push(one)
    await world.push(two)
    assert await findings(world) == []
    await asyncio.to_thread(admin.execute, "alter table entry disable trigger immutable")
    admin.execute("update entry set amount = amount * 2 where tx_id = %s", (two.journal[1].id,))
    await asyncio.to_thread(admin.execute, "alter table entry enable trigger immutable")
    found = [one for one in await findings(world) if one.startswith("INV-17")]
    assert len(found) == 1
    assert str(sale.id) in found[0]
