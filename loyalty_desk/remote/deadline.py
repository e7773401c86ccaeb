"""One end for a whole request: time-outs of single reads let a server that drips a byte a second go on for ever."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator, Mapping
from typing import Any


class Deadline:
    """Cuts the connection under a request that takes too long; whoever reads from it then fails as at a broken link.

    `trace` is given to every request (`extensions={"trace": …}`): it learns the socket when one is connected, before
    TLS begins on it, so that a dripping handshake ends too.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._is_over = False

    @property
    def is_over(self) -> bool:
        """Return whether the request under way has been cut."""
        return self._is_over

    def trace(self, event: str, info: Mapping[str, Any]) -> None:
        """Hear of what the connection does."""
        if event != "connection.connect_tcp.complete":
            return
        found = info["return_value"].get_extra_info("socket")
        with self._lock:
            self._forget()
            # A second handle on the same connection: TLS takes the first one away when it begins.
            self._socket = found.dup() if isinstance(found, socket.socket) else None
            if self._is_over:
                self._cut()

    def close(self) -> None:
        """Let go of the connection."""
        with self._lock:
            self._forget()

    @contextlib.contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """End what happens inside after so many seconds."""
        self._is_over = False
        timer = threading.Timer(seconds, self._end)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _end(self) -> None:
        with self._lock:
            self._is_over = True
            self._cut()

    def _cut(self) -> None:
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)

    def _forget(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None
