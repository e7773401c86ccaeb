"""What a posting asks of the place where the ledger lies; PostgreSQL's answer to it.

The posting itself knows no SQL: a simulation runs the same code over a store in memory, and both stores pass one suite.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import date, datetime
from typing import Protocol
from uuid import UUID

from loyalty_desk.domain.program import Program
from loyalty_desk.domain.record import Totals
from server.kit import feed
from server.kit.crypto import Vault
from server.kit.db import Connection, Database
from server.ledger import moves, repository, storing
from server.ledger.guard_store import GuardStore, PostgresGuards, Rows
from server.ledger.moves import GuestChange
from server.ledger.posting import AccountKey, Posted
from server.ledger.register_store import Admit, PostgresRegisters, RegisterStore
from server.ledger.repository import DeviceRow, EpochRow, GuestAccount, Waiting
from server.ledger.returns import Original
from server.ledger.storing import Quarantined, RaisedRow, Sourced
from server.ledger.timing import Place
from server.ledger.words import Words, keep

ProgramOf = Callable[[Connection, UUID, int | None], Awaitable[Program | None]]


class LedgerStore(Protocol):
    """One transaction of one network: what was written is there for others when the transaction has ended."""

    @property
    def guards(self) -> GuardStore:
        """Return what the guards ask, of the same transaction."""
        ...

    @property
    def registers(self) -> RegisterStore:
        """Return what registering asks, of the same transaction."""
        ...

    async def lock_device(self, device: UUID, *, alone: bool) -> DeviceRow | None:
        """Lock a device and return it: the pushes of one device take turns from here on.

        While somebody posts `alone`, nobody else of the network does.
        """
        ...

    async def epoch_branches(self, device: UUID, epoch: int, first: int, last: int) -> list[EpochRow]:
        """Return the branches of an epoch, each with the hashes it holds of the records `first` to `last`."""
        ...

    async def counted_before(self, places: Sequence[Place]) -> dict[Place, int]:
        """Return when what stands before these places of tills' journals counts, milliseconds UTC."""
        ...

    async def parent_of(self, device: UUID, prev: bytes) -> tuple[int, Totals | bytes] | None:
        """Return the epoch of the record with the hash `prev`: with the totals of its head, or the record's bytes."""
        ...

    async def known_ids(self, ids: Iterable[UUID]) -> dict[UUID, bytes | None]:
        """Return the hashes of those transactions that exist, by id; None for one that no till made."""
        ...

    async def strange_stores(self, stores: Iterable[UUID]) -> set[UUID]:
        """Return those that are no stores of the network."""
        ...

    async def originals(self, ids: Sequence[UUID]) -> dict[UUID, Original]:
        """Return the posted records with these ids, with what came back of them so far; ask for them alone."""
        ...

    async def waiting_for(self, ids: Sequence[UUID], limit: int) -> list[Waiting]:
        """Return up to `limit` records that are set aside until one of these is posted."""
        ...

    async def guests_of_handles(self, handles: Iterable[bytes]) -> dict[bytes, UUID]:
        """Return whose credentials these are."""
        ...

    async def survivors(self, guests: Iterable[UUID]) -> dict[UUID, UUID]:
        """Return who each known guest is today."""
        ...

    async def lock_guests(self, guests: Iterable[UUID]) -> dict[UUID, GuestAccount]:
        """Lock the accounts of guests in the order of account ids and return them with their open lots."""
        ...

    async def system_accounts(self, wanted: Iterable[AccountKey]) -> dict[AccountKey, int]:
        """Return the ids of accounts that are no guest's, made where they are missing."""
        ...

    async def granted(self, guests: Iterable[UUID], zone: str, now: datetime) -> dict[tuple[UUID, date], int]:
        """Return what the sales of guests gave them by the days of a zone, as far back as counts; held points do not.

        A fact that was more than `OLDEST` old when it came counts where that time ended.
        """
        ...

    async def given_by_hand(self, devices: Iterable[UUID], zone: str, now: datetime) -> dict[tuple[UUID, date], int]:
        """Return what tills gave by hand by the days of a zone, as `granted` reckons them; held points do not count."""
        ...

    async def program(self, version: int | None) -> Program | None:
        """Return a version of the program, the one in force for None."""
        ...

    async def feed_times(self, seqs: Sequence[int]) -> dict[int, datetime]:
        """Return when the server reached each of these feed numbers; those not reached are left out."""
        ...

    async def feed_length(self) -> int:
        """Return the feed's last number."""
        ...

    async def store_head(
        self,
        device: UUID,
        epoch: int,
        row: EpochRow,
        *,
        old_head: int | None,
        parent: tuple[int | None, bytes] | None,
        forked_at: int | None,
        opened_reason: str,
    ) -> bool:
        """Write a branch's head over `old_head`, None for a branch that begins; False where it is not that any more."""
        ...

    async def insert_postings(self, rows: Sequence[Sourced], queued: Sequence[UUID], recorded_at: datetime) -> int:
        """Insert transactions and return how many were new; those `queued` are priced again afterwards."""
        ...

    async def keep_words(self, rows: Sequence[Words]) -> None:
        """Keep what managers wrote beside postings, of guests who are not erased."""
        ...

    async def store_moves(
        self,
        posted: Iterable[Posted],
        accounts: Mapping[AccountKey, int],
        guests: Sequence[GuestChange],
        now: datetime,
    ) -> None:
        """Insert the legs of postings with the lots and uses they made, and write guests' accounts, lots and states.

        A guest's credit names the lot it made. What a check gave counts for the day it was made, or for the oldest that
        counts at `now`.
        """
        ...

    async def insert_quarantined(self, device: UUID, epoch: int, branch: int, rows: Sequence[Quarantined]) -> None:
        """Store what is not posted; what is stored already stays as it is."""
        ...

    async def settle_waiting(
        self,
        settled: Sequence[int],
        condemned: Sequence[tuple[int, str, str]],
        postponed: Sequence[tuple[int, UUID]],
        now: datetime,
    ) -> None:
        """Say of what waited that it is posted, that it never can be and why, or what it waits for now."""
        ...

    async def insert_raised(self, device: UUID, rows: Sequence[RaisedRow]) -> None:
        """Store exceptions; one kind once for a transaction."""
        ...

    async def guest_changes(self, guests: Sequence[UUID]) -> list[feed.Change]:
        """Return guests as tills will get them, from what this transaction has written."""
        ...

    async def move_system_accounts(self, moved: Mapping[int, int]) -> None:
        """Add to accounts that every push touches; they are locked from here on."""
        ...

    async def feed_changes(self, changes: Sequence[feed.Change]) -> int:
        """Give numbers to changed rows and return the feed's length; the last call before the end."""
        ...

    def seal(self, name: str, secret: bytes) -> bytes:
        """Return personal fields as they may lie in the store."""
        ...


