"""The threads behind a camera: a reader that owns the device, a decoder for the newest frame, and who watches them.

Neither a device call nor a decoder can be interrupted, so one that hangs is left behind with its thread and replaced.
zxing-cpp 3.1.1 can loop for ever on a crafted picture (zxing-cpp#1150, mended after that release).
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from loyalty_desk.scanning.decoding import Decoder, Reading, warm_up
from loyalty_desk.scanning.frames import EndOfFramesError, FrameSource, FrameStream, SourceUnavailableError

if TYPE_CHECKING:
    from numpy.typing import NDArray

_log = logging.getLogger(__name__)


class CameraState(StrEnum):
    """What the badge of the camera shows."""

    STARTING = "starting"
    RUNNING = "running"
    LOST = "lost"
    """No pictures; it is opened again and again."""
    STUCK = "stuck"
    """There are pictures, but no decoder works; only a new start of the till helps."""
    ENDED = "ended"
    """A file is over."""
    STOPPED = "stopped"


_LONGEST_TURN = 3
"""Ticks between two looks at the threads that count as watching them."""


@dataclass(frozen=True, slots=True)
class CameraStatus:
    """A change of state. `detail` is a sentence in English for the log and the diagnostics page."""

    state: CameraState
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Timings:
    """Seconds, and counts of reads, after which something is taken to be wrong."""

    failed_reads: int = 3
    silence: float = 2.0
    standstill: float = 2.0
    opening: float = 60.0
    """Media Foundation has taken 20 s."""
    backoff: tuple[float, ...] = (0.5, 1.0, 2.0, 4.0)
    healthy_after: float = 2.0
    decode: float = 0.5
    most_hung: int = 3
    """Decoders left behind and still running; each may burn a core, and the window needs what is left."""
    last_frames: float = 5.0
    tick: float = 0.02
    farewell: float = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Shot:
    """A frame and its number in this run, from 1."""

    frame: NDArray[Any]
    number: int


class Mailbox:
    """One slot: a new shot replaces one that nobody took, so that results never lag behind the hand.

    A queue in its place showed frames 939 ms old and growing where this shows 78 ms.
    """

    def __init__(self) -> None:
        self._ready = threading.Condition()
        self._shot: Shot | None = None

    def put(self, shot: Shot) -> None:
        with self._ready:
            self._shot = shot
            self._ready.notify()

    def take(self, timeout: float) -> Shot | None:
        with self._ready:
            if self._shot is None:
                self._ready.wait(timeout)
            shot, self._shot = self._shot, None
            return shot


class Reader:
    """Opens, reads and closes one stream in a thread of its own. The supervisor looks at its fields."""

    def __init__(self, source: FrameSource, timings: Timings, clock: Callable[[], float], desk: Desk) -> None:
        self.left = threading.Event()
        self.started = clock()
        self.opened = False
        self.last_frame = self.started
        self.running_since: float | None = None
        self.gone: str | None = None
        self.ended = False
        self._source = source
        self._timings = timings
        self._clock = clock
        self._desk = desk
        self.thread = threading.Thread(target=self._work, name="camera-reader", daemon=True)
        self.thread.start()

    def _work(self) -> None:
        name = self._source.name
        try:
            stream = self._source.open()
        except SourceUnavailableError as error:
            self.gone = str(error)
            return
        except Exception as error:  # noqa: BLE001 - a driver may raise anything
            _log.exception("opening %s failed", name)
            self.gone = f"{name} cannot be opened: {error}"
            return
        try:
            self.last_frame = self._clock()
            self.opened = True
            self.gone = self._read(stream)
        except EndOfFramesError:
            self.ended = True
        except Exception as error:  # noqa: BLE001 - a driver may raise anything
            _log.exception("reading %s failed", name)
            self.gone = f"{name} failed: {error}"
        finally:
            stream.close()

    def _read(self, stream: FrameStream) -> str:
        """Read until left or lost; return why. A read that hung and came back ends here too."""
        failures = 0
        previous: NDArray[Any] | None = None
        changed = self._clock()
        while True:
            frame = stream.read()
            if self.left.is_set():
                return "left"
            if frame is None:
                failures += 1
                if failures >= self._timings.failed_reads:
                    return f"{self._source.name} gives no picture"
                continue
            failures = 0
            now = self._clock()
            if self._source.may_stand_still or previous is None or not _identical(frame, previous):
                changed = now
            elif now - changed >= self._timings.standstill:
                return f"{self._source.name} repeats one picture"
            previous = frame
            self.last_frame = now
            if self.running_since is None:
                self.running_since = now
            self._desk.post(frame)


class Lane:
    """A decoder in a thread of its own. The supervisor looks at its fields."""

    def __init__(self, make_decoder: Callable[[], Decoder], clock: Callable[[], float], desk: Desk) -> None:
        self.left = threading.Event()
        self.busy_since: float | None = None
        self.done_number = 0
        self.broken: str | None = None
        self._make_decoder = make_decoder
        self._clock = clock
        self._desk = desk
        self.thread = threading.Thread(target=self._work, name="camera-decoder", daemon=True)
        self.thread.start()

    def _work(self) -> None:
        try:
            decoder = self._make_decoder()
            # Before a frame waits: the first picture takes longer than a decoder may.
            warm_up(decoder)
        except Exception as error:  # noqa: BLE001 - told as a state
            _log.exception("no decoder could be made")
            self.broken = f"the decoder cannot be started: {error}"
            return
        failures = 0
        while not self.left.is_set():
            shot = self._desk.mailbox.take(0.1)
            if shot is None:
                continue
            self.busy_since = self._clock()
            readings: list[Reading] = []
            try:
                readings = decoder.decode(shot.frame)
                failures = 0
            except Exception:  # noqa: BLE001 - one bad frame must not end the scanning
                failures += 1
                if failures in {1, 100, 10_000}:
                    _log.exception("a frame could not be decoded (%d in a row)", failures)
            if readings:
                # Also after having been left behind: slow is not wrong.
                self._desk.results.put((shot, readings))
            self.busy_since = None
            self.done_number = shot.number


class Desk:
    """What the threads of one run hand to each other."""

    def __init__(self) -> None:
        self.mailbox = Mailbox()
        self.results: queue.SimpleQueue[tuple[Shot, list[Reading]]] = queue.SimpleQueue()
        self.newest: Shot | None = None

    def post(self, frame: NDArray[Any]) -> None:
        self.newest = Shot(frame, self.newest.number + 1 if self.newest else 1)
        self.mailbox.put(self.newest)


class Supervisor:
    """Starts readers and lanes, sees when one is lost or hangs, and tells the state. Lives in one thread."""

    def __init__(
        self,
        source: FrameSource,
        make_decoder: Callable[[], Decoder],
        timings: Timings,
        clock: Callable[[], float],
        emit_state: Callable[[CameraStatus], None],
    ) -> None:
        self._source = source
        self._make_decoder = make_decoder
        self._timings = timings
        self._clock = clock
        self._emit_state = emit_state
        self._status: CameraStatus | None = None
        self._desk = Desk()
        self._results: list[tuple[Shot, list[Reading]]] = []
        self._reader: Reader | None = None
        self._lane: Lane | None = None
        self._hung: list[Lane] = []
        self._turn_at = clock()
        self._watched_since: float | None = None
        self._waited = 0.0
        self._broken = False
        self._losses = 0
        self._retry_at = 0.0
        self._was_absent = False
        self._ended_at: float | None = None

    @property
    def newest(self) -> Shot | None:
        """The last shot of the camera, decoded or not."""
        return self._desk.newest

    def start(self) -> None:
        self._lane = Lane(self._make_decoder, self._clock, self._desk)
        self._open()

    def tick(self) -> bool:
        """Wait a moment for results and look after the threads; False when a file is over and read to its end."""
        over = self._ended_at is not None and not self._still_decoding(self._ended_at)
        try:
            self._results.append(self._desk.results.get(timeout=self._timings.tick))
            while not self._desk.results.empty():
                self._results.append(self._desk.results.get())
        except queue.Empty:
            pass  # nothing was read in this moment, which is the usual case
        self._watch_lane()
        if self._ended_at is None:
            self._watch_reader()
        return not over

    def take_results(self) -> list[tuple[Shot, list[Reading]]]:
        """Return what was read since the last call."""
        results, self._results = self._results, []
        return results

    def stop(self) -> None:
        """Leave the threads, wait a bounded time for them, and tell the last state."""
        threads = [worker.thread for worker in (self._reader, self._lane) if worker is not None]
        for worker in (self._reader, self._lane):
            if worker is not None:
                worker.left.set()
        deadline = time.monotonic() + self._timings.farewell
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        self._tell(CameraState.STOPPED if self._ended_at is None else CameraState.ENDED)

    def _still_decoding(self, ended_at: float) -> bool:
        if self._lane is None or self.newest is None or self._clock() - ended_at > self._timings.last_frames:
            return False
        return self._lane.done_number < self.newest.number

    def _open(self) -> None:
        self._tell(CameraState.STARTING, self._source.name)
        self._reader = Reader(self._source, self._timings, self._clock, self._desk)

    def _watch_reader(self) -> None:
        now, reader, timings = self._clock(), self._reader, self._timings
        if reader is None:
            absent = not self._source.present()
            if now >= self._retry_at or (self._was_absent and not absent):
                self._open()
            self._was_absent = absent
        elif reader.ended:
            self._ended_at = now
        elif reader.gone is not None:
            self._lose(reader.gone)
        elif not reader.opened:
            if now - reader.started > timings.opening:
                self._lose(f"{self._source.name} does not open")
        elif now - reader.last_frame > timings.silence:
            self._lose(f"{self._source.name} has sent nothing for {timings.silence:g} s")
        elif reader.running_since is not None:
            if now - reader.running_since >= timings.healthy_after:
                self._losses = 0
            if self._lane is not None:
                self._tell(CameraState.RUNNING, self._source.name)

    def _lose(self, reason: str) -> None:
        """Leave the reader, closed or hanging, and wait before the next one."""
        if self._reader is not None:
            self._reader.left.set()
        self._reader = None
        waits = self._timings.backoff
        self._retry_at = self._clock() + waits[min(self._losses, len(waits) - 1)]
        self._losses += 1
        self._was_absent = not self._source.present()
        self._tell(CameraState.LOST, reason)

    def _watch_lane(self) -> None:
        self._hung = [lane for lane in self._hung if lane.thread.is_alive()]
        lane = self._lane
        if lane is None:
            if not self._broken and len(self._hung) < self._timings.most_hung:
                self._lane = Lane(self._make_decoder, self._clock, self._desk)
            return
        if lane.broken is not None:
            self._lane, self._broken = None, True
            self._tell(CameraState.STUCK, lane.broken)
            return
        waited = self._waited_for(lane)
        if waited <= self._timings.decode:
            return
        _log.error("a decoder has not answered for %.0f ms and is left behind", waited * 1000)
        lane.left.set()
        self._hung.append(lane)
        self._lane = None
        if len(self._hung) < self._timings.most_hung:
            self._lane = Lane(self._make_decoder, self._clock, self._desk)
        else:
            self._tell(CameraState.STUCK, "one decoder after another hangs")

    def _waited_for(self, lane: Lane) -> float:
        """Return for how many seconds the decoder has been at its picture while it was watched.

        Where this thread did not get its turns (a lid was closed, the machine was busy) the decoder got none either.
        """
        now, since = self._clock(), lane.busy_since
        turn, self._turn_at = now - self._turn_at, now
        if since is None or since != self._watched_since:
            self._watched_since, self._waited = since, 0.0
        else:
            self._waited += min(turn, _LONGEST_TURN * self._timings.tick)
        return self._waited

    def _tell(self, state: CameraState, detail: str = "") -> None:
        status = CameraStatus(state, detail)
        if status != self._status:
            self._status = status
            self._emit_state(status)


def _identical(frame: NDArray[Any], other: NDArray[Any]) -> bool:
    """Bit by bit; a sparse look first, since nearly always a sensor's noise shows there."""
    if frame.shape != other.shape or (frame[::32, ::32] != other[::32, ::32]).any():
        return False
    return bool((frame == other).all())
