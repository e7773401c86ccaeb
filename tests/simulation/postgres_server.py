"""The simulation's server on a real PostgreSQL: the same posting, hello, reconcile and pull over the shipped stores.

Every commit may be kept as a database of its own, so that a restore or a failover puts a real database back. What the
oracle looks at is read from the tables into those of `memory_ledger`. Signatures are real: the database holds keys.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from random import Random
from typing import Any
from unittest import mock
from uuid import UUID

import psycopg

from loyalty_desk.domain import canonical
from loyalty_desk.domain.canonical import Json
from loyalty_desk.domain.clock import from_ms, to_ms
from loyalty_desk.domain.program import Program
from loyalty_desk.domain.record import Totals
from loyalty_desk.wire.v1.rows import keyset_message
from loyalty_desk.wire.v1.sync import FeedTable
from server.guests import service as guests
from server.guests.admission import admit
from server.kit import embedded, feed, schema
from server.kit.db import fetch, write
from server.kit.embedded import APP, DATABASE, OWNER, SUPERUSER, Embedded
from server.kit.ground import Base, Ground, ground
from server.ledger.lots import LotUse
from server.ledger.posting import AccountKey, AccountKind
from server.ledger.service import Ledger
from server.ledger.shelf import ProgramShelf
from server.ledger.store import PostgresStore, Tools, postgres
from server.ledger.storing import RaisedRow
from server.networks.service import KEY_NAME, NewStore, changes_of, create_network
from server.programs import service as programs
from server.settings import Settings
from server.sync.rows import rows_of
from server.sync.store import PostgresSyncStores
from tests.simulation.memory_ledger import (
    Account,
    Device,
    Entry,
    EpochRecord,
    GuestRecord,
    LotRow,
    QuarantineRow,
    Tables,
    Tx,
)
from tests.simulation.sim_server import Crash, SimServer


@dataclass(slots=True)
class Loaded(Tables):
    """What a database holds; the feed's rows as tills get them."""

    rendered: dict[tuple[str, str], dict[str, Json]] = field(default_factory=dict)

    def row(self, table: str, key: str) -> dict[str, Json] | None:
        return self.rendered.get((table, key))


class Cluster:
    """A PostgreSQL whose database `loyalty` is migrated: the template of every run's first database."""

    def __init__(self, running: Embedded, folder: Path) -> None:
        self.embedded = running
        self.folder = folder
        self._made = 0

    def new_database(self, template: str = DATABASE) -> str:
        """Copy a database to which nobody is connected; return the copy's name."""
        self._made += 1
        name = f"sim{self._made}"
        self.execute(f"create database {name} template {template} owner {OWNER}")
        self.execute(f"grant connect on database {name} to {APP}")
        return name

    def drop(self, name: str) -> None:
        """Drop a database of a run that is over."""
        self.execute(f"drop database {name} with (force)")

    def execute(self, statement: str, parameters: tuple[object, ...] = (), database: str = "postgres") -> None:
        """Run a statement as the superuser: what no role of the application may do."""
        address = self.embedded.address
        assert address is not None
        with psycopg.connect(
            host=address.host,
            port=address.port,
            user=SUPERUSER,
            password=self.embedded.url(SUPERUSER).password,
            dbname=database,
            autocommit=True,
        ) as connection:
            connection.execute(statement, parameters)


@contextmanager
def open_cluster() -> Iterator[Cluster]:
    """Start a PostgreSQL for some runs."""
    folder = Path(tempfile.mkdtemp(prefix="ld-sim-"))
    folder.chmod(0o711)
    made = Embedded(folder / "data")
    try:
        # Its crashes are those of the simulated server, never of the machine: nothing has to reach the disk.
        with mock.patch.dict(embedded._SETTINGS, {"fsync": "off", "full_page_writes": "off"}):
            made.start()
        schema.upgrade(made.url(OWNER), APP)
        yield Cluster(made, folder)
    finally:
        made.stop(wait_for_others=False)
        shutil.rmtree(folder, ignore_errors=True)


