"""One suite for both stores: whatever tills push, PostgreSQL and the simulation's tables answer and hold alike."""

from __future__ import annotations

import asyncio
from importlib import import_module
from random import Random
from typing import Any
from uuid import UUID

import msgspec
import pytest

from loyalty_desk.domain.canonical import bytes_to_text
from loyalty_desk.domain.clock import from_ms, to_ms
from loyalty_desk.domain.contents import AdjustContents, AdjustReason, RegisterContents, TransferContents
from loyalty_desk.domain.guest_code import CodeKind
from loyalty_desk.domain.private_fields import GuestFields, Private
from loyalty_desk.domain.record import Credential, Record, RecordKind
from loyalty_desk.domain.refund import NOTHING_YET, Refund
from loyalty_desk.domain.return_contents import ExchangeContents, FollowContents, FollowedLine, ReturnContents
from loyalty_desk.wire.v1 import codec
from loyalty_desk.wire.v1.errors import ErrorAnswer
from loyalty_desk.wire.v1.sync import HelloAnswer, Hole, PushAnswer, ReconcileAnswer
from server.kit.db import write
from server.kit.errors import ApiError
from server.ledger import repository
from server.programs import service as programs
from tests.server.fake_till import FakeTill
from tests.server.world import World
from tests.simulation.keys import private_key
from tests.simulation.memory_ledger import Device, MemoryStore
from tests.simulation.sim_server import SimServer

pytestmark = [pytest.mark.anyio, pytest.mark.postgres]

FILL: str = import_module("server.migrations.versions.0027_granted").FILL
_ANSWERS = {"push": PushAnswer, "hello": HelloAnswer, "reconcile": ReconcileAnswer}


class Both:
    """A network on PostgreSQL and its twin in memory."""

    def __init__(self, world: World, memory: SimServer, tills: list[FakeTill]) -> None:
        self.world = world
        self.memory = memory
        self.tills = tills
        self.ahead = 0

    async def ask(self, till: FakeTill, path: str, message: object) -> Any:
        """Ask both, hold the answers to each other, return PostgreSQL's."""
        response = await self.world.post(till, path, message)
        kind: Any = _ANSWERS[path] if response.status_code == 200 else ErrorAnswer
        one = codec.decode(kind, response.content)
        try:
            two: Any = await asyncio.to_thread(self.memory.serve, path, till.device, codec.encode(message))
        except ApiError as error:
            assert error.status == response.status_code
            two = error.answer
        assert self._plain(one) == self._plain(two), path
        return one

    def _plain(self, answer: Any) -> Any:
        if isinstance(answer, HelloAnswer):
            return (answer.incarnation, answer.epochs, answer.commands)
        if isinstance(answer, PushAnswer):
            return (answer.incarnation, answer.results)
        if isinstance(answer, ErrorAnswer):
            return msgspec.structs.replace(answer, feed_seq=None)  # the network's own rows are counted in one alone
        if isinstance(answer, ReconcileAnswer):
            # Of several branches' records with one number either may come first.
            return [(one.first_seq, sorted(one.ids)) for one in answer.mismatching]
        return answer

    async def compare(self) -> None:
        """Hold what both store to each other."""
        world, tables = self.world, self.memory.tables
        txs = await world.sql(
            "select id, kind, branch, seq, hash, guest_id, flags from ledger_tx where origin = 'till'"
        )
        claims = await world.sql("select id, reverses_id, guest_id from ledger_tx where natural_key like 'claim:%'")
        assert sorted(claims) == sorted((key, of, guest) for key, (of, guest, _) in tables.claims.items())
        assert sorted(txs) == sorted(
            (t.id, t.kind, t.branch, t.seq, t.hash, t.guest, t.flags) for t in tables.txs.values()
        )
        moments = await world.sql("select id, effective_at from ledger_tx where origin = 'till'")
        assert {row[0]: to_ms(row[1]) for row in moments} == {t.id: t.effective_at for t in tables.txs.values()}
        accounts = await world.sql(
            "select kind, coalesce(guest_id, store_id), posted, debt from account where posted <> 0 or debt <> 0"
        )
        assert sorted(accounts, key=str) == sorted(
            ((a.key.kind.value, a.key.owner, a.posted, a.debt) for a in tables.accounts.values() if a.posted or a.debt),
            key=str,
        )
        entries = await world.sql(
            "select tx_id, leg, a.kind, coalesce(a.guest_id, a.store_id), amount, e.lot_id from entry e"
            " join account a on a.network_id = e.network_id and a.id = e.account_id"
        )
        keys = {number: account.key for number, account in tables.accounts.items()}
        assert sorted(entries, key=str) == sorted(
            ((e.tx, e.leg, keys[e.account].kind.value, keys[e.account].owner, e.amount, e.lot) for e in tables.entries),
            key=str,
        )
        await self._compare_granted()
        lots = await world.sql("select id, amount, remaining from lot")
        assert sorted(lots) == sorted((key, lot.amount, lot.remaining) for key, lot in tables.lots.items())
        states = await world.sql("select guest_id, points, spend, visits from guest_state")
        assert sorted(states) == sorted((key, g.points, g.state[1], g.state[2]) for key, g in tables.guests.items())
        epochs = await world.sql(
            "select device_id, epoch, branch, head_seq, head_hash, count, cum_count, cum_earned, cum_redeemed,"
            " parent_epoch, forked_at, opened_reason from device_epoch"
        )
        assert sorted(epochs, key=str) == sorted(
            (
                (
                    *(*place, e.head_seq, e.head_hash, e.count, e.totals.count, e.totals.earned, e.totals.redeemed),
                    *(None if e.parent is None else e.parent[0], e.forked_at, e.opened_reason),
                )
                for place, e in tables.epochs.items()
            ),
            key=str,
        )
        aside = await world.sql("select device_id, epoch, branch, seq, record_id, reason, state from quarantine")
        assert sorted(aside, key=str) == sorted(
            ((d, e, q.branch, s, q.id, q.reason, q.state) for (d, e, s, _), q in tables.quarantine.items()), key=str
        )
        raised = await world.sql("select kind, tx_id from exception where kind <> 'RULE_DRIFT'")
        assert sorted(raised, key=str) == sorted(((str(kind), tx) for kind, tx in tables.exceptions), key=str)
        (n,) = (await world.sql("select n from feed_counter"))[0]
        assert n - tables.n == self.ahead

    async def _compare_granted(self) -> None:
        """Hold what checks gave by days to the twin's long way, and to what the lots of before the column are given."""
        tables, now = self.memory.tables, self.world.clock.now()
        twin = await MemoryStore(tables, (0, None), {}, now).granted(tables.guests, "Asia/Tokyo", now)
        async with self.world.ground.db.begin(self.world.network) as connection:
            at = (connection, self.world.network)
            assert await repository.granted(*at, tables.guests, "Asia/Tokyo", now) == twin
            await write(connection, "update lot set granted_at = null")
            await write(connection, FILL.replace("now() - interval '9 days'", "'-infinity'"))
            assert await repository.granted(*at, tables.guests, "Asia/Tokyo", now) == twin
        assert sum(twin.values()) > 100


