"""Ending the life of a database that tills know to have been put back, without letting one till do so at will.

Whoever holds a till's key can sign that he has seen more than there is, and a new life costs every till of every
network its cache. So the tills of one network end a life once in ten minutes; sooner, if two of them say the same.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from uuid import UUID

from loyalty_desk.wire.v1.errors import ErrorCode
from server.kit.errors import ApiError
from server.kit.lifetimes import SLACK
from server.sync.store import LifeClaim, SyncStores

_LOG = logging.getLogger(__name__)
PAUSE = timedelta(minutes=10)


async def end_life(stores: SyncStores, network: UUID, device: UUID, life: UUID, now: datetime) -> None:
    """Begin a new life because a till has seen more than there is.

    Raises `ApiError` 429 where the network's tills have ended one in the last ten minutes and no other till agrees.
    """
    async with stores.begin(network) as store:
        claims = [one for one in await store.life_claims(now - PAUSE) if one.at <= now + SLACK]
        ends = [one.at for one in claims if one.ended and one.life != life]
        is_alone = not any(one.life == life and one.device != device for one in claims)
        wait = 0 if not (ends and is_alone) else max(1, -int((now - max(ends) - PAUSE).total_seconds() // 1))
        await store.put_life_claim(LifeClaim(device, life, now, ended=not wait))
    if wait:
        text = "The server was put back a moment ago already. This till alone says so again: try later."
        raise ApiError(429, ErrorCode.TOO_MANY, text, retry_after_s=wait)
    _LOG.info("till %s has seen more than is here: a new life begins", device)
    await stores.rotate("a till has seen more than is here", unless_past=life)
