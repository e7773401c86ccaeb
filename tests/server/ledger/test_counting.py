"""Uses of limited rules are counted once, after the sale is posted, told to tills, and taken back with a return."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from loyalty_desk.domain.basket import Basket
from loyalty_desk.domain.canonical import Json
from loyalty_desk.domain.check import check_from_payload, check_to_payload
from loyalty_desk.domain.clock import from_ms
from loyalty_desk.domain.guest import GuestFacts
from loyalty_desk.domain.pricing import Choices, quote
from loyalty_desk.domain.program import Program
from loyalty_desk.domain.record import Record, RecordKind
from loyalty_desk.domain.refund import NOTHING_YET, Refund, Sale, void
from loyalty_desk.domain.return_contents import ExchangeContents, FollowContents, ReturnContents
from loyalty_desk.domain.uses import CounterKey
from loyalty_desk.wire.v1 import rows
from server.kit import feed
from server.kit.db import fetch
from server.ledger import counting
from server.ledger.repricing import Repricer, _price, _Queued
from server.ledger.shelf import ProgramShelf
from server.programs import service as programs
from tests.server.fake_till import FakeTill
from tests.server.ledger.returns import register
from tests.server.world import World

pytestmark = [pytest.mark.anyio, pytest.mark.postgres]
LIMITED: dict[str, Json] = {
    "currency": "RUB",
    "rules": [
        {
            "id": "tea",
            "name": {"ru": "Чай", "en": "Tea"},
            "effects": [{"type": "fixed_amount", "amount": 1_000}],
            "conditions": [{"type": "usage", "per_guest": 5, "times": 2, "period": "month"}],
        },
        {
            "id": "pot",
            "name": {"ru": "Все", "en": "All"},
            "effects": [{"type": "fixed_amount", "amount": 300}],
            "conditions": [{"type": "budget", "amount": 100_000}],
        },
    ],
}


async def published(world: World) -> Program:
    async with world.ground.db.begin(world.network) as connection:
        made = await programs.publish(connection, world.network, LIMITED, "UTC")
        await feed.record(connection, world.network, [made.change])
    return made.program


def sell(till: FakeTill, program: Program, guest: UUID | None, *, earned: int = 0) -> None:
    basket = Basket.of_amount("RUB", 100_000, zone=UTC)
    facts = None if guest is None else GuestFacts(guest_id=guest)
    quoted = quote(basket, facts, program, from_ms(till.clock.now_ms + 1_000))
    check = check_to_payload(basket, facts, Choices(), quoted)
    till.sale(guest, total=quoted.total, earned=earned, check=check)


async def drained(world: World) -> dict[tuple[str, str, str], int]:
    async with asyncio.timeout(20):
        while (await world.sql("select count(*) from reprice_queue"))[0][0]:  # noqa: ASYNC110 - another task works
            await asyncio.sleep(0.01)
    return {(owner, rule, period): used for owner, rule, period, used in await counters(world)}


async def counters(world: World) -> list[tuple[Any, ...]]:
    return await world.sql("select owner, rule, period, used from counter")


async def test_uses_and_budgets_are_counted_and_told(world: World, admin: psycopg.Connection) -> None:
    program, till = await published(world), await world.till()
    (anna,) = await world.guests()
    sell(till, program, anna.id)
    sell(till, program, anna.id)
    sell(till, program, None)
    await world.push(till)
    found = await drained(world)
    (month,) = {period for _, _, period in found if period.startswith("month:")}
    who = str(anna.id)
    assert found == {(who, "tea", ""): 2, (who, "tea", month): 2, ("program", "pot", "money"): 900}
    page = await world.pull(till)
    told = {row.key: row.row for row in page.rows if row.table == "counter"}
    assert told == {
        f"{who}:tea:": {"used": 2},
        f"{who}:tea:{month}": {"used": 2},
        "program:pot:money": {"used": 900},
    }
    assert admin.execute("select count(*) from exception where kind = 'RULE_DRIFT'").fetchone() == (0,)
    async with world.ground.db.begin(world.network) as connection:
        assert await feed.recomputed(connection, world.network) == await feed.count(connection, world.network)


async def test_counters_of_another_network_and_unknown_keys_are_nothing(world: World) -> None:
    async with world.ground.db.begin(world.network) as connection:
        await counting.move(connection, world.network, {CounterKey("program", "r", ""): 3})
        assert await counting.feed_rows(connection, world.network, ["program:r:", "program:s:", "odd"]) == {
            "program:r:": rows.write(rows.CounterRow(3))
        }
        assert await counting.feed_rows(connection, uuid4(), ["program:r:"]) == {}
        assert await counting.move(connection, world.network, {}) == []
        # More taken back than there was: the count ends at nothing.
        (change,) = await counting.move(connection, world.network, {CounterKey("program", "r", ""): -5})
    assert change.row == {"used": 0}


async def test_two_at_once_count_everything(world: World) -> None:
    keys = [CounterKey("program", f"r{n}", "") for n in range(20)]

    async def add(order: list[CounterKey]) -> None:
        for _ in range(10):
            async with world.ground.db.begin(world.network) as connection:
                await counting.move(connection, world.network, dict.fromkeys(order, 1))

    await asyncio.gather(add(keys), add(keys[::-1]), add(keys))
    assert {row[3] for row in await counters(world)} == {30}


def returned(sale: Record, program: Program) -> Refund:
    """Return what taking a whole sale back moves, as a till works it out."""
    contents = check_from_payload(sale.check or {})
    return void(Sale.priced(contents.basket, contents.guest, program, moment(sale), contents.choices), NOTHING_YET)


def moment(sale: Record) -> datetime:
    return from_ms((sale.check or {})["at"])  # type: ignore[arg-type]


def test_a_return_counts_back_what_its_sale_has_moved(expect_log: Callable[[str], None]) -> None:
    expect_log("could not be counted back")
    program = Program.from_dict({**LIMITED, "version": 1, "network": "n"})
    till = FakeTill(uuid4(), uuid4())
    anna = uuid4()
    till.open_epoch()
    sell(till, program, anna)
    sale = Record.from_payload(till.journal[-1].payload)
    counted = _price([_Queued(sale.id, sale, program, anna)])
    assert counted.raised == []
    assert sum(counted.moved.values()) == 1 + 1 + 300
    back = returned(sale, program)
    undone = Counter({key: -count for key, count in counted.moved.items()})
    check = ReturnContents.to_check("RUB", moment(sale), back, is_void=True)
    taken = replace(sale, kind=RecordKind.VOID, check=check, reverses_id=sale.id, points_earned=0, points_redeemed=0,
                    money_total=back.money)  # fmt: skip
    found = _price([_Queued(taken.id, taken, None, anna, sale, program)])
    assert (found.raised, found.moved) == ([], undone)
    # An exchange gives back the uses of the sale and makes those of the new one.
    swapped = replace(
        sale, kind=RecordKind.EXCHANGE, check=ExchangeContents.to_check(sale.check or {}, back), reverses_id=sale.id
    )
    found = _price([_Queued(swapped.id, swapped, program, anna, sale, program)])
    assert found.raised == []
    assert {key: count for key, count in found.moved.items() if count} == {}
    # A partial return frees nothing; a return without its sale, or with damaged uses, stops nothing.
    whole = ReturnContents.to_check("RUB", moment(sale), back)
    broken: list[Json] = [{"id": 1}]
    for damaged, original in (
        ({**whole, "is_whole": False, "uses": [], "money": back.money // 2}, sale),
        (whole, None),
        ({**whole, "uses": broken}, sale),
    ):
        part = replace(taken, kind=RecordKind.REFUND, check=damaged)
        assert _price([_Queued(part.id, part, None, anna, original, program)]).moved == Counter()
    # A till that has not the sale tells goods and money alone: together with what came back before it is all.
    first, rest = (
        replace(
            taken,
            id=UUID(int=number),
            kind=RecordKind.REFUND,
            check=FollowContents("RUB", moment(sale), money).to_check(),
            money_total=money,
        )
        for number, money in enumerate((100, back.money - 100), start=1)
    )
    queued = _Queued(first.id, first, None, anna, sale, program)
    assert _price([queued]).moved == Counter()
    assert _price([replace(queued, id=rest.id, record=rest, before=(first,))]).moved == undone
    # Whatever comes back of it after that frees nothing a second time.
    assert _price([replace(queued, before=(first, rest))]).moved == Counter()
    assert _price([_Queued(taken.id, taken, None, anna, sale, program, (rest, first))]).moved == Counter()


async def test_two_tills_that_take_back_one_sale_free_its_uses_once(world: World) -> None:
    program, tills = await published(world), [await world.till() for _ in range(3)]
    (anna,) = await world.guests()
    sell(tills[0], program, anna.id)
    await world.push(tills[0])
    sale = Record.from_payload(tills[0].journal[-1].payload)
    assert {used for *_, used in await drained_rows(world)} == {1, 300}
    paid = sale.money_total or 0
    for till in tills:
        contents = FollowContents("RUB", from_ms(till.clock.now_ms), paid).to_check()
        till.write(RecordKind.REFUND, check=contents, reverses_id=sale.id, money_total=paid, guest_id=anna.id)
    await asyncio.gather(*(world.push(till) for till in tills))
    assert {used for *_, used in await drained_rows(world)} == {0}
    sell(tills[1], program, anna.id)
    await world.push(tills[1])
    assert {used for *_, used in await drained_rows(world)} == {1, 300}


@pytest.fixture
def unpriced(monkeypatch: pytest.MonkeyPatch) -> None:
    """The application prices nothing again by itself."""
    monkeypatch.setattr(Repricer, "run", lambda _: asyncio.Event().wait())


@pytest.mark.usefixtures("unpriced")
async def test_a_return_waits_for_the_worker_that_has_its_sale(world: World) -> None:
    program, till = await published(world), await world.till()
    (anna,) = await world.guests()
    sell(till, program, anna.id)
    sale = Record.from_payload(till.journal[-1].payload)
    paid = sale.money_total or 0
    contents = FollowContents("RUB", from_ms(till.clock.now_ms), paid).to_check()
    till.write(RecordKind.REFUND, check=contents, reverses_id=sale.id, money_total=paid, guest_id=anna.id)
    await world.push(till)
    worker = Repricer(world.ground.db, ProgramShelf())
    async with world.ground.db.begin(world.network) as other:
        await fetch(other, "select 1 from reprice_queue where tx_id = $1 for update", sale.id)
        assert await worker.step(world.network) == 0
    while await worker.step(world.network):
        pass
    assert await world.sql("select count(*) from reprice_queue") == [(0,)]
    assert not any(used for *_, used in await counters(world))


@pytest.mark.usefixtures("unpriced")
async def test_returns_that_stand_before_their_sales_do_not_stop_the_queue(world: World) -> None:
    program, till = await published(world), await world.till()
    (anna,) = await world.guests()
    for _ in range(3):
        sell(till, program, anna.id)
    for sealed in till.journal[1:]:
        sale = Record.from_payload(sealed.payload)
        paid = sale.money_total or 0
        contents = FollowContents("RUB", from_ms(till.clock.now_ms), paid).to_check()
        till.write(RecordKind.REFUND, check=contents, reverses_id=sale.id, money_total=paid, guest_id=anna.id)
    await world.push(till)
    # As after a step back of the database's clock between the two.
    await world.sql(
        "update reprice_queue q set queued_at = queued_at - interval '1 hour' from ledger_tx x"
        " where x.id = q.tx_id and x.kind = 'refund' returning 1"
    )
    worker = Repricer(world.ground.db, ProgramShelf())
    while await worker.step(world.network, 2):
        pass
    assert await world.sql("select count(*) from reprice_queue") == [(0,)]
    assert not any(used for *_, used in await counters(world))


async def test_points_moved_out_of_suspense_are_no_return_of_their_sale(world: World) -> None:
    program, (one, two) = await published(world), [await world.till() for _ in range(2)]
    anna, _ = register(one)
    sell(two, program, anna, earned=5)
    await world.push(two)
    await world.push(one)
    assert await world.balance(anna) == 5
    sale = Record.from_payload(two.journal[-1].payload)
    paid = sale.money_total or 0
    contents = FollowContents("RUB", from_ms(one.clock.now_ms), paid).to_check()
    one.write(RecordKind.REFUND, check=contents, reverses_id=sale.id, money_total=paid, guest_id=anna)
    await world.push(one)
    assert {used for *_, used in await drained_rows(world)} == {0}


async def drained_rows(world: World) -> list[tuple[Any, ...]]:
    await drained(world)
    return await counters(world)
