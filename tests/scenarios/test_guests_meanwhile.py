"""Guests who change while tills are away or in the middle of reading: erased, merged, merged again."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest

from loyalty_desk.domain.errors import Refused
from loyalty_desk.store.cache import SqliteCache
from loyalty_desk.wire.v1.sync import PullAnswer, Status
from server.guests import leaving, merging
from tests.loyalty_desk.till_parts import KEY
from tests.scenarios.counts import count
from tests.server.conftest import anyio_backend, base, cluster, database_name, ground, made, settings
from tests.server.fake_till import FakeTill
from tests.server.ledger.conftest import world
from tests.server.world import World

__all__ = ["anyio_backend", "base", "cluster", "database_name", "ground", "made", "settings", "world"]
pytestmark = [pytest.mark.anyio, pytest.mark.postgres]


async def page(world: World, till: FakeTill, cache: SqliteCache, limit: int) -> PullAnswer:
    """Read the next page behind the cache's cursor into it."""
    answer = await world.pull(till, cache.state().cursor, limit)
    cache.apply(answer)
    return answer


@pytest.mark.parametrize("seed", range(count(3, 25)))
async def test_a_guest_erased_while_a_till_pages_never_comes_back(world: World, tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    till, seller = await world.till(), await world.till()
    people = [one.id for one in await world.guests(30)]
    cache = SqliteCache(tmp_path / "cache.db", KEY)
    erased: set[UUID] = set()
    answer = await page(world, till, cache, 7)
    while answer.has_more or len(erased) < 5:
        what = chance.random()
        left = [one for one in people if one not in erased]
        if what < 0.35 and len(erased) < 8:
            gone = chance.choice(left)
            assert await leaving.erase(world.ground, world.network, gone) == 1
            erased.add(gone)
        elif what < 0.6:
            # A late row: somebody sells to a guest of whom nothing is known any more.
            seller.sale(chance.choice(people), earned=1)
            await world.push(seller)
        answer = await page(world, till, cache, chance.randrange(1, 12))
        for one in erased:
            if cache.state().complete:
                assert cache.guest(one) is None
    state = cache.state()
    assert answer.checkpoint is not None
    assert (state.cursor, state.rows, state.digest) == (
        answer.checkpoint.n,
        answer.checkpoint.rows,
        answer.checkpoint.digest,
    )
    for one in people:
        assert (cache.guest(one) is None) == (one in erased)
    cache.close()


@pytest.mark.parametrize("seed", range(count(3, 25)))
async def test_a_chain_of_merges_gathers_what_offline_tills_sold_to_any_of_them(world: World, seed: int) -> None:
    """A into B, B into C, tills pushing sales of A and B before, between and after, in any order."""
    chance = random.Random(seed)
    tills = [await world.till() for _ in range(3)]
    a, b, c = [one.id for one in await world.guests(3)]
    for till in tills:
        for _ in range(6):
            till.sale(chance.choice([a, b, c]), earned=chance.randrange(1, 20), redeemed=chance.choice([0, 0, 5]))
    acts = ["a into b", "b into c"]
    now = datetime.now(UTC)
    waiting = tills.copy()
    chance.shuffle(waiting)
    while acts or waiting:
        if waiting and (not acts or chance.random() < 0.5):
            await world.push(waiting.pop())
        elif acts.pop(0) == "a into b":
            assert await merging.merge(world.ground, world.network, a, b, now) == b
        else:
            assert await merging.merge(world.ground, world.network, b, c, now) == c
    moved = sum(one.totals.earned - one.totals.redeemed for one in tills)
    assert [await world.balance(one) for one in (a, b, c)] == [0, 0, moved]
    # Merged again it is the same; the other way round it is refused, and nothing moves.
    assert await merging.merge(world.ground, world.network, a, c, now) == c
    for one in (a, b):
        with pytest.raises(Refused, match="merge_cycle"):
            await merging.merge(world.ground, world.network, c, one, now)
    rows = {one.key: one.row for one in (await world.pull(tills[0])).rows if one.table == "guest"}
    assert [(rows[str(one)] or {}).get("merged_into") for one in (a, b)] == [str(c), str(c)]
    late = tills[0].sale(a, earned=7)
    (answer,) = [one for one in (await world.push(tills[0])).results if one.seq == late.seq]
    assert answer.status in (Status.POSTED, Status.POSTED_FLAGGED)
    assert [await world.balance(one) for one in (a, b, c)] == [0, 0, moved + 7]
    assert (await world.sql("select coalesce(sum(amount), 0) from entry"))[0][0] == 0
