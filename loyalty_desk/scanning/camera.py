"""The camera worker: frames in, scans, previews and states out, whatever the camera or a decoder does."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from loyalty_desk.scanning.debounce import CAMERA_REARM_SECONDS, Debounce
from loyalty_desk.scanning.decoding import CascadeDecoder, Decoder
from loyalty_desk.scanning.frames import FrameSource
from loyalty_desk.scanning.preview import Preview, Previews
from loyalty_desk.scanning.supervision import CameraState, CameraStatus, Supervisor, Timings
from loyalty_desk.services.ports.scan import Scan, ScanSource

__all__ = ["CameraState", "CameraStatus", "CameraWorker", "Preview", "Timings"]


class CameraWorker:
    """Reads codes from a source until it is told to stop. One run at a time.

    `make_decoder` is called once for every decoder thread, in that thread. `preview_width` is in pixels. A code
    counts again when it was out of sight for `rearm_after` seconds.
    """

    def __init__(
        self,
        source: FrameSource,
        *,
        make_decoder: Callable[[], Decoder] = CascadeDecoder,
        rearm_after: float = CAMERA_REARM_SECONDS,
        preview_width: int = 480,
        timings: Timings | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._source = source
        self._make_decoder = make_decoder
        self._timings = timings or Timings()
        self._clock = clock
        self._debounce = Debounce(rearm_after, clock)
        self._previews = Previews(preview_width, clock)
        self._rearm = threading.Event()

    def preview_done(self) -> None:
        """Say that the last preview was painted: only then comes the next. Callable from any thread."""
        self._previews.done()

    def rearm(self) -> None:
        """Let a code that is still in view count again. Callable from any thread."""
        self._rearm.set()

    def run(
        self,
        stop: threading.Event,
        emit_scan: Callable[[Scan], None],
        emit_preview: Callable[[Preview], None],
        emit_state: Callable[[CameraStatus], None],
    ) -> None:
        """Work until `stop` is set or a file ends. Every emit happens in the calling thread and must not block.

        Raises nothing for what a camera or a decoder does; it returns within a second or so of `stop`, leaving behind a
        device call that does not come back.
        """
        supervisor = Supervisor(self._source, self._make_decoder, self._timings, self._clock, emit_state)
        supervisor.start()
        try:
            working = True
            while working and not stop.is_set():
                working = supervisor.tick()
                if self._rearm.is_set():
                    self._rearm.clear()
                    self._debounce.rearm()
                self._hand_out(supervisor, emit_scan)
                preview = self._previews.due(supervisor.newest)
                if preview is not None:
                    emit_preview(preview)
        finally:
            supervisor.stop()

    def _hand_out(self, supervisor: Supervisor, emit_scan: Callable[[Scan], None]) -> None:
        for shot, readings in supervisor.take_results():
            new = [reading.data for reading in readings if self._debounce.first_sight(reading.data)]
            for data in new:
                emit_scan(Scan(data, ScanSource.CAMERA))
            self._previews.read(shot, tuple(reading.corners for reading in readings), bool(new))
