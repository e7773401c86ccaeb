"""Checks of other systems: priced as a till prices them, committed once, whatever is repeated, mixed or hung up on."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx2
import psycopg
import pytest

from loyalty_desk.domain import guest_code
from loyalty_desk.domain.record import Record
from loyalty_desk.wire.v1 import codec
from server.checks import desk as desk_module
from server.checks.desk import CheckDesk
from server.checks.moment import Moment
from server.checks.schemas import CheckLine, CommitAnswer, CommitRequest
from server.kit import feed
from server.programs import defaults
from server.programs import service as programs
from server.systems import service as systems
from tests.server.asking import guest_with, hold, hold_of
from tests.server.world import World

pytestmark = [pytest.mark.anyio, pytest.mark.postgres]


async def token(world: World, store: int = 0) -> str:
    """Publish a program that lets points pay, and return a system's token."""
    async with world.ground.db.begin(world.network) as connection:
        published = await programs.publish(connection, world.network, defaults.mixed("RUB"), "Europe/Moscow")
        await feed.record(connection, world.network, [published.change])
        return (await systems.add(connection, world.network, "shop", world.made.stores[store].id, world.clock.now()))[1]


async def send(world: World, bearer: str, path: str, body: Any, **headers: str) -> httpx2.Response:
    return await world.client.post(
        f"/api/v1/checks/{path}", json=body, headers={"Authorization": f"Bearer {bearer}", **headers}
    )


def check(world: World, **fields: Any) -> dict[str, Any]:
    lines = [{"id": "1", "product": "latte", "unit_price": 25_000, "quantity_milli": 2_000}]
    return {"network": str(world.network), "currency": "RUB", "lines": lines, **fields}


async def card(world: World, guest: UUID) -> str:
    async with world.ground.db.begin(world.network) as connection:
        from server.guests import service as guests

        return guest_code.ld1((await guests.cards(connection, world.network, guest))[0])


async def test_a_quote_keeps_nothing_and_a_commit_earns_as_at_a_till(world: World, admin: psycopg.Connection) -> None:
    bearer, till = await token(world), await world.till()
    guest = await guest_with(world, till, 1_000)
    asked = check(world, guest=await card(world, guest), points=60)
    before = admin.execute("select count(*) from ledger_tx").fetchone()
    quoted = (await send(world, bearer, "quote", asked)).json()
    assert admin.execute("select count(*) from ledger_tx").fetchone() == before
    assert (quoted["guest"], quoted["available"], quoted["check"]["gross"]) == (str(guest), 1_000, 50_000)
    assert quoted["check"]["redeemed_points"] == 60
    sale = uuid4()
    body = asked | {"id": str(sale), "total": quoted["check"]["total"], "receipt": "A-1"}
    done = (await send(world, bearer, "commit", body)).json()
    assert done["check"] == quoted["check"]
    assert not done["duplicate"]
    earned = done["check"]["earned_points"]
    assert await world.balance(guest) == 1_000 - 60 + earned == done["available"]
    again = (await send(world, bearer, "commit", body)).json()
    assert (again["duplicate"], again["check"]) == (True, done["check"])
    row = admin.execute("select payload, receipt_no, origin from ledger_tx where id = %s", (sale,)).fetchone()
    assert row is not None
    assert (Record.from_payload(bytes(row[0])).money_total, row[1:]) == (done["check"]["total"], ("A-1", "online"))


async def test_one_check_a_thousand_times_on_sixteen_connections_is_posted_once(
    world: World, admin: psycopg.Connection
) -> None:
    bearer, till = await token(world), await world.till()
    guest = await guest_with(world, till, 100)
    body = check(world, guest=await card(world, guest), id=str(uuid4()))
    lanes = asyncio.Semaphore(16)

    async def one() -> dict[str, Any]:
        async with lanes:
            response = await send(world, bearer, "commit", body)
            assert response.status_code == 200, response.content
            found: dict[str, Any] = response.json()
            return found

    said = await asyncio.gather(*(one() for _ in range(1_000)))
    assert sum(not each["duplicate"] for each in said) == 1
    assert len({str(each["check"]) for each in said}) == 1
    assert admin.execute("select count(*) from ledger_tx where origin = 'online'").fetchone() == (1,)
    assert await world.balance(guest) == 100 + said[0]["check"]["earned_points"]


