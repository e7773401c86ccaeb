"""Time as a thing that is passed in: the kernel never reads a clock."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Protocol

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


class Clock(Protocol):
    """Wall time for people and records, monotonic time for intervals."""

    def now(self) -> datetime:
        """Return the current time, aware, in UTC."""
        ...

    def monotonic_ms(self) -> int:
        """Return milliseconds that never run backwards within one boot."""
        ...


@dataclass(slots=True)
class FakeClock:
    """A clock that moves only when told, for tests and simulations."""

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


def to_ms(moment: datetime) -> int:
    """Return milliseconds since 1970 UTC; refuses a naive time."""
    if moment.tzinfo is None:
        raise ValueError("a naive time has no place here")
    return (moment - _EPOCH) // _MILLISECOND


def from_ms(milliseconds: int) -> datetime:
    """Return the aware UTC time of milliseconds since 1970."""
    return _EPOCH + timedelta(milliseconds=milliseconds)
