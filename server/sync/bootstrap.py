"""The first load of tills: one snapshot a network, made once and served to all of them.

It is made in a thread with a connection and an event loop of its own, in one REPEATABLE READ transaction: requests go
on meanwhile, and a till that asks is told to come back.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from uuid import UUID, uuid4

from loyalty_desk.domain.errors import Broken
from loyalty_desk.wire.v1.bootstrap import FORMAT, INSERT, LAYOUT, SnapshotManifest, stored
from loyalty_desk.wire.v1.errors import ErrorCode
from loyalty_desk.wire.v1.rows import DIGEST_MODULUS, row_digest
from loyalty_desk.wire.v1.sync import FeedTable
from server.kit import feed, incarnation
from server.kit.crypto import Vault
from server.kit.db import Connection, Database
from server.kit.errors import ApiError
from server.kit.filelock import FileLock
from server.kit.ground import Ground
from server.kit.lifetimes import SLACK
from server.sync import snapshot_file
from server.sync.rows import rows_of
from server.sync.snapshot_file import SnapshotFile

MAX_AGE_S = 24 * 60 * 60
MAX_BEHIND = 50_000
KEPT = 2
COME_BACK_S = 3
_PAGE = 5_000
_LOG = logging.getLogger(__name__)


class Snapshots:
    """The snapshots of this process's networks. Several processes share one folder: a lock lets one of them make."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._making: dict[UUID, asyncio.Task[None]] = {}

    async def manifest(self, ground: Ground, network: UUID) -> SnapshotManifest:
        """Return the newest snapshot; raises `ApiError` 503 SNAPSHOT_WAITS while the first one is being made.

        One that has grown old is still served while the next is made, one that knows an erased guest never.
        """
        folder = _folder(ground, network)
        usable: SnapshotFile | None = None
        async with ground.db.snapshot(network) as connection:
            life = await incarnation.current(connection)
            length = (await feed.count(connection, network)).n
            for one in await asyncio.to_thread(snapshot_file.find, folder, ground.vault, network):
                known = one.manifest
                same_life = life is not None and known.incarnation == life.id and known.feed_seq <= length
                erased = await feed.has_gone(connection, network, FeedTable.GUEST, known.feed_seq)
                # Made while the clock was ahead it would be the newest, and fresh, for as long as that was.
                is_ahead = one.made_at > self._clock() + SLACK.total_seconds()
                if erased or not same_life or is_ahead or known.format != FORMAT:
                    one.delete()
                elif usable is None:
                    usable = one
        fresh = (
            usable is not None
            and length - usable.manifest.feed_seq <= max(MAX_BEHIND, usable.manifest.rows // 5)
            and self._clock() - usable.made_at <= MAX_AGE_S
        )
        if not fresh:
            self._make(ground, network, usable)
        if usable is None:
            text = "The server is preparing the guests' data. Ask again in a moment."
            raise ApiError(503, ErrorCode.SNAPSHOT_WAITS, text, retry_after_s=COME_BACK_S)
        return usable.manifest

    async def part(self, ground: Ground, network: UUID, snapshot: UUID, start: int, size: int) -> tuple[bytes, int]:
        """Return bytes of a snapshot and its whole size; raises `ApiError` 404 where it is there no more."""
        try:
            return await asyncio.to_thread(
                _read, _folder(ground, network), ground.vault, network, snapshot, start, size
            )
        except (LookupError, OSError) as error:
            text = "This snapshot is not there any more. Ask for the present one."
            raise ApiError(404, ErrorCode.NOT_FOUND, text) from error

    async def settled(self) -> None:
        """Wait until nothing is being made."""
        await asyncio.gather(*self._making.values(), return_exceptions=True)

    def _make(self, ground: Ground, network: UUID, old: SnapshotFile | None) -> None:
        running = self._making.get(network)
        if running is None or running.done():
            self._making[network] = asyncio.create_task(self._make_aside(ground, network, old))

    async def _make_aside(self, ground: Ground, network: UUID, old: SnapshotFile | None) -> None:
        try:
            await asyncio.to_thread(_make_alone, ground, network, self._clock, old)
        except Exception:  # noqa: BLE001 - the next till that asks begins anew
            _LOG.exception("the snapshot of %s could not be made", network)


def _make_alone(ground: Ground, network: UUID, clock: Callable[[], float], old: SnapshotFile | None) -> None:
    """Make the snapshot that follows `old`, unless another has made it since somebody looked.

    One more would push out the one that a till is in the middle of.
    """
    folder = _folder(ground, network)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = FileLock(folder / "making.lock")
    if not lock.take():
        return
    try:
        newest = next(iter(snapshot_file.find(folder, ground.vault, network)), None)
        if newest is not None and (old is None or newest.manifest.id != old.manifest.id):
            return
        for half in folder.glob("*.half"):
            half.unlink(missing_ok=True)
        began = time.monotonic()
        made = asyncio.run(_made(ground, network, folder, clock()))
        for spent in snapshot_file.find(folder, ground.vault, network)[KEPT:]:
            spent.delete()
        figures = (network, made.manifest.rows, made.manifest.packed, time.monotonic() - began)
        _LOG.info("snapshot of %s: %d rows, %d bytes, %.1f s", *figures)
    finally:
        lock.release()


async def _made(ground: Ground, network: UUID, folder: Path, at: float) -> SnapshotFile:
    # This thread's loop needs connections of its own.
    database = Database(ground.db.url, pool_size=1)
    try:
        async with database.snapshot(network) as connection:
            content, manifest = await build(connection, network, ground.vault)
    finally:
        await database.close()
    return snapshot_file.write(folder, ground.vault, network, memoryview(content), manifest, at)


async def build(connection: Connection, network: UUID, vault: Vault) -> tuple[bytes, SnapshotManifest]:
    """Return the SQLite file of all that the feed says in this transaction; its manifest lacks what packing adds.

    Raises `Broken` where rows and checkpoint disagree: such a snapshot would never pass a till's check.
    """
    life = await incarnation.current(connection)
    if life is None:
        raise Broken("the database has no life yet")
    total = await feed.count(connection, network)
    # In memory: a file would hold everybody's names in the open, if only for a minute.
    file = sqlite3.connect(":memory:")
    try:
        file.executescript(LAYOUT)
        rows = guests = digest = after = 0
        while marks := await feed.marks(connection, network, after, _PAGE):
            after = marks[-1].seq
            places: dict[str, list[tuple[object, ...]]] = {}
            for table in {mark.table for mark in marks}:
                keys = [mark.key for mark in marks if mark.live and mark.table == table]
                for key, row in (await rows_of(connection, network, vault, FeedTable(table), keys)).items():
                    part = row_digest(table, key, row)
                    place, values = stored(table, key, row, part.to_bytes(16, "big"))
                    places.setdefault(place, []).append(values)
                    digest = (digest + part) % DIGEST_MODULUS
                    rows += 1
                    guests += place == FeedTable.GUEST
            for place, found in places.items():
                file.executemany(INSERT[place], found)
        if (rows, digest) != (total.rows, total.digest):
            raise Broken(f"the feed counts {total.rows} rows and {rows} are there, or their digests differ")
        file.commit()
        file.execute("VACUUM")
        content = file.serialize()
    finally:
        file.close()
    return content, SnapshotManifest(
        id=uuid4(),
        format=FORMAT,
        incarnation=life.id,
        feed_seq=total.n,
        rows=rows,
        guests=guests,
        digest=digest.to_bytes(16, "big"),
        packed=1,
        size=len(content),
        sha256=bytes(32),
    )


def _read(folder: Path, vault: Vault, network: UUID, snapshot: UUID, start: int, size: int) -> tuple[bytes, int]:
    for one in snapshot_file.find(folder, vault, network):
        if one.manifest.id == snapshot:
            return (one.read(start, size) if start < one.manifest.packed else b""), one.manifest.packed
    raise LookupError(snapshot)


def _folder(ground: Ground, network: UUID) -> Path:
    return ground.settings.data_dir.absolute() / "snapshots" / str(network)