class PostgresServer(SimServer):
    """As `SimServer`; `keeps` says whether every commit is kept, which a run needs that puts the server back."""

    def __init__(
        self,
        cluster: Cluster,
        keeps: bool,
        network: UUID,
        random: Random,
        now: Callable[[], int],
        key: Any,
        root: Any,
        find: Callable[[str, str], None],
    ) -> None:
        self._loop = asyncio.new_event_loop()
        self._cluster = cluster
        self._keeps = keeps
        self._databases = [cluster.new_database()]
        self._present = self._databases[0]
        self._copies: list[str | None] = [None]
        self._opened: tuple[AsyncExitStack, Ground] | None = None
        self._shelf = ProgramShelf()
        self._ids: dict[UUID, Any] = {}
        super().__init__(network, random, now, key, root, find)

    def close(self) -> None:
        self._disconnect()
        super().close()
        self._loop.close()
        for name in self._databases:
            self._cluster.drop(name)

    # -- the database ----------------------------------------------------------------------------------------------

    async def _ground(self) -> Ground:
        if self._opened is None:
            running, name = self._cluster.embedded, self._present
            folder = self._cluster.folder / "server"
            settings = Settings(
                data_dir=folder, master_key="AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8", pool_size=2, _env_file=None
            )
            base = Base(running.url(APP, name), running.url(OWNER, name), folder, running)
            stack = AsyncExitStack()
            self._opened = stack, await stack.enter_async_context(ground(settings, base))
        return self._opened[1]

    def _disconnect(self) -> None:
        if self._opened is not None:
            self._loop.run_until_complete(self._opened[0].aclose())
            self._opened = None

    @asynccontextmanager
    async def begin(self, network: UUID) -> AsyncIterator[Any]:
        async with PostgresSyncStores(await self._ground()).begin(network) as store:
            yield store

    @asynccontextmanager
    async def snapshot(self, network: UUID) -> AsyncIterator[Any]:
        async with PostgresSyncStores(await self._ground()).snapshot(network) as store:
            yield store

    @asynccontextmanager
    async def _begin_posting(self, network: UUID) -> AsyncIterator[Any]:
        opened = await self._ground()

        async def guest_rows(connection: Any, owner: Any, ids: Any, handles: Any) -> Any:
            return await guests.changes(connection, owner, opened.vault, ids, handles)

        async with postgres(opened.db, Tools(opened.vault, guest_rows, self._shelf.find, admit))(network) as store:
            assert isinstance(store, PostgresStore)
            yield store
            if self.crash_before_commit:
                self.crash_before_commit = False
                raise Crash

    async def _count_uses(self) -> None:
        """Leave them uncounted: what was given is out of the pool until it is."""

    def _run[T](self, work: Coroutine[Any, Any, T]) -> T:
        return self._loop.run_until_complete(work)

    async def rotate(self, reason: str, unless_past: UUID | None) -> None:
        async with (await self._ground()).db.without_network() as connection:
            rows = await fetch(connection, "select incarnation from server_meta order by number desc limit 1")
            present = rows[0][0] if rows else None
            if unless_past is not None and present != unless_past:
                return
            life = UUID(int=self._random.getrandbits(128), version=4)
            await write(
                connection,
                "insert into server_meta (incarnation, previous_incarnation, reason, system_identifier, timeline,"
                " started_at) values ($1, $2, $3, 1, 1, $4)",
                life,
                present,
                reason,
                from_ms(self._now_ms()),
            )
        self._system_of_life[life] = self._system

    def serve(self, path: str, device: UUID, body: bytes) -> object:
        try:
            return super().serve(path, device, body)
        finally:
            self._look()

    def _look(self) -> None:
        """Take what is committed for the newest state, where anything is new."""
        tables = self._loop.run_until_complete(self._load())
        if tables != self.tables:
            self._commit(tables)

    def _commit(self, tables: Tables) -> None:
        if self._keeps:
            self._disconnect()
            self._databases.append(self._cluster.new_database(self._present))
        self._copies.append(self._databases[-1] if self._keeps else None)
        super()._commit(tables)

    # -- its lives -------------------------------------------------------------------------------------------------

    def start(self) -> None:
        life = self.tables.life
        if life is None or self._system_of_life[life] != self._system or self._is_behind_witness(life):
            self._run(self.rotate("start", None))
            self._look()
        life = self.tables.life
        assert life is not None
        self._witness = (life, self.tables.n)
        self._ledger = Ledger(self._begin_posting, self)

    def put_back(self, commits: int, *, told: bool) -> None:
        place = max(self.made_with, len(self.history) - commits) - 1
        copy = self._copies[place]
        assert copy is not None, "this run keeps no commits"
        self._disconnect()
        self._present = self._cluster.new_database(copy)
        self._databases.append(self._present)
        self._shelf = ProgramShelf()
        self._copies.append(copy)
        super().put_back(commits, told=told)

    def set_up(self, keyset: dict[str, Any], program: Program, devices: dict[UUID, Device]) -> Program:
        async def make() -> Program:
            opened, network = await self._ground(), self.network
            stores = [NewStore("Store", id=one.store) for one in devices.values()]
            then, content = from_ms(self._now_ms() - 1_000), canonical.decode_object(program.to_bytes())
            await create_network(
                opened,
                "Sim",
                "restaurant",
                "RUB",
                "UTC",
                stores,
                network_id=network,
                program=content,
                now=then,
            )
            document, sig = canonical.encode(keyset), self._root.sign(keyset_message(keyset))
            sealed = opened.vault.seal_secret(network, KEY_NAME.format(kid=1), self._key.private_bytes_raw())
            own = self._present
            self._cluster.execute("update keyset set document = %s, sig = %s", (document, sig), own)
            public = self._key.public_key().public_bytes_raw()
            self._cluster.execute("update signing_key set public = %s, private_sealed = %s", (public, sealed), own)
            async with opened.db.begin(network) as connection:
                for number, (device, one) in enumerate(devices.items()):
                    await write(
                        connection,
                        "insert into device (network_id, id, store_id, name, pubkey, token_hash, state)"
                        " values ($1, $2, $3, $4, $5, $6, 'active')",
                        network,
                        device,
                        one.store,
                        f"t{number}",
                        one.public.public_bytes_raw(),
                        bytes(32),
                    )
                changed = await changes_of(connection, network, FeedTable.KEYSET, ["current"])
                await feed.record(connection, network, changed)
                published = await programs.current(connection, network)
            assert published is not None
            return published

        self._ids = {device: one.public for device, one in devices.items()}
        published: Program = self._run(make())
        self._look()
        return published

    def register(self, guest: UUID, handle: int, member_no: str) -> None:
        async def make() -> None:
            opened, network = await self._ground(), self.network
            async with opened.db.begin(network) as connection:
                wanted = [guests.NewGuest(name="Guest", handles=(handle,), member_no=member_no, id=guest)]
                await guests.register(connection, network, opened.vault, wanted)
                changed = await guests.changes(connection, network, opened.vault, [guest], [handle])
                await feed.record(connection, network, changed)

        self._run(make())
        self._look()

    def set_state(self, device: UUID, state: str) -> None:
        async def change() -> None:
            async with (await self._ground()).db.begin(self.network) as connection:
                await write(connection, "update device set state = $2 where id = $1", device, state)

        self._run(change())
        self._look()

    # -- what the oracle sees --------------------------------------------------------------------------------------

    async def _load(self) -> Loaded:
        opened = await self._ground()
        tables = Loaded()
        async with opened.db.without_network() as connection:
            found = await fetch(connection, "select incarnation from server_meta order by number")
            tables.lives = [row[0] for row in found]
        if not await opened.db.networks():
            return tables
        async with opened.db.snapshot(self.network) as connection:

            async def rows(statement: str) -> list[Any]:
                return list(await fetch(connection, statement))

            await self._load_facts(tables, rows)
            await _load_ledger(tables, rows)
            await _load_feed(tables, rows)
            for table in {name for name, _ in tables.feed}:
                keys = [key for name, key in tables.feed if name == table]
                found = await rows_of(connection, self.network, opened.vault, FeedTable(table), keys)
                tables.rendered |= {(table, key): row for key, row in found.items()}
        return tables

    async def _load_facts(self, tables: Tables, rows: Callable[[str], Awaitable[list[Any]]]) -> None:
        for device, store, state in await rows("select id, store_id, state from device order by id"):
            tables.devices[device] = Device(store, self._ids.get(device), state)
        for row in await rows(
            "select id, kind, device_id, epoch, branch, seq, prev_hash, hash, payload, guest_id, effective_at, flags,"
            " recorded_at from ledger_tx where origin = 'till' order by recorded_at, device_id, epoch, branch, seq"
        ):
            tx = Tx(
                *row[:6], bytes(row[6]), bytes(row[7]), bytes(row[8]), row[9], to_ms(row[10]), row[11], to_ms(row[12])
            )
            tables.txs[tx.id] = tx
            tables.places[tx.device, tx.epoch, tx.branch, tx.seq] = tx
        for claim, of, guest, recorded_at in await rows(
            "select id, reverses_id, guest_id, recorded_at from ledger_tx where natural_key like 'claim:%' order by id"
        ):
            tables.claims[claim] = (of, guest, to_ms(recorded_at))
        for row in await rows(
            "select device_id, epoch, branch, head_seq, head_hash, count, cum_count, cum_earned, cum_redeemed,"
            " parent_epoch, parent_head, forked_at, opened_reason from device_epoch"
            " order by opened_at, epoch, branch"
        ):
            parent = None if row[10] is None else (row[9], bytes(row[10]))
            tables.epochs[row[0], row[1], row[2]] = EpochRecord(
                row[3], bytes(row[4]), row[5], Totals(*row[6:9]), parent, row[11], row[12]
            )
        for row in await rows(
            "select device_id, epoch, seq, raw_hash, record_id, branch, hash, prev_hash, raw, reason, state"
            " from quarantine order by id"
        ):
            tables.quarantine[row[0], row[1], row[2], bytes(row[3])] = QuarantineRow(
                row[4], row[5], row[2], bytes(row[6]), bytes(row[7]), bytes(row[8]), row[9], row[10]
            )
        for kind, tx_id, facts in await rows("select kind, tx_id, facts from exception order by id"):
            tables.exceptions[kind, tx_id] = RaisedRow(kind, tx_id, None, facts, "")


