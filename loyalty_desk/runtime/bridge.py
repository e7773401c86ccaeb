"""The one way back from other threads: whatever is posted runs on the main thread, in order."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QObject, Qt, Signal, Slot


class MainThreadBridge(QObject):
    """Made on the main thread and kept for the program's life.

    A signal of `object` into a bound slot: a lambda would run in the sender's thread, and `Signal(int)` has 32 bits.
    """

    _posted = Signal(object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._closed = False
        self._posted.connect(self._on_posted, Qt.ConnectionType.QueuedConnection)

    def post[**P](self, what: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> bool:
        """Call `what` on the main thread soon; False where the window is already gone. From any thread."""
        try:
            self._posted.emit((what, args, kwargs))
        except RuntimeError:
            # The QObject is gone: the program is ending, and nobody is left to be told.
            return False
        return True

    def into[T](self, slot: Callable[[T], object]) -> Callable[[T], None]:
        """Return a function for other threads that hands its one argument to `slot` on the main thread."""

        def send(value: T) -> None:
            self.post(slot, value)

        return send

    def close(self) -> None:
        """Let what is posted from now on, or still waits, fall: its receivers are being taken down."""
        self._closed = True

    @Slot(object)
    def _on_posted(self, call: tuple[Callable[..., object], tuple[object, ...], dict[str, object]]) -> None:
        if not self._closed:
            what, args, kwargs = call
            what(*args, **kwargs)