@pytest.fixture
async def both(world: World) -> Both:
    tills = [await world.till() for _ in range(2)]
    guests = await world.guests(3)
    async with world.ground.db.begin(world.network) as connection:
        program = await programs.version(connection, world.network, 1)
    key = private_key(bytes(32), real=True)
    memory = await asyncio.to_thread(
        SimServer, world.network, Random(1), lambda: to_ms(world.clock.now()), key, key, _no_finding
    )
    public = bytes_to_text(key.public_key().public_bytes_raw())
    devices = {till.device: Device(till.store, till.key.public_key()) for till in tills}
    await asyncio.to_thread(
        memory.set_up, {"network": str(world.network), "version": 1, "key": public}, program, devices
    )
    for one in guests:
        await asyncio.to_thread(memory.register, one.id, one.handles[0], one.member_no)
    memory.adopt(world.incarnation)
    made = Both(world, memory, tills)
    (n,) = (await world.sql("select n from feed_counter"))[0]
    made.ahead = n - memory.tables.n
    return made


def _no_finding(rule: str, text: str) -> None:
    raise AssertionError(f"{rule}: {text}")


@pytest.mark.parametrize("seed", range(6))
async def test_both_stores_answer_and_hold_alike(both: Both, seed: int) -> None:
    random = Random(seed)
    guests = list(both.memory.tables.guests)
    handles = [int.from_bytes(handle, "big") for handle in both.memory.tables.credentials]
    for _ in range(30):
        till = random.choice(both.tills)
        for _ in range(random.randrange(4)):
            chance = random.random()
            if chance < 0.3:
                _give_back(random, both.tills, till, guests)
            elif chance < 0.45:
                _by_hand(random, till, [*guests, UUID(int=5), UUID(int=6)])
            else:
                _write(random, till, guests, handles)
        await _say(random, both, till)
    for till in both.tills:
        await both.ask(till, "push", till.push())
    await both.compare()
    both.memory.close()


