"""Committing checks of other systems in groups: what is waiting within two milliseconds shares one transaction.

A commit costs a disk its flush; 500 of them in one cost the same. Each caller is answered after the commit that holds
its check. One that cannot be stored is found by halving and refused alone, and a caller who hangs up changes nothing:
its check is posted all the same and answered when it asks again.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty_desk.domain.canonical import Json, bytes_to_text
from loyalty_desk.domain.check import check_to_payload
from loyalty_desk.domain.clock import Clock, to_ms
from loyalty_desk.domain.errors import ForPerson, Refused
from loyalty_desk.domain.guest import GuestFacts
from loyalty_desk.domain.guest_code import CodeKind
from loyalty_desk.domain.program import Program
from loyalty_desk.domain.record import ClockConfidence, Credential, Record, RecordKind, TooLarge, Totals
from loyalty_desk.domain.uses import PROGRAM, counted, left_of
from loyalty_desk.wire.v1 import rows
from loyalty_desk.wire.v1.errors import ErrorCode
from loyalty_desk.wire.v1.sync import FeedTable
from server.checks.pricing import Priced, code_limit, facts_of, price, told, told_again
from server.checks.schemas import CommitAnswer, CommitRequest, QuoteAnswer, QuoteRequest
from server.checks.stores import Stores
from server.guests import service as guests
from server.guests.proof import Proved, prove, remember
from server.holds import service as holds
from server.kit.db import Database
from server.kit.errors import ApiError, is_outage, outage, sqlstate
from server.ledger import counting
from server.ledger.counting import Used
from server.ledger.leases import leased_out
from server.ledger.online import OnlinePosting, Taken, stored
from server.ledger.store import Tools
from server.ledger.taking_up import take_up, turn
from server.networks.service import StoreLimits
from server.systems.service import Asker

_LOG = logging.getLogger(__name__)
GATHER_S = 0.002
MOST_AT_ONCE = 500
MOST_WAITING = 5_000
_TRIES = 4
# Data that cannot be stored: out of range, or against a constraint.
_POISON_CLASSES = frozenset({"22", "23"})
_NOWHERE = UUID(int=0)
_REQUEST = "request"
# Guests by their keys as tills get them.
type GuestRows = Mapping[str, Mapping[str, Json]]


@dataclass(slots=True)
class _Waiting:
    asker: Asker
    asked: CommitRequest
    digest: bytes
    answer: asyncio.Future[CommitAnswer]


@dataclass(slots=True)
class _Queue:
    waiting: deque[_Waiting] = field(default_factory=deque)
    worker: asyncio.Task[None] | None = None


class CheckDesk:
    """Prices and commits checks of other systems; one a process."""

    def __init__(self, db: Database, tools: Tools, clock: Clock) -> None:
        self._db = db
        self._tools = tools
        self._clock = clock
        self._queues: dict[UUID, _Queue] = {}

    async def quote(self, asker: Asker, asked: QuoteRequest) -> QuoteAnswer:
        """Return what a check costs now; nothing is kept. Raises `ForPerson`."""
        now = self._clock.now()
        async with self._db.begin(asker.network) as connection:
            program = await self._program(connection, asker.network)
            proved = await self._proved(connection, asker, asked, now)
            stores = Stores(connection, asker.network)
            guest = None if proved is None else proved.guest
            counters = await self._counters(connection, asker.network, [] if guest is None else [guest], program, now)
            if proved is None or guest is None:
                store = await stores.of(asker.store_for(asked.store))
                return QuoteAnswer(told(_price(asked, store, None, program, now, None, counters).quote))
            posting = await OnlinePosting.look(connection, asker.network, self._tools, guest, program, now)
            available = posting.available(guest) - await holds.held(
                connection, asker.network, posting.accounts[guest].account_id, now
            )
            found = await self._guest_rows(connection, asker.network, [guest])
            facts = _facts(found, guest, max(0, available), now, counters)
            store = await stores.of(asker.store_for(asked.store))
            limit = await self._limit(proved, posting, guest, store)
            priced = _price(asked, store, facts, program, now, limit, counters)
            return QuoteAnswer(told(priced.quote), guest, available, priced.quote.redemption.max_points)

    async def commit(self, asker: Asker, asked: CommitRequest) -> CommitAnswer:
        """Post a check once and return what it came to, after the commit.

        Raises `ApiError` 409 for an id that is another check's or another price, 429 where too many wait; `ForPerson`.
        """
        queue = self._queues.setdefault(asker.network, _Queue())
        if len(queue.waiting) >= MOST_WAITING:
            text = "Too many checks wait to be stored. Try again in a moment."
            raise ApiError(429, ErrorCode.TOO_MANY, text, retry_after_s=2)
        answer: asyncio.Future[CommitAnswer] = asyncio.get_running_loop().create_future()
        queue.waiting.append(_Waiting(asker, asked, _digest(asked), answer))
        if queue.worker is None:
            queue.worker = asyncio.create_task(self._work(asker.network, queue))
        return await asyncio.shield(answer)

    async def close(self) -> None:
        """Store what waits; nobody may be left without an answer."""
        await asyncio.gather(*(one.worker for one in self._queues.values() if one.worker), return_exceptions=True)

    async def _work(self, network: UUID, queue: _Queue) -> None:
        try:
            while queue.waiting:
                if len(queue.waiting) < MOST_AT_ONCE:
                    await asyncio.sleep(GATHER_S)
                taken = [queue.waiting.popleft() for _ in range(min(len(queue.waiting), MOST_AT_ONCE))]
                await self._settle(network, taken)
        finally:
            queue.worker = None

    async def _settle(self, network: UUID, group: Sequence[_Waiting]) -> None:
        """Answer every one of a group: together if they can be stored together, else by halves."""
        error: Exception | None = None
        for _ in range(_TRIES):
            try:
                answers = await self._post(network, group)
            except Exception as failed:  # noqa: BLE001 - whoever waits is told, whatever it is
                error = failed
                if isinstance(failed, Taken) or (sqlstate(failed) or "").startswith("40"):
                    continue
                break
            for one, said in zip(group, answers, strict=True):
                _tell(one, said)
            return
        assert error is not None  # noqa: S101 - the loop ends by an answer or an error
        if is_outage(error) or isinstance(error, Taken):
            for one in group:
                _tell(one, outage())
        elif len(group) == 1:
            _LOG.error("a check cannot be stored: %s %s", type(error).__name__, sqlstate(error) or "")
            _tell(group[0], _unfit() if (sqlstate(error) or "")[:2] in _POISON_CLASSES else error)
        else:
            middle = len(group) // 2
            await self._settle(network, group[:middle])
            await self._settle(network, group[middle:])

    async def _post(self, network: UUID, group: Sequence[_Waiting]) -> list[CommitAnswer | Exception]:
        now = self._clock.now()
        async with self._db.begin(network) as connection:
            # A return of one of these checks, on its way in, is seen or sees it.
            await turn(connection, network, alone=False)
            known = await stored(connection, network, [one.asked.id for one in group])
            seen: dict[UUID, tuple[bytes, CommitAnswer | Exception]] = {}
            program = await self._program_or_none(connection, network)
            proofs: list[Proved | Exception | None] = []
            for one in group:
                try:
                    proofs.append(
                        None if one.asked.id in known else await self._proved(connection, one.asker, one.asked, now)
                    )
                except ForPerson as error:
                    proofs.append(error)
            wanted = {one.guest for one in proofs if isinstance(one, Proved) and one.guest is not None}
            if program is None:
                return [Refused("program_missing") for _ in group]
            stores = {one.asker.store or one.asked.store for one in group} - {None}
            posting = await OnlinePosting.lock(connection, network, self._tools, wanted, program, stores, now)
            numbers = {guest: account.account_id for guest, account in posting.accounts.items()}
            pending = await holds.held_all(connection, network, numbers.values(), now) if numbers else {}
            held = {guest: pending[number] for guest, number in numbers.items()}
            found = await self._guest_rows(connection, network, posting.accounts)
            stores_here = Stores(connection, network)
            if program.limits:
                # What is left is given once: nobody leases it to a till, or gives it at another worker, meanwhile.
                await counting.lock(connection, network)
            counters = await self._counters(connection, network, wanted, program, now)
            answers: list[CommitAnswer | Exception] = []
            has_new = False
            used: list[int] = []
            for one, proved in zip(group, proofs, strict=True):
                said: CommitAnswer | Exception
                if one.asked.id in known:
                    said = _again(one, known[one.asked.id].payload)
                elif one.asked.id in seen:
                    digest, before = seen[one.asked.id]
                    said = before if digest == one.digest else _other_check()
                    if isinstance(said, CommitAnswer):
                        said = msgspec.structs.replace(said, duplicate=True)
                elif isinstance(proved, Exception):
                    said = proved
                else:
                    try:
                        said = await self._one(
                            connection, posting, held, one, proved, program, now, used, counters, found, stores_here
                        )
                        seen[one.asked.id] = (one.digest, said)
                        has_new = True
                    except (ForPerson, ApiError) as error:
                        said = error
                answers.append(said)
            if has_new:
                more = await guests.changes(connection, network, self._tools.vault, [], used)
                more += await counting.move(connection, network, counters.moved)
                await posting.write(more)
                await take_up(connection, network, self._tools, now, list(seen))
        return answers

    async def _one(
        self,
        connection: AsyncConnection,
        posting: OnlinePosting,
        held: dict[UUID, int],
        one: _Waiting,
        proved: Proved | None,
        program: Program,
        now: datetime,
        used: list[int],
        counters: Used,
        found: GuestRows,
        stores: Stores,
    ) -> CommitAnswer:
        """Price one check and plan its posting; raises before anything of it is planned."""
        asker, asked = one.asker, one.asked
        guest = None if proved is None else proved.guest
        facts: GuestFacts | None = None
        limit: int | None = None
        store = await stores.of(asker.store_for(asked.store))
        if guest is not None and proved is not None:
            if guest not in posting.accounts:
                raise Taken
            points = max(0, posting.available(guest) - held[guest])
            facts = _facts(found, guest, points, now, counters, posting)
            limit = await self._limit(proved, posting, guest, store)
        priced = _price(asked, store, facts, program, now, limit, counters)
        if asked.total is not None and asked.total != priced.quote.total:
            text = f"The check costs {priced.quote.total} now, not {asked.total}. Ask for its price again."
            raise ApiError(409, ErrorCode.PRICE_CHANGED, text)
        record = self._record(asker, one, priced, facts, guest, proved, now)
        try:
            record.to_payload()
        except TooLarge as error:
            text = "The check has too many lines to be stored. Commit it in parts."
            raise ApiError(413, ErrorCode.TOO_LARGE, text) from error
        if priced.quote.redeemed_points and proved is not None:
            fresh = await holds.is_unspent(connection, asker.network, proved)
            if not fresh or not await remember(connection, asker.network, proved, asker.id, now):
                raise Refused("code_used")
            if proved.step is not None:
                used.append(int.from_bytes(proved.handle, "big"))
        posting.add(record, guest)
        counters.add(counted(program, priced.quote, guest, priced.basket.zone))
        available = None if guest is None else posting.available(guest) - held[guest]
        return CommitAnswer(asked.id, duplicate=False, check=told(priced.quote), guest=guest, available=available)

    def _record(
        self,
        asker: Asker,
        one: _Waiting,
        priced: Priced,
        facts: GuestFacts | None,
        guest: UUID | None,
        proved: Proved | None,
        now: datetime,
    ) -> Record:
        check = check_to_payload(priced.basket, facts, priced.choices, priced.quote)
        check[_REQUEST] = bytes_to_text(one.digest)
        handle = int.from_bytes(proved.handle, "big") if proved is not None and proved.handle else None
        return Record(
            network=asker.network,
            id=one.asked.id,
            device=asker.id,
            epoch=0,
            seq=1,
            kind=RecordKind.SALE,
            store=asker.store_for(one.asked.store),
            occurred_at=to_ms(now),
            boot_id=_NOWHERE,
            monotonic_ms=0,
            clock_conf=ClockConfidence.GOOD,
            business_day=now.astimezone(priced.basket.zone).date().isoformat(),
            totals=Totals(),
            guest_id=guest,
            points_earned=priced.quote.earned_points,
            points_redeemed=priced.quote.redeemed_points,
            cashier=one.asked.cashier or None,
            receipt_no=one.asked.receipt or None,
            check=check,
            credential=None if proved is None or guest is None else Credential(CodeKind(proved.kind), handle),
            money_total=priced.quote.total,
        )

    async def _proved(
        self, connection: AsyncConnection, asker: Asker, asked: QuoteRequest, now: datetime
    ) -> Proved | None:
        if not asked.guest:
            return None
        proved = await prove(connection, asker.network, self._tools.vault, asked.guest, now, asker.id)
        if proved.guest is None:
            raise Refused("guest_unknown")
        return proved

    async def _limit(self, proved: Proved, posting: OnlinePosting, guest: UUID, store: StoreLimits) -> int:
        """Return how many points may be redeemed now; without a short code the whole day has one bound."""
        limit = code_limit(proved, store.profile)
        if not limit or proved.kind is CodeKind.SHORT:
            return limit
        account = posting.accounts[guest].account_id
        spent = await holds.spent_today(posting.connection, posting.network, account, store.zone, posting.now)
        return min(limit, max(0, store.profile.confirm_points - spent - posting.redeemed(guest)))

    async def _guest_rows(self, connection: AsyncConnection, network: UUID, ids: Iterable[UUID]) -> GuestRows:
        """Return guests by their keys as tills get them."""
        return await guests.feed_rows(
            connection, network, self._tools.vault, FeedTable.GUEST, [str(one) for one in ids]
        )

    async def _counters(
        self, connection: AsyncConnection, network: UUID, guests: Iterable[UUID], program: Program, now: datetime
    ) -> Used:
        """Return what guests have used, and the program with what tills have leased and may still give."""
        counters = await counting.used_by(connection, network, guests)
        if program.limits:
            mine = counters.by_owner.setdefault(PROGRAM, {})
            for key, count in (await leased_out(connection, network, now)).items():
                mine[key] = mine.get(key, 0) + count
        return counters

    async def _program(self, connection: AsyncConnection, network: UUID) -> Program:
        found = await self._program_or_none(connection, network)
        if found is None:
            raise Refused("program_missing")
        return found

    async def _program_or_none(self, connection: AsyncConnection, network: UUID) -> Program | None:
        return await self._tools.program_of(connection, network, None)


def _price(
    asked: QuoteRequest,
    store: StoreLimits,
    facts: GuestFacts | None,
    program: Program,
    now: datetime,
    limit: int | None,
    counters: Used,
) -> Priced:
    return price(asked, store.store, store.zone, facts, program, now, limit, left_of(program, counters.of(PROGRAM)))


def _facts(
    found: GuestRows, guest: UUID, points: int, now: datetime, counters: Used, posting: OnlinePosting | None = None
) -> GuestFacts:
    """Return a guest as the kernel sees them; what checks of this `posting` have changed of them counts."""
    row = rows.read(rows.GuestRow, found.get(str(guest), {}))
    if posting is not None:
        state = posting.state(guest)
        row = msgspec.structs.replace(
            row, tier=state.tier, spend=state.spend, visits=state.visits, first_visit=state.first_visit
        )
    return facts_of(guest, row, points, dict(counters.of(str(guest))), now)


def _digest(asked: CommitRequest) -> bytes:
    return sha256(msgspec.json.encode(asked, order="sorted")).digest()


def _again(one: _Waiting, payload: bytes | None) -> CommitAnswer | Exception:
    """Return what was answered before, or why this id cannot be used."""
    if payload is None:
        return _other_check()
    record = Record.from_payload(payload)
    check = record.check or {}
    if check.get(_REQUEST) != bytes_to_text(one.digest):
        return _other_check()
    return CommitAnswer(one.asked.id, duplicate=True, check=told_again(check), guest=record.guest_id)


def _other_check() -> ApiError:
    return ApiError(409, ErrorCode.ID_REUSE, "Another check was committed under this id. Give each check its own.")


def _unfit() -> ApiError:
    return ApiError(422, ErrorCode.REFUSED, "This check cannot be stored: a figure or a text in it is out of bounds.")


def _tell(one: _Waiting, said: CommitAnswer | Exception) -> None:
    if one.answer.done():
        return
    if isinstance(said, CommitAnswer):
        one.answer.set_result(said)
        return
    one.answer.set_exception(said)
    # Whoever hung up asks for no exception; it is not one that nobody looked at.
    one.answer.exception()
