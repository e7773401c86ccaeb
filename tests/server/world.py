"""A network with guests, tills and an application over a real database: what tests and benchmarks share."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any
from uuid import UUID

import httpx2
from fastapi import FastAPI

from loyalty_desk.domain.clock import from_ms
from loyalty_desk.wire.v1 import codec
from loyalty_desk.wire.v1.errors import ErrorAnswer
from loyalty_desk.wire.v1.sync import (
    FeedTable,
    HelloAnswer,
    PullAnswer,
    PushAnswer,
    PushRequest,
    ReconcileAnswer,
    cursor_text,
)
from server.app import create_app
from server.guests import service as guests
from server.guests.service import NewGuest, Registered
from server.kit import feed, incarnation
from server.kit.db import fetch, write
from server.kit.ground import Base, Ground
from server.networks import repository
from server.networks import service as networks
from server.networks.service import MadeNetwork
from server.settings import Settings
from server.verify import verify
from tests.fake_clock import FakeClock
from tests.server.fake_till import T0, FakeTill

SYNC = "/api/v1/sync"


@dataclass
class World:
    """The network under test. `clock` is the server's; the tills' own clocks start at the same moment."""

    ground: Ground
    made: MadeNetwork
    app: FastAPI
    client: httpx2.AsyncClient
    incarnation: UUID
    clock: FakeClock
    tills: list[FakeTill] = field(default_factory=list)

    @property
    def network(self) -> UUID:
        return self.made.network.id

    async def till(self, state: str = "active", **fields: Any) -> FakeTill:
        """Return an enrolled till whose first epoch is open."""
        till = FakeTill(self.network, self.made.stores[0].id, incarnation=self.incarnation, **fields)
        secret = f"secret{len(self.tills)}"
        till.token = f"ldt.{till.network}.{till.device}.{secret}"
        async with self.ground.db.begin(self.network) as connection:
            await write(
                connection,
                "insert into device (network_id, id, store_id, name, pubkey, token_hash, state)"
                " values ($1, $2, $3, $4, $5, $6, $7)",
                self.network,
                till.device,
                till.store,
                f"till {len(self.tills)}",
                till.public,
                sha256(secret.encode()).digest(),
                state,
            )
        till.open_epoch()
        self.tills.append(till)
        return till

    async def guests(self, count: int = 1, **fields: Any) -> list[Registered]:
        """Return newly registered guests, in the feed."""
        async with self.ground.db.begin(self.network) as connection:
            wanted = [NewGuest(name=f"Guest {number}", **fields) for number in range(count)]
            made = await guests.register(connection, self.network, self.ground.vault, wanted)
            handles = [handle for one in made for handle in one.handles]
            ids = [one.id for one in made]
            changes = await guests.changes(connection, self.network, self.ground.vault, ids, handles)
            await feed.record(connection, self.network, changes)
        return made

    async def limit(self, **limits: object) -> None:
        """Change the stores' profile."""
        async with self.ground.db.begin(self.network) as connection:
            found = (await repository.profiles(connection, self.network, ["default"]))["default"]
            await repository.put_profile(connection, self.network, "default", found | limits, self.clock.now())
            changes = await networks.changes_of(connection, self.network, FeedTable.PROFILE, ["default"])
            await feed.record(connection, self.network, changes)

    async def sql(self, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Return the rows of a statement in a transaction of the network, by the application's own role."""
        async with self.ground.db.begin(self.network) as connection:
            return [tuple(row) for row in await fetch(connection, statement, *parameters)]

    async def require_sound(self) -> None:
        """Fail where the audit of the ledger finds anything."""
        (made,) = await verify(self.ground)
        assert made.findings == [], made.findings

    async def balance(self, guest: UUID) -> int:
        """Return what the ledger has posted for a guest."""
        found = await self.sql("select posted from account where guest_id = $1", guest)
        return int(found[0][0]) if found else 0

    async def post(self, till: FakeTill, path: str, message: object, *, zstd: bool = False) -> httpx2.Response:
        """Send a signed request and return whatever came."""
        body = codec.encode(message)
        headers = {}
        if zstd:
            body, headers = codec.pack(body), {"Content-Encoding": "zstd"}
        target = f"{SYNC}/{path}"
        return await self.client.post(target, content=body, headers=till.headers("POST", target, body) | headers)

    async def push(self, till: FakeTill, push: PushRequest | None = None) -> PushAnswer:
        """Push, the whole epoch by default, and return the answer."""
        return read(PushAnswer, await self.post(till, "push", push or till.push(), zstd=True))

    async def hello(self, till: FakeTill, **fields: Any) -> HelloAnswer:
        """Say hello and return the answer."""
        return read(HelloAnswer, await self.post(till, "hello", till.hello(**fields)))

    async def reconcile(self, till: FakeTill, epoch: int | None = None) -> ReconcileAnswer:
        """Reconcile an epoch and return the answer."""
        return read(ReconcileAnswer, await self.post(till, "reconcile", till.reconcile(epoch)))

    async def get_page(self, till: FakeTill, after: int | None = None, limit: int = 5_000) -> httpx2.Response:
        """Ask for a page of changes."""
        target = f"{SYNC}/pull?limit={limit}"
        if after is not None:
            target += f"&cursor={cursor_text(till.incarnation, after)}"
        return await self.client.get(target, headers=till.headers("GET", target))

    async def pull(self, till: FakeTill, after: int | None = None, limit: int = 5_000) -> PullAnswer:
        """Return a page of changes."""
        return read(PullAnswer, await self.get_page(till, after, limit))


def read[T](kind: type[T], response: httpx2.Response) -> T:
    """Return the message of a good answer."""
    assert response.status_code == 200, (response.status_code, response.content[:300])
    return codec.decode(kind, response.content)


def refusal(response: httpx2.Response) -> tuple[int, str]:
    """Return status and code of an answer that is an error, and check that it has a sentence."""
    error = codec.decode(ErrorAnswer, response.content)
    assert error.text.strip()
    return response.status_code, error.code


@asynccontextmanager
async def open_world(ground: Ground, base: Base, settings: Settings, made: MadeNetwork) -> AsyncIterator[World]:
    """Run the application over this database, without a socket."""
    clock = FakeClock(at=from_ms(T0 + 300_000))
    # A test that takes longer than a minute would meet the hourly jobs: they are run where they are tested.
    app = create_app(settings, base, clock, runs_jobs=False)
    async with app.router.lifespan_context(app):
        transport = httpx2.ASGITransport(app=app, raise_app_exceptions=False)
        async with httpx2.AsyncClient(transport=transport, base_url="http://server") as client:
            async with ground.db.without_network() as connection:
                life = await incarnation.current(connection)
            assert life is not None
            yield World(ground, made, app, client, life.id, clock)
