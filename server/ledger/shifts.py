"""Shifts as tills closed them, with the totals that their Z reports printed."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from loyalty_desk.domain.contents import ShiftCloseContents
from loyalty_desk.domain.errors import BadInput
from loyalty_desk.domain.record import BadRecord, Record
from loyalty_desk.domain.shift_totals import ShiftTotals
from server.kit.db import Connection, fetch

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ClosedShift:
    """One shift: its number at its till, counted from 1, and when it ended; `opened_at` None: nobody said when."""

    id: UUID
    number: int
    store: str
    till: str
    day: str
    opened_at: datetime | None
    closed_at: datetime
    totals: ShiftTotals
    currency: str


async def closed_shifts(
    connection: Connection, network: UUID, store: UUID | None = None, limit: int = 200
) -> list[ClosedShift]:
    """Return the shifts of a network or of one store, the last one closed first; unreadable totals are left out."""
    rows = await fetch(
        connection,
        """
        select x.id, x.payload, x.effective_at, s.name as store, s.currency, d.name as till,
            (select o.effective_at from ledger_tx o
                where o.network_id = x.network_id and o.device_id = x.device_id and o.kind = 'shift_open'
                    and o.epoch = x.epoch and o.branch = x.branch and o.seq < x.seq
                order by o.seq desc limit 1) as opened_at
        from ledger_tx x
        join store s on s.network_id = x.network_id and s.id = x.store_id
        join device d on d.network_id = x.network_id and d.id = x.device_id
        where x.network_id = $1 and x.kind = 'shift_close' and ($2::uuid is null or x.store_id = $2)
        order by x.effective_at desc, x.id desc limit $3
        """,
        network,
        store,
        limit,
    )
    found: list[ClosedShift] = []
    for row in rows:
        try:
            record = Record.from_payload(bytes(row.payload))
            said = ShiftCloseContents.from_check(record.check)
        except (BadRecord, BadInput):
            _LOG.warning("the totals of the shift that %s closes cannot be read", row.id)
            continue
        found.append(
            ClosedShift(
                said.shift,
                said.number,
                row.store,
                row.till,
                record.business_day,
                row.opened_at,
                row.effective_at,
                said.totals,
                row.currency,
            )
        )
    return found
