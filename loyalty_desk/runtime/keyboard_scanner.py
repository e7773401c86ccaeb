"""The event filter behind the keyboard scanner: holds keys, gives typed ones back, swallows a scan's Enter.

What the keys mean is decided by a parser without Qt (`scanning.keyboard_wedge`), handed in by `app`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol, override

import msgspec
from PySide6.QtCore import QEvent, QObject, Qt, QTimer
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QApplication, QWidget

_ENTERS = (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Tab)
_MODIFIERS = (Qt.Key.Key_Shift, Qt.Key.Key_Control, Qt.Key.Key_Alt, Qt.Key.Key_AltGr, Qt.Key.Key_Meta,
              Qt.Key.Key_CapsLock, Qt.Key.Key_NumLock)  # fmt: skip
_NOT_PLAIN = Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.AltModifier | Qt.KeyboardModifier.MetaModifier


class HeldKey(msgspec.Struct, frozen=True):
    """A key press that waits, and the widget it was meant for."""

    target: QWidget
    event: QKeyEvent


class Verdict(msgspec.Struct, frozen=True):
    """What to do: first give `replay` to their widgets, then `swallow` the key at hand or not; `scanned` is a scan."""

    replay: tuple[HeldKey, ...] = ()
    swallow: bool = False
    scanned: bytes | None = None


class KeyParser(Protocol):
    """The parser as this filter needs it. Times are monotonic milliseconds."""

    def key(self, text: str, key: HeldKey, now: float, *, enter: bool, plain: bool, modifier: bool) -> Verdict:
        """Take one key press."""
        ...

    def tick(self, now: float) -> Verdict:
        """Give back what has waited too long."""
        ...

    def flush(self) -> Verdict:
        """Give back everything."""
        ...

    def wait_ms(self, now: float) -> float | None:
        """Return when `tick` is due."""
        ...


class KeyboardScannerFilter(QObject):
    """Install on the application.

    A key is looked at once, for the widget that has the focus; what a widget passes on to its parents, and what is
    replayed, goes by untouched.
    """

    def __init__(
        self,
        parser: KeyParser,
        scanned: Callable[[bytes], None],
        parent: QObject | None = None,
        now: Callable[[], float] = lambda: time.monotonic() * 1000,
    ) -> None:
        super().__init__(parent)
        self._parser = parser
        self._scanned = scanned
        self._now = now
        self._replaying = False
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(self._on_timeout)

    def install(self, app: QApplication) -> None:
        """Begin to look at the application's keys."""
        app.installEventFilter(self)
        app.focusChanged.connect(self._on_focus_changed)

    def remove(self, app: QApplication) -> None:
        """Stop looking, and give back what is held."""
        app.removeEventFilter(self)
        app.focusChanged.disconnect(self._on_focus_changed)
        self._timer.stop()
        self._perform(self._parser.flush())

    @override
    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() != QEvent.Type.KeyPress or self._replaying or not isinstance(watched, QWidget):
            return False
        if not isinstance(event, QKeyEvent) or watched is not _receiver(watched):
            return False
        verdict = self._parser.key(
            event.text(),
            HeldKey(watched, event.clone()),
            self._now(),
            enter=event.key() in _ENTERS,
            plain=not (event.modifiers() & _NOT_PLAIN) and not event.isAutoRepeat(),
            modifier=event.key() in _MODIFIERS,
        )
        self._perform(verdict)
        return verdict.swallow

    def _on_timeout(self) -> None:
        self._perform(self._parser.tick(self._now()))

    def _on_focus_changed(self, old: QWidget | None, new: QWidget | None) -> None:
        if new is None and old is not None:
            self._perform(self._parser.flush())

    def _perform(self, verdict: Verdict) -> None:
        for held in verdict.replay:
            self._replaying = True
            try:
                QApplication.sendEvent(held.target, held.event)
            except RuntimeError:
                # The widget is gone with its screen; so is what was typed into it.
                continue
            finally:
                self._replaying = False
        wait = self._parser.wait_ms(self._now())
        if wait is None:
            self._timer.stop()
        else:
            self._timer.start(int(wait) + 1)
        if verdict.scanned is not None:
            self._scanned(verdict.scanned)


def _receiver(watched: QWidget) -> QWidget:
    """Return the widget that Qt hands a key to first: the one with the focus, else the window itself."""
    focused = QApplication.focusWidget()
    if focused is not None:
        return focused
    return watched.window().focusWidget() or watched.window()
