"""Short codes: six digits that a guest reads out, one at a time, for five minutes."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import datetime
from uuid import UUID

from loyalty_desk.domain.errors import Refused
from server.guests import shown
from server.guests.proof import SHORT_DIGITS, SHORT_LIVES, short_hash
from server.kit.ground import Ground

_TRIES = 20


async def issue(
    ground: Ground, network: UUID, guest: UUID, now: datetime, random_below: Callable[[int], int] = secrets.randbelow
) -> tuple[str, datetime]:
    """Return new digits and when they end; what the guest had before ends at once.

    Raises `Refused` `guest_unknown`, and `codes_exhausted` where twenty draws were all somebody's.
    """
    async with ground.db.begin(network) as connection:
        who = await shown.survivor(connection, network, guest)
        if who is None:
            raise Refused("guest_unknown")
        await shown.end_short_codes(connection, network, who, now)
        expires_at = now + SHORT_LIVES
        for _ in range(_TRIES):
            digits = f"{random_below(10**SHORT_DIGITS):0{SHORT_DIGITS}}"
            hashed = short_hash(ground.vault, network, digits)
            if await shown.put_short_code(connection, network, hashed, who, expires_at, now):
                return digits, expires_at
    raise Refused("codes_exhausted")
