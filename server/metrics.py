"""Figures for whoever watches the server, as Prometheus reads them: counts and ages, nobody's name."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from server.kit.db import Connection, Database, fetch

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_HELP = {
    "feed_length": "Changes ever numbered in the feed.",
    "quarantine_open": "Records stored and not posted that wait for somebody.",
    "exceptions_open": "Postings that wait for somebody's look.",
    "reprice_waiting": "Sales that wait to be priced again.",
    "tills_active": "Tills that may sell.",
    "till_silent_seconds_max": "Since the active till that was silent longest said hello.",
    "jobs_finished_seconds": "Since the day's work was last finished.",
}
_FIGURES = """
    select (select n from feed_counter where network_id = $1) as feed_length,
        (select count(*) from quarantine where network_id = $1 and state in ('open', 'waiting_dependency'))
            as quarantine_open,
        (select count(*) from exception where network_id = $1 and state = 'open') as exceptions_open,
        (select count(*) from reprice_queue where network_id = $1) as reprice_waiting,
        (select count(*) from device where network_id = $1 and state = 'active') as tills_active,
        (select extract(epoch from now() - min(last_seen))::bigint from device
            where network_id = $1 and state = 'active') as till_silent_seconds_max,
        (select extract(epoch from now() - max(finished_at))::bigint from job_progress
            where network_id = $1 and job = 'tiers') as jobs_finished_seconds
"""


async def exposition(db: Database) -> str:
    """Return all figures of all networks; what has never happened is left out."""
    found: list[tuple[UUID, dict[str, int]]] = []
    for network in await db.networks():
        async with db.begin(network) as connection:
            found.append((network, await _figures(connection, network)))
    return "\n".join([*_lines(found), ""])


async def _figures(connection: Connection, network: UUID) -> dict[str, int]:
    (row,) = await fetch(connection, _FIGURES, network)
    return {name: int(value) for name, value in row.items() if value is not None}


def _lines(found: Iterable[tuple[UUID, dict[str, int]]]) -> Iterable[str]:
    networks = list(found)
    yield "# HELP loyalty_networks Networks that this server keeps."
    yield "# TYPE loyalty_networks gauge"
    yield f"loyalty_networks {len(networks)}"
    for name, text in _HELP.items():
        yield f"# HELP loyalty_{name} {text}"
        yield f"# TYPE loyalty_{name} gauge"
        for network, figures in networks:
            if name in figures:
                yield f'loyalty_{name}{{network="{network}"}} {figures[name]}'