def _write(random: Random, till: FakeTill, guests: list[UUID], handles: list[int]) -> None:
    chance = random.random()
    earned, redeemed = random.randrange(50), random.choice((0, 0, 0, 30))
    if chance < 0.5:
        till.sale(random.choice(guests), earned=earned, redeemed=redeemed)
    elif chance < 0.65:
        till.sale(handle=random.choice([*handles, 99, 98]), earned=earned)
    elif chance < 0.75:
        till.sale(UUID(int=random.choice((5, 6))), earned=earned, redeemed=redeemed)  # whom nobody knows as yet
    elif chance < 0.8 and len(till.of_epoch) > 2:
        till.sale(random.choice(guests), earned=earned, record_id=till.of_epoch[1].id)
    elif chance < 0.85:
        _register(random, till)
    elif chance < 0.9:
        till.open_epoch(till.epoch + 1, "rollback", till.journal[-1].hash)
    elif chance < 0.94 and len(till.of_epoch) > 3:
        till.rewind(len(till.of_epoch) - 2)  # and so a fork
    else:
        till.sale(random.choice(guests), earned=earned, occurred_at=random.choice((1, till.clock.now_ms * 2)))


def _register(random: Random, till: FakeTill) -> None:
    """Register somebody, who may be known already, or whose phone or card belongs to somebody."""
    phone = random.choice(("", "+79161234567", "+79161234568"))
    fields = Private(bytes(16), GuestFields(name="Anna", phone=phone))
    made = till.write(
        RecordKind.REGISTER,
        guest_id=random.choice((UUID(int=5), UUID(int=6), till.new_id())),
        check=RegisterContents(fields.digest).to_check(),
        credential=random.choice((None, *(Credential(CodeKind.LD1, card) for card in (98, 99)))),
    )
    if random.random() < 0.8:
        till.privates[made.id] = fields.to_bytes()


def _by_hand(random: Random, till: FakeTill, guests: list[UUID]) -> None:
    """Give, take or move points by hand, of guests who may not be known yet."""
    giver, to = random.sample(guests, 2)
    points = random.choice((20, 700))
    if random.random() < 0.5:
        check = TransferContents(to, AdjustReason.FAMILY, "anna").to_check()
        till.write(RecordKind.TRANSFER, guest_id=giver, check=check, points_redeemed=points)
    else:
        check = AdjustContents(AdjustReason.GOODWILL, "anna").to_check()
        name = random.choice(("points_earned", "points_redeemed"))
        till.write(RecordKind.ADJUST, guest_id=giver, check=check, **{name: points})


def _give_back(random: Random, tills: list[FakeTill], till: FakeTill, guests: list[UUID]) -> None:
    """Return a sale of any till, or what is no sale, whether the server has it or not."""
    everywhere = [one for other in tills for one in other.journal]
    of = Record.from_payload(random.choice(everywhere).payload)
    money, earned, spent = random.randrange(1, 10_000), random.randrange(60), random.choice((0, 30))
    at = from_ms(till.clock.now_ms)
    returned = Refund("lines", money, earned, spent, (), random.random() < 0.3, NOTHING_YET)
    chance = random.random()
    if chance < 0.3:
        contents = FollowContents("RUB", at, money, (FollowedLine("x", 1_000, money),))
        till.write(RecordKind.REFUND, check=contents.to_check(), money_total=money, reverses_id=of.id)
    elif chance < 0.5:
        check = ExchangeContents.to_check({}, returned)
        till.write(
            RecordKind.EXCHANGE,
            guest_id=random.choice(guests),
            check=check,
            points_earned=20,
            points_redeemed=random.choice((0, 40)),
            money_total=5_000,
            reverses_id=of.id,
        )
    else:
        is_void = chance < 0.7
        till.write(
            RecordKind.VOID if is_void else RecordKind.REFUND,
            guest_id=of.guest_id,
            check=ReturnContents.to_check("RUB", at, returned, is_void=is_void),
            points_earned=spent,
            points_redeemed=earned,
            money_total=money,
            reverses_id=of.id,
        )


async def _say(random: Random, both: Both, till: FakeTill) -> None:
    mine, chance = till.of_epoch, random.random()
    first = random.randrange(len(mine))
    if chance < 0.5:
        await both.ask(till, "push", till.push())
    elif chance < 0.65:
        await both.ask(till, "push", till.push(mine[first:]))
    elif chance < 0.75:
        part = mine[first:]
        await both.ask(till, "push", till.push(part, holes=[Hole(1, first, "gone")] if first else []))
    elif chance < 0.8:
        spoilt = till.push()
        place = random.randrange(len(spoilt.records))
        spoilt.records[place] = msgspec.structs.replace(spoilt.records[place], payload=b'{"v":1}')
        await both.ask(till, "push", spoilt)
    elif chance < 0.9:
        await both.ask(till, "hello", till.hello())
    else:
        await both.ask(till, "reconcile", till.reconcile())
