"""A sale that sets off more than one transaction should take: what is left is taken up in parts, to the same end."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from uuid import UUID

import pytest

from loyalty_desk.domain.record import RecordKind
from loyalty_desk.domain.return_contents import ExchangeContents
from server.jobs.bench import Bench
from server.jobs.nightly import run_jobs
from server.ledger import awaiting
from server.ledger.shelf import ProgramShelf
from server.ledger.taking_up import take_up_left
from tests.server.fake_till import FakeTill
from tests.server.ledger.returns import give_back, whole
from tests.server.ledger.test_guards import set_clock
from tests.server.world import World

pytestmark = [pytest.mark.anyio, pytest.mark.postgres]
COUNT = 14
type Tell = Callable[[FakeTill, UUID, list[UUID]], None]


def chain(till: FakeTill, guest: UUID, ids: list[UUID]) -> None:
    """Write exchanges each of the one after it, and of them the last of a sale that nobody has seen."""
    for one, of in pairwise(ids):
        till.write(
            RecordKind.EXCHANGE,
            record_id=one,
            guest_id=guest,
            check=ExchangeContents.to_check({"lines": []}, whole(1, 0)),
            points_earned=2,
            money_total=10_000,
            reverses_id=of,
        )


def many(till: FakeTill, guest: UUID, ids: list[UUID]) -> None:
    """Return one sale again and again."""
    for _ in ids[1:]:
        give_back(till, ids[-1], guest, whole(1, 0))


async def outcome(world: World, tell: Tell, most: int, patch: pytest.MonkeyPatch) -> tuple[int, list[int], int]:
    """Return how many are posted after each run of the jobs, and the guest's balance."""
    till, other, (guest,) = await world.till(), await world.till(), await world.guests()
    set_clock(world, till, other)
    ids = [till.new_id() for _ in range(COUNT + 1)]
    tell(till, guest.id, ids)
    await world.push(till)
    other.sale(guest.id, earned=1, record_id=ids[-1])
    patch.setattr(awaiting, "MOST_AT_ONCE", most)
    await world.push(other)
    posted = "select count(*) from ledger_tx where device_id = $1"
    counts = [int((await world.sql(posted, till.device))[0][0]) - 1]
    bench = Bench(world.ground.db, world.ground.vault, ProgramShelf())
    taken = await take_up_left(bench.db, world.network, bench.tools, world.clock.now())
    counts.append(int((await world.sql(posted, till.device))[0][0]) - 1)
    assert (await run_jobs(bench, world.network, world.clock.now())).taken_up == 0
    await world.require_sound()
    return taken, counts, await world.balance(guest.id)


@pytest.mark.parametrize("tell", [chain, many])
async def test_what_one_sale_sets_off_is_posted_in_parts_to_the_same_end(
    world: World, tell: Tell, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_once = await outcome(world, tell, 1_000, monkeypatch)
    in_parts = await outcome(world, tell, 4, monkeypatch)
    assert at_once[:2] == (0, [COUNT, COUNT])
    assert in_parts[0] > 0
    assert in_parts[1] == [4, COUNT]
    assert at_once[2] == in_parts[2]