async def test_an_id_with_another_body_is_409_also_within_a_group_and_where_a_till_used_it(world: World) -> None:
    bearer, till = await token(world), await world.till()
    first = check(world, id=str(uuid4()))
    other = first | {"receipt": "B"}
    both = await asyncio.gather(send(world, bearer, "commit", first), send(world, bearer, "commit", other))
    assert sorted(one.status_code for one in both) == [200, 409]
    refused = next(one for one in both if one.status_code == 409).json()
    assert refused["code"] == "ID_REUSE"
    assert refused["text"]
    sale = till.sale()
    await world.push(till)
    assert (await send(world, bearer, "commit", check(world, id=str(sale.id)))).status_code == 409


async def test_what_was_told_to_the_guest_is_what_is_paid(world: World) -> None:
    bearer = await token(world)
    response = await send(world, bearer, "commit", check(world, id=str(uuid4()), total=1))
    assert (response.status_code, response.json()["code"]) == (409, "PRICE_CHANGED")


async def test_of_many_who_redeem_the_same_points_none_goes_below(world: World) -> None:
    bearer, till = await token(world), await world.till()
    guest = await guest_with(world, till, 100)
    shown = await card(world, guest)
    bodies = [check(world, guest=shown, points=100, id=str(uuid4())) for _ in range(40)]
    said = [one.json() for one in await asyncio.gather(*(send(world, bearer, "commit", one) for one in bodies))]
    spent = sum(one["check"]["redeemed_points"] for one in said)
    earned = sum(one["check"]["earned_points"] for one in said)
    assert await world.balance(guest) == 100 - spent + earned >= 0
    assert min(one["available"] for one in said) >= 0
    await world.require_sound()


async def test_a_check_that_cannot_be_stored_is_refused_alone_and_a_hang_up_cancels_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch, admin: psycopg.Connection
) -> None:
    bearer = await token(world)
    bodies = [check(world, id=str(uuid4())) for _ in range(20)]
    bodies[7]["lines"] = [{"unit_price": 5, "flags": ["nonsense\x00"]}]
    bodies[11]["currency"] = "EUR"
    bodies[12]["amount"] = 5
    left = asyncio.create_task(send(world, bearer, "commit", bodies[0]))
    work = [asyncio.create_task(send(world, bearer, "commit", one)) for one in bodies[1:]]
    async with asyncio.timeout(10):
        while not left.done() and not admin.execute("select 1 from ledger_tx").fetchone():
            await asyncio.sleep(0)
            left.cancel()
    statuses = [one.status_code for one in await asyncio.gather(*work)]
    assert [number for number, status in enumerate(statuses, 1) if status != 200] == [7, 11, 12]
    assert all(400 <= status < 500 for status in statuses if status != 200)
    stored = {row[0] for row in admin.execute("select id from ledger_tx where origin = 'online'")}
    assert len(stored - {UUID(bodies[0]["id"])}) == 16


async def test_a_group_is_halved_until_the_one_that_the_database_refuses_is_alone(
    world: World, monkeypatch: pytest.MonkeyPatch, expect_log: Any, admin: psycopg.Connection
) -> None:
    expect_log("a check cannot be stored")
    # In a thread: what the application does in the background may hold the table, and needs this loop to let it go.
    await asyncio.to_thread(
        admin.execute, "alter table ledger_tx add constraint no_thirteen check (receipt_no <> '13')"
    )
    bearer = await token(world)
    bodies = [check(world, id=str(uuid4()), receipt=str(number)) for number in range(20)]
    said = await asyncio.gather(*(send(world, bearer, "commit", one) for one in bodies))
    assert [number for number, one in enumerate(said) if one.status_code != 200] == [13]
    assert admin.execute("select count(*) from ledger_tx where origin = 'online'").fetchone() == (19,)


async def test_waiting_checks_share_a_commit_and_are_answered_after_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    groups: list[int] = []
    real = CheckDesk._post

    async def post(self: CheckDesk, network: UUID, group: Any) -> Any:
        groups.append(len(group))
        return await real(self, network, group)

    monkeypatch.setattr(CheckDesk, "_post", post)
    monkeypatch.setattr(desk_module, "GATHER_S", 0.05)
    bearer = await token(world)
    await asyncio.gather(*(send(world, bearer, "commit", check(world, id=str(uuid4()))) for _ in range(60)))
    assert sum(groups) == 60
    assert len(groups) < 20


