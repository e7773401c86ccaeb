"""Points that wait for a manager: seen, let go, or taken back, by somebody named and with a reason.

What was granted above what a day may give lies in a held lot: it is the guest's and pays for nothing. The exception
that told of it is settled with the last of its lots, and keeps who decided and why.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from loyalty_desk.domain.errors import Refused
from server.kit.db import Connection, fetch, fetch_one, write
from server.ledger.attention import checked_note
from server.ledger.own import OwnPosting, Render


@dataclass(frozen=True, slots=True)
class HeldLot:
    """Points that wait: `amount` smallest point units of `guest`, granted by the transaction `tx`."""

    id: UUID
    guest: UUID
    tx: UUID
    amount: int
    store: UUID | None
    device: UUID | None
    granted_at: datetime


async def held_lots(connection: Connection, network: UUID, limit: int = 1_000) -> list[HeldLot]:
    """Return what waits, oldest first."""
    rows = await fetch(
        connection,
        "select l.id, a.guest_id, l.tx_id, l.remaining, x.store_id, x.device_id, x.recorded_at from lot l"
        " join account a on a.network_id = l.network_id and a.id = l.account_id"
        " join ledger_tx x on x.network_id = l.network_id and x.id = l.tx_id"
        " where l.network_id = $1 and l.state = 'held' and l.remaining > 0 order by x.recorded_at, l.id limit $2",
        network,
        limit,
    )
    return [HeldLot(*row) for row in rows]


async def decide(
    connection: Connection,
    network: UUID,
    lot: UUID,
    *,
    is_approved: bool,
    by: UUID,
    note: str,
    render: Render,
    now: datetime,
) -> int:
    """Let held points be spent, or take them back, and return how many they were. The last call before the commit.

    Raises `Refused` `held_unknown`, `held_settled`, `BadInput` `note_missing`.
    """
    said = checked_note(note)
    row = await fetch_one(
        connection,
        "select a.guest_id, l.state, l.tx_id from lot l"
        " join account a on a.network_id = l.network_id and a.id = l.account_id"
        " where l.network_id = $1 and l.id = $2",
        network,
        lot,
    )
    if row is None or row.guest_id is None:
        raise Refused("held_unknown", lot=str(lot))
    posting = await OwnPosting.lock(connection, network, [row.guest_id], now)
    found = next((one for one in posting.holdings(row.guest_id).waiting if one.id == lot and one.remaining), None)
    if found is None:
        raise Refused("held_settled", lot=str(lot))
    amount = found.remaining
    if is_approved:
        posting.approve(row.guest_id, found)
    else:
        posting.deny(row.guest_id, found, {"lot": str(lot), "by": str(by)})
    if not any(one.tx_id == row.tx_id and one.remaining for one in posting.holdings(row.guest_id).waiting):
        await write(
            connection,
            "update exception set state = 'resolved', resolver = $3, note = $4, resolved_at = $5"
            " where network_id = $1 and tx_id = $2 and kind = 'VELOCITY' and state = 'open'",
            network,
            row.tx_id,
            by,
            said,
            now,
        )
    await posting.write(render, shown=[row.guest_id])
    return amount
