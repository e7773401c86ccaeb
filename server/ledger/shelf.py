"""Programs at hand: a version is parsed and compiled once a process."""

from __future__ import annotations

from uuid import UUID

from loyalty_desk.domain.program import Program
from server.kit.db import Connection, fetch_one
from server.programs import service as programs

_LIMIT = 256


class ProgramShelf:
    """Keeps parsed programs by their hash, so that a database put back to an earlier state cannot mislead it."""

    def __init__(self) -> None:
        self._kept: dict[tuple[UUID, bytes], Program] = {}

    async def find(self, connection: Connection, network: UUID, version: int | None) -> Program | None:
        """Return a version, or the one in force for None; None where there is no such version."""
        row = await fetch_one(
            connection,
            """
            select version, hash from program where network_id = $1 and ($2::int is null or version = $2)
            order by version desc limit 1
            """,
            network,
            version,
        )
        if row is None:
            return None
        key = (network, bytes(row.hash))
        if key not in self._kept:
            if len(self._kept) >= _LIMIT:
                self._kept.pop(next(iter(self._kept)))
            self._kept[key] = await programs.version(connection, network, row.version)
        return self._kept[key]
