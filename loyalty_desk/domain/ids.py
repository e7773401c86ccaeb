"""Identifiers: UUIDv7 for what a till makes, UUIDv5 for what the server derives."""

from __future__ import annotations

import threading
from collections.abc import Callable
from uuid import UUID, uuid5

_RANDOM_BITS = 74
_MASK_74 = (1 << _RANDOM_BITS) - 1


class IdMaker:
    """Makes UUIDv7 (RFC 9562) that rise strictly within one process, whatever the clock does.

    A clock that stands or jumps back keeps the last millisecond and counts the 74 random bits up from a random
    start, so order is kept and uniqueness rests on the random part alone.
    """

    def __init__(self, now_ms: Callable[[], int], random_bits: Callable[[int], int]) -> None:
        self._now_ms = now_ms
        self._random_bits = random_bits
        self._lock = threading.Lock()
        self._last_ms = -1
        self._tail = 0

    def __call__(self) -> UUID:
        """Return the next id."""
        with self._lock:
            now = max(0, min(self._now_ms(), (1 << 48) - 1))
            if now > self._last_ms:
                self._last_ms, self._tail = now, self._random_bits(_RANDOM_BITS - 1)
            else:
                self._tail += 1 + self._random_bits(32)
                if self._tail > _MASK_74:
                    self._last_ms, self._tail = self._last_ms + 1, self._random_bits(_RANDOM_BITS - 1)
            return _uuid7(self._last_ms, self._tail)


def _uuid7(milliseconds: int, tail: int) -> UUID:
    high, low = tail >> 62, tail & ((1 << 62) - 1)
    return UUID(int=(milliseconds << 80) | (7 << 76) | (high << 64) | (2 << 62) | low)


def derived_id(network: UUID, name: str) -> UUID:
    """Return the id of a server-born fact, the same however often it is made."""
    return uuid5(network, name)
