"""The db thread, and things that happen later, as the presenters' `TaskRunner`."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from PySide6.QtCore import QObject, QTimer

from loyalty_desk.runtime.bridge import MainThreadBridge


class DbTaskRunner:
    """One thread that owns the disk, or one beside it; answers come back through the bridge, in the order asked."""

    def __init__(self, bridge: MainThreadBridge, name: str = "db") -> None:
        self._bridge = bridge
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)
        self._timers: set[QTimer] = set()

    def run[T](self, work: Callable[[], T], done: Callable[[T], None], failed: Callable[[Exception], None]) -> None:
        """Call `work` on the thread, then `done` or `failed` on the main thread."""

        def answered(future: Future[T]) -> None:
            if future.cancelled():
                return
            error = future.exception()
            if error is None:
                self._bridge.post(done, future.result())
            elif isinstance(error, Exception):
                self._bridge.post(failed, error)
            else:
                raise error

        self._pool.submit(work).add_done_callback(answered)

    def later(self, seconds: float, what: Callable[[], None]) -> Callable[[], None]:
        """Call `what` on the main thread after some seconds; the returned function takes that back."""
        timer = _OneShot(self._bridge, round(seconds * 1000), what, self._timers)
        return timer.cancel

    def close(self, *, wait: bool = True) -> None:
        """Finish what was begun and take nothing new."""
        for timer in list(self._timers):
            timer.stop()
        self._timers.clear()
        self._pool.shutdown(wait=wait)


class _OneShot(QTimer):
    """A timer that keeps itself alive until it fires or is cancelled."""

    def __init__(self, parent: QObject, milliseconds: int, what: Callable[[], None], among: set[QTimer]) -> None:
        super().__init__(parent)
        self._what = what
        self._among = among
        self.setSingleShot(True)
        self.setInterval(milliseconds)
        self.timeout.connect(self._on_timeout)
        among.add(self)
        self.start()

    def cancel(self) -> None:
        """Forget it; fine after it has fired."""
        if self in self._among:
            self._among.discard(self)
            self.stop()
            self.deleteLater()

    def _on_timeout(self) -> None:
        self._among.discard(self)
        self.deleteLater()
        self._what()
