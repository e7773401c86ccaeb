"""A real server with its PostgreSQL, and many tills that push over HTTP: what the kill -9 scenarios are played on."""

from __future__ import annotations

import asyncio
import http.client
import random
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from uuid import UUID

import psutil
import psycopg

from loyalty_desk.demo.processes import ServerProcess
from loyalty_desk.demo.stage import Stage
from loyalty_desk.domain.clock import from_ms, to_ms
from loyalty_desk.wire.v1 import codec
from loyalty_desk.wire.v1.errors import ErrorAnswer, ErrorCode
from loyalty_desk.wire.v1.sync import HelloAnswer, PushAnswer, Status
from server.guests import service as guests
from server.guests.service import NewGuest
from server.kit import feed, incarnation, schema
from server.kit.db import write
from server.kit.embedded import APP, DATABASE, OWNER, SUPERUSER, Embedded
from server.kit.ground import Base, Ground, ground
from server.networks.service import NewStore, create_network
from server.settings import Settings
from server.verify import Audit, verify
from tests.server.fake_till import Clock, FakeTill

SYNC = "/api/v1/sync/"
_HELD = (Status.POSTED, Status.POSTED_FLAGGED, Status.DUPLICATE)


class AckLost(AssertionError):
    """The server asks for what it has acknowledged."""


