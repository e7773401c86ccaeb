"""Committing paid checks: many in one transaction, each priced as the one before it has left things."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from loyalty_desk.domain.errors import BadInput, ForPerson, Refused
from loyalty_desk.domain.record import TooLarge
from loyalty_desk.wire.v1.errors import ErrorCode
from server.checks.moment import Moment
from server.checks.pricing import Priced, told
from server.checks.record import Paid, answered_before, record_of
from server.checks.schemas import CommitAnswer, QuoteRequest
from server.guests import service as guests
from server.guests.proof import Proved, prove_all, remember
from server.holds import service as holds
from server.kit.db import Connection
from server.kit.errors import ApiError
from server.ledger import counting
from server.ledger.online import OnlinePosting, Stored, stored
from server.ledger.store import Tools
from server.ledger.taking_up import take_up, turn
from server.networks import service as networks
from server.networks.service import StoreLimits
from server.systems.service import Asker

type Said = CommitAnswer | Exception
# A millisecond each, in which nobody else is answered.
_AT_A_STRETCH = 16


async def commit(
    connection: Connection, network: UUID, tools: Tools, group: Sequence[Paid], now: datetime
) -> list[Said]:
    """Post checks in the caller's transaction and return what each came to, an error for one that is refused.

    Raises `Taken` where another transaction came between, and the database's error where one cannot be stored: nothing
    of the group may be kept then.
    """
    # A return of one of these checks, on its way in, is seen or sees it.
    await turn(connection, network, alone=False)
    program = await tools.program_of(connection, network, None)
    if program is None:
        return [Refused("program_missing") for _ in group]
    known = await stored(connection, network, [one.asked.id for one in group])
    new = [(one.asker, one.asked) for one in group if one.asked.id not in known]
    shown = await shown_by(connection, network, tools, new, now)
    wanted = {one.guest for one in shown if isinstance(one, Proved) and one.guest is not None}
    stores = await limits_of(connection, network, [(one.asker, one.asked) for one in group])
    granted = {store: one.profile.granted_points for store, one in stores.items()}
    posting = await OnlinePosting.lock(connection, network, tools, wanted, program, granted, now)
    sitting = _Sitting(await Moment.of(posting, tools.vault, stores, alone=True), known)
    proofs = iter(shown)
    answers: list[Said] = []
    for one in group:
        if len(answers) % _AT_A_STRETCH == _AT_A_STRETCH - 1:
            await asyncio.sleep(0)
        answers.append(await sitting.answer(one, None if one.asked.id in known else next(proofs)))
    await sitting.write(tools)
    return answers


async def shown_by(
    connection: Connection, network: UUID, tools: Tools, asked: Sequence[tuple[Asker, QuoteRequest]], now: datetime
) -> list[Proved | ForPerson | None]:
    """Return whom the guests' codes of checks name, None where none was shown, why not where one names nobody."""
    codes = [(one.guest, asker.id) for asker, one in asked if one.guest]
    found = iter(await prove_all(connection, network, tools.vault, codes, now))
    return [_named(next(found)) if one.guest else None for _, one in asked]


async def limits_of(
    connection: Connection, network: UUID, asked: Iterable[tuple[Asker, QuoteRequest]]
) -> dict[UUID, StoreLimits]:
    """Return what holds in the stores of checks; who names a store that there is not is refused when it is priced."""
    named = {asker.store or one.store for asker, one in asked}
    return await networks.limits_of(connection, network, [store for store in named if store is not None])


def _named(proved: Proved | BadInput) -> Proved | ForPerson:
    return Refused("guest_unknown") if isinstance(proved, Proved) and proved.guest is None else proved


class _Sitting:
    """The checks of one transaction, answered one after another and then written together."""

    def __init__(self, moment: Moment, known: Mapping[UUID, Stored]) -> None:
        self._moment = moment
        self._posting = moment.posting
        self._known = known
        self._added: dict[UUID, tuple[bytes, CommitAnswer]] = {}
        self._handles: list[int] = []

    async def answer(self, paid: Paid, proved: Proved | Exception | None) -> Said:
        """Return what a check comes to. One that is refused leaves nothing planned."""
        id_ = paid.asked.id
        if id_ in self._known:
            payload = self._known[id_].payload
            return (None if payload is None else answered_before(paid, payload)) or _other_check()
        if id_ in self._added:
            digest, said = self._added[id_]
            return msgspec.structs.replace(said, duplicate=True) if digest == paid.digest else _other_check()
        if isinstance(proved, Exception):
            return proved
        try:
            said = await self._add(paid, proved)
        except (ForPerson, ApiError) as error:
            return error
        self._added[id_] = (paid.digest, said)
        return said

    async def write(self, tools: Tools) -> None:
        """Write what was added, tell the feed, and take up what waited for it."""
        if not self._added:
            return
        connection, network = self._posting.connection, self._posting.network
        more = await guests.changes(connection, network, tools.vault, [], self._handles)
        more += await counting.move(connection, network, self._moment.counters.moved)
        await self._posting.write(more)
        await take_up(connection, network, tools, self._posting.now, list(self._added))

    async def _add(self, paid: Paid, proved: Proved | None) -> CommitAnswer:
        """Price a check and plan its posting; raises before anything of it is planned."""
        asked, posting = paid.asked, self._posting
        priced = await self._moment.price(paid.asker, asked, proved)
        if asked.total is not None and asked.total != priced.quote.total:
            text = f"The check costs {priced.quote.total} now, not {asked.total}. Ask for its price again."
            raise ApiError(409, ErrorCode.PRICE_CHANGED, text)
        record = record_of(paid, priced, proved, posting.now)
        try:
            payload = record.to_payload()
        except TooLarge as error:
            text = "The check has too many lines to be stored. Commit it in parts."
            raise ApiError(413, ErrorCode.TOO_LARGE, text) from error
        if proved is not None:
            await self._spend(paid.asker, priced, proved)
        posting.add(record, payload, priced.guest)
        self._moment.count(priced)
        available = None if priced.guest is None else self._moment.available(priced.guest)
        return CommitAnswer(
            asked.id, duplicate=False, check=told(priced.quote), guest=priced.guest, available=available
        )

    async def _spend(self, asker: Asker, priced: Priced, proved: Proved) -> None:
        """Use a code up, where points are taken with it."""
        if not priced.quote.redeemed_points:
            return
        connection, network, now = self._posting.connection, self._posting.network, self._posting.now
        fresh = await holds.is_unspent(connection, network, proved)
        if not fresh or not await remember(connection, network, proved, asker.id, now):
            raise Refused("code_used")
        if proved.step is not None:
            self._handles.append(int.from_bytes(proved.handle, "big"))


def _other_check() -> ApiError:
    return ApiError(409, ErrorCode.ID_REUSE, "Another check was committed under this id. Give each check its own.")
