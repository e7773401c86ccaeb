"""The first load: a snapshot of the feed fetched part by part, kept across cuts and restarts, put in place whole.

While it runs the till sells by what it has, if only by the programme in its journal.
"""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

from loyalty_desk.services.ports.cache import SnapshotRoom, SnapshotSpoiled
from loyalty_desk.services.ports.server import LedgerClient, NotOurServer, ServerSaid
from loyalty_desk.wire.v1.bootstrap import FORMAT, PART_BYTES, SnapshotManifest
from loyalty_desk.wire.v1.errors import ErrorCode


class Bootstrap:
    """Fetches the server's snapshot into `room`. `on_progress` hears (bytes here, bytes in all)."""

    def __init__(
        self, client: LedgerClient, room: SnapshotRoom, on_progress: Callable[[int, int], None] = lambda _, __: None
    ) -> None:
        self._client = client
        self._room = room
        self._on_progress = on_progress

    def fetch(self, incarnation: UUID, stopping: Callable[[], bool]) -> str | None:
        """Replace the cache by the snapshot; return a code for people where that cannot be, None where it was done.

        None too where it was stopped on the way: what has been fetched stays. Raises as `LedgerClient`.
        """
        manifest = self._manifest(incarnation)
        if manifest is None:
            return "snapshot_prepared"
        if manifest.format != FORMAT:
            return "app_too_old"
        there = self._room.begin(manifest)
        while there < manifest.packed:
            self._on_progress(there, manifest.packed)
            if stopping():
                return None
            wanted = min(PART_BYTES, manifest.packed - there)
            try:
                part = self._client.snapshot_part(manifest.id, there, wanted)
            except ServerSaid as said:
                if said.code == ErrorCode.NOT_FOUND:
                    # Made anew meanwhile: the next attempt asks for the newer one.
                    self._room.discard()
                    return "snapshot_prepared"
                raise
            if not 0 < len(part) <= wanted:
                raise NotOurServer("a part of the snapshot is not what was asked for")
            there = self._room.add(part)
        self._on_progress(there, manifest.packed)
        try:
            self._room.install(manifest)
        except SnapshotSpoiled:
            return "snapshot_spoiled"
        return None

    def _manifest(self, incarnation: UUID) -> SnapshotManifest | None:
        """Return the snapshot to fetch, None where the server is still making it."""
        begun = self._room.begun()
        if begun is not None and begun.incarnation == incarnation:
            return begun
        try:
            manifest = self._client.snapshot()
        except ServerSaid as said:
            if said.code == ErrorCode.SNAPSHOT_WAITS:
                return None
            raise
        if manifest.incarnation != incarnation:
            raise NotOurServer("the snapshot is of another life of the server")
        return manifest
