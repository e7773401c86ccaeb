"""All checks of a network in one snapshot."""

from __future__ import annotations

from uuid import UUID

from server.kit.db import Connection, fetch
from server.ledger.audit.balances import check_balances
from server.ledger.audit.chains import check_chains
from server.ledger.audit.feed_rows import Render, check_feed
from server.ledger.audit.findings import Audit
from server.ledger.audit.returns import check_returns


async def audit(connection: Connection, network: UUID, render: Render) -> Audit:
    """Read a network's ledger and return what is wrong with it; `connection` is a snapshot of one moment.

    `render(table, keys)` gives the present rows of the feed as tills get them.
    """
    made = Audit(network)
    await _count(connection, made)
    await check_balances(connection, made)
    await check_chains(connection, made)
    await check_returns(connection, made)
    await check_feed(connection, made, render)
    return made


async def _count(connection: Connection, made: Audit) -> None:
    (row,) = await fetch(
        connection,
        """
        select (select count(*) from ledger_tx where network_id = $1),
            (select count(*) from ledger_tx where network_id = $1 and kind = 'sale'),
            (select count(*) from entry where network_id = $1),
            (select count(*) from quarantine where network_id = $1 and state in ('open', 'waiting_dependency')),
            (select count(*) from guest_state where network_id = $1),
            (select count(*) from reprice_queue where network_id = $1),
            (select count(*) from exception where network_id = $1 and state = 'open'),
            (select coalesce(sum(amount), 0)::bigint from entry where network_id = $1)
        """,
        made.network,
    )
    counted = made.counted
    counted.records, counted.sales, counted.entries, counted.quarantined = row[0], row[1], row[2], row[3]
    counted.guests, counted.waiting_to_be_priced, counted.exceptions = row[4], row[5], row[6]
    counted.sum_of_entries = row[7]
