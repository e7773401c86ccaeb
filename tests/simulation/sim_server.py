"""The server: the real posting, hello, reconcile and pull over tables in memory, on a disk that can be put back."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from datetime import datetime
from random import Random
from typing import Any
from uuid import UUID

from loyalty_desk.domain.canonical import bytes_to_text
from loyalty_desk.domain.clock import from_ms
from loyalty_desk.domain.program import Program
from loyalty_desk.wire.v1 import codec, rows
from loyalty_desk.wire.v1.errors import ErrorCode
from loyalty_desk.wire.v1.leases import LeaseRequest
from loyalty_desk.wire.v1.rows import keyset_message
from loyalty_desk.wire.v1.sync import FeedTable, HelloRequest, PushRequest, ReconcileRequest
from server.kit.auth import Signer
from server.kit.errors import ApiError
from server.ledger.service import Ledger
from server.sync.hello import hello
from server.sync.leases import lease
from server.sync.pull import pull
from server.sync.reconcile import reconcile
from tests.simulation.memory_leases import count
from tests.simulation.memory_ledger import Device, MemoryStore, Tables, put_document, register_guest


class Crash(BaseException):
    """The server's process has died; nobody is answered, and no `except Exception` of it tries again."""


class SimServer:
    """One network on one database. `history` has every state that was ever committed, oldest first."""

    store_class: type[MemoryStore] = MemoryStore
    acks_before_commit = False

    def __init__(
        self,
        network: UUID,
        random: Random,
        now: Callable[[], int],
        key: Any,
        root: Any,
        find: Callable[[str, str], None],
    ) -> None:
        self.network = network
        self.history: list[Tables] = [Tables()]
        self.crash_before_commit = False
        self.made_with = 1  # states before the network, its tills and guests had all been made
        self._random = random
        self._find = find
        self._now_ms = now
        self._key = key
        self._root = root
        self._programs: dict[int, Program] = {}
        self._witness: tuple[UUID, int] | None = None
        self._system = 1
        self._system_of_life: dict[UUID, int] = {}
        self._ledger = Ledger(self._begin_posting, self)
        self.start()

    @property
    def tables(self) -> Tables:
        """Return what is committed."""
        return self.history[-1]

    def close(self) -> None:
        """Give back what the run has taken."""

    def now(self) -> datetime:
        """Return the server's time: `Clock` of the posting."""
        return from_ms(self._now_ms())

    # -- the database ----------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def begin(self, network: UUID) -> AsyncIterator[MemoryStore]:
        """Begin a transaction, as the sync paths do."""
        assert network == self.network
        store = self.store_class(self.tables.copy(), (1, self._key), self._programs, self.now())
        yield store
        if store.written:
            self._commit(store.tables)

    @asynccontextmanager
    async def snapshot(self, network: UUID) -> AsyncIterator[MemoryStore]:
        """Begin a transaction that only reads."""
        assert network == self.network
        yield self.store_class(self.tables, (1, self._key), self._programs, self.now())

    @asynccontextmanager
    async def _begin_posting(self, network: UUID) -> AsyncIterator[MemoryStore]:
        async with self.begin(network) as store:
            yield store
            if self.crash_before_commit:
                self.crash_before_commit = False
                if self.acks_before_commit:
                    store.written = False
                else:
                    self.on_crash(store)

    def on_crash(self, store: MemoryStore) -> None:
        """Die before the commit: nothing of the transaction stays."""
        raise Crash

    def _commit(self, tables: Tables) -> None:
        # INV-9: whoever has read up to the counter has seen every number up to it.
        before = self.tables
        for place, (seq, _) in tables.feed.items():
            if seq <= before.n and before.feed.get(place, (0, None))[0] != seq:
                self._find("INV-9", f"number {seq} was given when readers had passed {before.n}")
        self.history.append(tables)
        # The witness is written at most a second late: some commits it has not seen yet.
        if tables.life is not None and self._random.random() < 0.7:
            self._witness = (tables.life, tables.n)

    async def rotate(self, reason: str, unless_past: UUID | None) -> None:
        """Begin a new life, as `incarnation.rotate`."""
        if unless_past is not None and self.tables.life != unless_past:
            return
        tables = self.tables.copy()
        life = UUID(int=self._random.getrandbits(128), version=4)
        tables.lives.append(life)
        self._system_of_life[life] = self._system
        self._commit(tables)

    # -- its lives -------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start on what is on the disk, as `incarnation.at_start`: a database put back begins a new life."""
        life = self.tables.life
        if life is None or self._system_of_life[life] != self._system or self._is_behind_witness(life):
            self._run(self.rotate("start", None))
        life = self.tables.life
        assert life is not None
        self._witness = (life, self.tables.n)
        self._ledger = Ledger(self._begin_posting, self)

    def _is_behind_witness(self, life: UUID) -> bool:
        if self._witness is None:
            return False
        seen, n = self._witness
        if seen not in self.tables.lives:
            return True
        return seen == life and self.tables.n < n

    def put_back(self, commits: int, *, told: bool) -> None:
        """Be put back by some commits and started: a restore or failover where `told`, else a copied directory.

        Where nobody is told, witness and system are those of the copy, and only a till can notice.
        """
        tables = self.history[max(self.made_with, len(self.history) - commits) - 1]
        self.history.append(tables)
        if told:
            self._system += 1
        else:
            self._witness = None
        self.start()

    def adopt(self, life: UUID) -> None:
        """Live under a given incarnation from now on."""
        self.tables.lives[:] = [life]
        self._system_of_life[life] = self._system

    def set_up(self, keyset: dict[str, Any], program: Program, devices: dict[UUID, Device]) -> Program:
        """Make the network; return its program as the server has published it."""
        self._programs[program.version] = program

        async def make() -> None:
            async with self.begin(self.network) as store:
                store.tables.devices.update(devices)
                row = {"document": keyset, "sig": bytes_to_text(self._root.sign(keyset_message(keyset)))}
                await put_document(store, FeedTable.KEYSET, "current", row)
                body = program.to_bytes()
                document = rows.write(
                    rows.ProgramRow(program.version, bytes_to_text(program.hash), bytes_to_text(body))
                )
                await put_document(store, FeedTable.PROGRAM, "current", document)
                for device in devices.values():
                    await put_document(
                        store, FeedTable.STORE, str(device.store), rows.write(rows.StoreRow("Store", "UTC", "RUB"))
                    )

        self._run(make())
        return program

    def register(self, guest: UUID, handle: int, member_no: str) -> None:
        """Make a guest with a card."""

        async def make() -> None:
            async with self.begin(self.network) as store:
                await register_guest(store, guest, handle, member_no)

        self._run(make())

    def set_state(self, device: UUID, state: str) -> None:
        """Suspend a device, or take it back."""
        tables = self.tables.copy()
        found = tables.devices[device]
        tables.devices[device] = Device(found.store, found.public, state, found.sight)
        self._commit(tables)

    # -- what is asked ---------------------------------------------------------------------------------------------

    def serve(self, path: str, device: UUID, body: bytes) -> object:
        """Return the answer to a request, or raise `ApiError` or `Crash`; bodies that cannot be read are 400."""
        found = self.tables.devices.get(device)
        if found is None:
            raise ApiError(401, ErrorCode.UNKNOWN_DEVICE, "This till is not known here. Enrol it again.")
        try:
            return self._run(self._answer(path, device, found, body))
        except codec.BadBody as error:
            raise ApiError(400, ErrorCode.BAD_BODY, "The body is not understood.") from error

    async def _answer(self, path: str, device: UUID, found: Device, body: bytes) -> object:
        if path == "hello":
            return await hello(self, codec.decode(HelloRequest, body), self.now(), found.public)
        if path == "push":
            return await self._ledger.push(codec.decode(PushRequest, body), found.public)
        if path == "reconcile":
            return await reconcile(self, codec.decode(ReconcileRequest, body))
        if path == "leases":
            await self._count_uses()
            return await lease(self, codec.decode(LeaseRequest, body), self.now())
        cursor, limit = codec.decode(tuple[str | None, int], body)
        return await pull(self, Signer(self.network, device, found.store, found.state, b"", None), cursor, limit)

    async def _count_uses(self) -> None:
        """Count what was given, as pricing again does: at times only, for it is behind."""
        if self._random.random() < 0.5:
            async with self.begin(self.network) as store:
                count(store, self.now())

    def _run[T](self, work: Coroutine[Any, Any, T]) -> T:
        """Run what waits for nobody, and at most lets others run in between: an event loop costs four times that."""
        try:
            while work.send(None) is None:
                pass
        except StopIteration as done:
            made: T = done.value
            return made
        raise AssertionError("it waits for something: run it in an event loop")
