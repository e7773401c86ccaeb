"""What sets off more than one transaction should take: what is left is taken up in parts, to the same end."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any
from uuid import UUID

import pytest

from loyalty_desk.domain.record import RecordKind
from loyalty_desk.domain.return_contents import ExchangeContents
from server.guests import merging
from server.jobs.bench import Bench
from server.jobs.nightly import run_jobs
from server.ledger import awaiting
from server.ledger.shelf import ProgramShelf
from server.ledger.taking_up import take_up_left
from tests.server.fake_till import FakeTill
from tests.server.ledger.returns import give_back, register, whole
from tests.server.ledger.test_guards import set_clock
from tests.server.world import World

pytestmark = [pytest.mark.anyio, pytest.mark.postgres]
COUNT = 14
CARD = 0x1234_5678_9ABC_DEF0
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


async def claimed(world: World, most: int, patch: pytest.MonkeyPatch, *, by_card: bool, merged: bool) -> list[int]:
    """Register a guest for whom sales wait; return the balance, and what still waits, then and after the jobs."""
    till, other, (stays,) = await world.till(), await world.till(), await world.guests()
    guest, _ = register(other, card=CARD if by_card else None)
    who: dict[str, Any] = {"handle": CARD} if by_card else {"guest": guest}
    for number in range(COUNT):
        sale = till.sale(earned=10, redeemed=3 if number == 2 else 0, **who)
        if number in (1, 5):
            give_back(till, sale.id, None if by_card else guest, whole(10, 0))
    await world.push(till)
    patch.setattr(awaiting, "MOST_AT_ONCE", most)
    await world.push(other)
    waits = "select count(*) from exception where kind = 'UNKNOWN_GUEST' and state = 'open'"
    found = [await world.balance(guest), (await world.sql(waits))[0][0]]
    await world.require_sound()
    if merged:
        await merging.merge(world.ground, world.network, guest, stays.id, world.clock.now())
    bench = Bench(world.ground.db, world.ground.vault, ProgramShelf())
    made = await run_jobs(bench, world.network, world.clock.now())
    left = (await world.sql(waits))[0][0]
    assert made.taken_up == found[1] - left
    await world.require_sound()
    return [*found, await world.balance(stays.id if merged else guest), left]


@pytest.mark.parametrize("merged", [False, True])
@pytest.mark.parametrize("by_card", [False, True])
async def test_what_waits_for_a_guest_is_claimed_in_parts_to_the_same_end(
    world: World, monkeypatch: pytest.MonkeyPatch, by_card: bool, merged: bool
) -> None:
    total = 10 * (COUNT - 2) - 3
    found = await claimed(world, 4, monkeypatch, by_card=by_card, merged=merged)
    assert found[1:] == [COUNT + 2 - 4, total, 0]
