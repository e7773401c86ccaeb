"""The feed and the posting against a real PostgreSQL, from many connections at once."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from uuid import UUID

import msgspec
import psycopg
import pytest

from loyalty_desk.domain import canonical
from loyalty_desk.domain.record import chain_hash, head_message
from loyalty_desk.wire.v1.sync import FeedTable, PushRequest, Status
from server.kit import feed
from server.kit.db import fetch, fetch_value, write
from server.kit.ground import Ground
from server.networks.service import MadeNetwork
from tests.scenarios.counts import count
from tests.server.conftest import admin, anyio_backend, base, cluster, database_name, ground, made, settings
from tests.server.fake_till import FakeTill
from tests.server.ledger.conftest import world
from tests.server.world import World

__all__ = ["admin", "anyio_backend", "base", "cluster", "database_name", "ground", "made", "settings", "world"]
pytestmark = [pytest.mark.anyio, pytest.mark.postgres]


@dataclass
class Readers:
    """What readers of one feed have seen."""

    seen: dict[str, int] = field(default_factory=dict)
    order: list[int] = field(default_factory=list)
    cursor: int = 0


def change(key: str, text: str) -> feed.Change:
    return feed.Change(FeedTable.STAFF, key, {"name": text})


async def _write(ground: Ground, network: UUID, writer: int, until: float, rolled_back: float) -> dict[str, str]:
    chance, written = random.Random(writer), {}
    number = 0
    while time.monotonic() < until:
        rows = {f"{writer}-{number + n}": str(n) for n in range(chance.randrange(1, 4))}
        number += len(rows)
        undone = chance.random() < rolled_back
        try:
            async with ground.db.begin(network) as connection:
                # The plain sequence of the control is drawn here, and committed after a delay: as a serial column is.
                await write(connection, "insert into public.naive (key) select * from unnest($1::text[])", list(rows))
                await asyncio.sleep(chance.random() / 200)
                await feed.record(connection, network, [change(key, text) for key, text in rows.items()])
                await asyncio.sleep(chance.random() / 500)
                if undone:
                    raise ZeroDivisionError
        except ZeroDivisionError:
            continue
        written |= rows
    return written


async def _read(ground: Ground, network: UUID, found: Readers, naive: Readers, writing: Callable[[], bool]) -> None:
    while True:
        last = not writing()
        async with ground.db.begin(network) as connection:
            marks = await feed.marks(connection, network, found.cursor, 500)
            for mark in marks:
                found.order.append(mark.seq)
                found.seen[mark.key] = found.cursor = mark.seq
            rows = await fetch(
                connection, "select n, key from public.naive where n > $1 order by n limit 500", naive.cursor
            )
            for n, key in rows:
                naive.seen[key] = naive.cursor = n
        if last and not marks and not rows:
            return
        await asyncio.sleep(0.001)


async def test_eight_writers_and_a_reader_that_misses_nothing(
    ground: Ground, made: MadeNetwork, admin: psycopg.Connection
) -> None:
    """A third of the transactions is rolled back. The control, read by a plain sequence, has to miss something."""
    admin.execute("create table public.naive (n bigserial primary key, key text)")
    admin.execute("grant all on public.naive, public.naive_n_seq to public")
    network, found, naive = made.network.id, Readers(), Readers()
    async with ground.db.begin(network) as connection:
        found.cursor = before = (await feed.count(connection, network)).n
    until = time.monotonic() + count(4, 60)
    writers = [asyncio.create_task(_write(ground, network, number, until, 0.3)) for number in range(8)]
    await _read(ground, network, found, naive, lambda: not all(one.done() for one in writers))
    written = {key for one in writers for key in one.result()}
    assert found.seen.keys() == written
    assert found.order == list(range(before + 1, before + 1 + len(written))), "dense, and in order"
    assert written - naive.seen.keys(), "the plain sequence has missed nothing: nothing was tried"


async def test_a_session_idle_in_its_transaction_stops_no_reader(
    ground: Ground, made: MadeNetwork, admin: psycopg.Connection
) -> None:
    """The control waits for the oldest open transaction, as a reader by snapshots would: it must stand still."""
    network = made.network.id
    async with ground.db.begin(network) as connection:
        cursor = horizon = (await feed.count(connection, network)).n
    with psycopg.connect(admin.info.dsn, password=admin.info.password, autocommit=False) as idle:
        idle.execute("create table public.idle (n int)")  # a transaction with a number, left open
        (oldest,) = idle.execute("select pg_current_xact_id()::text::bigint").fetchone() or (0,)
        until = time.monotonic() + count(2, 20)
        number = 0
        while time.monotonic() < until:
            async with ground.db.begin(network) as connection:
                await feed.record(connection, network, [change(f"row {number}", "x")])
                number += 1
            async with ground.db.begin(network) as connection:
                (mark,) = await feed.marks(connection, network, cursor, 10)
                assert mark.seq == cursor + 1
                cursor = mark.seq
                xmin = await fetch_value(connection, "select pg_snapshot_xmin(pg_current_snapshot())::text::bigint")
                horizon = cursor if int(xmin) > oldest else horizon
        assert number > 10
        assert horizon < cursor - 10, "the control has moved on: nothing was tried"
        idle.rollback()


def _resealed(till: FakeTill, push: PushRequest, place: int, payload: bytes) -> PushRequest:
    """Return the push with one record's bytes changed and everything after it chained and signed anew."""
    records = list(push.records)
    prev = records[place].prev
    for at in range(place, len(records)):
        body = payload if at == place else records[at].payload
        digest = chain_hash(prev, body)
        records[at] = msgspec.structs.replace(records[at], prev=prev, hash=digest, payload=body)
        prev = digest
    last = records[-1]
    sig = till.key.sign(head_message(till.network, till.device, push.epoch, last.seq, last.hash))
    return msgspec.structs.replace(push, records=records, head_sig=sig)


