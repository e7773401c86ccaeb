"""What the machine gives: time and randomness."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol
from uuid import UUID


class Random(Protocol):
    """Randomness that a simulation can replay; `random.Random` and `random.SystemRandom` are two."""

    def random(self) -> float:
        """Return a number in [0, 1)."""
        ...

    def getrandbits(self, k: int, /) -> int:
        """Return `k` random bits."""
        ...


class BootClock(Protocol):
    """Wall time, monotonic time, and which boot the monotonic time belongs to."""

    @property
    def boot_id(self) -> UUID:
        """Return the id of this boot of the machine."""
        ...

    def now(self) -> datetime:
        """Return the current time, aware, in UTC."""
        ...

    def monotonic_ms(self) -> int:
        """Return milliseconds that never run backwards within one boot."""
        ...
