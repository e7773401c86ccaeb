"""What hello, reconcile and pull ask of the place where the ledger lies; PostgreSQL's answer to it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from loyalty_desk.domain.canonical import Json
from loyalty_desk.domain.clock import to_ms
from loyalty_desk.domain.record import ExceptionKind
from loyalty_desk.wire.v1.sync import Block, FeedTable
from server.kit import feed, incarnation
from server.kit.crypto import Vault
from server.kit.db import Connection, fetch, fetch_value, write
from server.kit.ground import Ground
from server.ledger.lease_store import PostgresLeases
from server.ledger.leases import LeaseStore
from server.ledger.posting import flag_bits
from server.ledger.shelf import ProgramShelf
from server.networks import service as networks
from server.sync.clones import Line
from server.sync.rows import rows_of

HORIZON = timedelta(days=180)
_BLOCKS_AT_ONCE = 32


@dataclass(frozen=True, slots=True)
class BranchHead:
    """How far one branch of an epoch has come."""

    epoch: int
    branch: int
    seq: int
    hash: bytes


@dataclass(frozen=True, slots=True)
class LifeClaim:
    """That a till has seen more than there is in a life of the database; `ended` is whether that ended it."""

    device: UUID
    life: UUID
    at: datetime
    ended: bool


class SyncStore(Protocol):
    """One transaction of one network."""

    @property
    def leases(self) -> LeaseStore:
        """Return what answering for leases asks, of the same transaction."""
        ...

    async def life(self) -> UUID | None:
        """Return the present incarnation, None where there is none yet."""
        ...

    async def feed_count(self) -> feed.Count:
        """Return the feed's length, live rows and digest."""
        ...

    async def see(self, device: UUID, now: datetime, boot_id: UUID, monotonic_ms: int) -> str | None:
        """Remember where a till's clock stands and return the till's state."""
        ...

    async def state(self, device: UUID) -> str | None:
        """Return a till's state."""
        ...

    async def heads(self, device: UUID) -> list[BranchHead]:
        """Return every branch of a till, epochs in the order they were seen."""
        ...

    async def lines(self, device: UUID) -> list[Line]:
        """Return every line of a till, and when it grew."""
        ...

    async def mark_cloned(self, device: UUID) -> None:
        """Let a till that is active be cloned from now on: it gets no data, and its sales are still accepted."""
        ...

    async def life_claims(self, since: datetime) -> list[LifeClaim]:
        """Return which tills have said since then that they had seen more than there was."""
        ...

    async def put_life_claim(self, claim: LifeClaim) -> None:
        """Remember that a till says so."""
        ...

    async def signing_key(self, now: datetime) -> tuple[int, Ed25519PrivateKey]:
        """Return the key that the network signs with."""
        ...

    async def keyset_version(self) -> int:
        """Return the version of the newest key set."""
        ...

    def phone_key(self) -> bytes:
        """Return the network's key of `phones.phone_hash`."""
        ...

    async def guests_up_to(self, limit: int) -> int:
        """Return how many guests there are, counted no further than `limit`."""
        ...

    async def is_beyond_horizon(self, after: int) -> bool:
        """Return whether the first change behind `after` is older than `HORIZON`: its tombstones need not be there."""
        ...

    async def marks(self, after: int, limit: int) -> list[feed.Mark]:
        """Return the rows that changed last behind `after`, oldest change first."""
        ...

    async def rows(self, table: FeedTable, keys: Sequence[str]) -> dict[str, dict[str, Json]]:
        """Return the present rows of a table of the feed by key."""
        ...

    async def held(self, device: UUID, epoch: int, blocks: Sequence[Block]) -> list[list[tuple[UUID, bytes]]]:
        """Return for each block (id, hash) of every record held of it in any branch, posted or quarantined, by seq."""
        ...


class SyncStores(Protocol):
    """Where transactions come from."""

    def begin(self, network: UUID) -> AbstractAsyncContextManager[SyncStore]:
        """Begin a transaction that may write."""
        ...

    def snapshot(self, network: UUID) -> AbstractAsyncContextManager[SyncStore]:
        """Begin one in which everything is of one moment."""
        ...

    async def rotate(self, reason: str, unless_past: UUID) -> None:
        """Begin a new incarnation, unless `unless_past` is over already."""
        ...


