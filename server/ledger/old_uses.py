"""How long it is known what codes have paid for and taken off: until no push can ask for it any more, or nearly.

A push may come however late, so only what it can prove sets a border. A step of a rotating code proves nothing after
`evidence.OLDEST`, and what asks for it later counts as not proved at all; a phone's clock may be some minutes ahead,
hence a day more. Weak codes prove nothing at any time. Of what they took off a guest's day is added up only to tell a
manager of tills that were used in turns: who is back after more than 200 days, longer than a till is expected to be
cut off, begins that day anew. So does what a till redeems without proof on a day, after 35 days: that gives it no more
than another day would.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from server.kit.db import Connection, write
from server.ledger import evidence

KEPT = {
    "step_use": evidence.OLDEST + timedelta(days=1),
    "tier_use": timedelta(days=200),
    "unproved_use": timedelta(days=35),
}


async def forget_uses(connection: Connection, network: UUID, now: datetime, limit: int = 5_000) -> int:
    """Forget up to `limit` rows of each table that were noted too long ago to be asked for; return how many."""
    done = 0
    for table, kept in KEPT.items():
        done += await write(
            connection,
            f"delete from {table} where ctid = any(array("  # noqa: S608 - a constant of this module
            f"select ctid from {table} where network_id = $1 and noted_at < $2 limit $3))",
            network,
            now - kept,
            limit,
        )
    return done