def _poisons(payload: bytes) -> dict[str, bytes]:
    whole = json.loads(payload)

    def changed(**fields: object) -> bytes:
        return json.dumps(whole | fields, separators=(",", ":"), sort_keys=True).encode()

    return {
        "no JSON": b"{not json",
        "amount 2^63": payload.replace(b'"earned":1', b'"earned":9223372036854775808'),
        "unknown kind": changed(kind="telepathy"),
        "NUL in text": canonical.encode(whole | {"cashier": "a"}).replace(b'"cashier":"a"', b'"cashier":"a\\u0000b"'),
        "not canonical": b" " + payload,
        "a list": b"[]",
        "no UTF-8": payload.replace(b'"sale"', b'"\xff\xfe"'),
        "10 levels too deep": b'{"a":' * 2_000 + b"1" + b"}" * 2_000,
        "empty": b"",
    }


_SAMPLE = b'{"cashier":"x","kind":"sale","points":{"earned":1}}'


@pytest.mark.parametrize("name", list(_poisons(_SAMPLE)))
async def test_one_poison_record_of_any_kind_leaves_the_others_posted(world: World, name: str) -> None:
    """At position 250 of 500: stored raw, told, and the head goes on over it."""
    till, many = await world.till(), count(50, 500)
    (guest,) = await world.guests()
    for _ in range(many - 1):
        till.sale(guest.id, earned=1)
    push = till.push()
    place = many // 2
    poison = _poisons(push.records[place].payload)[name]
    assert poison != push.records[place].payload
    answer = await world.push(till, _resealed(till, push, place, poison))
    assert [one.seq for one in answer.results if one.status is Status.QUARANTINED] == [place + 1]
    assert (await world.sql("select count(*) from ledger_tx"))[0][0] == many - 1
    assert await world.balance(guest.id) == many - 2
    assert await world.sql("select raw = $1, state from quarantine", poison) == [(True, "open")]
    assert await world.sql("select head_seq from device_epoch") == [(many,)]
    # Sent again it is the same: held, not posted.
    again = await world.push(till, _resealed(till, push, place, poison))
    assert (await world.sql("select count(*) from quarantine"))[0][0] == 1
    assert [one.seq for one in again.results if one.status is not Status.DUPLICATE] == [place + 1]


async def test_a_record_of_ten_megabytes_is_not_taken_and_does_not_hurt(world: World) -> None:
    till = await world.till()
    (guest,) = await world.guests()
    till.sale(guest.id, earned=1)
    push = till.push()
    huge = _resealed(till, push, 1, b'{"a":"' + random.Random(1).randbytes(5 << 20).hex().encode() + b'"}')
    response = await world.post(till, "push", huge)
    assert response.status_code == 413
    assert (await world.sql("select count(*) from ledger_tx"))[0][0] == 0
    assert {one.status for one in (await world.push(till, push)).results} == {Status.POSTED}