# Begins a transaction of a network: it commits when the block ends and rolls back when it raises.
Begin = Callable[[UUID], AbstractAsyncContextManager[LedgerStore]]


@dataclass(frozen=True, slots=True)
class Tools:
    """What a posting needs of the rest of the server.

    `guest_rows` renders guests, and cards by their handles, for the feed; `program_of` gives the version named, or the
    one in force for None; `admit` registers guests.
    """

    vault: Vault
    guest_rows: Rows
    program_of: ProgramOf
    admit: Admit


def postgres(db: Database, tools: Tools) -> Begin:
    """Return the ledger of a database."""

    @asynccontextmanager
    async def begin(network: UUID) -> AsyncIterator[LedgerStore]:
        async with db.begin(network) as connection:
            yield PostgresStore(connection, network, tools)

    return begin


class PostgresStore:
    """A transaction of the database; the statements are those of `repository`, `storing` and `moves`."""

    def __init__(self, connection: Connection, network: UUID, tools: Tools) -> None:
        self._at = (connection, network)
        self._tools = tools

    @property
    def guards(self) -> GuardStore:
        """Return what the guards ask, of the same transaction."""
        return PostgresGuards(*self._at, self._tools.guest_rows)

    @property
    def registers(self) -> RegisterStore:
        """Return what registering asks, of the same transaction."""
        return PostgresRegisters(*self._at, self._tools.vault, self._tools.admit, self._tools.guest_rows)

    async def lock_device(self, device: UUID, *, alone: bool) -> DeviceRow | None:
        """As `repository.lock_device`."""
        return await repository.lock_device(*self._at, device, alone=alone)

    async def epoch_branches(self, device: UUID, epoch: int, first: int, last: int) -> list[EpochRow]:
        """As `repository.epoch_branches`."""
        return await repository.epoch_branches(*self._at, device, epoch, first, last)

    async def counted_before(self, places: Sequence[Place]) -> dict[Place, int]:
        """As `repository.counted_before`."""
        return await repository.counted_before(*self._at, places)

    async def parent_of(self, device: UUID, prev: bytes) -> tuple[int, Totals | bytes] | None:
        """As `repository.parent_of`."""
        return await repository.parent_of(*self._at, device, prev)

    async def known_ids(self, ids: Iterable[UUID]) -> dict[UUID, bytes | None]:
        """As `repository.known_ids`."""
        return await repository.known_ids(*self._at, ids)

    async def strange_stores(self, stores: Iterable[UUID]) -> set[UUID]:
        """As `repository.strange_stores`."""
        return await repository.strange_stores(*self._at, stores)

    async def originals(self, ids: Sequence[UUID]) -> dict[UUID, Original]:
        """As `repository.originals`."""
        return await repository.originals(*self._at, ids)

    async def waiting_for(self, ids: Sequence[UUID], limit: int) -> list[Waiting]:
        """As `repository.waiting_for`."""
        return await repository.waiting_for(*self._at, ids, limit, self._tools.vault)

    async def guests_of_handles(self, handles: Iterable[bytes]) -> dict[bytes, UUID]:
        """As `repository.guests_of_handles`."""
        return await repository.guests_of_handles(*self._at, handles)

    async def survivors(self, guests: Iterable[UUID]) -> dict[UUID, UUID]:
        """As `repository.survivors`."""
        return await repository.survivors(*self._at, guests)

    async def lock_guests(self, guests: Iterable[UUID]) -> dict[UUID, GuestAccount]:
        """As `repository.lock_guests`."""
        return await repository.lock_guests(*self._at, guests)

    async def system_accounts(self, wanted: Iterable[AccountKey]) -> dict[AccountKey, int]:
        """As `repository.system_accounts`."""
        return await repository.system_accounts(*self._at, wanted)

    async def granted(self, guests: Iterable[UUID], zone: str, now: datetime) -> dict[tuple[UUID, date], int]:
        """As `repository.granted`."""
        return await repository.granted(*self._at, guests, zone, now)

    async def given_by_hand(self, devices: Iterable[UUID], zone: str, now: datetime) -> dict[tuple[UUID, date], int]:
        """As `repository.given_by_hand`."""
        return await repository.given_by_hand(*self._at, devices, zone, now)

    async def program(self, version: int | None) -> Program | None:
        """Return a version of the program, the one in force for None."""
        return await self._tools.program_of(*self._at, version)

    async def feed_times(self, seqs: Sequence[int]) -> dict[int, datetime]:
        """As `feed.time_of`."""
        return await feed.time_of(*self._at, seqs)

    async def feed_length(self) -> int:
        """Return the feed's last number."""
        return (await feed.count(*self._at)).n

    async def store_head(
        self,
        device: UUID,
        epoch: int,
        row: EpochRow,
        *,
        old_head: int | None,
        parent: tuple[int | None, bytes] | None,
        forked_at: int | None,
        opened_reason: str,
    ) -> bool:
        """As `storing.store_head`."""
        return await storing.store_head(
            *self._at,
            device,
            epoch,
            row,
            old_head=old_head,
            parent=parent,
            forked_at=forked_at,
            opened_reason=opened_reason,
        )

    async def insert_postings(self, rows: Sequence[Sourced], queued: Sequence[UUID], recorded_at: datetime) -> int:
        """As `storing.insert_postings`."""
        return await storing.insert_postings(*self._at, rows, queued, recorded_at)

    async def keep_words(self, rows: Sequence[Words]) -> None:
        """Keep them sealed."""
        await keep(*self._at, self._tools.vault, rows)

    async def store_moves(
        self,
        posted: Iterable[Posted],
        accounts: Mapping[AccountKey, int],
        guests: Sequence[GuestChange],
        now: datetime,
    ) -> None:
        """As `moves.store_moves`."""
        await moves.store_moves(*self._at, posted, accounts, guests, now)

    async def insert_quarantined(self, device: UUID, epoch: int, branch: int, rows: Sequence[Quarantined]) -> None:
        """As `storing.insert_quarantined`."""
        await storing.insert_quarantined(*self._at, device, epoch, branch, rows)

    async def settle_waiting(
        self,
        settled: Sequence[int],
        condemned: Sequence[tuple[int, str, str]],
        postponed: Sequence[tuple[int, UUID]],
        now: datetime,
    ) -> None:
        """As `storing.settle_waiting`."""
        await storing.settle_waiting(*self._at, settled, condemned, postponed, now)

    async def insert_raised(self, device: UUID | None, rows: Sequence[RaisedRow]) -> None:
        """As `storing.insert_raised`; None is no till."""
        await storing.insert_raised(*self._at, device, rows)

    async def guest_changes(self, guests: Sequence[UUID]) -> list[feed.Change]:
        """Return guests as tills will get them."""
        return await self._tools.guest_rows(*self._at, guests, [])

    async def move_system_accounts(self, moved: Mapping[int, int]) -> None:
        """As `moves.move_system_accounts`."""
        await moves.move_system_accounts(*self._at, moved)

    async def feed_changes(self, changes: Sequence[feed.Change]) -> int:
        """As `feed.record`."""
        return await feed.record(*self._at, changes)

    def seal(self, name: str, secret: bytes) -> bytes:
        """Seal with the network's key."""
        return self._tools.vault.seal_secret(self._at[1], name, secret)
