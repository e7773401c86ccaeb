"""Leases: what a till may give of rules that are limited for all guests together.

A limit is never given more often than it says, for what every till may have given or may still give is out of the pool
before anybody else gets it. A till names what it has given in all and which answer is in force there: only that word
takes less out of the pool than the till was told before. An answer that got lost, or a request that comes late or
twice, lets it have more taken out than it gives, never less.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from loyalty_desk.domain.clock import to_ms
from loyalty_desk.domain.uses import MONEY
from loyalty_desk.wire.v1.errors import ErrorCode
from loyalty_desk.wire.v1.leases import MOST, Lease, LeaseAnswer, LeaseRequest
from server.kit.errors import ApiError
from server.kit.lifetimes import SLACK
from server.ledger.leases import LIFE, Holder, Key, Leased, LeaseStore
from server.sync.pull import may_read
from server.sync.store import SyncStores

# How much earlier than needed a lease is made longer: seldom enough to cost nothing.
_RENEW = timedelta(hours=1)
# Of a budget a hundredth at least: a discount cut to a kopeck helps nobody.
_LEAST_PART = 100


async def lease(stores: SyncStores, message: LeaseRequest, now: datetime) -> LeaseAnswer:
    """Take what a till has given and return what it may give from now on.

    Raises `ApiError`: 403 for a till that gets no data, 409 STALE_INCARNATION for a request of another life.
    """
    async with stores.begin(message.network) as store:
        may_read(await store.state(message.device))
        life = await store.life()
        if life is None:
            raise ApiError(503, ErrorCode.OUTAGE, "The server is still starting. Try again.", retry_after_s=2)
        if message.incarnation != life:
            text = "The server's data has begun a new life. Say hello again."
            raise ApiError(409, ErrorCode.STALE_INCARNATION, text)
        leases = store.leases
        program = await leases.program()
        limits = {} if program is None else program.limits
        if not limits or message.epoch not in await leases.epochs(message.device):
            return LeaseAnswer(life, message.epoch, message.number, to_ms(now))
        await leases.lock()
        return await _answer(leases, message, limits, now)


async def _answer(store: LeaseStore, message: LeaseRequest, limits: Mapping[Key, int], now: datetime) -> LeaseAnswer:
    device, epoch, life = message.device, message.epoch, message.incarnation
    holder, before = await store.holder(device), await store.leases(device)
    known = await store.epochs(device)
    told = dict(before)
    for one in message.given:
        if one.epoch in known and (one.rule, one.period) in limits:
            place = (one.epoch, one.rule, one.period)
            told[place] = _with_given(told.get(place, Leased(expires_at=now)), one.amount)
    is_new = holder is None or holder.incarnation != life
    in_force = holder is not None and not is_new and (holder.epoch, holder.number) == (epoch, message.number)
    # In a new life no answer of the one before is in force anywhere: what a till has then is what it has given.
    has_nothing = is_new and message.number == 0
    awaiting = await store.is_awaiting(device, now)
    used, out, tills = await store.used(), await store.out_elsewhere(device, now), max(1, await store.tills(now))
    offers: dict[Key, int] = {}
    for key, limit in limits.items():
        place = (epoch, *key)
        mine = told.get(place, Leased(expires_at=now))
        if in_force:
            mine = replace(mine, granted=max(mine.given, mine.used, mine.offered))
        elif has_nothing:
            # What the life before had offered is not offered again: others may have been given it since.
            so_far = max(mine.given, mine.used)
            mine = replace(mine, granted=so_far, offered=so_far)
        others = out.get(key, 0) + sum(
            one.is_out_when_over(now) for (other, *of), one in told.items() if other != epoch and tuple(of) == key
        )
        free = min(limit, MOST) - used.get(key, 0) - others - mine.is_out
        least = 1 if key[1] != MONEY else max(1, limit // _LEAST_PART)
        told[place] = shared(mine, min(free, 0) if awaiting else free, tills, least)
        offers[key] = told[place].offered
    changed = {key: one for key, one in told.items() if one != before.get(key)}
    is_known = holder is not None and not is_new and holder.epoch == epoch and message.number <= holder.number
    is_fresh = holder is not None and now + LIFE - _RENEW < holder.expires_at <= now + LIFE + SLACK
    if holder is not None and is_known and not changed and is_fresh:
        return _told(holder, offers)
    number = min(MOST, max(0 if holder is None else holder.number, message.number) + 1)
    made = Holder(epoch, number, life, now + LIFE)
    changed |= {key: replace(told[key], expires_at=made.expires_at) for key in told if key[0] == epoch}
    await store.put(device, changed, made)
    return _told(made, offers)


def shared(mine: Leased, free: int, tills: int, least: int) -> Leased:
    """Return a lease as it is offered next; `free` is what is in the pool, negative where too much is out.

    A fair part is half of what one of all `tills` could have of the pool, `least` at the least. Who has half of one or
    less gets a whole one; who has more than two is offered one, and what it has stays out until it says that it has no
    more. So parts get smaller as the pool does, and what lies with a quiet till comes back for the others.
    """
    has = max(0, mine.granted - mine.given)
    room = max(0, free + has)
    part = min(room, max(least, -(-room // (2 * tills))))
    if has > min(2 * part, room):
        return replace(mine, offered=max(mine.given, mine.given + part))
    if 2 * has <= part and part > has:
        return replace(mine, granted=mine.granted + part - has, offered=mine.granted + part - has)
    return mine


def _with_given(before: Leased, amount: int) -> Leased:
    given = max(before.given, amount)
    return replace(before, given=given, granted=max(before.granted, given))


def _told(holder: Holder, offers: Mapping[Key, int]) -> LeaseAnswer:
    leases = [Lease(*key, upto) for key, upto in offers.items()]
    return LeaseAnswer(holder.incarnation, holder.epoch, holder.number, to_ms(holder.expires_at), leases)
