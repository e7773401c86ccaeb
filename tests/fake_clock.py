"""A clock that moves only when told."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta


@dataclass(slots=True)
class FakeClock:
    """Wall time and monotonic time, as `loyalty_desk.domain.clock.Clock`."""

    at: datetime = field(default_factory=lambda: datetime(2026, 3, 2, 12, 0, tzinfo=UTC))
    elapsed_ms: int = 1_000

    def now(self) -> datetime:
        """Return the time it was last set to."""
        return self.at

    def monotonic_ms(self) -> int:
        """Return the milliseconds advanced so far."""
        return self.elapsed_ms

    def advance(self, *, seconds: float = 0, days: int = 0) -> None:
        """Move wall and monotonic time forward together."""
        step = timedelta(seconds=seconds, days=days)
        self.at += step
        self.elapsed_ms += step // timedelta(milliseconds=1)
