"""A network with a year behind it, and copies of it: what is done to one can be held against another."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from datetime import date, timedelta
from uuid import UUID, uuid4

import psycopg
import pytest

from loyalty_desk.domain.clock import from_ms
from loyalty_desk.wire.v1.sync import FeedTable
from server.jobs.bench import Bench
from server.kit import incarnation
from server.kit.embedded import APP, OWNER, Embedded
from server.kit.ground import Base
from server.kit.ground import ground as open_ground
from server.ledger.audit import Audit, audit
from server.ledger.shelf import ProgramShelf
from server.networks.service import NewStore, create_network
from server.settings import Settings
from server.sync.rows import rows_of
from tests.server.conftest import superuser
from tests.server.fake_till import T0
from tests.server.world import World, open_world

DAY_MS = 86_400_000
PROGRAM = {
    "currency": "RUB",
    "model": "points",
    "tiers": [
        {"code": "BRONZE"},
        {"code": "SILVER", "threshold": 50_000, "earn_bp": 100},
        {"code": "GOLD", "threshold": 200_000, "earn_bp": 300},
    ],
    "rules": [
        {
            "id": "points",
            "name": {"en": "1 point for 1 ruble"},
            "effects": [{"type": "earn_rate", "points": 1, "per": 100}],
            "conditions": [],
        }
    ],
    "expiry": {"type": "days", "days": 30},
    "settings": {"points_usable": "after_days", "points_usable_days": 14},
    "bonuses": {"birthday": {"points": 50, "days_before": 3}},
}
LATER = from_ms(T0 + 420 * DAY_MS)


@dataclass
class Lived:
    """A database in which a network has lived for 420 days."""

    network: UUID
    template: str
    cluster: Embedded
    settings: Settings
    guests: list[UUID] = field(default_factory=list)

    @asynccontextmanager
    async def copy(self) -> AsyncIterator[tuple[Bench, psycopg.Connection]]:
        """Open a fresh copy, as the application and as the superuser."""
        name = f"t{uuid4().hex}"
        with closing(superuser(self.cluster)) as admin:
            admin.execute(f"create database {name} template {self.template} owner {OWNER}")
            admin.execute(f"grant connect on database {name} to {APP}")
        base = Base(
            self.cluster.url(APP, name), self.cluster.url(OWNER, name), self.settings.data_dir.absolute(), self.cluster
        )
        try:
            with closing(superuser(self.cluster, name)) as admin:
                async with open_ground(self.settings, base) as ground:
                    yield Bench(ground.db, ground.vault, ProgramShelf(), page=3), admin
        finally:
            with closing(superuser(self.cluster)) as admin:
                admin.execute(f"drop database {name} with (force)")


@pytest.fixture
async def lived(base: Base, settings: Settings, cluster: Embedded, database_name: str) -> Lived:
    """25 guests: points that died, that came alive, that were spent twice; tiers reached and lost; birthdays."""
    async with open_ground(settings, base) as ground:
        await incarnation.at_start(ground.db, ground.witness)
        made = await create_network(
            ground, "Lived", "shop", "RUB", "Europe/Moscow", [NewStore("First")], program=dict(PROGRAM)
        )
        async with open_world(ground, base, settings, made) as world:
            guests = await _live(world)
    return Lived(made.network.id, database_name, cluster, settings, guests)


async def _live(world: World) -> list[UUID]:
    soon, far = date(1990, 4, 20), date(1990, 10, 1)
    assert timedelta(0) < soon.replace(year=LATER.year) - LATER.date() < timedelta(days=3)
    guests = [
        *[one.id for one in await world.guests(8, birthday=soon)],
        *[one.id for one in await world.guests(8, birthday=far)],
        *[one.id for one in await world.guests(8)],
    ]
    (newcomer,) = [one.id for one in await world.guests(1)]
    await world.limit(cvm={"ld1": 1 << 40})
    till = await world.till()
    for number, guest in enumerate(guests):
        till.sale(guest, earned=100 + number, total=20_000 * (number % 12 + 1))
        if number % 3 == 0:
            till.sale(guest, redeemed=30)
        if number % 5 == 0:
            till.sale(guest, redeemed=500 + number)
    await world.push(till)
    till.clock.now_ms = T0 + 400 * DAY_MS
    world.clock.at = from_ms(till.clock.now_ms + 300_000)
    late = [till.sale(guest, earned=7, total=1_000) for guest in [*guests[::4], newcomer]]
    await world.push(till, till.push(late))
    return [*guests, newcomer]


def fingerprint(admin: psycopg.Connection) -> dict[str, list[tuple[object, ...]]]:
    """Return everything that a job may have written, in an order that does not depend on who was first."""
    key = "a.kind || coalesce(a.guest_id::text, '') || coalesce(a.store_id::text, '')"
    queries = {
        "transactions": "select id, kind, origin, guest_id, store_id, natural_key, effective_at, payload_hash"
        " from ledger_tx order by id",
        "entries": f"select e.tx_id, e.leg, {key}, e.amount, e.lot_id from entry e"
        " join account a on a.id = e.account_id order by 1, 2",
        "accounts": f"select {key}, a.posted, a.debt, a.pending_out from account a order by 1",
        "lots": "select id, amount, remaining, state, expires_at from lot order by id",
        "uses": "select tx_id, lot_id, amount from lot_use order by 1, 2",
        "guests": "select * from guest_state order by guest_id",
        "tiers": "select * from tier_change order by guest_id, at, after",
        "grants": "select * from tier_grant order by id",
        "exceptions": "select kind, tx_id, state, resolution_tx from exception order by 1, 2",
        "feed": "select tbl, key, digest from feed order by 1, 2",
        "digest": "select rows, digest from feed_counter",
        "progress": "select job, period, done, finished_at is not null from job_progress order by 1, 2",
    }
    return {name: [tuple(row) for row in admin.execute(sql)] for name, sql in queries.items()}


async def audited(bench: Bench, network: UUID) -> Audit:
    """Return what `verify` says of it."""
    async with bench.db.snapshot(network) as connection:

        async def render(table: str, keys: object) -> dict[str, dict[str, object]]:
            return await rows_of(connection, network, bench.vault, FeedTable(table), keys)  # type: ignore[arg-type]

        return await audit(connection, network, render)  # type: ignore[arg-type]
