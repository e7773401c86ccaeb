"""A real camera through OpenCV, opened the way each system needs it."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loyalty_desk.scanning.frames import FrameStream, SourceUnavailableError
from loyalty_desk.scanning.opencv import load_cv2

if TYPE_CHECKING:
    from numpy.typing import NDArray

# DirectShow opens at once, Media Foundation takes seconds; but DirectShow may fall to 1 to 10 frames a second where the
# camera ignores MJPG (opencv/opencv#26495, #17687). So each is measured and the better one remembered.
_BACKENDS = {"win32": ("CAP_DSHOW", "CAP_MSMF"), "darwin": ("CAP_AVFOUNDATION",), "linux": ("CAP_V4L2",)}
_SLOW_FPS = 10.0
# Where the system does not list its cameras, this many are offered: whether one is there is known when it is opened.
_OFFERED = 3


def indexes() -> list[int]:
    """Return the cameras that may be chosen, by index."""
    if sys.platform != "linux":
        return list(range(_OFFERED))
    return sorted(int(one.name[5:]) for one in Path("/dev").glob("video*") if one.name[5:].isdigit())


class LiveCamera:
    """Camera `index` of this machine, asked for `width` by `height` in MJPG. May be shared; each `open` is a stream."""

    may_stand_still = False

    def __init__(
        self,
        index: int = 0,
        *,
        width: int = 1280,
        height: int = 720,
        backends: tuple[str, ...] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._index = index
        self._size = (width, height)
        self._backends = backends or _BACKENDS.get(sys.platform, ("CAP_ANY",))
        self._clock = clock

    @property
    def name(self) -> str:
        return f"camera {self._index}"

    def present(self) -> bool:
        return sys.platform != "linux" or Path(f"/dev/video{self._index}").exists()

    def open(self) -> FrameStream:
        measured: list[tuple[float, str]] = []
        for backend in self._backends:
            stream = self._open_with(backend)
            if stream is None:
                continue
            if len(self._backends) == 1:
                return stream
            rate = stream.measure(self._clock)
            if rate >= _SLOW_FPS:
                self._backends = (backend,)
                return stream
            stream.close()
            measured.append((rate, backend))
        # All slow is not a fault: in a dim room auto-exposure takes 100 ms a frame whoever asks.
        working = [pair for pair in measured if pair[0] > 0]
        if working:
            best = max(working)[1]
            stream = self._open_with(best)
            if stream is not None:
                self._backends = (best,)
                return stream
        raise SourceUnavailableError(f"There is no {self.name}, or another program uses it.")

    def _open_with(self, backend: str) -> CameraStream | None:
        cv2 = load_cv2()
        capture = cv2.VideoCapture(self._index, getattr(cv2, backend))
        if not capture.isOpened():
            capture.release()
            return None
        # In this order: the size chosen before the format would be granted uncompressed, at a few frames a second.
        capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter_fourcc(*"MJPG"))
        capture.set(cv2.CAP_PROP_FRAME_WIDTH, self._size[0])
        capture.set(cv2.CAP_PROP_FRAME_HEIGHT, self._size[1])
        capture.set(cv2.CAP_PROP_FPS, 30)
        capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
        return CameraStream(capture)


class CameraStream:
    """An opened capture device."""

    def __init__(self, capture: Any) -> None:
        self._capture = capture

    def measure(self, clock: Callable[[], float], frames: int = 8) -> float:
        """Return frames a second over `frames` reads after the first two; 0 where none came."""
        for _ in range(2):
            self.read()
        started = clock()
        came = sum(self.read() is not None for _ in range(frames))
        return came / max(clock() - started, 1e-6)

    def read(self) -> NDArray[Any] | None:
        good, frame = self._capture.read()
        return frame if good else None

    def close(self) -> None:
        self._capture.release()
