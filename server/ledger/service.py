"""Posting pushes: who may, how many at once, what is tried again and what is set aside."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from loyalty_desk.domain.clock import Clock
from loyalty_desk.wire.v1.errors import ErrorCode
from loyalty_desk.wire.v1.sync import Hole, PushAnswer, PushRequest, QuarantineReason
from server.kit.errors import ApiError, is_conflict, is_outage, is_unfit, outage, sqlstate
from server.ledger.batch import Batch, Done, Raced
from server.ledger.intake import BadPush, ForgedPush, Incoming, read_part, require_whole
from server.ledger.late import Reinstate
from server.ledger.store import Begin

_LOG = logging.getLogger(__name__)
_PUSHES_AT_ONCE = 2
_TURN_TIMEOUT_S = 10.0
_READ_AT_ONCE = 25
_TRANSIENT_TRIES = 4
_ALIKE = 2


class Ledger:
    """Posts what tills push; one a process. `on_queued` is called after a commit that left sales to price again."""

    def __init__(self, begin: Begin, clock: Clock, on_queued: Callable[[], None] = lambda: None) -> None:
        self._begin = begin
        self._clock = clock
        self._on_queued = on_queued
        self._turns: dict[UUID, asyncio.Semaphore] = {}

    async def push(self, push: PushRequest, device_key: Ed25519PublicKey) -> PushAnswer:
        """Post a push and return what became of each record, after the commit.

        Raises `ApiError`: 400 for a push that contradicts itself, 403 forged, 409 GAP, STALE_INCARNATION and FORK (the
        last with everything stored), 429 where too many wait, 503 where nothing can be stored.
        """
        done = await self._done(push, device_key, None)
        if done.forked:
            text = "This till's journal has forked. Everything is stored; begin a new epoch."
            raise ApiError(409, ErrorCode.FORK, text, epoch=push.epoch, feed_seq=done.feed_seq)
        return PushAnswer(push.incarnation, done.results, done.feed_seq)

    async def salvage(self, push: PushRequest, device_key: Ed25519PublicKey, bringer: UUID) -> PushAnswer:
        """As `push`, of records that the till `bringer` brings: each is flagged, and a fork is nothing to act upon."""
        done = await self._done(push, device_key, bringer)
        return PushAnswer(push.incarnation, done.results, done.feed_seq)

    async def _done(self, push: PushRequest, device_key: Ed25519PublicKey, bringer: UUID | None) -> Done:
        async with self._turn(push.network):
            incoming = await _incoming(push, device_key)
            done = await self._settle(push, incoming, push.holes, bringer)
        if done.queued:
            self._on_queued()
        return done

    @asynccontextmanager
    async def _turn(self, network: UUID) -> AsyncIterator[None]:
        turns = self._turns.setdefault(network, asyncio.Semaphore(_PUSHES_AT_ONCE))
        if not turns.locked():
            # At once, without a timer: so is nearly every turn.
            await turns.acquire()
        else:
            try:
                await asyncio.wait_for(turns.acquire(), _TURN_TIMEOUT_S)
            except TimeoutError as error:
                text = "Many tills are sending at once. Try again in a moment."
                raise ApiError(429, ErrorCode.TOO_MANY, text, retry_after_s=2) from error
        try:
            yield
        finally:
            turns.release()

    async def _settle(
        self, push: PushRequest, incoming: Sequence[Incoming], holes: Sequence[Hole], bringer: UUID | None
    ) -> Done:
        """Post in one transaction; what fails twice alike is halved until the record that cannot be stored is found."""
        reason = await self._failure(push, incoming, holes, bringer)
        if isinstance(reason, Done):
            return reason
        if len(incoming) == 1:
            _LOG.error("record %s of %s cannot be stored: %s", incoming[0].seq, push.device, reason)
            fault, detail = QuarantineReason.BAD_SCHEMA, f"cannot be stored: {reason}"
            return await self._post(
                push, [replace(incoming[0], record=None, fault=fault, detail=detail)], holes, bringer
            )
        middle = len(incoming) // 2
        first = await self._settle(push, incoming[:middle], holes, bringer)
        second = await self._settle(push, incoming[middle:], (), bringer)
        return Done(
            first.results + second.results,
            max(first.feed_seq, second.feed_seq),
            first.forked or second.forked,
            first.queued or second.queued,
        )

    async def _failure(
        self, push: PushRequest, incoming: Sequence[Incoming], holes: Sequence[Hole], bringer: UUID | None
    ) -> Done | str:
        """Return what was done, or why the records themselves cannot be stored; raises where they are not to blame."""
        seen: list[str] = []
        transient = 0
        while True:
            try:
                return await self._post(push, incoming, holes, bringer)
            except ApiError:
                raise
            except Reinstate as late:
                transient += 1
                if transient == _TRANSIENT_TRIES:
                    raise outage() from late
                async with self._begin(push.network) as store:
                    await store.guards.reinstate(late.wanted, self._clock.now())
            except Exception as error:
                state = sqlstate(error)
                if isinstance(error, Raced) or is_conflict(error):
                    transient += 1
                    if transient < _TRANSIENT_TRIES:
                        continue
                    raise outage() from error
                if is_outage(error):
                    raise
                if not incoming or (state is not None and not is_unfit(error)):
                    raise
                seen.append(state or type(error).__name__)
                if seen.count(seen[-1]) == _ALIKE:
                    return seen[-1]
                if len(seen) > _ALIKE:
                    raise

    async def _post(
        self, push: PushRequest, incoming: Sequence[Incoming], holes: Sequence[Hole], bringer: UUID | None
    ) -> Done:
        async with self._begin(push.network) as store:
            return await Batch(store, push, self._clock.now(), bringer).run(incoming, holes)


async def _incoming(push: PushRequest, device_key: Ed25519PublicKey) -> list[Incoming]:
    """Return the records of a push, read a few at a time: whoever waits for a hold is answered in between."""
    try:
        require_whole(push, device_key)
    except BadPush as error:
        raise ApiError(400, ErrorCode.BAD_BODY, f"The push contradicts itself: {error}.") from error
    except ForgedPush as error:
        raise ApiError(403, ErrorCode.BAD_SIGNATURE, "The last record is not signed by this till.") from error
    found: list[Incoming] = []
    for start in range(0, len(push.records), _READ_AT_ONCE):
        found += read_part(push, start, start + _READ_AT_ONCE)
        await asyncio.sleep(0)
    return found
