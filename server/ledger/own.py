"""Entries that the server makes by itself: expiry, bonuses, write-offs. Their ids follow from what they are about.

So a job that was killed, or that two workers do at once, posts each of them once. Guests are locked as a push locks
them and everything is written as a push writes it: guests, then the network's accounts, then the feed.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from uuid import UUID

from loyalty_desk.domain import canonical
from loyalty_desk.domain.canonical import Json
from loyalty_desk.domain.clock import to_ms
from loyalty_desk.domain.ids import derived_id
from server.kit import feed
from server.kit.db import Connection, fetch, write
from server.ledger import moves, repository
from server.ledger.lots import Holdings, Lot, LotUse
from server.ledger.moves import GuestChange
from server.ledger.posting import AccountKey, AccountKind
from server.ledger.repository import GuestAccount

Render = Callable[[Connection, UUID, Sequence[UUID]], Awaitable[list[feed.Change]]]
_GUEST_LEG, _OTHER_LEG = 0, 1


@dataclass(frozen=True, slots=True)
class _Own:
    """A transaction with two legs: `amount` to the guest (negative: from), as much the other way to `other`."""

    id: UUID
    name: str
    kind: str
    guest: UUID
    amount: int
    other: AccountKey
    payload: bytes
    lot: UUID | None
    store: UUID | None
    reverses: UUID | None = None


@dataclass(slots=True)
class OwnPosting:
    """Own entries of one transaction of a network; made by `lock`, given some, then written once."""

    connection: Connection
    network: UUID
    now: datetime
    accounts: Mapping[UUID, GuestAccount]
    _made: list[_Own] = field(default_factory=list)
    _expired: list[UUID] = field(default_factory=list)
    _approved: list[UUID] = field(default_factory=list)

    @classmethod
    async def lock(cls, connection: Connection, network: UUID, guests: Iterable[UUID], now: datetime) -> OwnPosting:
        """Lock guests' accounts and states; who does not exist is left out."""
        return cls(connection, network, now, await repository.lock_guests(connection, network, guests))

    @classmethod
    async def lock_free(
        cls, connection: Connection, network: UUID, guests: Iterable[UUID], now: datetime
    ) -> OwnPosting:
        """As `lock`, leaving out who is locked, merged or has no account: nobody is waited for."""
        free = await fetch(
            connection,
            "select a.guest_id from account a"
            " join guest_state s on s.network_id = a.network_id and s.guest_id = a.guest_id"
            " where a.network_id = $1 and a.kind = 'guest' and a.store_id is null and a.unit = $3"
            " and s.merged_into is null and a.guest_id = any($2::uuid[])"
            " order by a.id for no key update skip locked",
            network,
            list(guests),
            repository.UNIT,
        )
        accounts = await repository.see_guests(connection, network, [row.guest_id for row in free]) if free else {}
        return cls(connection, network, now, accounts)

    def holdings(self, guest: UUID) -> Holdings:
        """Return a locked guest's lots and debt."""
        return self.accounts[guest].holdings

    async def unposted(self, names: Iterable[str]) -> set[str]:
        """Return which of these have no transaction yet. Ask after locking: then nobody else posts them meanwhile."""
        ids = {derived_id(self.network, name): name for name in names}
        known = await repository.known_ids(self.connection, self.network, ids)
        return {name for tx, name in ids.items() if tx not in known}

    def expire(self, guest: UUID, lot: Lot, name: str) -> None:
        """Move what is left of a dead lot to breakage."""
        self._expired.append(lot.id)
        self._take(guest, lot, name, "expire", AccountKey(AccountKind.BREAKAGE), {"lot": str(lot.id)})

    def credit(
        self,
        guest: UUID,
        name: str,
        kind: str,
        amount: int,
        other: AccountKey,
        facts: Mapping[str, Json],
        *,
        expires_at: datetime | None = None,
        own_expiry: bool = False,
        reverses: UUID | None = None,
        earned_at: datetime | None = None,
    ) -> UUID:
        """Give `amount` > 0 points at the cost of `other`; what the guest owes is repaid first. Returns the id.

        `own_expiry`: the end is not the program's, so no check lengthens this life. `reverses`: the transaction that
        had taken these points, `earned_at` when they first came.
        """
        tx = derived_id(self.network, name)
        ends = None if expires_at is None else to_ms(expires_at)
        came = to_ms(self.now if earned_at is None else earned_at)
        lot = self.holdings(guest).credit(tx, _GUEST_LEG, amount, came, ends, own_expiry=own_expiry)
        self._add(name, kind, guest, amount, other, facts, lot=lot.id, reverses=reverses)
        return tx

    def debit(
        self, guest: UUID, name: str, kind: str, amount: int, other: AccountKey, facts: Mapping[str, Json]
    ) -> tuple[UUID, int]:
        """Take `amount` > 0 points, and return the id and how many of them nothing covered."""
        tx = derived_id(self.network, name)
        owed = self.holdings(guest).debit(tx, amount, to_ms(self.now))
        self._add(name, kind, guest, -amount, other, facts)
        return tx, owed

    def approve(self, guest: UUID, lot: Lot) -> None:
        """Let a held lot be spent; what the guest owes is repaid from it first."""
        held = self.holdings(guest)
        held.waiting.remove(lot)
        held.lots.append(lot)
        lot.held = False
        repaid = min(held.debt, lot.remaining)
        if repaid:
            held.debt -= repaid
            lot.remaining -= repaid
            held.used.append(LotUse(lot.tx_id, lot.id, repaid))
        held.touched[lot.id] = lot
        self._approved.append(lot.id)

    def deny(self, guest: UUID, lot: Lot, facts: Mapping[str, Json]) -> UUID:
        """Take a held lot back from the guest, and return the id of the transaction."""
        return self._take(guest, lot, f"deny:{lot.id}", "adjust", AccountKey(AccountKind.PROMO_COST), facts)

    def merge(self, guest: UUID, into: UUID) -> None:
        """Move all lots, each with its own life, or what is owed, from one guest to another."""
        other, held = AccountKey(AccountKind.GUEST, into), self.holdings(guest)
        old, new = self.accounts[guest].state, self.accounts[into].state
        new.spend, new.visits, new.earned = new.spend + old.spend, new.visits + old.visits, new.earned + old.earned
        new.first_visit = min(filter(None, (old.first_visit, new.first_visit)), default=None)
        old.spend = old.visits = old.earned = 0
        facts: dict[str, Json] = {"into": str(into)}
        self.holdings(into).join(held)
        for lot in [one for one in (*held.lots, *held.waiting) if one.remaining]:
            amount, own = lot.remaining, lot.own_expiry
            tx = self._take(guest, lot, f"merge:{guest}:{lot.id}", "merge", other, facts)
            if lot.held:
                self.holdings(into).hold(tx, _OTHER_LEG, amount, lot.earned_at, lot.expires_at, own_expiry=own)
            else:
                self.holdings(into).credit(
                    tx, _OTHER_LEG, amount, lot.earned_at, lot.expires_at, lot.usable_at, own_expiry=own
                )
        if held.debt:
            name, owed = f"merge:{guest}:debt", held.debt
            tx = derived_id(self.network, name)
            made = held.credit(tx, _GUEST_LEG, owed, to_ms(self.now), None)
            self.holdings(into).debit(tx, owed, to_ms(self.now))
            self._add(name, "merge", guest, owed, other, facts, lot=made.id)

    async def write(self, render: Render, *, more: Sequence[feed.Change] = (), shown: Iterable[UUID] = ()) -> int:
        """Write everything and return how many entries were posted.

        `shown` are locked guests whose figures are brought up to the moment although nothing of theirs moved; `more`
        are further rows of the feed. The last call before the commit.
        """
        connection, network = self.connection, self.network
        touched = {one.guest for one in self._made} | set(shown)
        touched |= {one.other.owner for one in self._made if one.other.kind is AccountKind.GUEST and one.other.owner}
        accounts = [self.accounts[guest] for guest in sorted(touched, key=lambda one: self.accounts[one].account_id)]
        if not accounts and not more:
            return 0
        moved: dict[AccountKey, int] = {}
        for one in self._made:
            own = AccountKey(AccountKind.GUEST, one.guest)
            moved[own] = moved.get(own, 0) + one.amount
            moved[one.other] = moved.get(one.other, 0) - one.amount
        ids = await repository.system_accounts(
            connection, network, [key for key in moved if key.kind is not AccountKind.GUEST]
        )
        if self._made:
            await self._insert(ids)
        if self._approved:
            await write(
                connection,
                "update lot set state = 'open' where network_id = $1 and id = any($2::uuid[]) and state = 'held'",
                network,
                self._approved,
            )
        changed = [GuestChange.of(one, moved, self.now) for one in accounts]
        await moves.store_moves(connection, network, (), {}, changed, self.now)
        if self._expired:
            await write(
                connection,
                "update lot set state = 'expired' where network_id = $1 and id = any($2::uuid[])",
                network,
                self._expired,
            )
        changes = [*await render(connection, network, [one.guest for one in accounts]), *more]
        systems = {ids[key]: amount for key, amount in moved.items() if key in ids}
        if systems:
            await moves.move_system_accounts(connection, network, systems)
        await feed.record(connection, network, changes)
        return len(self._made)

    def _take(self, guest: UUID, lot: Lot, name: str, kind: str, other: AccountKey, facts: Mapping[str, Json]) -> UUID:
        """Take all that is left of one lot, and return the id of the transaction."""
        amount, tx = lot.remaining, derived_id(self.network, name)
        self.holdings(guest).expire(tx, lot)
        self._add(name, kind, guest, -amount, other, facts, lot=lot.id)
        return tx

    def _add(
        self,
        name: str,
        kind: str,
        guest: UUID,
        amount: int,
        other: AccountKey,
        facts: Mapping[str, Json],
        *,
        lot: UUID | None = None,
        reverses: UUID | None = None,
    ) -> None:
        payload = canonical.encode({"kind": kind, "name": name, "guest_id": str(guest), "points": amount, **facts})
        store = None if other.kind is AccountKind.GUEST else other.owner
        tx = derived_id(self.network, name)
        self._made.append(_Own(tx, name, kind, guest, amount, other, payload, lot, store, reverses))

    async def _insert(self, ids: Mapping[AccountKey, int]) -> None:
        connection, network, made = self.connection, self.network, self._made
        await write(
            connection,
            "insert into ledger_tx (network_id, id, kind, origin, payload, payload_hash, occurred_at, effective_at,"
            " recorded_at, guest_id, store_id, natural_key, reverses_id)"
            " select $1, id, kind, 'server', payload, hash, $2, $3, $3, guest, store, name, reverses"
            " from unnest($4::uuid[], $5::text[], $6::bytea[], $7::bytea[], $8::uuid[], $9::uuid[], $10::text[],"
            " $11::uuid[]) as t (id, kind, payload, hash, guest, store, name, reverses)",
            network,
            to_ms(self.now),
            self.now,
            [one.id for one in made],
            [one.kind for one in made],
            [one.payload for one in made],
            [sha256(one.payload).digest() for one in made],
            [one.guest for one in made],
            [one.store for one in made],
            [one.name for one in made],
            [one.reverses for one in made],
        )
        made_here = {
            (account.guest, lot.tx_id): lot.id for account in self.accounts.values() for lot in account.holdings.made
        }
        ids = {**ids, **{AccountKey(AccountKind.GUEST, guest): one.account_id for guest, one in self.accounts.items()}}
        rows = [(one.id, _GUEST_LEG, self.accounts[one.guest].account_id, one.amount, one.lot) for one in made]
        rows += [
            (one.id, _OTHER_LEG, ids[one.other], -one.amount, made_here.get((one.other.owner, one.id)))  # type: ignore[arg-type]
            for one in made
        ]
        await write(
            connection,
            "insert into entry (network_id, tx_id, leg, account_id, amount, lot_id)"
            " select $1, * from unnest($2::uuid[], $3::smallint[], $4::bigint[], $5::bigint[], $6::uuid[])",
            network,
            *(list(column) for column in zip(*rows, strict=True)),
        )
