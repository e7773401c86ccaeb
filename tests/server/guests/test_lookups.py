"""Lookups of a till: whoever a code names, sales of other tills, and counted guesses."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import httpx2
import psycopg
import pytest

from loyalty_desk.domain import guest_code
from loyalty_desk.domain.basket import Basket, Line
from loyalty_desk.domain.check import check_to_payload
from loyalty_desk.domain.clock import from_ms
from loyalty_desk.domain.program import Program
from loyalty_desk.domain.quote import NO_CHOICES
from loyalty_desk.domain.record import Record, RecordKind
from loyalty_desk.domain.refund import Return, Sale, refund
from loyalty_desk.domain.return_contents import ReturnContents
from loyalty_desk.wire.v1 import codec, signing
from loyalty_desk.wire.v1.holds import HoldAnswer
from loyalty_desk.wire.v1.lookup import FoundGuest, GuestLookup, GuestsFound, SaleFound, SaleLookup
from server.guests import codes
from server.guests.short_codes import issue
from server.kit.ground import Base, Ground
from server.ledger.shelf import ProgramShelf
from server.networks.service import MadeNetwork, NewStore, create_network
from server.settings import Settings
from tests.server.asking import BASE, ask, hold_of
from tests.server.fake_till import T0, FakeTill
from tests.server.ledger.returns import register
from tests.server.world import World, open_world, read, refusal

pytestmark = [pytest.mark.anyio, pytest.mark.postgres]


@pytest.fixture
async def world(ground: Ground, base: Base, settings: Settings, made: MadeNetwork) -> AsyncIterator[World]:
    async with open_world(ground, base, settings, made) as found:
        yield found


async def asked(world: World, till: FakeTill, by: str, text: str) -> httpx2.Response:
    return await ask(world, till, "guests/lookup", GuestLookup(till.network, till.device, by, text))


async def found(world: World, till: FakeTill, by: str, text: str) -> list[FoundGuest]:
    return read(GuestsFound, await asked(world, till, by, text)).guests


async def test_a_guest_is_found_by_whatever_names_them(world: World) -> None:
    till = await world.till()
    (guest,) = await world.guests(phone="+79161234567")
    (other,) = await world.guests(phone="+79260004567")
    for by, text in (
        ("code", guest_code.ld1(guest.handles[0])),
        ("code", guest_code.ld1(guest.handles[0]).lower()),
        ("code", guest.member_no),
        ("number", guest.member_no),
        ("phone", "8 (916) 123-45-67"),
        ("code", "+79161234567"),
        ("guest", str(guest.id)),
    ):
        (one,) = await found(world, till, by, text)
        assert (one.guest, one.row["member_no"]) == (guest.id, guest.member_no), by
    assert {one.guest for one in await found(world, till, "last4", "4567")} == {guest.id, other.id}
    for by, text in (("guest", str(uuid4())), ("number", guest_code.member_number(1 << 29)), ("phone", "+79990000000")):
        assert await found(world, till, by, text) == []
    for by, text in (("guest", "x"), ("number", "12"), ("phone", "abc"), ("last4", "12x4"), ("code", "hello")):
        assert refusal(await asked(world, till, by, text)) == (400, "BAD_BODY"), by


async def test_a_blocked_card_names_nobody_and_its_number_still_does(world: World, admin: psycopg.Connection) -> None:
    till, (guest,) = await world.till(), await world.guests()
    (one,) = await found(world, till, "code", guest_code.ld1(guest.handles[0]))
    assert one.guest == guest.id
    admin.execute("update credential set state = 'blocked'")
    assert await found(world, till, "code", guest_code.ld1(guest.handles[0])) == []
    assert [one.guest for one in await found(world, till, "number", guest.member_no)] == [guest.id]


async def test_what_can_be_guessed_is_counted_and_scans_are_not(world: World) -> None:
    till, other = await world.till(), await world.till()
    (guest,) = await world.guests()
    for number in range(60):
        by, text = [("number", guest.member_no), ("code", guest.member_no), ("last4", "0000")][number % 3]
        assert (await asked(world, till, by, text)).status_code == 200
    response = await asked(world, till, "phone", "+79990000000")
    assert refusal(response) == (429, "TOO_MANY")
    assert 0 < int(response.headers["Retry-After"]) <= 60
    assert await found(world, till, "code", guest_code.ld1(guest.handles[0]))
    assert (await asked(world, other, "number", guest.member_no)).status_code == 200


async def test_a_till_looks_two_thousand_up_a_day_and_no_more(world: World, admin: psycopg.Connection) -> None:
    till = await world.till()
    (guest,) = await world.guests()
    assert (await asked(world, till, "number", guest.member_no)).status_code == 200
    admin.execute("update attempts set of_day = 2000 where what = 'lookup'")
    world.clock.at += timedelta(minutes=2)
    assert refusal(await asked(world, till, "number", guest.member_no)) == (429, "TOO_MANY")
    world.clock.at += timedelta(days=1)
    assert (await asked(world, till, "number", guest.member_no)).status_code == 200


async def test_a_short_code_belongs_to_the_till_that_shows_it_first(world: World) -> None:
    till, other = await world.till(), await world.till()
    (guest,) = await world.guests()
    till.sale(guest.id, earned=500)
    await world.push(till)
    digits, _ = await issue(world.ground, world.network, guest.id, world.clock.now())
    assert [one.guest for one in await found(world, till, "short", digits)] == [guest.id]
    assert await found(world, other, "short", digits) == []
    held = await ask(world, till, "holds", hold_of(till, guest.id, 400, "short", evidence=digits.encode()))
    assert read(HoldAnswer, held).outcome == "pending"
    assert await found(world, till, "short", digits) == []
    first, _ = await issue(world.ground, world.network, guest.id, world.clock.now())
    second, _ = await issue(world.ground, world.network, guest.id, world.clock.now())
    assert await found(world, till, "short", first) == []
    world.clock.at += timedelta(minutes=5)
    assert await found(world, till, "short", second) == []


async def test_a_suspended_till_looks_nobody_up(world: World) -> None:
    till = await world.till(state="suspended")
    assert refusal(await asked(world, till, "number", "1000000016")) == (403, "DEVICE_SUSPENDED")
    sale = SaleLookup(till.network, till.device, receipt="1")
    assert refusal(await ask(world, till, "sales/lookup", sale)) == (403, "DEVICE_SUSPENDED")


async def program(world: World) -> Program:
    async with world.ground.db.begin(world.network) as connection:
        found_program = await ProgramShelf().find(connection, world.network, None)
    assert found_program is not None
    return found_program


async def test_a_sale_of_another_till_is_found_with_what_is_left_of_it(world: World) -> None:
    seller, till = await world.till(), await world.till()
    (guest,) = await world.guests()
    basket = Basket("RUB", (Line("1", "latte", "", 3_000, 10_000), Line("2", "cake", "", 1_000, 30_000)))
    at = from_ms(T0)
    sale = Sale.priced(basket, None, await program(world), at)
    record = seller.write(
        RecordKind.SALE,
        guest_id=guest.id,
        money_total=sale.quote.total,
        check=check_to_payload(basket, None, NO_CHOICES, sale.quote),
        receipt_no="7-12",
    )
    await world.push(seller)

    async def look(**by: Any) -> SaleFound:
        return read(SaleFound, await ask(world, till, "sales/lookup", SaleLookup(till.network, till.device, **by)))

    first = await look(receipt="7-12")
    assert first == await look(id=record.id)
    assert (first.total, first.money_left, first.guest, first.guest_name) == (60_000, 60_000, guest.id, "Guest 0")
    assert [(one.line, one.left_milli, one.net) for one in first.lines] == [("1", 3_000, 30_000), ("2", 1_000, 30_000)]
    back = refund(sale, [Return("1", 2_000)])
    returned = seller.write(
        RecordKind.REFUND,
        guest_id=guest.id,
        money_total=back.money,
        reverses_id=record.id,
        check=ReturnContents.to_check("RUB", at, back),
    )
    pushed = await world.push(seller)
    assert pushed.results[-1].status == "posted"
    assert Record.from_payload(returned.payload).reverses_id == record.id
    left = await look(receipt="7-12")
    assert (left.money_left, [one.left_milli for one in left.lines]) == (40_000, [1_000, 1_000])


async def test_a_sale_that_is_none_or_two_is_told(world: World) -> None:
    till = await world.till()

    def by(**fields: Any) -> SaleLookup:
        return SaleLookup(till.network, till.device, **fields)

    assert refusal(await ask(world, till, "sales/lookup", by(receipt="9"))) == (404, "NOT_FOUND")
    assert refusal(await ask(world, till, "sales/lookup", by(id=till.journal[0].id))) == (404, "NOT_FOUND")
    assert refusal(await ask(world, till, "sales/lookup", by())) == (400, "BAD_BODY")
    assert refusal(await ask(world, till, "sales/lookup", by(id=uuid4(), receipt="1"))) == (400, "BAD_BODY")


async def test_a_text_that_the_database_has_no_place_for_is_the_askers_fault(world: World) -> None:
    till = await world.till()
    nul = SaleLookup(till.network, till.device, receipt="7\0")
    assert refusal(await ask(world, till, "sales/lookup", nul)) == (400, "BAD_BODY")
    assert (await asked(world, till, "number", "\N{GRINNING FACE}" * 10)).status_code == 400


async def test_only_a_token_gets_a_short_code(world: World) -> None:
    (guest,) = await world.guests()
    body = {"network": str(world.network), "guest": str(guest.id)}
    response = await world.client.post("/api/v1/guests/short-code", json=body)
    assert (response.status_code, response.json()["code"]) == (401, "BAD_TOKEN")


async def test_a_sale_that_waited_for_its_guest_is_the_guests_when_it_is_found(world: World) -> None:
    till, card = await world.till(), 0x0123456789ABCDEF
    basket = Basket("RUB", (Line("1", "latte", "", 1_000, 10_000),))
    sale = Sale.priced(basket, None, await program(world), from_ms(T0))
    check = check_to_payload(basket, None, NO_CHOICES, sale.quote)
    sold = till.sale(None, handle=card, earned=5, check=check, total=sale.quote.total)
    await world.push(till)

    async def look() -> SaleFound:
        asked = SaleLookup(till.network, till.device, id=sold.id)
        return read(SaleFound, await ask(world, till, "sales/lookup", asked))

    assert (await look()).guest is None
    guest, _ = register(till, card=card)
    await world.push(till)
    found = await look()
    assert (found.guest, found.guest_name, found.money_left) == (guest, "Anna", sale.quote.total)


async def test_cards_scanned_at_once_name_each_its_own_guest_and_no_other_networks(
    world: World, admin: psycopg.Connection
) -> None:
    second = await create_network(world.ground, "Second", "shop", "RUB", "UTC", [NewStore("S")])
    worlds = [world, replace(world, made=second, tills=[])]
    tills = [await one.till() for one in worlds]
    guests = [await one.guests(6) for one in worlds]
    gone, erased, merged, *_ = guests[0]
    admin.execute("update credential set state = 'blocked' where guest_id = %s", (gone.id,))
    admin.execute("update guest_state set deleted = true where guest_id = %s", (erased.id,))
    admin.execute("update guest_state set merged_into = %s where guest_id = %s", (guests[0][3].id, merged.id))
    today = {one.id: one.id for one in (*guests[0], *guests[1])} | {merged.id: guests[0][3].id}

    async def scan(number: int) -> None:
        asker, owner = number % 2, number // 2 % 2
        guest = guests[owner][number // 4 % 6]
        named = await found(worlds[asker], tills[asker], "code", guest_code.ld1(guest.handles[0]))
        expected = [] if asker != owner or guest in (gone, erased) else [today[guest.id]]
        assert [one.guest for one in named] == expected
        assert [one.row["name"] for one in named] == [f"Guest {guests[owner].index(guest) + (guest is merged)}"] * len(
            expected
        )

    async def refused(number: int) -> None:
        strange = await world.client.post(
            f"{BASE}/guests/lookup",
            content=b"",
            headers=tills[0].headers("POST", f"{BASE}/guests/lookup", b"") | {signing.DEVICE_HEADER: str(uuid4())},
        )
        assert strange.status_code == 401, number

    order = random.Random(3)
    work = [scan(number) if order.random() < 0.9 else refused(number) for number in range(400)]
    await asyncio.gather(*work)


async def test_a_packed_scan_is_answered_as_one_that_is_not(world: World) -> None:
    till, (guest,) = await world.till(), await world.guests()
    code = guest_code.ld1(guest.handles[0])
    (plain,) = await found(world, till, "code", code)
    body = codec.pack(codec.encode(GuestLookup(till.network, till.device, "code", code)))
    target = f"{BASE}/guests/lookup"
    headers = till.headers("POST", target, body) | {"Content-Encoding": "zstd"}
    packed = read(GuestsFound, await world.client.post(target, content=body, headers=headers))
    assert packed.guests == [plain]


async def test_a_phone_is_counted_however_it_is_written(world: World) -> None:
    till, _ = await world.till(), await world.guests(phone="+79161234567")
    forms = ("8 (916) 123-45-67", "(916) 123-45-67", "8.916.123.45.67")
    for number in range(60):
        assert len(await found(world, till, "code", forms[number % 3])) == 1
    for text in forms:
        assert refusal(await asked(world, till, "code", text)) == (429, "TOO_MANY")


async def test_who_names_a_network_that_there_is_not_is_told_to_enrol(world: World) -> None:
    till, target = await world.till(), f"{BASE}/guests/lookup"
    body = codec.encode(GuestLookup(uuid4(), till.device, "code", guest_code.ld1(1)))
    headers = till.headers("POST", target, body) | {signing.NETWORK_HEADER: str(uuid4())}
    response = await world.client.post(target, content=body, headers=headers)
    assert refusal(response) == (401, "UNKNOWN_DEVICE")


async def test_a_phones_code_names_its_guest_until_the_phone_was_blocked_once(world: World) -> None:
    till, (guest,) = await world.till(), await world.guests()
    ground, network, now = world.ground, world.network, world.clock.now()

    async def shown() -> str:
        return (await codes.rotating(ground, network, guest.id, now, 1))[0].text

    card, phone = guest_code.ld1(guest.handles[0]), await shown()
    scans = [found(world, till, "code", text) for text in (phone, card, phone, card)]
    assert [(one.guest, one.code) for (one,) in await asyncio.gather(*scans)] == [
        (guest.id, "ld4"),
        (guest.id, "ld1"),
        (guest.id, "ld4"),
        (guest.id, "ld1"),
    ]
    handle = guest_code.parse(phone).handle
    assert await codes.block(ground, network, guest.id, handle, now) == 1
    assert await found(world, till, "code", phone) == []
    assert await codes.unblock(ground, network, guest.id, handle) == 1
    # What was signed before may be somebody's copy, and what is signed since is not.
    assert await found(world, till, "code", phone) == []
    assert [one.guest for one in await found(world, till, "code", await shown())] == [guest.id]
