"""The server's own clock stands wrong for a while: nothing that it gave then lasts, nothing it wrote then binds."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from loyalty_desk.domain.clock import to_ms
from loyalty_desk.domain.errors import Refused
from server.guests.short_codes import issue
from server.kit.errors import ApiError
from server.ledger.leases import LIFE
from server.staff import logins, service, sessions
from server.sync.bootstrap import Snapshots
from server.sync.lives import end_life
from server.sync.store import PostgresSyncStores
from tests.server.asking import guest_with, hold, hold_of
from tests.server.fake_till import FakeTill
from tests.server.ledger.expiring import LATE_EXPIRY, expire, on_day, points_live
from tests.server.ledger.test_guards import set_clock
from tests.server.sync.test_leases import published, seller
from tests.server.world import World

pytestmark = [pytest.mark.anyio, pytest.mark.postgres]
HOUR, YEAR = timedelta(hours=1), timedelta(days=365)


@contextmanager
def wrong(world: World, by: timedelta) -> Iterator[None]:
    """Let the server's clock be wrong for a minute."""
    world.clock.at += by
    yield
    world.clock.at += timedelta(minutes=1) - by


async def asked(world: World, till: FakeTill) -> None:
    """Go through what a till asks every day; whatever the clock says, each answer is a good one."""
    life = (await world.hello(till)).incarnation
    till.incarnation = life
    await world.push(till)
    await world.pull(till)
    await world.reconcile(till)


@pytest.mark.parametrize("by", [YEAR, -HOUR, -YEAR])
async def test_a_day_goes_on_through_a_wrong_clock(world: World, by: timedelta) -> None:
    till, (guest,) = await world.till(), await world.guests()
    set_clock(world, till)
    till.sale(guest.id, earned=10)
    await asked(world, till)
    with wrong(world, by):
        till.sale(guest.id, earned=10)
        await asked(world, till)
        assert (await hold(world, till, hold_of(till, guest.id, 5))).outcome == "pending"
    set_clock(world, till)
    till.sale(guest.id, earned=10)
    await asked(world, till)
    assert (await hold(world, till, hold_of(till, guest.id, 5))).outcome == "pending"
    assert await world.balance(guest.id) == 30
    assert [row.status.value for row in (await world.push(till)).results] == ["duplicate"] * 4
    await world.require_sound()


@pytest.mark.parametrize("by", [YEAR, HOUR])
async def test_points_held_by_a_clock_that_was_ahead_are_free_when_it_is_right(world: World, by: timedelta) -> None:
    till = await world.till()
    guest = await guest_with(world, till, 100)
    with wrong(world, by):
        kept = hold_of(till, guest, 100)
        assert (await hold(world, till, kept)).outcome == "pending"
        assert (await hold(world, till, hold_of(till, guest, 1))).outcome == "insufficient"
    assert (await hold(world, till, hold_of(till, guest, 60))).outcome == "pending"
    # Who paid with it all the same is charged as ever: the server had seen the proof.
    set_clock(world, till)
    till.sale(guest, redeemed=100, check={"hold": str(kept.id)})
    assert [one.flags for one in (await world.push(till)).results[1:]] == [0]


async def test_codes_and_sessions_given_by_a_clock_that_was_ahead_do_not_last(world: World) -> None:
    till = await world.till()
    guest = await guest_with(world, till, 5_000)
    who, ground, network = uuid4(), world.ground, world.network
    async with ground.db.begin(network) as connection:
        await service.put(connection, network, service.Member(who, "Olga", "owner"))
        await logins.set_login(connection, network, who, "olga", "correct horse battery", world.clock.now())
    with wrong(world, YEAR):
        digits, _ = await issue(ground, network, guest, world.clock.now())
        session = await sessions.log_in(ground, network, "olga", "correct horse battery", "here", world.clock.now())
        await sessions.who_may(ground, session.access, world.clock.now())
    made = await hold(world, till, hold_of(till, guest, 2_500, "short", evidence=digits.encode()))
    assert (made.outcome, made.reason) == ("refused", "code_invalid")
    for given in (sessions.who_may(ground, session.access, world.clock.now()),
                  sessions.go_on(ground, network, session.refresh, world.clock.now())):  # fmt: skip
        with pytest.raises(Refused, match="session_over"):
            await given
    # A few minutes send nobody away.
    session = await sessions.log_in(ground, network, "olga", "correct horse battery", "here", world.clock.now())
    for moment in (world.clock.now() - timedelta(minutes=9), world.clock.now()):
        await sessions.who_may(ground, session.access, moment)
        session = await sessions.go_on(ground, network, session.refresh, moment)
    with pytest.raises(Refused, match="session_over"):
        await sessions.go_on(ground, network, session.refresh, world.clock.now() - HOUR)


async def test_a_lease_given_by_a_clock_that_was_ahead_is_given_anew(world: World) -> None:
    giver = await seller(world, await published(world))
    with wrong(world, YEAR):
        assert (await giver.ask()).leases
    await giver.ask()
    again = await giver.ask()
    assert to_ms(world.clock.now() + LIFE) - 1_000 < again.expires_at <= to_ms(world.clock.now() + LIFE)
    world.clock.at += timedelta(minutes=5)
    assert await giver.ask() == again


async def test_the_life_of_a_database_that_was_put_back_ends_whatever_was_said_in_its_future(world: World) -> None:
    till = await world.till()
    stores = PostgresSyncStores(world.ground)
    with wrong(world, YEAR):
        await end_life(stores, world.network, till.device, world.incarnation, world.clock.now())
    ((life,),) = await world.sql("select incarnation from server_meta order by number desc limit 1")
    assert life != world.incarnation
    await end_life(stores, world.network, till.device, life, world.clock.now())
    ((after,),) = await world.sql("select incarnation from server_meta order by number desc limit 1")
    assert after != life
    with pytest.raises(ApiError, match="put back a moment ago"):
        await end_life(stores, world.network, till.device, after, world.clock.now())


async def test_a_till_seen_while_the_clock_was_ahead_still_dates_what_it_sold(world: World) -> None:
    """Its sales of before and after count when they were made, not when the server thought that it was."""
    await points_live(world, "inactivity", 10)
    till, other, (guest,) = await world.till(), await world.till(), await world.guests()
    on_day(world, 0, till)
    till.sale(guest.id, earned=100, total=1_000_000)
    await asked(world, till)
    on_day(world, 9, other)
    other.sale(guest.id)
    with wrong(world, YEAR):
        await asked(world, till)
    on_day(world, 25, till)
    assert await expire(world) == 1
    assert (await world.push(other)).results[-1].flags == LATE_EXPIRY
    till.boot_id = uuid4()
    await world.hello(till)
    till.sale(guest.id)
    assert (await world.push(till)).results[-1].flags == 0
    rows = await world.sql("select effective_at from ledger_tx where kind = 'sale' order by effective_at")
    first = rows[0][0]
    assert [round((row[0] - first) / timedelta(days=1)) for row in rows] == [0, 9, 25]


async def test_the_guests_file_made_by_a_clock_that_was_ahead_is_made_anew(world: World) -> None:
    at = world.clock.now().timestamp()
    snapshots = Snapshots(lambda: at)

    async def newest() -> UUID:
        with suppress(ApiError):
            await snapshots.manifest(world.ground, world.network)
        await snapshots.settled()
        return (await snapshots.manifest(world.ground, world.network)).id

    at += YEAR.total_seconds()
    ahead = await newest()
    assert await newest() == ahead
    at -= YEAR.total_seconds()
    right = await newest()
    assert right != ahead
    assert await newest() == right