async def test_others_are_answered_while_many_checks_are_priced(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    priced, most = 0, 0
    real = Moment.price

    async def price(self: Moment, *given: Any) -> Any:
        nonlocal priced
        priced += 1
        return await real(self, *given)

    async def others() -> None:
        nonlocal priced, most
        while True:
            most, priced = max(most, priced), 0
            await asyncio.sleep(0)

    monkeypatch.setattr(Moment, "price", price)
    monkeypatch.setattr(desk_module, "GATHER_S", 0.2)
    bearer = await token(world)
    answered = asyncio.create_task(others())
    await asyncio.gather(*(send(world, bearer, "commit", check(world, id=str(uuid4()))) for _ in range(60)))
    answered.cancel()
    assert 1 < most <= 16


async def test_msgpack_is_understood_too(world: World) -> None:
    bearer = await token(world)
    asked = CommitRequest(network=world.network, currency="RUB", lines=[CheckLine(100)], id=uuid4())
    headers = {"Authorization": f"Bearer {bearer}", "Content-Type": codec.CONTENT_TYPE}
    response = await world.client.post("/api/v1/checks/commit", content=codec.encode(asked), headers=headers)
    assert codec.decode(CommitAnswer, response.content).check.gross == 100


async def test_who_may_ask(world: World) -> None:
    bearer = await token(world)
    body = check(world)
    assert (await send(world, "", "quote", body)).json()["code"] == "BAD_TOKEN"
    assert (await send(world, bearer[:-1] + "?", "quote", body)).status_code == 401
    assert (await send(world, f"lda.{uuid4()}.{uuid4()}.x", "quote", body)).status_code == 401
    assert (await send(world, bearer, "quote", body | {"network": str(uuid4())})).status_code == 403
    assert (await send(world, bearer, "quote", body | {"store": str(uuid4())})).status_code == 403
    assert (await send(world, bearer, "quote", body | {"guest": "LD1"})).status_code == 400
    assert (await send(world, bearer, "quote", body | {"guest": guest_code.ld1(1)})).status_code == 404
    async with world.ground.db.begin(world.network) as connection:
        await systems.revoke(connection, world.network, UUID(bearer.split(".")[2]), world.clock.now())
    assert (await send(world, bearer, "quote", body)).status_code == 401


async def test_numbers_and_short_codes_cannot_be_tried_at_will(world: World) -> None:
    bearer = await token(world)
    tried = [await send(world, bearer, "quote", check(world, guest="100000 1111")) for _ in range(6)]
    assert [one.status_code for one in tried] == [404] * 5 + [429]
    assert int(tried[-1].headers["Retry-After"]) > 0
    numbers = [await send(world, bearer, "quote", check(world, guest="1000000016")) for _ in range(61)]
    assert [one.status_code for one in numbers] == [404] * 60 + [429]


async def test_a_rule_of_one_use_gives_once_and_a_budget_only_what_is_left(world: World) -> None:
    bearer, till = await token(world), await world.till()
    async with world.ground.db.begin(world.network) as connection:
        limited: dict[str, Any] = {
            "currency": "RUB",
            "rules": [
                {
                    "id": "once",
                    "name": {"ru": "Раз", "en": "Once"},
                    "effects": [{"type": "fixed_amount", "amount": 1_000}],
                    "conditions": [{"type": "usage", "per_guest": 1}],
                },
                {
                    "id": "pot",
                    "name": {"ru": "Все", "en": "All"},
                    "effects": [{"type": "fixed_amount", "amount": 300}],
                    "conditions": [{"type": "budget", "amount": 500}],
                },
            ],
        }
        made = await programs.publish(connection, world.network, limited, "UTC")
        await feed.record(connection, world.network, [made.change])
    guest = await guest_with(world, till, 10)
    asked = check(world, guest=await card(world, guest))
    quoted = (await send(world, bearer, "quote", asked)).json()
    # Two at once share a transaction: the second finds the first one counted.
    bodies = [asked | {"id": str(uuid4())} for _ in range(3)]
    done = [one.json() for one in await asyncio.gather(*(send(world, bearer, "commit", body) for body in bodies[:2]))]
    assert quoted["check"]["discount_total"] == 1_300
    assert sorted(one["check"]["discount_total"] for one in done) == [200, 1_300]
    assert (await send(world, bearer, "quote", asked)).json()["check"]["discount_total"] == 0
    assert (await send(world, bearer, "commit", bodies[2])).json()["check"]["discount_total"] == 0
    assert sorted(await world.sql("select owner, rule, period, used from counter")) == sorted(
        [(str(guest), "once", "", 1), ("program", "pot", "money", 500)]
    )
    told = {row.key: row.row for row in (await world.pull(till)).rows if row.table == "counter"}
    assert told == {f"{guest}:once:": {"used": 1}, "program:pot:money": {"used": 500}}


async def test_the_points_of_a_day_are_one_cap_over_all_commits(world: World, admin: psycopg.Connection) -> None:
    bearer, (guest,) = await token(world), await world.guests()
    asked = check(world, guest=await card(world, guest.id))
    earned = (await send(world, bearer, "commit", asked | {"id": str(uuid4())})).json()["check"]["earned_points"]
    admin.execute(
        "update profile set settings = settings || jsonb_build_object('granted_points', %s::int)", (earned + 1,)
    )
    again = (await send(world, bearer, "commit", asked | {"id": str(uuid4())})).json()
    assert (again["check"]["earned_points"], again["available"]) == (earned, earned + 1)
    assert await world.sql("select sum(remaining)::bigint from lot where state = 'held'") == [(earned - 1,)]


async def test_the_points_of_a_day_without_a_confirmation_are_one_bound_for_checks_and_holds(
    world: World, admin: psycopg.Connection
) -> None:
    bearer, till = await token(world), await world.till()
    guest = await guest_with(world, till, 1_000)
    await limit_of_a_day(admin, 150)
    asked = check(world, guest=await card(world, guest), points=90)

    def redeemed(response: httpx2.Response) -> int:
        return int(response.json()["check"]["redeemed_points"])

    bodies = [asked | {"id": str(uuid4())} for _ in range(3)]
    together = await asyncio.gather(*(send(world, bearer, "commit", body) for body in bodies))
    assert sorted(redeemed(one) for one in together) == [0, 60, 90]
    assert redeemed(await send(world, bearer, "commit", asked | {"id": str(uuid4())})) == 0
    quoted = (await send(world, bearer, "quote", asked)).json()
    assert (quoted["check"]["redeemed_points"], quoted["redeemable"]) == (0, 0)
    assert (await hold(world, till, hold_of(till, guest, 1))).reason == "confirmation_needed"
    world.clock.at += timedelta(days=1)
    assert (await hold(world, till, hold_of(till, guest, 80))).outcome == "pending"
    assert redeemed(await send(world, bearer, "commit", asked | {"id": str(uuid4())})) == 70


async def limit_of_a_day(admin: psycopg.Connection, points: int) -> None:
    await asyncio.to_thread(
        admin.execute,
        "update profile set settings = settings || jsonb_build_object('confirm_points', %s::int)",
        (points,),
    )


async def test_checks_quoted_together_cost_what_they_cost_alone(world: World) -> None:
    bearer, till = await token(world), await world.till()
    guests = [await guest_with(world, till, points) for points in (100, 2_000, 1)]
    bodies = [check(world, guest=await card(world, one), points=50) for one in guests]
    bodies += [check(world), check(world, guest="LD100000000000000"), check(world, lines=[]), check(world, amount=7)]
    bodies += [check(world, store=str(uuid4()))]
    alone = [await send(world, bearer, "quote", body) for body in bodies]
    assert [one.status_code for one in alone] == [200, 200, 200, 200, 400, 400, 400, 403]
    lanes = [one for _ in range(8) for one in bodies]
    others = send(world, f"{bearer[:-1]}-", "quote", bodies[0])
    *together, refused = await asyncio.gather(*(send(world, bearer, "quote", body) for body in lanes), others)
    assert refused.status_code == 401
    for number, said in enumerate(together):
        expected = alone[number % len(bodies)]
        assert said.status_code == expected.status_code
        here, there = said.json(), expected.json()
        for one in (here, there):
            one.get("check", {}).pop("at", None)
        assert here == there


async def test_a_token_that_was_revoked_is_refused_from_the_next_request_on(world: World) -> None:
    bearer = await token(world)
    system = UUID(bearer.split(".")[2])
    assert (await send(world, bearer, "quote", check(world))).status_code == 200
    async with world.ground.db.begin(world.network) as connection:
        await systems.revoke(connection, world.network, system, world.clock.now())
    said = await asyncio.gather(
        *(send(world, bearer, path, check(world, id=str(uuid4()))) for path in ("quote", "commit"))
    )
    assert [one.status_code for one in said] == [401, 401]
