"""The feed: dense, in the order of commits, its digest that of its live rows."""

import asyncio
import random
from uuid import UUID, uuid4

import pytest

from loyalty_desk.wire.v1.rows import DIGEST_MODULUS, row_digest
from loyalty_desk.wire.v1.sync import FeedTable
from server.kit import feed
from server.kit.db import write
from server.kit.feed import Change
from server.kit.ground import Ground

pytestmark = [pytest.mark.anyio, pytest.mark.postgres]


@pytest.fixture
async def network(ground: Ground) -> UUID:
    return await make_network(ground)


async def make_network(ground: Ground) -> UUID:
    network = uuid4()
    async with ground.db.begin(network) as connection:
        await write(
            connection,
            "insert into network (network_id, name, kind, currency, zone, root_pub, recovery_pub)"
            " values ($1, 'n', 'shop', 'RUB', 'UTC', $2, $2)",
            network,
            bytes(32),
        )
        await feed.begin(connection, network)
    return network


def staff(key: object, name: str | None) -> Change:
    return Change(FeedTable.STAFF, str(key), None if name is None else {"name": name})


async def test_numbers_follow_the_order_given_and_a_later_change_moves_a_row(ground: Ground, network: UUID) -> None:
    async with ground.db.begin(network) as connection:
        assert await feed.record(connection, network, [staff("b", "1"), staff("a", "1")]) == 2
    async with ground.db.begin(network) as connection:
        assert await feed.record(connection, network, [staff("b", "2")]) == 3
        found = await feed.marks(connection, network, 0, 10)
    assert [(mark.seq, mark.key) for mark in found] == [(2, "a"), (3, "b")]


async def test_a_row_that_is_what_it_was_gets_no_number(ground: Ground, network: UUID) -> None:
    async with ground.db.begin(network) as connection:
        await feed.record(connection, network, [staff("a", "1")])
    async with ground.db.begin(network) as connection:
        assert await feed.record(connection, network, [staff("a", "1"), staff("never_there", None)]) == 1
        assert len(await feed.marks(connection, network, 0, 10)) == 1


async def test_of_two_changes_of_a_row_the_later_counts(ground: Ground, network: UUID) -> None:
    async with ground.db.begin(network) as connection:
        assert await feed.record(connection, network, [staff("a", "1"), staff("a", "2")]) == 1
        assert (await feed.count(connection, network)).digest == row_digest("staff", "a", {"name": "2"})


async def test_a_tombstone_leaves_the_digest_and_keeps_its_place(ground: Ground, network: UUID) -> None:
    async with ground.db.begin(network) as connection:
        await feed.record(connection, network, [staff("a", "1"), staff("b", "1")])
    async with ground.db.begin(network) as connection:
        await feed.record(connection, network, [staff("a", None)])
        count = await feed.count(connection, network)
        found = await feed.marks(connection, network, 0, 10)
    assert (count.n, count.rows, count.digest) == (3, 1, row_digest("staff", "b", {"name": "1"}))
    assert [(mark.key, mark.live) for mark in found] == [("b", True), ("a", False)]


async def test_nothing_changed_reports_where_the_feed_stands(ground: Ground, network: UUID) -> None:
    async with ground.db.begin(network) as connection:
        assert await feed.record(connection, network, []) == 0


async def test_the_time_of_a_number_is_that_of_its_commit(ground: Ground, network: UUID) -> None:
    async with ground.db.begin(network) as connection:
        await feed.record(connection, network, [staff("a", "1"), staff("b", "1")])
    async with ground.db.begin(network) as connection:
        await feed.record(connection, network, [staff("c", "1")])
        times = await feed.time_of(connection, network, [1, 2, 3, 4])
    assert times[1] == times[2] <= times[3]
    assert 4 not in times


async def test_two_networks_count_apart(ground: Ground, network: UUID) -> None:
    other = await make_network(ground)
    for one in (network, other):
        async with ground.db.begin(one) as connection:
            assert await feed.record(connection, one, [staff("a", "1")]) == 1


class _Undone(Exception):
    pass


async def test_four_writers_a_third_rolled_back_and_a_reader_that_misses_nothing(ground: Ground, network: UUID) -> None:
    committed: dict[str, str] = {}
    changes = 0
    writing = True

    async def write(writer: int) -> None:
        nonlocal changes
        chance = random.Random(writer)
        for round_ in range(40):
            rows = {f"{writer}-{chance.randrange(20)}": f"{round_}" for _ in range(chance.randrange(1, 6))}
            try:
                async with ground.db.begin(network) as connection:
                    await asyncio.sleep(chance.random() / 500)
                    await feed.record(connection, network, [staff(key, name) for key, name in rows.items()])
                    if chance.random() < 0.3:
                        raise _Undone
            except _Undone:
                continue
            committed.update(rows)
            changes += len(rows)

    seen: dict[str, int] = {}
    cursor = 0

    async def read() -> None:
        nonlocal cursor
        while True:
            done = not writing
            async with ground.db.begin(network) as connection:
                found = await feed.marks(connection, network, cursor, 7)
            for mark in found:
                assert mark.seq > cursor
                cursor = mark.seq
                seen[mark.key] = mark.seq
            if done and not found:
                return

    reader = asyncio.create_task(read())
    await asyncio.gather(*(write(writer) for writer in range(4)))
    writing = False
    await reader
    async with ground.db.begin(network) as connection:
        count = await feed.count(connection, network)
        assert await feed.recomputed(connection, network) == count
    assert count.n == changes == cursor
    assert seen.keys() == committed.keys()
    expected = sum(row_digest("staff", key, {"name": name}) for key, name in committed.items()) % DIGEST_MODULUS
    assert (count.rows, count.digest) == (len(committed), expected)
