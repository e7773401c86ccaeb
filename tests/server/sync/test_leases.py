"""What a till may give of limited rules: the sum of what was given and what may be is never above the limit."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from loyalty_desk.domain.basket import Basket
from loyalty_desk.domain.canonical import Json
from loyalty_desk.domain.check import check_to_payload
from loyalty_desk.domain.clock import from_ms, to_ms
from loyalty_desk.domain.pricing import quote
from loyalty_desk.domain.program import Program
from loyalty_desk.domain.quote import Choices
from loyalty_desk.domain.record import Record, RecordKind
from loyalty_desk.domain.return_contents import FollowContents
from loyalty_desk.domain.uses import given, quotas_of
from loyalty_desk.wire.v1.leases import MOST, Given, LeaseAnswer, LeaseRequest
from server.kit import feed, incarnation
from server.kit.db import fetch
from server.ledger.lease_store import leased_out, limit_states
from server.ledger.leases import GRACE, LIFE, Leased
from server.programs import service as programs
from server.sync.leases import shared
from tests.server.checks.test_checks import check, send, token
from tests.server.fake_till import FakeTill
from tests.server.world import World, read, refusal

pytestmark = [pytest.mark.anyio, pytest.mark.postgres]
GIFT, FUND = ("gift", ""), ("fund", "money")
TOTAL, BUDGET = 20, 100_000


def content(total: int = TOTAL) -> dict[str, Json]:
    return {
        "currency": "RUB",
        "rules": [
            {
                "id": "gift",
                "name": {"ru": "Подарок", "en": "Gift"},
                "effects": [{"type": "fixed_amount", "amount": 1_000}],
                "conditions": [{"type": "usage", "total": total}],
            },
            {
                "id": "fund",
                "name": {"ru": "Фонд", "en": "Fund"},
                "effects": [{"type": "fixed_amount", "amount": 700}],
                "conditions": [{"type": "budget", "amount": BUDGET}],
            },
        ],
    }


async def published(world: World, total: int = TOTAL) -> Program:
    async with world.ground.db.begin(world.network) as connection:
        made = await programs.publish(connection, world.network, content(total), "UTC")
        await feed.record(connection, world.network, [made.change])
    return made.program


@dataclass
class Seller:
    """A till that gives what it was let, as the real one counts it."""

    world: World
    till: FakeTill
    program: Program
    given: dict[tuple[int, str, str], int] = field(default_factory=dict)
    answer: LeaseAnswer | None = None

    def left(self, key: tuple[str, str] = GIFT) -> int:
        upto = {} if self.answer is None else {(one.rule, one.period): one.upto for one in self.answer.leases}
        return max(0, upto.get(key, 0) - self.given.get((self.till.epoch, *key), 0))

    def sell(self) -> int:
        """Sell something, with what is left; return the uses of the gift."""
        quotas = quotas_of({key: self.left(key) for key in (GIFT, FUND)})
        return self.sell_with(quotas)

    def sell_with(self, quotas: dict[str, int]) -> int:
        basket = Basket.of_amount("RUB", 100_000, zone=from_ms(0).tzinfo)
        at, choices = from_ms(self.till.clock.now_ms + 1_000), Choices(quotas=quotas)
        quoted = quote(basket, None, self.program, at, choices)
        self.till.sale(total=quoted.total, check=check_to_payload(basket, None, choices, quoted))
        taken = given(self.program, quoted, basket.zone)
        for key, count in taken.items():
            place = (self.till.epoch, *key)
            self.given[place] = self.given.get(place, 0) + count
        return taken.get(GIFT, 0)

    def request(self, **changed: Any) -> LeaseRequest:
        fields: dict[str, Any] = {
            "network": self.till.network,
            "device": self.till.device,
            "incarnation": self.till.incarnation,
            "epoch": self.till.epoch,
            "number": 0 if self.answer is None else self.answer.number,
            "given": [Given(*key, amount) for key, amount in self.given.items()],
        }
        return LeaseRequest(**(fields | changed))

    async def ask(self, request: LeaseRequest | None = None, *, lost: bool = False) -> LeaseAnswer:
        answer = read(LeaseAnswer, await self.world.post(self.till, "leases", request or self.request()))
        if not lost:
            self.answer = answer
        return answer

    async def sync(self) -> None:
        await self.world.hello(self.till)
        await self.world.push(self.till)
        await self.ask()


async def seller(world: World, program: Program) -> Seller:
    made = Seller(world, await world.till(), program)
    await world.hello(made.till)
    await world.push(made.till)
    return made


async def drained(world: World) -> list[dict[str, Any]]:
    async with asyncio.timeout(20):
        while (await world.sql("select count(*) from reprice_queue"))[0][0]:  # noqa: ASYNC110 - another task works
            await asyncio.sleep(0.01)
    return [row[0] for row in await world.sql("select facts from exception where kind = 'RULE_DRIFT' order by id")]


async def pool(world: World, program: Program) -> dict[tuple[str, str], int]:
    async with world.ground.db.begin(world.network) as connection:
        return {
            one.key: one.limit - one.used - one.leased
            for one in await limit_states(connection, world.network, program, world.clock.now())
        }


@pytest.mark.parametrize(("free", "tills", "parts"), [(100, 1, [50, 25, 13]), (100, 5, [10, 9, 9]), (3, 5, [1, 1, 1])])
def test_parts_get_smaller_with_the_pool(free: int, tills: int, parts: list[int]) -> None:
    for part in parts:
        assert shared(Leased(), free, tills, 1).granted == part
        free -= part


def test_who_has_most_of_a_part_gets_no_more_and_who_has_too_much_is_asked_for_it() -> None:
    assert shared(Leased(10, 10, 4, 4), 90, 5, 1) == Leased(10, 10, 4, 4)
    assert shared(Leased(10, 10, 5, 5), 90, 5, 1) == Leased(15, 15, 5, 5)
    # What it has stays out of the pool until it has said that it has no more.
    assert shared(Leased(10, 10, 0, 0), 0, 5, 1) == Leased(10, 1, 0, 0)
    assert shared(Leased(10, 10, 4, 4), -20, 5, 1) == Leased(10, 4, 4, 4)
    assert shared(Leased(3, 3, 3, 3), 0, 5, 1) == Leased(3, 3, 3, 3)
    # Of a budget a hundredth at the least, and never more than there is.
    assert shared(Leased(), 5_000, 50, 1_000).granted == 1_000
    assert shared(Leased(), 400, 50, 1_000).granted == 400


async def test_tills_give_the_total_and_not_one_more(world: World) -> None:
    program = await published(world)
    sellers = [await seller(world, program) for _ in range(3)]
    gave = 0
    for turn in range(60):
        one = sellers[turn % 3]
        gave += one.sell()
        if turn % 4 == 0:
            await one.sync()
            await drained(world)
            assert all(left >= 0 for left in (await pool(world, program)).values())
    for one in sellers * 2:
        await one.sync()
    while any(one.left() for one in sellers):
        for one in sellers:
            gave += one.sell()
            await one.sync()
            await drained(world)
    assert gave == TOTAL
    assert await drained(world) == []
    used = await world.sql("select rule, used from counter where owner = 'program' order by rule")
    # 700 of the fund for each sale, cut to what a till had left of it.
    assert used[1] == ("gift", TOTAL)
    assert used[0][1] == sum(amount for one in sellers for key, amount in one.given.items() if key[1] == "fund")
    assert used[0][1] <= BUDGET


async def test_late_twice_and_lost_never_takes_less_out_than_a_till_may_give(world: World) -> None:
    program = await published(world)
    one, other = await seller(world, program), await seller(world, program)
    await one.ask()
    assert one.left() == TOTAL // 4
    late = one.request()
    one.sell()
    # The answer that lowers is lost: the till still gives by the one before.
    await other.ask()
    for _ in range(6):
        await one.ask(lost=True)
    assert one.left() == TOTAL // 4 - 1
    before = await pool(world, program)
    for request in (late, late, one.request(number=0), late):
        await one.ask(request, lost=True)
        now = await pool(world, program)
        assert now[GIFT] <= before[GIFT]
        assert now[GIFT] + one.left() + other.left() + 1 <= TOTAL
    gave = 1 + sum(one.sell() for _ in range(20)) + sum(other.sell() for _ in range(20))
    for _ in range(30):
        for each in (one, other):
            await each.sync()
            gave += each.sell()
            await drained(world)
    assert gave == TOTAL
    assert await drained(world) == []


async def test_what_lies_with_a_quiet_till_comes_back_once_it_says_so(world: World) -> None:
    program = await published(world, total=8)
    quiet, busy = await seller(world, program), await seller(world, program)
    await quiet.ask()
    assert quiet.left() == 2
    gave = 0
    for _ in range(8):
        await busy.sync()
        gave += busy.sell()
        await drained(world)
    assert (gave, quiet.left()) == (6, 2)
    # Silent, it keeps them, for it may have given them already.
    world.clock.advance(days=30)
    await busy.sync()
    assert busy.left() == 0
    await quiet.sync()
    await quiet.sync()
    assert quiet.left() == 2
    quiet.sell()
    quiet.sell()
    await quiet.sync()
    assert quiet.left() == 0


async def test_a_return_frees_what_everybody_may_have(world: World) -> None:
    program = await published(world, total=1)
    one, other = await seller(world, program), await seller(world, program)
    await one.ask()
    assert one.sell() == 1
    await one.sync()
    await drained(world)
    await other.ask()
    assert other.left() == 0
    sale = one.till.journal[-1]
    paid = Record.from_payload(sale.payload).money_total or 0
    back = FollowContents("RUB", from_ms(other.till.clock.now_ms), paid).to_check()
    other.till.write(RecordKind.REFUND, check=back, reverses_id=sale.id, money_total=paid)
    await other.sync()
    await drained(world)
    await other.sync()
    assert (one.left(), other.left()) == (0, 1)


@pytest.mark.parametrize("state", ["revoked", "suspended", "cloned"])
async def test_what_a_till_off_the_network_held_comes_back_by_rule(world: World, state: str) -> None:
    program = await published(world)
    gone = await seller(world, program)
    await gone.ask()
    gone.sell()
    await gone.sync()
    await drained(world)
    had = gone.left()
    await world.sql("update device set state = $1 where id = $2 returning id", state, gone.till.device)
    assert refusal(await world.post(gone.till, "leases", gone.request()))[0] == 403
    out = {"used": 1, "leased": had}
    async with world.ground.db.begin(world.network) as connection:
        now = world.clock.now()
        assert (await leased_out(connection, world.network, now + LIFE + GRACE - timedelta(minutes=1)))[GIFT] == had
        assert GIFT not in await leased_out(connection, world.network, now + LIFE + GRACE)
        (gift, _) = await limit_states(connection, world.network, program, now)
    assert {"used": gift.used, "leased": gift.leased} == out


async def test_another_epoch_begins_with_nothing_and_the_one_before_keeps_what_it_had(world: World) -> None:
    program = await published(world)
    one = await seller(world, program)
    await one.ask()
    had = one.left()
    one.till.open_epoch(2, "rollback")
    one.answer = None
    await world.push(one.till)
    await one.ask()
    assert one.left() == -(-(TOTAL - had) // 2)
    assert (await pool(world, program))[GIFT] == TOTAL - had - one.left()
    # Late, from the epoch before: it may take more out, never less.
    before = await pool(world, program)
    await one.ask(one.request(epoch=1, number=1), lost=True)
    assert (await pool(world, program))[GIFT] <= before[GIFT]


async def test_a_program_that_allows_less_takes_back_what_is_too_much(world: World) -> None:
    program = await published(world)
    one = await seller(world, program)
    await one.ask()
    assert one.sell() == 1
    await one.sync()
    await drained(world)
    assert one.left() > 2
    await published(world, total=2)
    await one.sync()
    assert one.left() == 1
    await one.sync()
    async with world.ground.db.begin(world.network) as connection:
        found = await programs.current(connection, world.network)
        assert found is not None
        (gift, _) = await limit_states(connection, world.network, found, world.clock.now())
    assert (gift.limit, gift.used, gift.leased, gift.left) == (2, 1, 1, 0)


async def test_a_new_life_leases_nothing_until_everybody_has_said_what_was_given(world: World) -> None:
    program = await published(world)
    one, other = await seller(world, program), await seller(world, program)
    await one.ask()
    await other.ask()
    await world.sql("update device set created_at = created_at - interval '1 hour' returning id")
    while one.left():
        one.sell()
    async with world.ground.db.without_network() as connection:
        life = await incarnation.rotate(connection, "restore")
    gave = sum(each.given.get((each.till.epoch, *GIFT), 0) for each in (one, other))
    assert refusal(await world.post(one.till, "leases", one.request())) == (409, "STALE_INCARNATION")
    for each in (one, other):
        each.till.incarnation = life.id
    one.answer = None
    await one.ask()
    # The other one may have been given more since, by an answer that nobody here remembers.
    assert one.left() == 0
    await world.push(one.till)
    await drained(world)
    await one.ask()
    assert one.left() == 0
    other.answer = None
    await other.ask()
    await one.ask()
    assert other.left() > 0
    assert one.left() > 0
    assert gave + one.left() + other.left() + (await pool(world, program))[GIFT] == TOTAL
    assert await drained(world) == []


async def test_a_new_life_does_not_offer_again_what_the_one_before_had_offered(world: World) -> None:
    program = await published(world)
    one, other = await seller(world, program), await seller(world, program)
    await one.ask()
    await other.ask()
    await world.sql("update device set created_at = created_at - interval '1 hour' returning id")
    one.sell()
    assert one.left() > 0
    async with world.ground.db.without_network() as connection:
        life = await incarnation.rotate(connection, "restore")
    one.till.incarnation, one.answer = life.id, None
    for _ in range(2):
        await one.ask()
        # Others may hold all of it by answers that nobody here remembers.
        assert one.left() == 0


async def test_a_till_that_never_comes_back_is_not_waited_for_longer_than_a_lease_holds(world: World) -> None:
    program = await published(world)
    one = await seller(world, program)
    await world.till()
    await world.sql("update device set created_at = created_at - interval '1 hour' returning id")
    async with world.ground.db.without_network() as connection:
        life = await incarnation.rotate(connection, "restore")
        ((started,),) = await fetch(connection, "select max(started_at) from server_meta")
    one.till.incarnation = life.id
    world.clock.at = started
    await one.ask()
    assert one.left() == 0
    world.clock.at = started + LIFE + GRACE
    await one.ask()
    assert one.left() > 0


async def test_a_copied_till_gives_too_much_and_a_person_is_told(world: World) -> None:
    program = await published(world, total=2)
    one = await seller(world, program)
    await one.ask()
    assert one.sell() == 1
    # The copy has not counted what the other one gave.
    assert one.sell_with({"gift": 1, "fund": 0}) == 1
    assert one.sell_with({"gift": 1, "fund": 0}) == 1
    answer = await world.push(one.till)
    assert {one.status.value for one in answer.results} == {"posted", "duplicate"}
    facts = await drained(world)
    assert [one["reason"] for one in facts] == ["lease_exceeded", "limit_exceeded"] or [
        one["reason"] for one in facts
    ] == ["limit_exceeded", "lease_exceeded"]
    over = next(one for one in facts if one["reason"] == "limit_exceeded")
    assert (over["rule"], over["limit"], over["used"]) == ("gift", 2, 3)


async def test_a_network_without_limits_and_an_unknown_epoch_get_nothing(world: World) -> None:
    till = await world.till()
    await world.push(till)
    async with world.ground.db.begin(world.network) as connection:
        program = await programs.current(connection, world.network)
    assert program is not None
    one = Seller(world, till, program)
    answer = await one.ask()
    assert (answer.leases, answer.number, answer.expires_at) == ([], 0, to_ms(world.clock.now()))
    program = await published(world)
    answer = await one.ask(one.request(epoch=77))
    assert answer.leases == []
    strange = [Given(1, "no such rule", "", 5), Given(99, "gift", "", 5)]
    assert (await one.ask(one.request(number=0, given=strange))).leases
    assert await world.sql("select count(*) from lease where rule like 'no%' or epoch = 99") == [(0,)]


async def test_nothing_is_written_while_nothing_changes(world: World) -> None:
    program = await published(world)
    one = await seller(world, program)
    await one.ask()
    first = await one.ask()
    version = "select l.xmin::text, h.xmin::text from lease l join lease_holder h on h.device_id = l.device_id"
    before = await world.sql(version)
    assert await one.ask() == first
    assert await world.sql(version) == before
    world.clock.advance(seconds=3_700)
    later = await one.ask()
    assert later.expires_at == to_ms(world.clock.now() + LIFE)
    assert later.number == first.number + 1


async def test_many_at_once_get_no_more_than_there_is(world: World) -> None:
    program = await published(world, total=5)
    sellers = [await seller(world, program) for _ in range(8)]
    await asyncio.gather(*(one.ask() for one in sellers))
    assert sum(one.left() for one in sellers) == 5


async def test_other_systems_give_what_no_till_holds(world: World) -> None:
    bearer = await token(world)
    program = await published(world, total=4)
    one = await seller(world, program)
    await one.ask()
    assert one.left() == 2
    bodies = [check(world, id=str(uuid4())) for _ in range(4)]
    said = await asyncio.gather(*(send(world, bearer, "commit", body) for body in bodies))
    given_there = [each.json()["check"]["lines"][0]["discounts"].get("gift", 0) for each in said]
    assert sorted(given_there) == [0, 0, 1_000, 1_000]
    quoted = (await send(world, bearer, "quote", check(world))).json()["check"]
    assert "gift" not in quoted["lines"][0]["discounts"]
    assert [one.sell() for _ in range(3)] == [1, 1, 0]
    await one.sync()
    assert await drained(world) == []
    assert (await pool(world, program))[GIFT] == 0


async def test_a_till_that_names_sums_beyond_all_bounds_stops_nobody(world: World) -> None:
    program = await published(world)
    broken, sound = await seller(world, program), await seller(world, program)
    for changed in ({"number": MOST + 1}, {"given": [Given(1, "gift", "", (1 << 63) - 1)]}):
        assert refusal(await world.post(broken.till, "leases", broken.request(**changed)))[0] == 400
    await broken.ask(broken.request(number=MOST, given=[Given(1, *GIFT, MOST), Given(1, *FUND, MOST)]), lost=True)
    await sound.ask()
    # Nothing is left where so much is said to be given.
    assert (sound.left(), sound.left(FUND)) == (0, 0)
