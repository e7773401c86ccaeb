"""Posting checks that another system commits: many in one transaction, each under its caller's permanent id.

A till's record is a fact and posted whatever it says. These are requests, priced here with their guests' accounts
locked, so that what they redeem is there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from uuid import UUID

from loyalty_desk.domain.clock import from_ms, to_ms
from loyalty_desk.domain.program import Program
from loyalty_desk.domain.record import Record
from server.kit import feed
from server.kit.db import Connection, fetch
from server.ledger import repository
from server.ledger.ceiling import Ceiling
from server.ledger.lots import Holdings
from server.ledger.moves import GuestChange
from server.ledger.posting import AccountKey, AccountKind, Fact, GuestState, Plan, Terms, plan
from server.ledger.repository import GuestAccount
from server.ledger.store import PostgresStore, Tools
from server.ledger.storing import RaisedRow
from server.ledger.terms import program_version, terms_of, tier_of


@dataclass(frozen=True, slots=True)
class Stored:
    """A transaction that is there already: `payload` None where it is no check of another system."""

    payload: bytes | None


async def stored(connection: Connection, network: UUID, ids: Sequence[UUID]) -> dict[UUID, Stored]:
    """Return which of these ids are taken, and by what."""
    found = await fetch(
        connection,
        "select id, case when origin = 'online' then payload end as payload from ledger_tx"
        " where network_id = $1 and id = any($2::uuid[])",
        network,
        list(ids),
    )
    return {row.id: Stored(None if row.payload is None else bytes(row.payload)) for row in found}


@dataclass(slots=True)
class OnlinePosting:
    """Checks of one transaction of a network: made by `lock`, given some, then written once."""

    connection: Connection
    network: UUID
    now: datetime
    program: Program
    accounts: Mapping[UUID, GuestAccount]
    _store: PostgresStore
    _ceiling: Ceiling
    _planned: Plan = field(default_factory=Plan)
    _payloads: list[bytes] = field(default_factory=list)
    _redeemed: Counter[UUID] = field(default_factory=Counter)
    _holdings: Mapping[UUID, Holdings] = field(init=False)
    _states: Mapping[UUID, GuestState] = field(init=False)
    _terms: Terms | None = None

    def __post_init__(self) -> None:
        self._holdings = {guest: one.holdings for guest, one in self.accounts.items()}
        self._states = {guest: one.state for guest, one in self.accounts.items()}

    @classmethod
    async def lock(
        cls,
        connection: Connection,
        network: UUID,
        tools: Tools,
        guests: Iterable[UUID],
        program: Program,
        limits: Mapping[UUID, int],
        now: datetime,
    ) -> OnlinePosting:
        """Lock guests' accounts and states; who does not exist is left out.

        `limits` says of each store how many points its checks may give a guest in a day.
        """
        store = PostgresStore(connection, network, tools)
        wanted = set(guests)
        accounts = await store.lock_guests(wanted)
        granted = await store.granted(wanted, program.zone, now)
        ceiling = Ceiling(program.zone, lambda one: limits[one.store], now, granted, lambda _: program)
        return cls(connection, network, now, program, accounts, store, ceiling)

    @classmethod
    async def look(
        cls,
        connection: Connection,
        network: UUID,
        tools: Tools,
        guests: Collection[UUID],
        program: Program,
        now: datetime,
    ) -> OnlinePosting:
        """Read guests' accounts for a check that is only asked about: nothing is locked, nothing can be added."""
        accounts = await repository.see_guests(connection, network, guests) if guests else {}
        if missing := set(guests) - accounts.keys():
            # Who never had points gets an account now: from here on it is as with everybody else.
            accounts |= await repository.lock_guests(connection, network, missing)
        nothing = Ceiling(program.zone, lambda _: 0, now, {}, lambda _: program)
        return cls(connection, network, now, program, accounts, PostgresStore(connection, network, tools), nothing)

    def available(self, guest: UUID) -> int:
        """Return what a locked guest can spend, checks added here already taken off; holds are not looked at."""
        return self.accounts[guest].holdings.available(to_ms(self.now))

    def redeemed(self, guest: UUID) -> int:
        """Return what checks added here take from a guest."""
        return self._redeemed[guest]

    def state(self, guest: UUID) -> GuestState:
        """Return a locked guest's figures, checks added here already counted."""
        return self.accounts[guest].state

    def add(self, record: Record, payload: bytes, guest: UUID | None) -> None:
        """Plan one check; `record`, in the bytes of `payload`, is a sale whose guest is `guest`, locked."""
        at = to_ms(self.now)
        fact = Fact(record, guest, unknown_guest=False, effective_at=at, clock_off=False)
        # All are of one moment, and so are the lives of their points.
        terms = self._terms = self._terms or terms_of(self.program, at)

        def tier(state: GuestState) -> str:
            return tier_of(self.program, state)

        made = plan([fact], self._holdings, self._states, lambda _, __: terms, tier, self._ceiling.held)
        self._planned.posted += made.posted
        self._payloads.append(payload)
        if guest is not None:
            self._redeemed[guest] += record.points_redeemed
        for account, amount in made.moved.items():
            self._planned.moved[account] = self._planned.moved.get(account, 0) + amount

    async def write(self, more: Sequence[feed.Change] = ()) -> int:
        """Write everything, with `more` rows of the feed, and return the feed's length; the last call of all.

        Raises `Taken` where somebody else stored one of the ids a moment ago.
        """
        store, planned = self._store, self._planned
        touched = {one.fact.guest for one in planned.posted if one.fact.guest is not None}
        guests = [self.accounts[guest] for guest in touched]
        guests.sort(key=lambda one: one.account_id)
        accounts = await store.system_accounts([key for key in planned.moved if key.kind is not AccountKind.GUEST])
        accounts |= {AccountKey(AccountKind.GUEST, one.guest): one.account_id for one in guests}
        if planned.posted:
            await self._insert()
        changed = [GuestChange.of(one, planned.moved, self.now) for one in guests]
        await store.store_moves(planned.posted, accounts, changed, self.now)
        raised = [
            RaisedRow(
                found.kind,
                one.fact.record.id,
                None if found.guest is None else accounts.get(AccountKey(AccountKind.GUEST, found.guest)),
                found.details,
                "warning",
            )
            for one in planned.posted
            for found in one.raised
        ]
        if raised:
            await store.insert_raised(None, raised)
        changes = await store.guest_changes([one.guest for one in guests]) if guests else []
        moved = {accounts[key]: amount for key, amount in planned.moved.items() if key.kind is not AccountKind.GUEST}
        if moved:
            await store.move_system_accounts(moved)
        return await store.feed_changes([*changes, *more])

    async def _insert(self) -> None:
        rows = self._planned.posted
        records = [one.fact.record for one in rows]
        found = await fetch(
            self.connection,
            "insert into ledger_tx (network_id, id, kind, origin, payload, payload_hash, occurred_at, effective_at,"
            " recorded_at, guest_id, store_id, program_version, flags, receipt_no)"
            " select $1, id, kind, 'online', payload, hash, occurred_at, effective_at, $2, guest, store, version,"
            " flags, receipt from unnest($3::uuid[], $4::text[], $5::bytea[], $6::bytea[], $7::bigint[],"
            " $8::timestamptz[], $9::uuid[], $10::uuid[], $11::int[], $12::bigint[], $13::text[])"
            " as t (id, kind, payload, hash, occurred_at, effective_at, guest, store, version, flags, receipt)"
            " on conflict (network_id, id) do nothing returning id",
            self.network,
            self.now,
            [one.id for one in records],
            [one.kind.value for one in records],
            self._payloads,
            [sha256(one).digest() for one in self._payloads],
            [one.occurred_at for one in records],
            [from_ms(one.fact.effective_at) for one in rows],
            [one.fact.guest for one in rows],
            [one.store for one in records],
            [program_version(one) for one in records],
            [one.flags for one in rows],
            [one.receipt_no for one in records],
        )
        if len(found) != len(rows):
            raise Taken


class Taken(Exception):
    """Somebody else stored one of these ids a moment ago: roll back and look again."""
