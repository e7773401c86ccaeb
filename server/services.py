"""What the routes work with: one set a process, made when the application starts."""

from __future__ import annotations

from dataclasses import dataclass, field

from loyalty_desk.domain.clock import Clock
from server.holds.service import Holds
from server.kit.ground import Ground
from server.ledger.service import Ledger


@dataclass(slots=True)
class Services:
    """The services of this process; filled when the application starts, empty before."""

    clock: Clock
    _ground: Ground | None = field(default=None)
    _ledger: Ledger | None = field(default=None)
    _holds: Holds | None = field(default=None)

    def open(self, ground: Ground, ledger: Ledger, holds: Holds) -> None:
        """Put in what the routes use from now on."""
        self._ground, self._ledger, self._holds = ground, ledger, holds

    @property
    def ground(self) -> Ground:
        """Return database and vault."""
        if self._ground is None:
            raise RuntimeError("the application has not been started")
        return self._ground

    @property
    def ledger(self) -> Ledger:
        """Return the ledger."""
        if self._ledger is None:
            raise RuntimeError("the application has not been started")
        return self._ledger

    @property
    def holds(self) -> Holds:
        """Return the holds."""
        if self._holds is None:
            raise RuntimeError("the application has not been started")
        return self._holds
