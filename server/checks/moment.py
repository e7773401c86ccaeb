"""What one transaction knows of stores and guests when it prices checks, each of them read once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from uuid import UUID

import msgspec

from loyalty_desk.domain.canonical import Json
from loyalty_desk.domain.errors import Refused
from loyalty_desk.domain.guest import GuestFacts
from loyalty_desk.domain.guest_code import CodeKind
from loyalty_desk.domain.uses import PROGRAM, counted, left_of
from loyalty_desk.wire.v1 import rows
from loyalty_desk.wire.v1.guest_facts import facts_of
from loyalty_desk.wire.v1.sync import FeedTable
from server.checks.pricing import Priced, code_limit, price
from server.checks.schemas import QuoteRequest
from server.guests import service as guests
from server.guests.proof import Proved
from server.holds import service as holds
from server.holds.plain import spent_today
from server.kit.crypto import Vault
from server.ledger import counting
from server.ledger.counting import Used
from server.ledger.lease_store import leased_out
from server.ledger.online import OnlinePosting, Taken
from server.networks.service import StoreLimits
from server.systems.service import Asker


@dataclass(slots=True)
class Moment:
    """Made by `of` for a transaction and thrown away with it; checks that are added change what the next one finds."""

    posting: OnlinePosting
    counters: Used
    _pending: Mapping[UUID, int]
    _guests: Mapping[str, Mapping[str, Json]]
    _stores: Mapping[UUID, StoreLimits]
    _spent: dict[str, Mapping[int, int]] = field(default_factory=dict)

    @classmethod
    async def of(
        cls, posting: OnlinePosting, vault: Vault, stores: Mapping[UUID, StoreLimits], *, alone: bool
    ) -> Moment:
        """Read what is known of a posting's guests; `stores` are those that its checks name, as far as there are such.

        `alone` waits until nobody else gives what is left of limited rules, and keeps it so: nobody leases it to a
        till, or gives it at another worker, before the transaction ends.
        """
        connection, network, now, limited = posting.connection, posting.network, posting.now, posting.program.limits
        numbers = {guest: account.account_id for guest, account in posting.accounts.items()}
        held = await holds.held_all(connection, network, numbers.values(), now) if numbers else {}
        keys = [str(guest) for guest in numbers]
        known = await guests.feed_rows(connection, network, vault, FeedTable.GUEST, keys)
        if alone and limited:
            await counting.lock(connection, network)
        counters = await counting.used_by(connection, network, numbers)
        if limited:
            # What tills have leased they may still give.
            mine = counters.by_owner.setdefault(PROGRAM, {})
            for key, count in (await leased_out(connection, network, now)).items():
                mine[key] = mine.get(key, 0) + count
        return cls(posting, counters, {guest: held[number] for guest, number in numbers.items()}, known, stores)

    async def price(self, asker: Asker, asked: QuoteRequest, proved: Proved | None) -> Priced:
        """Return what a check costs now, its guest as the checks added before have left them.

        Raises `ForPerson`, and `Taken` where the guest is not among those that were read.
        """
        posting = self.posting
        facts: GuestFacts | None = None
        limit: int | None = None
        named = asker.store_for(asked.store)
        if named not in self._stores:
            raise Refused("store_unknown", store=str(named))
        store = self._stores[named]
        if proved is not None and proved.guest is not None:
            if proved.guest not in posting.accounts:
                raise Taken
            facts = self._facts(proved.guest)
            limit = await self._limit(proved, proved.guest, store)
        quotas = left_of(posting.program, self.counters.of(PROGRAM))
        return price(asked, store, facts, posting.program, posting.now, limit, quotas)

    def available(self, guest: UUID) -> int:
        """Return what a guest can spend: checks added here and what is held for others are taken off."""
        return self.posting.available(guest) - self._pending[guest]

    def count(self, priced: Priced) -> None:
        """Count the uses of limited rules, so that the next check finds them counted."""
        self.counters.add(counted(self.posting.program, priced.quote, priced.guest, priced.basket.zone))

    def _facts(self, guest: UUID) -> GuestFacts:
        state = self.posting.state(guest)
        row = msgspec.structs.replace(
            rows.read(rows.GuestRow, self._guests.get(str(guest), {})),
            tier=state.tier,
            spend=state.spend,
            visits=state.visits,
            first_visit=state.first_visit,
        )
        uses = dict(self.counters.of(str(guest)))
        available, program = max(0, self.available(guest)), self.posting.program
        return facts_of(guest, row, available, uses, self.posting.now, program.segmentation)

    async def _limit(self, proved: Proved, guest: UUID, store: StoreLimits) -> int:
        """Return how many points may be redeemed now; without a short code the whole day has one bound."""
        limit = code_limit(proved, store.profile)
        if not limit or proved.kind is CodeKind.SHORT:
            return limit
        posting = self.posting
        spent = (await self._spent_today(store.zone))[posting.accounts[guest].account_id]
        return min(limit, max(0, store.profile.confirm_points - spent - posting.redeemed(guest)))

    async def _spent_today(self, zone: str) -> Mapping[int, int]:
        """Return what each account had spent before these checks, by the days of a zone."""
        if zone not in self._spent:
            posting = self.posting
            numbers = [account.account_id for account in posting.accounts.values()]
            self._spent[zone] = await spent_today(posting.connection, posting.network, numbers, zone, posting.now)
        return self._spent[zone]