class PostgresSyncStores:
    """The transactions of a database."""

    def __init__(self, ground: Ground, shelf: ProgramShelf | None = None) -> None:
        self._ground = ground
        self._shelf = shelf or ProgramShelf()

    @asynccontextmanager
    async def begin(self, network: UUID) -> AsyncIterator[SyncStore]:
        """As `Database.begin`."""
        async with self._ground.db.begin(network) as connection:
            yield PostgresSyncStore(connection, network, self._ground.vault, self._shelf)

    @asynccontextmanager
    async def snapshot(self, network: UUID) -> AsyncIterator[SyncStore]:
        """As `Database.snapshot`."""
        async with self._ground.db.snapshot(network) as connection:
            yield PostgresSyncStore(connection, network, self._ground.vault, self._shelf)

    async def rotate(self, reason: str, unless_past: UUID) -> None:
        """As `incarnation.rotate`."""
        async with self._ground.db.without_network() as connection:
            await incarnation.rotate(connection, reason, unless_past=unless_past)


class PostgresSyncStore:
    """One transaction of the database."""

    def __init__(self, connection: Connection, network: UUID, vault: Vault, shelf: ProgramShelf) -> None:
        self._connection = connection
        self._network = network
        self._vault = vault
        self._shelf = shelf

    @property
    def leases(self) -> LeaseStore:
        """Return what answering for leases asks, of the same transaction."""
        return PostgresLeases(self._connection, self._network, self._shelf)

    async def life(self) -> UUID | None:
        """As `incarnation.current`."""
        found = await incarnation.current(self._connection)
        return None if found is None else found.id

    async def feed_count(self) -> feed.Count:
        """As `feed.count`."""
        return await feed.count(self._connection, self._network)

    async def see(self, device: UUID, now: datetime, boot_id: UUID, monotonic_ms: int) -> str | None:
        """Remember where a till's clock stands and return the till's state."""
        state = await fetch_value(
            self._connection,
            """
            update device set last_seen = $3, clock_boot = $4, clock_ms = $5, clock_at = $6
            where network_id = $1 and id = $2 returning state
            """,
            self._network,
            device,
            now,
            boot_id,
            monotonic_ms,
            to_ms(now),
        )
        return None if state is None else str(state)

    async def state(self, device: UUID) -> str | None:
        """Return a till's state."""
        state = await fetch_value(
            self._connection,
            "select state from device where network_id = $1 and id = $2",
            self._network,
            device,
        )
        return None if state is None else str(state)

    async def heads(self, device: UUID) -> list[BranchHead]:
        """Return every branch of a till, epochs in the order they were seen."""
        found = await fetch(
            self._connection,
            """
            select epoch, branch, head_seq, head_hash from device_epoch
            where network_id = $1 and device_id = $2 order by opened_at, epoch, branch
            """,
            self._network,
            device,
        )
        return [BranchHead(row.epoch, row.branch, row.head_seq, bytes(row.head_hash)) for row in found]

    async def lines(self, device: UUID) -> list[Line]:
        """Return every line of a till, and when it grew."""
        # What has waited was set aside first.
        own = """
            select x.recorded_at from ledger_tx x where x.network_id = $1 and x.device_id = $2
                and x.epoch = e.epoch and x.branch = e.branch and x.origin = 'till' and x.flags & $3 = 0
                and not exists (select 1 from quarantine q where q.network_id = $1 and q.device_id = $2
                    and q.epoch = x.epoch and q.seq = x.seq and q.hash = x.hash)
        """
        found = await fetch(
            self._connection,
            f"""
            select e.epoch, e.branch, e.parent_head, e.head_hash, first.recorded_at as began, last.recorded_at as ended
            from device_epoch e
            left join lateral ({own} order by x.seq limit 1) first on true
            left join lateral ({own} order by x.seq desc limit 1) last on true
            where e.network_id = $1 and e.device_id = $2 order by e.epoch, e.branch
            """,  # noqa: S608 - a constant of this function
            self._network,
            device,
            flag_bits([ExceptionKind.SALVAGED]),
        )
        return [
            Line(
                row.epoch,
                row.branch,
                None if row.parent_head is None else bytes(row.parent_head),
                bytes(row.head_hash),
                row.began,
                row.ended,
            )
            for row in found
        ]

    async def mark_cloned(self, device: UUID) -> None:
        """Let a till that is active be cloned from now on."""
        await write(
            self._connection,
            "update device set state = 'cloned' where network_id = $1 and id = $2 and state = 'active'",
            self._network,
            device,
        )

    async def life_claims(self, since: datetime) -> list[LifeClaim]:
        """Return which tills have said since then that they had seen more than there was."""
        found = await fetch(
            self._connection,
            "select device_id, incarnation, at, ended from life_claim where network_id = $1 and at > $2",
            self._network,
            since,
        )
        return [LifeClaim(UUID(str(row[0])), UUID(str(row[1])), row[2], row[3]) for row in found]

    async def put_life_claim(self, claim: LifeClaim) -> None:
        """Remember that a till says so."""
        await write(
            self._connection,
            "insert into life_claim (network_id, device_id, incarnation, at, ended) values ($1, $2, $3, $4, $5)"
            " on conflict (network_id, device_id, incarnation) do update"
            " set at = excluded.at, ended = life_claim.ended or excluded.ended",
            self._network,
            claim.device,
            claim.life,
            claim.at,
            claim.ended,
        )

    async def signing_key(self, now: datetime) -> tuple[int, Ed25519PrivateKey]:
        """As `networks.signing_key`."""
        return await networks.signing_key(self._connection, self._network, self._vault, now)

    async def keyset_version(self) -> int:
        """As `networks.keyset_version`."""
        return await networks.keyset_version(self._connection, self._network)

    def phone_key(self) -> bytes:
        """As `Vault.lookup_key`."""
        return self._vault.lookup_key(self._network)

    async def guests_up_to(self, limit: int) -> int:
        """Return how many guests there are, counted no further than `limit`."""
        found = await fetch_value(
            self._connection,
            "select count(*) from (select 1 from guest_state where network_id = $1 limit $2) as t",
            self._network,
            limit,
        )
        return int(found)

    async def is_beyond_horizon(self, after: int) -> bool:
        """By the database's own clock, which is the one that noted the commits."""
        found = await fetch_value(
            self._connection,
            "select (select committed_at from feed_commit where network_id = $1 and n > $2 order by n limit 1)"
            " < now() - $3::interval",
            self._network,
            after,
            HORIZON,
        )
        return bool(found)

    async def marks(self, after: int, limit: int) -> list[feed.Mark]:
        """As `feed.marks`."""
        return await feed.marks(self._connection, self._network, after, limit)

    async def rows(self, table: FeedTable, keys: Sequence[str]) -> dict[str, dict[str, Json]]:
        """As `rows.rows_of`."""
        return await rows_of(self._connection, self._network, self._vault, table, keys)

    async def held(self, device: UUID, epoch: int, blocks: Sequence[Block]) -> list[list[tuple[UUID, bytes]]]:
        """Return for each block (id, hash) of every record held of it, posted or quarantined, by seq."""
        made: list[list[tuple[UUID, bytes]]] = []
        for start in range(0, len(blocks), _BLOCKS_AT_ONCE):
            made += await self._held(device, epoch, blocks[start : start + _BLOCKS_AT_ONCE])
        return made

    async def _held(self, device: UUID, epoch: int, blocks: Sequence[Block]) -> list[list[tuple[UUID, bytes]]]:
        found = await fetch(
            self._connection,
            """
            with wanted as (
                select position, first_seq, first_seq - 1 + count as last_seq
                from unnest($4::bigint[], $5::bigint[]) with ordinality as t (first_seq, count, position)
            )
            select w.position, x.seq, x.id, x.hash from wanted w join ledger_tx x on x.network_id = $1
                and x.device_id = $2 and x.epoch = $3 and x.origin = 'till' and x.seq between w.first_seq and w.last_seq
                and x.branch = any(array(select branch from device_epoch
                    where network_id = $1 and device_id = $2 and epoch = $3))
            union all
            select w.position, q.seq, q.record_id, q.hash from wanted w join quarantine q on q.network_id = $1
                and q.device_id = $2 and q.epoch = $3 and q.seq between w.first_seq and w.last_seq
                and q.state <> 'replayed'
            order by 1, 2
            """,
            self._network,
            device,
            epoch,
            [one.first_seq for one in blocks],
            [one.count for one in blocks],
        )
        made: list[list[tuple[UUID, bytes]]] = [[] for _ in blocks]
        for position, _, record_id, digest in found:
            made[position - 1].append((record_id, bytes(digest)))
        return made
