"""Dead points leave the ledger once their grace is over, and shown points follow the calendar.

A lot is dead at its end whether or not this has run: what a guest can spend never counts it. The grace is for facts
that a till recorded in time and could not send.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from loyalty_desk.domain.clock import to_ms
from server.kit.db import Connection, fetch
from server.ledger.own import OwnPosting, Render

GRACE = timedelta(days=7)


async def expire_due(connection: Connection, network: UUID, render: Render, now: datetime, limit: int = 200) -> int:
    """Expire the dead lots of up to `limit` guests, one entry a lot, and return how many lots; 0: nothing is due.

    A guest with points held for a redemption is left for the next time: a hold made in time keeps its points.
    """
    due = now - GRACE
    rows = await fetch(
        connection,
        """
        select distinct a.id, a.guest_id from lot l
        join account a on a.network_id = l.network_id and a.id = l.account_id
        where l.network_id = $1 and l.state = 'open' and l.remaining > 0 and l.expires_at <= $2
            and a.kind = 'guest' and a.pending_out = 0
        order by a.id limit $3
        """,
        network,
        due,
        limit,
    )
    posting = await OwnPosting.lock(connection, network, [row.guest_id for row in rows], now)
    lots = [
        (guest, lot)
        for guest in posting.accounts
        for lot in posting.holdings(guest).lots
        if lot.remaining and lot.expires_at is not None and lot.expires_at <= to_ms(due)
    ]
    names = {lot.id: f"expire:{lot.id}" for _, lot in lots}
    # A lot can die a second time where points came back to it: a merge or a correction put them there.
    again, fresh = 2, await posting.unposted(names.values())
    while taken := [lot for lot, name in names.items() if name not in fresh]:
        names |= {lot: f"expire:{lot}:{again}" for lot in taken}
        fresh |= await posting.unposted(names[lot] for lot in taken)
        again += 1
    for guest, lot in lots:
        posting.expire(guest, lot, names[lot.id])
    return await posting.write(render)


async def show_points(connection: Connection, network: UUID, render: Render, now: datetime, limit: int = 200) -> int:
    """Bring what tills show of up to `limit` guests up to `now`: points that died or came alive. Returns how many."""
    rows = await fetch(
        connection,
        """
        select a.guest_id from account a
        join guest_state s on s.network_id = a.network_id and s.guest_id = a.guest_id
        join lot l on l.network_id = a.network_id and l.account_id = a.id
        where a.network_id = $1 and a.kind = 'guest' and l.state = 'open' and l.remaining > 0
        group by a.id, a.guest_id, a.debt, s.points
        having bool_or(l.expires_at <= $2 or l.usable_at is not null)
            and s.points <> coalesce(sum(l.remaining) filter (where (l.expires_at is null or l.expires_at > $2)
                and (l.usable_at is null or l.usable_at <= $2)), 0) - a.debt
        order by a.id limit $3
        """,
        network,
        now,
        limit,
    )
    posting = await OwnPosting.lock(connection, network, [row.guest_id for row in rows], now)
    await posting.write(render, shown=posting.accounts)
    return len(rows)
