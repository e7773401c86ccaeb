"""Where frames come from: one protocol for a live camera, a video, pictures and the simulated webcam.

A `FrameSource` is a recipe and may be shared by threads; `open()` gives a `FrameStream` that belongs to the one thread
which opened it: only that thread reads and closes it. Opening again after a loss gives a fresh stream.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from loyalty_desk.scanning.images import IMAGE_SUFFIXES, UnreadableImageError, read_image
from loyalty_desk.scanning.opencv import load_cv2

if TYPE_CHECKING:
    from numpy.typing import NDArray


class SourceUnavailableError(Exception):
    """The source cannot be opened now; the text is one sentence for a person. Trying again later may help."""


class EndOfFramesError(Exception):
    """The last frame has been given; this stream gives no more."""


class FrameStream(Protocol):
    """Frames of one opening. Not thread-safe."""

    def read(self) -> NDArray[Any] | None:
        """Wait for the next frame: uint8, height by width (gray) or by 3 (BGR), owned by the caller.

        None is a failed read, of which a camera may have a few. Raises `EndOfFramesError` after the last frame.
        """

    def close(self) -> None:
        """Release the device or file. Calling it twice is fine."""


class FrameSource(Protocol):
    """Something that can be opened and gives frames."""

    @property
    def name(self) -> str:
        """What the person calls it: "camera 0", a file's name."""

    @property
    def may_stand_still(self) -> bool:
        """Whether identical frames are normal. A live sensor is never still: its noise moves every frame."""

    def present(self) -> bool:
        """Return False only where it is known to be absent: a camera plugged in again is then opened at once."""

    def open(self) -> FrameStream:
        """Open a fresh stream. Raises `SourceUnavailableError`."""


class Pacer:
    """Hands out turns at `fps`. A late caller does not get the missed turns in a burst."""

    def __init__(
        self, fps: float, clock: Callable[[], float] = time.monotonic, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._interval = 1.0 / fps
        self._clock = clock
        self._sleep = sleep
        self._due = clock()

    def wait(self) -> None:
        now = self._clock()
        if now < self._due:
            self._sleep(self._due - now)
            now = self._due
        self._due = max(self._due, now - self._interval) + self._interval


class VideoFile:
    """Frames of a video file, at `fps` (None: as fast as they are read), once or for ever."""

    may_stand_still = True

    def __init__(self, path: Path, *, fps: float | None = 30.0, loop: bool = False) -> None:
        self._path = path
        self._fps = fps
        self._loop = loop

    @property
    def name(self) -> str:
        return self._path.name

    def present(self) -> bool:
        return self._path.exists()

    def open(self) -> FrameStream:
        return _VideoStream(self._path, self._fps, self._loop)


class _VideoStream:
    def __init__(self, path: Path, fps: float | None, loop: bool) -> None:
        cv2 = load_cv2()
        if not path.is_file():
            raise SourceUnavailableError(f"There is no video file {path}.")
        # Any other back-end might take a name for a camera or for a series of pictures.
        self._capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
        if not self._capture.isOpened():
            raise SourceUnavailableError(f"{path} is not a video that can be read.")
        self._path = path
        self._pacer = Pacer(fps) if fps else None
        self._loop = loop
        self._given = 0

    def read(self) -> NDArray[Any] | None:
        cv2 = load_cv2()
        if self._pacer:
            self._pacer.wait()
        good, frame = self._capture.read()
        if not good and self._loop and self._given:
            self._capture.set(cv2.CAP_PROP_POS_FRAMES, 0)
            self._given = 0
            good, frame = self._capture.read()
        if not good:
            raise EndOfFramesError(self._path.name)
        self._given += 1
        return frame  # type: ignore[no-any-return]

    def close(self) -> None:
        self._capture.release()


class Pictures:
    """One picture, or every picture of a folder by name: each is a frame, shown for `seconds_each` at `fps`.

    A picture that cannot be read is a failed read, not an end.
    """

    may_stand_still = True

    def __init__(self, path: Path, *, fps: float | None = 30.0, seconds_each: float = 0.0, loop: bool = False) -> None:
        self._path = path
        self._fps = fps
        self._times = max(1, round(seconds_each * fps)) if fps else 1
        self._loop = loop

    @property
    def name(self) -> str:
        return self._path.name

    def present(self) -> bool:
        return self._path.exists()

    def open(self) -> FrameStream:
        if self._path.is_dir():
            paths = sorted(p for p in self._path.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES and p.is_file())
            if not paths:
                raise SourceUnavailableError(f"There are no pictures in {self._path}.")
        elif self._path.is_file():
            paths = [self._path]
        else:
            raise SourceUnavailableError(f"There is no picture or folder {self._path}.")
        return _PictureStream(paths, self._fps, self._times, self._loop)


class _PictureStream:
    def __init__(self, paths: Sequence[Path], fps: float | None, times: int, loop: bool) -> None:
        self._pacer = Pacer(fps) if fps else None
        self._turns = self._order(paths, times, loop)
        self._last: tuple[Path, NDArray[Any] | None] | None = None

    @staticmethod
    def _order(paths: Sequence[Path], times: int, loop: bool) -> Iterator[Path]:
        while True:
            for path in paths:
                for _ in range(times):
                    yield path
            if not loop:
                return

    def read(self) -> NDArray[Any] | None:
        if self._pacer:
            self._pacer.wait()
        path = next(self._turns, None)
        if path is None:
            raise EndOfFramesError
        if self._last is None or self._last[0] != path:
            try:
                self._last = (path, read_image(path))
            except UnreadableImageError:
                self._last = (path, None)
        frame = self._last[1]
        return None if frame is None else frame.copy()

    def close(self) -> None:
        self._turns = iter(())
