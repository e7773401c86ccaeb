"""A till that was tampered with dates sales back to wake points that died long ago: the server holds it to its past."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest

from loyalty_desk.domain.record import ExceptionKind, Record, genesis
from server.ledger.posting import flag_bits
from tests.server.fake_till import T0, FakeTill
from tests.server.ledger.expiring import DAY_MS, LATE_EXPIRY, expire, on_day, points_live
from tests.server.world import World

pytestmark = [pytest.mark.anyio, pytest.mark.postgres]
CLOCK, FORK = (flag_bits([kind]) for kind in (ExceptionKind.CLOCK, ExceptionKind.FORK))


async def expired(world: World) -> tuple[FakeTill, UUID]:
    """Return a till that sold every week, and a guest whose points of day 0 died on day 10 and left on day 25."""
    await points_live(world, "inactivity", 10)
    till, (guest, other) = await world.till(), await world.guests(2)
    on_day(world, 0, till)
    till.sale(guest.id, earned=100, total=1_000_000)
    await world.push(till)
    for day in (7, 14, 21):
        on_day(world, day, till)
        till.sale(other.id)
        await world.push(till)
    on_day(world, 25, till)
    assert await expire(world) == 1
    return till, guest.id


def dated_back(till: FakeTill, guest: UUID, day: int, **fields: int) -> None:
    """Sell as of a day long gone, by a machine that has just started and has seen nothing of the server."""
    till.boot_id = uuid4()
    made = Record.from_payload(till.sale(guest, occurred_at=T0 + day * DAY_MS, **fields).payload)
    assert made.cache_feed_seq is None


async def counts(world: World) -> list[int]:
    rows = await world.sql("select effective_at from ledger_tx where kind = 'sale' order by recorded_at, seq")
    return [round((row[0].timestamp() * 1_000 - T0) / DAY_MS) for row in rows]


async def test_what_follows_in_a_journal_cannot_be_older_than_what_it_follows(world: World) -> None:
    till, guest = await expired(world)
    dated_back(till, guest, 9)
    dated_back(till, guest, 9, redeemed=50)
    flags = [one.flags for one in (await world.push(till)).results][-2:]
    assert flags[0] == CLOCK
    assert flags[1] & CLOCK
    assert not flags[1] & LATE_EXPIRY
    assert await counts(world) == [0, 7, 14, 21, 21, 21]
    assert await world.balance(guest) == -50


async def test_a_record_set_aside_between_does_not_loosen_it(world: World) -> None:
    till, guest = await expired(world)
    till.sale(guest, record_id=Record.from_payload(till.journal[1].payload).id)
    dated_back(till, guest, 9)
    results = (await world.push(till, till.push(till.of_epoch[-2:]))).results
    assert (results[0].reason, results[1].flags) == ("ID_REUSE", CLOCK)
    assert await world.balance(guest) == 0


@pytest.mark.parametrize("is_chained", [True, False])
async def test_a_new_epoch_begins_no_earlier_than_all_the_till_has_sold(world: World, *, is_chained: bool) -> None:
    till, guest = await expired(world)
    # Chained to its very first record, as if it had been put back to its first day; or to nothing, as if all were lost.
    till.clock.now_ms = T0 + 9 * DAY_MS
    parent = till.journal[0].hash if is_chained else genesis(world.network, till.device, 77)
    till.open_epoch(77, "rollback", parent)
    dated_back(till, guest, 9)
    await world.push(till)
    assert await counts(world) == [0, 7, 14, 21, 21]
    assert await world.balance(guest) == 0


async def test_a_fork_begins_no_earlier_than_all_the_till_has_sold(world: World) -> None:
    till, guest = await expired(world)
    till.rewind(2)
    dated_back(till, guest, 9)
    result = await world.post(till, "push", till.push(till.of_epoch[-1:]))
    assert result.status_code == 409
    assert await counts(world) == [0, 7, 14, 21, 21]
    assert await world.balance(guest) == 0


async def test_a_till_that_has_sold_nothing_yet_sells_nothing_before_it_was_enrolled(world: World) -> None:
    _, guest = await expired(world)
    fresh = await world.till()
    enrolled = world.clock.now()
    await world.sql("update device set created_at = $2 where id = $1 returning id", fresh.device, enrolled)
    dated_back(fresh, guest, 9)
    await world.push(fresh)
    assert (await counts(world))[-1] == 25
    assert await world.balance(guest) == 0


async def test_a_till_that_was_offline_all_the_while_is_believed(world: World) -> None:
    """What nobody can tell from a modified till: at least it shows (LATE_EXPIRY)."""
    await points_live(world, "inactivity", 10)
    one, other, (guest,) = await world.till(), await world.till(), await world.guests()
    on_day(world, 0, one)
    one.sale(guest.id, earned=100, total=1_000_000)
    await world.push(one)
    on_day(world, 9, other)
    other.sale(guest.id)
    on_day(world, 25)
    assert await expire(world) == 1
    assert (await world.push(other)).results[-1].flags == LATE_EXPIRY
    assert await world.balance(guest.id) == 100
