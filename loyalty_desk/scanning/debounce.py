"""A code held before a scanner counts once."""

from __future__ import annotations

from collections.abc import Callable

CAMERA_REARM_SECONDS = 2.0
SERIAL_REARM_SECONDS = 0.7


class Debounce:
    """Lets a code through when it has not been seen for `rearm_after` seconds of `clock`.

    Every sighting starts the wait anew: a phone resting on the counter all day is one scan. Other codes shown meanwhile
    pass at once and do not re-arm the first. Not thread-safe.
    """

    def __init__(self, rearm_after: float, clock: Callable[[], float]) -> None:
        self._rearm_after = rearm_after
        self._clock = clock
        self._last_seen: dict[bytes, float] = {}

    def first_sight(self, data: bytes) -> bool:
        """Note that `data` is seen now; answer whether this is a new showing of it."""
        now = self._clock()
        self._last_seen = {code: at for code, at in self._last_seen.items() if now - at < self._rearm_after}
        new = data not in self._last_seen
        self._last_seen[data] = now
        return new

    def rearm(self) -> None:
        """Forget everything seen, so that the code still in view counts again (a sale was finished or undone)."""
        self._last_seen.clear()
