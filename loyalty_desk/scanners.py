"""The till's scanners as the window has them: which there are, their threads, and how they are."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from loyalty_desk.runtime.bridge import MainThreadBridge
from loyalty_desk.runtime.keyboard_scanner import HeldKey, Verdict
from loyalty_desk.runtime.workers import Worker, stop_all
from loyalty_desk.scanning.keyboard_wedge import Action, Hold, KeyboardWedge, Replay, Scanned
from loyalty_desk.services.ports.scan import Scan
from loyalty_desk.ui.sale.ports import ScannerHealth

if TYPE_CHECKING:
    from loyalty_desk.scanning.camera import CameraStatus, CameraWorker, Preview
    from loyalty_desk.scanning.frames import FrameSource
    from loyalty_desk.scanning.serial_port import SerialStatus

_HEALTH = {"running": ScannerHealth.READY, "starting": ScannerHealth.STARTING, "ended": ScannerHealth.NONE}


class Scanners:
    """Camera and serial scanner, each in its thread; scans, pictures and health come back on the main one."""

    def __init__(
        self,
        bridge: MainThreadBridge,
        source: FrameSource | None,
        serial_port: str,
        scanned: Callable[[Scan], None],
        previewed: Callable[[Preview], None],
        changed: Callable[[], None],
    ) -> None:
        self._bridge = bridge
        self._source = source
        self._serial_port = serial_port
        self._scanned = scanned
        self._previewed = previewed
        self._changed = changed
        self._camera: CameraWorker | None = None
        self._each: dict[str, ScannerHealth] = {}
        self.workers: list[Worker] = []

    @property
    def health(self) -> ScannerHealth:
        """Return the best of them: one scanner is enough to sell."""
        for one in (ScannerHealth.READY, ScannerHealth.STARTING, ScannerHealth.LOST):
            if one in self._each.values():
                return one
        return ScannerHealth.NONE

    @property
    def has_camera(self) -> bool:
        """Return whether there is to be a camera, working or not."""
        return self._source is not None

    def start(self) -> None:
        """Start the threads, after the first paint; a second call does nothing."""
        if self.workers:
            return
        if self._source is not None:
            self._add_camera(self._source)
        if self._serial_port:
            self._add_serial(self._serial_port)
        for worker in self.workers:
            worker.start()

    def preview_done(self) -> None:
        """Say that the last picture was painted: only then comes the next."""
        if self._camera is not None:
            self._camera.preview_done()

    def rearm(self) -> None:
        """Let a code still held before the camera be read again: it is the next guest's now."""
        if self._camera is not None:
            self._camera.rearm()

    def stop(self, seconds: float) -> list[str]:
        """Stop all; return the names of those that did not end in time."""
        return stop_all(self.workers, seconds)

    def _add_camera(self, source: FrameSource) -> None:
        from loyalty_desk.scanning.camera import CameraWorker

        self._each["camera"] = ScannerHealth.STARTING
        self._camera = camera = CameraWorker(source)
        into = self._bridge.into

        def read(stop: threading.Event) -> None:
            camera.run(stop, into(self._scanned), into(self._previewed), into(self._on_camera_status))

        self.workers.append(Worker("camera", read))

    def _add_serial(self, port: str) -> None:
        from loyalty_desk.scanning.serial_port import SerialSettings, SerialWorker

        self._each["serial"] = ScannerHealth.STARTING
        serial = SerialWorker(SerialSettings(port))
        into = self._bridge.into

        def read(stop: threading.Event) -> None:
            serial.run(stop, into(self._scanned), into(self._on_serial_status))

        self.workers.append(Worker("serial", read))

    def _on_camera_status(self, status: CameraStatus) -> None:
        self._each["camera"] = _HEALTH.get(status.state.value, ScannerHealth.LOST)
        self._changed()

    def _on_serial_status(self, status: SerialStatus) -> None:
        self._each["serial"] = _HEALTH.get(status.state.value, ScannerHealth.LOST)
        self._changed()


class WedgeParser:
    """The scanning package's parser in the runtime's terms, so that neither knows the other."""

    def __init__(self, wedge: KeyboardWedge[HeldKey]) -> None:
        self._wedge = wedge

    def key(self, text: str, key: HeldKey, now: float, *, enter: bool, plain: bool, modifier: bool) -> Verdict:
        """Take one key press; `now` is monotonic milliseconds."""
        return _verdict(self._wedge.key(text, key, now, enter=enter, plain=plain, modifier=modifier))

    def tick(self, now: float) -> Verdict:
        """Give back what has waited too long."""
        return _verdict(self._wedge.tick(now))

    def flush(self) -> Verdict:
        """Give back everything."""
        return _verdict(self._wedge.flush())

    def wait_ms(self, now: float) -> float | None:
        """Return when `tick` is due."""
        return self._wedge.wait_ms(now)


def frame_source(camera: str) -> FrameSource | None:
    """Return the source that `--camera` names; empty means camera 0 where there is one. Imports nothing heavy."""
    if camera == "none":
        return None
    if camera == "simulated" or camera.startswith("simulated:"):
        from loyalty_desk.scanning.simulated import SimulatedWebcam

        return SimulatedWebcam(camera.partition(":")[2] or None)
    if camera == "" or camera.isdigit():
        from loyalty_desk.scanning.live_camera import LiveCamera

        live = LiveCamera(int(camera or "0"))
        return live if camera or live.present() else None
    from loyalty_desk.scanning.frames import Pictures, VideoFile
    from loyalty_desk.scanning.images import IMAGE_SUFFIXES

    path = Path(camera)
    if path.is_dir() or path.suffix.lower() in IMAGE_SUFFIXES:
        return Pictures(path, seconds_each=2.0, loop=True)
    return VideoFile(path, loop=True)


def _verdict(actions: Sequence[Action[HeldKey]]) -> Verdict:
    replay: tuple[HeldKey, ...] = ()
    swallow, scanned = False, None
    for action in actions:
        if isinstance(action, Replay):
            replay += action.keys
        elif isinstance(action, Hold):
            swallow = True
        elif isinstance(action, Scanned):
            scanned = action.data
    return Verdict(replay, swallow, scanned)
