"""One unbroken life of the server database, and noticing that another one has begun.

A database that was put back to an earlier state has forgotten what tills were told it holds. Three things tell: another
system identifier or timeline (a restore into a new cluster, a failover), a feed shorter than the witness file says, or
a till that knows more than we do (`server.sync` calls `rotate` for that).
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from uuid import UUID, uuid4

from server.kit.db import Connection, Database, fetch, fetch_one, fetch_value, write
from server.kit.errors import is_outage

_LOG = logging.getLogger(__name__)
_LOCK = 7_242_002
INTERVAL_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Incarnation:
    """The present life: its id, the one before, and why it began."""

    id: UUID
    previous: UUID | None
    reason: str
    system_identifier: int
    timeline: int


class Witness:
    """A small file outside the data directory: which life it is and how long each network's feed was."""

    def __init__(self, folder: Path, data: Path) -> None:
        self._path = folder / f"feed-{sha256(str(data.absolute()).encode()).hexdigest()[:16]}.json"

    def beside(self, name: str) -> Path:
        """Return where another list of the same database lies: beside the witness, as safe from a restore as it is."""
        return self._path.with_name(self._path.name.replace("feed-", f"{name}-", 1) + "l")

    def read(self) -> tuple[UUID, dict[UUID, int]] | None:
        """Return what was written last, None where there is nothing that can be read."""
        try:
            found = json.loads(self._path.read_text())
            return UUID(found["incarnation"]), {UUID(network): int(n) for network, n in found["feeds"].items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None

    def write(self, incarnation: UUID, feeds: dict[UUID, int]) -> None:
        """Replace it, durably."""
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        text = json.dumps({"incarnation": str(incarnation), "feeds": {str(k): n for k, n in feeds.items()}})
        half = self._path.with_suffix(f".{os.getpid()}.new")
        with os.fdopen(os.open(half, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        half.replace(self._path)


def witness_folder(configured: Path | None, data: Path) -> Path:
    """Return where the witness stands: as configured, else beside the data directory, never in it."""
    return configured or data.absolute().parent / f"{data.name}-witness"


async def current(connection: Connection) -> Incarnation | None:
    """Return the present life, None in a database that has none yet."""
    row = await fetch_one(
        connection,
        "select incarnation, previous_incarnation, reason, system_identifier, timeline from server_meta"
        " order by number desc limit 1",
    )
    if row is None:
        return None
    previous = row.previous_incarnation
    return Incarnation(row.incarnation, previous, row.reason, row.system_identifier, row.timeline)


async def rotate(connection: Connection, reason: str, *, unless_past: UUID | None = None) -> Incarnation:
    """Begin a new life and return it. With `unless_past`, nothing happens when that one is over already.

    Waits for whoever is just doing the same, so that two discoveries of one restore make one new life.
    """
    await fetch(connection, "select pg_advisory_xact_lock($1)", _LOCK)
    before = await current(connection)
    if before is not None and unless_past is not None and before.id != unless_past:
        return before
    system_identifier, timeline = await _system(connection)
    made = Incarnation(uuid4(), before.id if before else None, reason, system_identifier, timeline)
    await write(
        connection,
        "insert into server_meta (incarnation, previous_incarnation, reason, system_identifier, timeline)"
        " values ($1, $2, $3, $4, $5)",
        made.id,
        made.previous,
        made.reason,
        made.system_identifier,
        made.timeline,
    )
    return made


async def at_start(database: Database, witness: Witness) -> Incarnation:
    """Return the life to serve under, a new one where the database is not the one that served last."""
    async with database.without_network() as connection:
        await fetch(connection, "select pg_advisory_xact_lock($1)", _LOCK)
        present = await current(connection)
        reason = "created" if present is None else await _why_not(connection, present, witness)
        if present is None or reason:
            present = await rotate(connection, reason or "created")
        feeds = await _feeds(connection)
    witness.write(present.id, feeds)
    return present


async def keep_witness(database: Database, witness: Witness, interval: float = INTERVAL_SECONDS) -> None:
    """Write the witness whenever the feeds have grown, at most `interval` seconds late; runs until cancelled."""
    written: tuple[UUID, dict[UUID, int]] | None = None
    while True:
        try:
            async with database.without_network() as connection:
                present, feeds = await current(connection), await _feeds(connection)
            if present is not None and written != (present.id, feeds):
                await asyncio.to_thread(witness.write, present.id, feeds)
                written = (present.id, feeds)
        except Exception as error:  # noqa: BLE001 - whatever it is, without a witness a restore goes unnoticed: go on
            # The database or the witness's disk is away: the next round tries again.
            if not is_outage(error):
                _LOG.error("the witness could not be written: %s", type(error).__name__, exc_info=True)
        await asyncio.sleep(interval)


async def _why_not(connection: Connection, present: Incarnation, witness: Witness) -> str:
    system_identifier, timeline = await _system(connection)
    if system_identifier != present.system_identifier:
        return "another system identifier"
    if timeline != present.timeline:
        return "another timeline"
    seen = witness.read()
    if seen is None:
        return ""
    if not await fetch_value(connection, "select count(*) from server_meta where incarnation = $1", seen[0]):
        return "the witness knows a later life"
    if seen[0] != present.id:
        return ""  # a life that is over: its counts say nothing about this one
    feeds = await _feeds(connection)
    if any(feeds.get(network, -1) < n for network, n in seen[1].items()):
        return "the feed is behind the witness"
    return ""


async def _system(connection: Connection) -> tuple[int, int]:
    row = await fetch_one(
        connection, "select s.system_identifier, c.timeline_id from pg_control_system() s, pg_control_checkpoint() c"
    )
    return int(row.system_identifier), int(row.timeline_id)


async def _feeds(connection: Connection) -> dict[UUID, int]:
    found = await fetch(connection, "select network_id, n from feed_counts()")
    return {UUID(str(row.network_id)): int(row.n) for row in found}