async def _load_ledger(tables: Tables, rows: Callable[[str], Awaitable[list[Any]]]) -> None:
    for number, kind, guest, store, posted, debt in await rows(
        "select id, kind, guest_id, store_id, posted, debt from account order by id"
    ):
        key = AccountKey(AccountKind(kind), guest if guest is not None else store)
        tables.account_ids[key] = number
        tables.accounts[number] = Account(key, posted, debt)
    tables.entries = [
        Entry(*row) for row in await rows("select tx_id, leg, account_id, amount, lot_id from entry order by 1, 2")
    ]
    for row in await rows(
        "select id, account_id, tx_id, amount, remaining, earned_at, expires_at, usable_at, state from lot"
    ):
        tables.lots[row[0]] = LotRow(*row[1:5], *(_ms(one) for one in row[5:8]), row[8] in ("held", "reversed"))
    tables.uses = [LotUse(*row) for row in await rows("select tx_id, lot_id, amount from lot_use order by 1, 2")]
    for handle, guest in await rows("select handle, guest_id from credential"):
        tables.credentials[bytes(handle)] = guest
    for guest, points, spend, visits in await rows("select guest_id, points, spend, visits from guest_state"):
        tables.guests[guest] = GuestRecord(("", spend, visits, None, 0), points)


async def _load_feed(tables: Tables, rows: Callable[[str], Awaitable[list[Any]]]) -> None:
    for table, key, seq, digest in await rows("select tbl, key, feed_seq, digest from feed"):
        tables.feed[table, key] = (seq, None if digest is None else int(digest))
    for n, count, digest in await rows("select n, rows, digest from feed_counter"):
        tables.n, tables.rows, tables.digest = n, count, int(digest)
    tables.commits = [tuple(row) for row in await rows("select n, committed_at from feed_commit order by n")]


def _ms(at: datetime | None) -> Any:
    return None if at is None else to_ms(at)
