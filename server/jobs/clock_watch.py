"""Whether the clock is to be believed before points expire by it: a clock set forward a year would end them all.

What expired by mistake comes back by hand alone, so the jobs wait where the clock stands far behind their last run. A
time server sets most clocks right within minutes, and tills and people notice the rest; a shop that was closed for a
month loses nothing by a few hours.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

# As long as expiry waits for tills that were offline: who is away no longer notices nothing.
LEAP = timedelta(days=7)
PATIENCE = timedelta(hours=4)


@dataclass(slots=True)
class ClockWatch:
    """Remembers, by a clock that nobody sets, since when the wall clock has stood where it stands."""

    monotonic_ms: Callable[[], int]
    _since: dict[UUID, int] = field(default_factory=dict)

    def believes(self, network: UUID, now: datetime, last: datetime | None) -> bool:
        """Return whether jobs may run at `now`, the last having run at `last`."""
        if last is None or now - last <= LEAP:
            self._since.pop(network, None)
            return True
        here = self.monotonic_ms()
        return here - self._since.setdefault(network, here) >= PATIENCE // timedelta(milliseconds=1)
