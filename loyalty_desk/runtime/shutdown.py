"""The end in phases: scanners, then the sync (bounded), then the db thread, then the event loop.

Each phase starts only when the one before is over, so nothing posts to what is already gone.
"""

from __future__ import annotations

import logging
import signal
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import FrameType

from PySide6.QtCore import QObject, QSocketNotifier, QTimer
from PySide6.QtWidgets import QApplication

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Phase:
    """One step of the end. What it raises is logged, and the next step comes all the same."""

    name: str
    stop: Callable[[], object]


class Shutdown(QObject):
    """Runs the phases once, from the event loop, whoever asks and however often; then `leave`s the loop."""

    def __init__(
        self,
        phases: Sequence[Phase],
        parent: QObject | None = None,
        leave: Callable[[], object] = QApplication.quit,
    ) -> None:
        super().__init__(parent)
        self._phases = tuple(phases)
        self._leave = leave
        self._begun = False
        self._over = False

    @property
    def over(self) -> bool:
        """Return whether every phase has run."""
        return self._over

    def ask(self) -> None:
        """Begin soon: never inside the event handler that asks, which may belong to what is being taken down."""
        if not self._begun:
            self._begun = True
            QTimer.singleShot(0, self, self._on_begun)

    def run_phases(self) -> None:
        """Run every phase that has not run yet."""
        if self._over:
            return
        self._over = True
        for phase in self._phases:
            try:
                left = phase.stop()
                if left:
                    _log.warning("shutdown: %s left behind %s", phase.name, left)
            except Exception:  # noqa: BLE001 - the end comes whatever fails on the way
                _log.exception("shutdown: %s failed", phase.name)

    def _on_begun(self) -> None:
        self.run_phases()
        self._leave()


class SignalWatch(QObject):
    """Turns SIGINT and SIGTERM into a call on the main thread: Python's handlers do not run while Qt waits."""

    def __init__(self, asked: Callable[[], None], parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._asked = asked
        self._mine, self._theirs = socket.socketpair()
        self._mine.setblocking(False)
        self._theirs.setblocking(False)
        self._notifier = QSocketNotifier(self._mine.fileno(), QSocketNotifier.Type.Read, self)
        self._notifier.activated.connect(self._on_activated)
        self._before = {name: signal.signal(name, _ignore) for name in (signal.SIGINT, signal.SIGTERM)}
        self._fd_before = signal.set_wakeup_fd(self._theirs.fileno(), warn_on_full_buffer=False)

    def close(self) -> None:
        """Put the handlers back."""
        self._notifier.setEnabled(False)
        signal.set_wakeup_fd(self._fd_before)
        for name, handler in self._before.items():
            signal.signal(name, handler)
        self._mine.close()
        self._theirs.close()

    def _on_activated(self) -> None:
        received = self._mine.recv(64)
        if any(number in received for number in (signal.SIGINT, signal.SIGTERM)):
            self._asked()


def _ignore(number: int, frame: FrameType | None) -> None:
    """Do nothing: the number arrives through the wakeup socket."""