@dataclass
class FleetTill:
    """A till that sells and pushes; `acked` is how far an answer has acknowledged."""

    till: FakeTill
    people: list[UUID]
    port: int
    random: random.Random
    acked: int = 0
    answered: int = 0

    def sell(self, count: int) -> None:
        """Sell to guests at random."""
        for _ in range(count):
            self.till.sale(self.random.choice(self.people), earned=self.random.randrange(1, 4), total=10_000)

    def push(self, most: int = 200) -> bool:
        """Push what waits; return whether it was answered. Whatever is not an answer changes nothing."""
        records = self.till.journal[self.acked : self.acked + most]
        if not records:
            return True
        status, body = self.post("push", codec.encode(self.till.push(records)))
        if status == 200:
            answer = codec.decode(PushAnswer, body)
            assert all(one.status in _HELD for one in answer.results), answer
            self.acked += len(answer.results)
            self.answered += 1
            return True
        if status == 409:
            error = codec.decode(ErrorAnswer, body)
            if error.code == ErrorCode.GAP and (error.expected_seq or 0) <= self.acked:
                raise AckLost(f"{error.expected_seq} is asked for, {self.acked} were acknowledged")
            if error.code == ErrorCode.STALE_INCARNATION:
                self.hello()
                self.acked = 0
        return False

    def hello(self) -> bool:
        """Say hello and go on under the server's present life."""
        status, body = self.post("hello", codec.encode(self.till.hello()))
        if status == 200:
            self.till.incarnation = codec.decode(HelloAnswer, body).incarnation
        return status == 200

    def post(self, path: str, body: bytes) -> tuple[int, bytes]:
        """Send a signed request; status 0 where no answer came."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request("POST", SYNC + path, body, self.till.headers("POST", SYNC + path, body))
            answer = connection.getresponse()
            return answer.status, answer.read()
        except (OSError, http.client.HTTPException):
            return 0, b""
        finally:
            connection.close()


@dataclass
class Fleet:
    """The server of one folder and its tills."""

    folder: Path
    server: ServerProcess
    port: int
    tills: list[FleetTill] = field(default_factory=list)

    @property
    def data(self) -> Path:
        return self.folder / "server"

    def processes(self, *, postgres: bool) -> list[psutil.Process]:
        """Return the living children of the server: PostgreSQL's, or the workers that answer requests."""
        process = self.server._process
        assert process is not None
        try:
            family = psutil.Process(process.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []
        found = []
        for one in family:
            with suppress(psutil.Error):
                if one.name().startswith("postgres") == postgres and one.status() != psutil.STATUS_ZOMBIE:
                    found.append(one)
        if postgres:
            return found
        return [one for one in found if _is_worker(one)]

    def is_ready(self) -> bool:
        """Return whether a request is answered and the database with it."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def wait_ready(self) -> None:
        """Wait until requests are answered."""

        def ready() -> bool:
            self.revive()
            return self.is_ready()

        until(ready, "the server to answer")

    def revive(self) -> None:
        """Be the service manager: granian ends the server when a worker dies twice within 5.5 s."""
        process = self.server._process
        if process is not None and process.poll() is not None:
            self.server.kill()
            self.server.start()

    def drain(self) -> None:
        """Push until every till has an answer to everything."""
        for one in self.tills:
            until(lambda one=one: one.push() and one.acked == len(one.till.journal), "a till to get level")

    def check(self) -> int:
        """Hold the ledger, after the server has stopped, to the journals; return how many facts it has."""
        self.server.stop()
        embedded = Embedded(self.data)
        embedded.start()
        try:
            settings = _settings(self.folder)
            audits = asyncio.run(_audit(settings, Base(embedded.url(), embedded.url(OWNER), self.data, embedded)))
            assert not any(one.found for one in audits), audits
            with connected(embedded) as base:
                stored = base.execute("select id, hash from ledger_tx where origin = 'till'").fetchall()
                points = dict(
                    base.execute("select guest_id, posted from account where guest_id is not null").fetchall()
                )
        finally:
            embedded.stop(wait_for_others=False)
        facts = {one.id: one.hash for till in self.tills for one in till.till.journal}
        assert dict(stored) == facts
        assert len(stored) == len(facts)
        # Every sale earned and none redeemed: what the tills gave is what the guests have.
        assert sum(points.values()) == sum(till.till.totals.earned for till in self.tills)
        return len(facts)


def _is_worker(process: psutil.Process) -> bool:
    with suppress(psutil.Error):
        return "resource_tracker" not in " ".join(process.cmdline())
    return False


@contextmanager
def connected(embedded: Embedded) -> Iterator[psycopg.Connection]:
    """Connect as the superuser."""
    assert embedded.address is not None
    with psycopg.connect(
        host=embedded.address.host,
        port=embedded.address.port,
        user=SUPERUSER,
        password=embedded.url(SUPERUSER).password,
        dbname=DATABASE,
        autocommit=True,
    ) as connection:
        yield connection


async def _audit(settings: Settings, base: Base) -> list[Audit]:
    async with ground(settings, base) as opened:
        return list(await verify(opened))


def _settings(folder: Path) -> Settings:
    return Settings(data_dir=folder / "server", witness_dir=folder / "witness", _env_file=None)


def until(happened: Callable[[], object], what: str, seconds: float = 90) -> None:
    """Ask until it is so."""
    end = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < end, f"waited {seconds:.0f} s for {what}"
        time.sleep(0.01)


@contextmanager
def open_fleet(tills: int, people: int = 20, seed: int = 1) -> Iterator[Fleet]:
    """Make a network with tills and guests, and serve it."""
    folder = Path(tempfile.mkdtemp(prefix="ld-fleet-"))
    folder.chmod(0o711)
    stage = Stage(folder, say=lambda _: None, port=0)
    fleet = Fleet(folder, stage.server, stage.port)
    try:
        embedded = Embedded(fleet.data)
        embedded.start()
        try:
            schema.upgrade(embedded.url(OWNER), APP)
            base = Base(embedded.url(), embedded.url(OWNER), fleet.data, embedded)
            asyncio.run(_make(fleet, base, tills, people, seed))
        finally:
            embedded.stop(wait_for_others=False)
        fleet.server.start()
        for one in fleet.tills:
            assert one.hello()
            one.till.open_epoch()
        yield fleet
    finally:
        fleet.server.kill()
        _end_of(fleet)
        shutil.rmtree(folder, ignore_errors=True)


def _end_of(fleet: Fleet) -> None:
    """Wait until the database of a killed server has gone: its processes end with their parent."""
    pid_file = fleet.data / "postgres" / "pg18" / "postmaster.pid"
    with suppress(OSError, ValueError, psutil.Error):
        psutil.Process(int(pid_file.read_text().split()[0])).wait(30)


async def _make(fleet: Fleet, base: Base, tills: int, people: int, seed: int) -> None:
    async with ground(_settings(fleet.folder), base) as opened:
        await incarnation.at_start(opened.db, opened.witness)
        made = await create_network(opened, "Fleet", "restaurant", "RUB", "Europe/Moscow", [NewStore("First")])
        network, store = made.network.id, made.stores[0].id
        async with opened.db.begin(network) as connection:
            found = await guests.register(
                connection, network, opened.vault, [NewGuest(name=f"Guest {number}") for number in range(people)]
            )
            ids = [one.id for one in found]
            handles = [handle for one in found for handle in one.handles]
            changes = await guests.changes(connection, network, opened.vault, ids, handles)
            await feed.record(connection, network, changes)
        source = random.Random(seed)
        for number in range(tills):
            # Long enough ago that no sale is made in the server's future.
            till = FakeTill(network, store, clock=Clock(to_ms(datetime.now(UTC)) - 3_600_000))
            till.epoch = source.getrandbits(40)
            await _enrol(opened, till, number)
            fleet.tills.append(FleetTill(till, ids, fleet.port, random.Random(seed * 1_000 + number)))


async def _enrol(opened: Ground, till: FakeTill, number: int) -> None:
    till.token = f"ldt.{till.network}.{till.device}.secret{number}"
    async with opened.db.begin(till.network) as connection:
        await write(
            connection,
            "insert into device (network_id, id, store_id, name, pubkey, token_hash, state, created_at)"
            " values ($1, $2, $3, $4, $5, $6, 'active', $7)",
            till.network,
            till.device,
            till.store,
            f"till {number}",
            till.public,
            sha256(f"secret{number}".encode()).digest(),
            from_ms(till.clock.now_ms),
        )


@contextmanager
def selling(tills: list[FleetTill], threads: int, most: int) -> Iterator[None]:
    """Sell and push from threads of their own until the block ends; a till that was lied to fails the block."""
    stop, faults = threading.Event(), []

    def work(mine: list[FleetTill]) -> None:
        source = random.Random(len(mine))
        try:
            while not stop.is_set():
                one = source.choice(mine)
                if len(one.till.journal) - one.acked < 2 * most:
                    # A long journal takes this till long to write: from then on one sale at a time.
                    one.sell(source.randrange(1, most) if len(one.till.journal) < 3_000 else 1)
                if not one.push():
                    stop.wait(0.01)
        except BaseException as error:
            faults.append(error)
            raise

    workers = [threading.Thread(target=work, args=(tills[number::threads],)) for number in range(threads)]
    for one in workers:
        one.start()
    try:
        yield
    finally:
        stop.set()
        for one in workers:
            one.join(60)
    assert not faults, faults
