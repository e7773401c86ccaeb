"""The small live picture beside the check: copies at about 10 a second, one at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from loyalty_desk.scanning.decoding import Corners
from loyalty_desk.scanning.opencv import load_cv2
from loyalty_desk.scanning.supervision import Shot

if TYPE_CHECKING:
    from numpy.typing import NDArray

_INTERVAL = 0.1
# A window that was closed meanwhile never says that it has painted.
_GIVEN_UP = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Preview:
    """A small picture for the window. `frame` is BGR uint8, contiguous, and belongs to whoever gets it.

    `codes` are the corners of codes read in exactly this frame, in its pixels: draw them. `new` says that one of them
    became a scan just now: flash.
    """

    frame: NDArray[Any]
    codes: tuple[Corners, ...] = ()
    new: bool = False


class Previews:
    """Decides which frame is shown when. Only `done` may be called from another thread."""

    def __init__(self, width: int, clock: Callable[[], float]) -> None:
        self._width = width
        self._clock = clock
        self._done = threading.Event()
        self._sent_at: float | None = None
        self._last_number = 0
        self._reading: tuple[Shot, tuple[Corners, ...], bool] | None = None

    def done(self) -> None:
        """Say that the last preview was painted."""
        self._done.set()

    def read(self, shot: Shot, codes: tuple[Corners, ...], new: bool) -> None:
        """Show this very frame next, with its codes. A new scan is not pushed aside by later sightings of it."""
        if self._reading is None or new or not self._reading[2]:
            self._reading = (shot, codes, new)

    def due(self, newest: Shot | None) -> Preview | None:
        """Return the preview to emit now, if there is one."""
        now = self._clock()
        if self._sent_at is not None:
            waited = now - self._sent_at
            flash = self._reading is not None and self._reading[2]
            if waited < _INTERVAL and not flash:
                return None
            if not self._done.is_set() and waited < _GIVEN_UP:
                return None
        if self._reading is not None:
            shot, codes, new = self._reading
            self._reading = None
        elif newest is not None and newest.number != self._last_number:
            shot, codes, new = newest, (), False
        else:
            return None
        self._last_number = shot.number
        self._done.clear()
        self._sent_at = now
        frame, ratio = _small_bgr(shot.frame, self._width)
        return Preview(frame, tuple(tuple((x * ratio, y * ratio) for x, y in corners) for corners in codes), new)


def _small_bgr(frame: NDArray[Any], width: int) -> tuple[NDArray[Any], float]:
    cv2 = load_cv2()
    ratio = min(1.0, width / frame.shape[1])
    size = (max(1, round(frame.shape[1] * ratio)), max(1, round(frame.shape[0] * ratio)))
    small = cv2.resize(frame, size, interpolation=cv2.INTER_AREA) if ratio < 1 else frame.copy()
    return (cv2.cvtColor(small, cv2.COLOR_GRAY2BGR) if small.ndim == 2 else small), ratio
