"""What a till with a real key and other software may push: each is answered, set aside or posted once, and shows."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import pytest

from loyalty_desk.domain import canonical
from loyalty_desk.domain.contents import AdjustContents, AdjustReason, RegisterContents, TransferContents
from loyalty_desk.domain.guest_code import CodeKind
from loyalty_desk.domain.private_fields import GuestFields, Private
from loyalty_desk.domain.record import (
    Credential,
    ExceptionKind,
    RecordKind,
    SealedRecord,
    chain_hash,
    head_message,
)
from loyalty_desk.domain.return_contents import ExchangeContents
from server.ledger.posting import flag_bits
from server.ledger.repricing import Repricer
from server.ledger.shelf import ProgramShelf
from server.staff import repository as staff
from server.staff.repository import StaffMember
from tests.server.asking import guest_with, hold, hold_of
from tests.server.fake_till import T0, FakeTill
from tests.server.ledger.returns import give_back, raised, said, whole
from tests.server.ledger.test_guards import set_clock
from tests.server.world import World

pytestmark = [pytest.mark.anyio, pytest.mark.postgres]
EVIDENCE, UNKNOWN_GUEST, EXCESS, HOLD_EXPIRED = (
    flag_bits([kind])
    for kind in (
        ExceptionKind.EVIDENCE,
        ExceptionKind.UNKNOWN_GUEST,
        ExceptionKind.EXCESS_RETURN,
        ExceptionKind.HOLD_EXPIRED,
    )
)
LARGEST, SMALLEST = (1 << 63) - 1, -(1 << 63)
YEAR = 365 * 86_400_000
SET_ASIDE = 18
type Change = Callable[[dict[str, Any]], None]


def forge(till: FakeTill, change: Change, **fields: Any) -> SealedRecord:
    """Write a sale and alter what it says, chained and signed as if the till had written it so."""
    honest = till.sale(**fields)
    said_of: Any = canonical.decode(honest.payload)
    change(said_of)
    payload = canonical.encode(said_of)
    digest = chain_hash(honest.prev, payload)
    sig = till.key.sign(head_message(till.network, till.device, honest.epoch, honest.seq, digest))
    forged = SealedRecord(honest.epoch, honest.seq, honest.id, honest.prev, digest, sig, payload)
    till.journal[-1] = forged
    return forged


def put(**values: Any) -> Change:
    """Return the change that writes these; a name with two underscores goes into what it names first."""

    def change(record: dict[str, Any]) -> None:
        for name, value in values.items():
            place, *inner = name.split("__")
            if inner:
                record.setdefault(place, {})[inner[0]] = value
            else:
                record[place] = value

    return change


def lines(count: int, **fields: Any) -> dict[str, Any]:
    return {"currency": "RUB", "program_version": 1, "lines": [{"id": f"{n}", **fields} for n in range(count)]}


FORGED: dict[str, Change] = {
    "earned below zero": put(points__earned=-5),
    "redeemed below zero": put(points__redeemed=-5),
    "earned without end": put(points__earned=LARGEST),
    "redeemed without end": put(points__redeemed=LARGEST),
    "paid below zero": put(money_total=-1),
    "paid without end": put(money_total=LARGEST),
    "a cursor below zero": put(cache_feed_seq=-1),
    "totals below zero": put(cum_count=-1),
    "totals without end": put(cum_earned=LARGEST),
    "no day": put(business_day="9999-99-99"),
    "a day of nowhere": put(business_day=""),
    "another network": put(network=str(uuid4())),
    "another till": put(device=str(uuid4())),
    "another store": put(store=str(uuid4())),
    "a number of the future": put(seq=LARGEST),
    "an epoch of the future": put(epoch=LARGEST),
    "an unknown kind": put(kind="jackpot"),
    "the server's own kind": put(kind="expire"),
    # From here on the record stands; what it claims shows, or weighs nothing.
    "the first moment": put(occurred_at=SMALLEST),
    "the last moment": put(occurred_at=LARGEST),
    "in ten years": put(occurred_at=T0 + 10 * YEAR),
    "a running clock without end": put(monotonic_ms=LARGEST),
    "a running clock below zero": put(monotonic_ms=SMALLEST),
    "a cursor without end": put(cache_feed_seq=LARGEST),
    "a balance below zero": put(known_balance=SMALLEST),
    "totals that do not add up": put(cum_earned=77, cum_redeemed=5, cum_count=1),
    "takes something back": put(reverses_id=str(uuid4())),
    "a code that proves itself": put(credential={"code": "ld4", "handle": "AAAAAAAAAAE"}, token_evidence="AAAA"),
    "a check of nothing": put(check={}),
    "a check of another kind": put(check={"lines": 5, "hold": [], "own_expiry": {"a": 1}}),
    "own lives without end": put(check={"own_expiry": [{"rule": "a", "points": LARGEST, "days": LARGEST}]}),
    "own lives below zero": put(check={"own_expiry": [{"rule": "a", "points": -5, "days": -5}]}),
    "too many lines": put(check=lines(3_000, a=1)),
    "quantities without end": put(check=lines(3, product="p", quantity_milli=LARGEST, unit_price=LARGEST)),
    "prices below zero": put(check=lines(3, product="p", quantity_milli=1_000, unit_price=SMALLEST)),
    "a program of the future": put(check={**lines(1), "program_version": LARGEST}),
    "a gross below zero": put(check={**lines(1), "gross": SMALLEST}),
    "a discount of a tier without end": put(
        check={"lines": [{"discounts": [{"rule": "tier", "amount": LARGEST}]}] * 3}
    ),
    "a deep check": put(check={"lines": [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]}),
}


async def priced_again(world: World) -> None:
    """Price what is queued again: nothing of it may stop the others."""
    repricer = Repricer(world.ground.db, ProgramShelf())
    async with asyncio.timeout(30):
        # The server itself may be at it, and what it has is seen by nobody else.
        while await repricer.step(world.network) or await world.sql("select 1 from reprice_queue limit 1"):
            pass
    assert await world.sql("select tx_id from exception where facts ->> 'reason' = 'fault'") == []


async def posted_once(world: World) -> bool:
    """Return that no record is posted twice, nor posted and set aside."""
    twice = "select id from ledger_tx x where exists (select 1 from quarantine q where q.record_id = x.id)"
    assert await world.sql(twice) == []
    await world.require_sound()
    return True


async def test_whatever_a_record_claims_its_neighbours_are_posted_and_the_books_balance(world: World) -> None:
    till, (guest,) = await world.till(), await world.guests()
    set_clock(world, till)
    for change in FORGED.values():
        till.sale(guest.id, earned=1, total=100)
        forge(till, change, guest=guest.id, earned=3, total=10_000)
        # What the next one continues is what the forged one said.
    till.sale(guest.id, earned=1, total=100)
    answer = await world.push(till)
    results = {one.seq: one for one in answer.results}
    honest = [results[seq] for seq in range(2, len(results) + 1, 2)]
    assert {one.reason for one in honest} == {None}
    aside = {name: results[2 * place + 3].reason for place, name in enumerate(FORGED) if results[2 * place + 3].reason}
    assert aside == dict.fromkeys(list(FORGED)[:SET_ASIDE], "BAD_SCHEMA")
    await priced_again(world)
    assert await posted_once(world)
    # Sent again, nothing of it is posted again.
    again = await world.push(till)
    assert {one.status.value for one in again.results} == {"duplicate", "quarantined"}
    assert await posted_once(world)


async def test_returns_of_what_cannot_be_returned_give_nothing(world: World) -> None:
    till, (guest, other) = await world.till(), await world.guests(2)
    set_clock(world, till)
    sale = till.sale(guest.id, earned=50, redeemed=20, total=10_000)
    void = give_back(till, sale.id, guest.id, whole(50, 20), RecordKind.VOID)
    refund = give_back(till, sale.id, guest.id, whole(50, 20))
    check = TransferContents(guest.id, AdjustReason.FAMILY, "anna").to_check()
    itself = till.write(RecordKind.TRANSFER, guest_id=guest.id, check=check, points_redeemed=30)
    gift = till.write(
        RecordKind.ADJUST,
        guest_id=guest.id,
        check=AdjustContents(AdjustReason.GOODWILL, "nobody of the staff").to_check(),
        points_earned=30,
    )
    for of in (void, refund, itself, gift, till.journal[0]):
        give_back(till, of.id, other.id, whole(0, 1_000), RecordKind.VOID)
        give_back(till, of.id, other.id, whole(0, 1_000))
    answer = await world.push(till)
    # The sale is void, and what its refund claims beyond it the store bears; nothing else can be taken back.
    assert said(answer)[:5] == ["posted_flagged", "posted", "posted_flagged", "BAD_SCHEMA", "posted"]
    assert said(answer)[5:] == ["BAD_SCHEMA"] * 4 + ["WAITING_DEP"] * 2 + ["BAD_SCHEMA"] * 4
    assert (await world.balance(guest.id), await world.balance(other.id)) == (30, 0)
    await priced_again(world)
    assert await posted_once(world)


async def test_an_exchange_of_an_exchange_takes_back_the_last_and_no_more(world: World) -> None:
    till, (guest,) = await world.till(), await world.guests()
    set_clock(world, till)
    sale = till.sale(guest.id, earned=50, total=10_000)

    def exchange(of: UUID, back: int, earned: int) -> SealedRecord:
        refund = whole(back, 0)
        return till.write(
            RecordKind.EXCHANGE,
            guest_id=guest.id,
            check=ExchangeContents.to_check({"lines": []}, refund),
            points_earned=earned,
            money_total=10_000,
            reverses_id=of,
        )

    first = exchange(sale.id, 50, 40)
    second = exchange(first.id, 40, 30)
    exchange(first.id, 40, 30)
    exchange(sale.id, 50, 0)
    give_back(till, second.id, guest.id, whole(30, 0))
    answer = await world.push(till)
    assert [one.flags for one in answer.results][1:] == [0, 0, 0, EXCESS, EXCESS, 0]
    # What was taken back twice the stores bear; what the guest has now was earned by the third exchange.
    assert await world.balance(guest.id) == 30
    await priced_again(world)
    assert await posted_once(world)


async def test_one_id_of_two_tills_is_the_first_ones(world: World) -> None:
    tills, (guest,) = [await world.till() for _ in range(4)], await world.guests()
    set_clock(world, *tills)
    shared = uuid4()
    for place, till in enumerate(tills):
        till.sale(guest.id, earned=10 + place, record_id=shared)
        till.sale(guest.id, earned=1)
    answers = await asyncio.gather(*(world.push(till) for till in tills))
    reasons = [said(one) for one in answers]
    assert sorted(reasons) == [["ID_REUSE", "posted"]] * 3 + [["posted", "posted"]]
    first = reasons.index(["posted", "posted"])
    assert await world.balance(guest.id) == 10 + first + 4
    found = await world.sql("select device_id from ledger_tx where id = $1", shared)
    assert found == [(tills[first].device,)]


async def test_a_registration_under_somebodys_id_gives_no_card_to_their_points(world: World) -> None:
    till, thief = await world.till(), await world.till()
    set_clock(world, till, thief)
    victim = await guest_with(world, till, 500)
    fields = Private(bytes(16), GuestFields(name="Thief", phone="+79161234567"))
    forged = thief.write(
        RecordKind.REGISTER,
        guest_id=victim,
        check=RegisterContents(fields.digest).to_check(),
        credential=Credential(CodeKind.LD1, 0xBAD),
    )
    thief.privates[forged.id] = fields.to_bytes()
    thief.sale(handle=0xBAD, redeemed=90)
    results = (await world.push(thief)).results
    assert [one.flags for one in results[1:]] == [EVIDENCE, UNKNOWN_GUEST]
    assert await raised(world, "EVIDENCE") == [(forged.id, {"guest": "registered before"})]
    assert await world.balance(victim) == 500
    assert await world.sql("select count(*) from credential where guest_id = $1", victim) == [(1,)]
    assert await posted_once(world)


async def test_a_hold_of_another_till_stays_that_tills(world: World) -> None:
    till, thief = await world.till(), await world.till()
    guest = await guest_with(world, till, 300)
    set_clock(world, till, thief)
    asked = hold_of(till, guest, 100)
    assert (await hold(world, till, asked)).outcome == "pending"
    stolen = thief.sale(guest, redeemed=100, check={"hold": str(asked.id)})
    assert [one.flags for one in (await world.push(thief)).results[1:]] == [HOLD_EXPIRED]
    assert await raised(world, "HOLD_EXPIRED") == [(stolen.id, {"hold": str(asked.id), "state": "pending"})]
    assert await world.sql("select points from unproved_use") == [(100,)]
    till.sale(guest, redeemed=100, check={"hold": str(asked.id)})
    assert [one.flags for one in (await world.push(till)).results[1:]] == [0]
    assert await world.balance(guest) == 100
    assert await posted_once(world)


async def test_points_by_hand_that_no_manager_approved_show(world: World) -> None:
    till, (guest,) = await world.till(), await world.guests()
    set_clock(world, till)
    manager, cashier = uuid4(), uuid4()
    async with world.ground.db.begin(world.network) as connection:
        for of, role in ((manager, "manager"), (cashier, "cashier")):
            await staff.put(connection, world.network, StaffMember(of, "Anna", role, (), None))
    made = []
    for of in (str(manager), str(cashier), str(uuid4()), "anna" * 50):
        check = AdjustContents(AdjustReason.GOODWILL, of).to_check()
        made.append(till.write(RecordKind.ADJUST, guest_id=guest.id, check=check, points_earned=10).id)
    await world.sql("update staff set state = 'left' where id = $1 returning 1", manager)
    assert [one.flags for one in (await world.push(till)).results[1:]] == [0, EVIDENCE, EVIDENCE, EVIDENCE]
    # A fact all the same, within what a till may give in a day; a person is told whose name it was done in.
    assert await world.balance(guest.id) == 40
    told = await raised(world, "EVIDENCE")
    assert told[0] == (made[1], {"approved_by": str(cashier)})
    assert told[2] == (made[3], {"approved_by": "anna" * 10})
