"""What the routes work with: one set a process, made when the application starts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

from loyalty_desk.domain.clock import Clock
from server.checks.desk import CheckDesk
from server.guests import service as guests
from server.guests.admission import admit
from server.guests.scanned import Scans, scans
from server.holds.service import Holds
from server.kit.db import Connection
from server.kit.feed import Change
from server.kit.ground import Ground
from server.kit.together import Together
from server.ledger.service import Ledger
from server.ledger.shelf import ProgramShelf
from server.ledger.store import Tools
from server.systems.repository import System
from server.systems.service import systems_together


@dataclass(slots=True)
class Services:
    """The services of this process; filled when the application starts, empty before."""

    clock: Clock
    _ground: Ground | None = field(default=None)
    _ledger: Ledger | None = field(default=None)
    _holds: Holds | None = field(default=None)
    _checks: CheckDesk | None = field(default=None)
    _shelf: ProgramShelf | None = field(default=None)
    _systems: Together[UUID, System | None] | None = field(default=None)
    _scans: Scans | None = field(default=None)

    def open(self, ground: Ground, ledger: Ledger, holds: Holds, checks: CheckDesk, shelf: ProgramShelf) -> None:
        """Put in what the routes use from now on."""
        self._systems = systems_together(ground.db)
        self._scans = scans(ground.db)
        self._ground, self._ledger, self._holds, self._checks, self._shelf = ground, ledger, holds, checks, shelf

    async def close(self) -> None:
        """Answer whoever still waits, in the order in which a request asks; the connections are closed after this."""
        await self.systems.close()
        await self.scans.close()
        await self.holds.close()
        await self.checks.close()

    @property
    def ground(self) -> Ground:
        """Return database and vault."""
        return _started(self._ground)

    @property
    def ledger(self) -> Ledger:
        """Return the ledger."""
        return _started(self._ledger)

    @property
    def holds(self) -> Holds:
        """Return the holds."""
        return _started(self._holds)

    @property
    def checks(self) -> CheckDesk:
        """Return the desk for checks of other systems."""
        return _started(self._checks)

    @property
    def systems(self) -> Together[UUID, System | None]:
        """Return what finds the systems that ask."""
        return _started(self._systems)

    @property
    def scans(self) -> Scans:
        """Return what answers scans."""
        return _started(self._scans)

    @property
    def shelf(self) -> ProgramShelf:
        """Return the programs that this process has read."""
        return _started(self._shelf)


def _started[T](part: T | None) -> T:
    if part is None:
        raise RuntimeError("the application has not been started")
    return part


def ledger_tools(ground: Ground, shelf: ProgramShelf) -> Tools:
    """Return what a posting needs of the rest of the server."""

    async def guest_rows(
        connection: Connection, network: UUID, ids: Sequence[UUID], handles: Sequence[int]
    ) -> list[Change]:
        return await guests.changes(connection, network, ground.vault, ids, handles)

    return Tools(ground.vault, guest_rows, shelf.find, admit)
