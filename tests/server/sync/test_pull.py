"""Pull: every committed change, in order, and a digest that both sides reach."""

from __future__ import annotations

import asyncio

import pytest

from loyalty_desk.wire.v1.rows import DIGEST_MODULUS, GuestRow, read, row_digest
from loyalty_desk.wire.v1.sync import FeedRow, PullAnswer
from server.sync.pull import pull
from server.sync.store import PostgresSyncStores
from server.tills.signers import find_signer
from tests.server.fake_till import FakeTill
from tests.server.world import World, refusal

pytestmark = [pytest.mark.anyio, pytest.mark.postgres]


class Cache:
    """What a till keeps of the feed."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, str], FeedRow] = {}
        self.after: int | None = None
        self.checkpoints = 0

    def apply(self, page: PullAnswer) -> None:
        seqs = [row.seq for row in page.rows]
        assert seqs == sorted(set(seqs))
        assert all(seq > (self.after or 0) for seq in seqs)
        for row in page.rows:
            if row.row is None:
                self.rows.pop((row.table, row.key), None)
            else:
                self.rows[row.table, row.key] = row
        self.after = page.next
        if page.checkpoint is not None:
            self.checkpoints += 1
            digest = sum(row_digest(row.table, row.key, row.row or {}) for row in self.rows.values()) % DIGEST_MODULUS
            assert page.checkpoint.digest == digest.to_bytes(16, "big")
            assert (page.checkpoint.n, page.checkpoint.rows) == (page.next, len(self.rows))

    async def catch_up(self, world: World, till: FakeTill, limit: int = 5_000) -> None:
        while True:
            page = await world.pull(till, self.after, limit)
            self.apply(page)
            if not page.has_more:
                return


async def test_from_nothing_a_till_gets_everything_page_by_page(world: World) -> None:
    till, cache = await world.till(), Cache()
    made = await world.guests(5)
    await cache.catch_up(world, till, limit=3)
    tables = sorted({table for table, _ in cache.rows})
    assert tables == ["credential", "guest", "keyset", "profile", "program", "store"]
    row = cache.rows["guest", str(made[0].id)].row
    assert row is not None
    assert read(GuestRow, row).name == "Guest 0"
    assert cache.checkpoints == 1


async def test_a_sale_comes_back_as_the_guests_new_balance_at_the_number_the_push_named(world: World) -> None:
    till, cache = await world.till(), Cache()
    (guest,) = await world.guests()
    await cache.catch_up(world, till)
    till.sale(guest.id, earned=30, total=5_000)
    answer = await world.push(till)
    page = await world.pull(till, cache.after)
    assert [(row.seq, row.key) for row in page.rows] == [(answer.feed_seq, str(guest.id))]
    assert page.rows[0].row is not None
    got = read(GuestRow, page.rows[0].row)
    assert (got.points, got.spend, got.visits) == (30, 5_000, 1)
    cache.apply(page)
    assert (await world.pull(till, cache.after)).rows == []


async def test_a_reader_beside_four_writers_sees_every_commit_and_its_digest_holds(world: World) -> None:
    reader, cache = await world.till(), Cache()
    guests = await world.guests(12)
    writers = [await world.till() for _ in range(4)]

    async def sell(number: int, till: FakeTill) -> None:
        for turn in range(8):
            till.sale(guests[(number * 3 + turn) % 12].id, earned=1)
            await world.push(till, till.push(till.of_epoch[-2:] if turn == 0 else till.of_epoch[-1:]))

    selling = asyncio.gather(*(sell(number, till) for number, till in enumerate(writers)))
    while not selling.done():
        await cache.catch_up(world, reader, limit=7)
        await asyncio.sleep(0)
    await selling
    await cache.catch_up(world, reader)
    points = [read(GuestRow, row.row or {}).points for (table, _), row in cache.rows.items() if table == "guest"]
    assert sum(points) == 32
    assert cache.checkpoints > 1


async def test_too_many_guests_for_reading_one_by_one_is_410(world: World) -> None:
    till = await world.till()
    await world.guests(3)
    signer = await find_signer(world.ground, world.network, till.device)
    assert signer is not None
    assert (await pull(PostgresSyncStores(world.ground), signer, None, from_zero_guests=3)).rows
    with pytest.raises(Exception, match="410 MUST_BOOTSTRAP"):
        await pull(PostgresSyncStores(world.ground), signer, None, from_zero_guests=2)


async def test_a_cursor_beyond_the_end_begins_a_new_life_when_hello_repeats_it(world: World) -> None:
    till = await world.till()
    assert refusal(await world.get_page(till, 10_000)) == (409, "STALE_INCARNATION")
    asked = till.hello(cursor=10_000)
    assert refusal(await world.post(till, "hello", asked)) == (409, "STALE_INCARNATION")
    assert (await world.hello(till)).incarnation != world.incarnation
    assert refusal(await world.get_page(till, 10_000)) == (410, "MUST_BOOTSTRAP")


async def test_cursors_of_nobody_are_refused(world: World) -> None:
    till = await world.till()
    for cursor in ("x", "1.2.3", f"{world.incarnation}.-1.1", f"{world.incarnation}.{1 << 63}.1"):
        target = f"/api/v1/sync/pull?cursor={cursor}"
        response = await world.client.get(target, headers=till.headers("GET", target))
        assert refusal(response) == (400, "BAD_BODY")
    target = "/api/v1/sync/pull?limit=0"
    response = await world.client.get(target, headers=till.headers("GET", target))
    assert refusal(response) == (400, "BAD_BODY")
    till.token = till.token + "x"
    assert refusal(await world.get_page(till)) == (401, "BAD_TOKEN")
    till.token = ""
    assert refusal(await world.get_page(till)) == (401, "BAD_TOKEN")
