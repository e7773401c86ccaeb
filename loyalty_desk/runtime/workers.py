"""Threads of the till: each runs one `run(stop)` until it is told to stop, and is always waited for."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence


class Worker:
    """A named thread around a callable that returns soon after its `stop` is set.

    It is a daemon only so that a device call which never comes back cannot keep the program alive; `join` says whether
    it ended. An exception in it goes to `threading.excepthook`, and so to the crash file.
    """

    def __init__(
        self, name: str, run: Callable[[threading.Event], None], wake: Callable[[], None] | None = None
    ) -> None:
        self.name = name
        self._run = run
        self._wake = wake
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def alive(self) -> bool:
        """Return whether the thread runs."""
        return self._thread is not None and self._thread.is_alive()

    def start(self) -> None:
        """Start the thread; a second call does nothing."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, args=(self._stop,), name=self.name, daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Tell it to stop; returns at once."""
        self._stop.set()
        if self._wake is not None:
            self._wake()

    def join(self, seconds: float) -> bool:
        """Wait for it; return whether it has ended."""
        if self._thread is None:
            return True
        self._thread.join(max(0.0, seconds))
        return not self._thread.is_alive()


def stop_all(workers: Sequence[Worker], seconds: float) -> list[str]:
    """Tell all to stop, then wait at most `seconds` in all; return the names of those that did not end."""
    for worker in workers:
        worker.stop()
    until = time.monotonic() + seconds
    return [worker.name for worker in workers if not worker.join(until - time.monotonic())]
