"""The hands at the till: the real window in this process, worked by events that arrive as lines on standard input.

Started by `till_process.py`. Nothing of the till is replaced: what is typed goes through Qt's own event queue, and what
is scanned is held before a simulated webcam.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, cast

import msgspec
from PySide6.QtCore import QEvent, QObject, QPoint, Qt, Signal, Slot
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QAbstractButton, QApplication, QWidget

from loyalty_desk.app import Options, TillApp, run
from loyalty_desk.scanning.simulated import SimulatedWebcam
from loyalty_desk.ui.counter.view import CounterView
from loyalty_desk.ui.widgets.labels import SHAPES

if TYPE_CHECKING:
    from loyalty_desk.store.journal import SqliteJournal

KEYS = {
    "Enter": Qt.Key.Key_Return,
    "Escape": Qt.Key.Key_Escape,
    "F1": Qt.Key.Key_F1,
    "F2": Qt.Key.Key_F2,
    "F3": Qt.Key.Key_F3,
    "F4": Qt.Key.Key_F4,
    "F7": Qt.Key.Key_F7,
    "F9": Qt.Key.Key_F9,
    "F10": Qt.Key.Key_F10,
    "F12": Qt.Key.Key_F12,
}


class Hands(QObject):
    """Does what a line says, on the main thread, and answers with one line."""

    _asked = Signal(object)
    _left = Signal()

    def __init__(self, till: TillApp, webcam: SimulatedWebcam) -> None:
        super().__init__()
        self._till = till
        self._webcam = webcam
        self._asked.connect(self._on_asked, Qt.ConnectionType.QueuedConnection)
        self._left.connect(self._on_left, Qt.ConnectionType.QueuedConnection)
        self._reader = threading.Thread(target=self._read, daemon=True)

    def begin(self) -> None:
        """Say that the window is there, and listen."""
        answer({"ready": True})
        self._reader.start()

    def _read(self) -> None:
        for line in sys.stdin:
            self._asked.emit(json.loads(line))
        self._left.emit()

    @Slot(object)
    def _on_asked(self, asked: dict[str, str]) -> None:
        doing = cast("Callable[[dict[str, str]], dict[str, object]]", getattr(self, f"_do_{asked['do']}"))
        try:
            answer(doing(asked))
        except LookupError as error:
            answer({"failed": str(error)})

    @Slot()
    def _on_left(self) -> None:
        self._till.window.close()

    def _do_state(self, _asked: dict[str, str]) -> dict[str, object]:
        state, presenter = self._till.state, self._till.presenter
        if state is None or presenter is None:
            return {"facts": None}
        model = presenter.model
        status, quote, done, guest = model.status, model.quote, model.done, model.guest
        facts: dict[str, object] = {
            "page": self._page(),
            "camera_empty": self._webcam.is_empty,
            "online": status is not None and status.online,
            "waiting": None if status is None else status.waiting,
            "guests_loaded": None if status is None else status.guests_loaded,
            "guest": None if guest is None else guest.name,
            "points": None if guest is None else guest.points,
            "redeems": None if quote is None else quote.redeemed_points,
            "done": None
            if done is None
            else {
                "id": str(done.record_id),
                "earned": done.quote.earned_points,
                "redeemed": done.quote.redeemed_points,
                "total": done.quote.total,
                "balance_after": done.balance_after,
            },
        }
        return {**msgspec.to_builtins(state), "facts": facts}

    def _do_show(self, asked: dict[str, str]) -> dict[str, object]:
        self._webcam.show(asked["code"] or None)
        return {}

    def _do_type(self, asked: dict[str, str]) -> dict[str, object]:
        # QTest aborts the process on a Cyrillic letter; a cashier's keys here are digits and ASCII.
        QTest.keyClicks(self._focus(), asked["text"])
        return {}

    def _do_key(self, asked: dict[str, str]) -> dict[str, object]:
        QTest.keyClick(self._focus(), KEYS[asked["key"]])
        return {}

    def _do_click(self, asked: dict[str, str]) -> dict[str, object]:
        button = self._button(asked["button"])
        QTest.mouseClick(button, Qt.MouseButton.LeftButton, pos=QPoint(button.width() // 2, button.height() // 2))
        return {}

    def _do_grab(self, asked: dict[str, str]) -> dict[str, object]:
        path = Path(asked["path"])
        path.parent.mkdir(parents=True, exist_ok=True)
        # A text that changed in this very turn has asked for a new layout; a person sees it only laid out.
        QApplication.sendPostedEvents(None, QEvent.Type.LayoutRequest)
        if not self._till.window.grab().save(str(path)):
            raise LookupError(f"the picture could not be written to {path}")
        return {}

    def _do_die_after_commit(self, _asked: dict[str, str]) -> dict[str, object]:
        """Arrange for SIGKILL between the next journal commit and anything that is shown of it."""
        from loyalty_desk.store.journal import SqliteJournal

        append = SqliteJournal.append

        def append_and_die(journal: SqliteJournal, *arguments: object, **named: object) -> object:
            sealed = append(journal, *arguments, **named)  # type: ignore[arg-type]
            os.kill(os.getpid(), signal.SIGKILL)
            return sealed

        SqliteJournal.append = append_and_die  # type: ignore[method-assign,assignment]
        return {}

    def _page(self) -> dict[str, str] | None:
        """Return what the page over the sale says, None while the sale is in front."""
        front = self._till.window.front()
        if self._till.counter is None or not self._till.counter.is_open or not isinstance(front, CounterView):
            return None
        return {
            "title": front.title.text(),
            "place": front.place.text(),
            # The shape beside its colour is for the eye alone: in a transcript it is a stray mark.
            "message": front.message.text().lstrip("".join(SHAPES.values())).strip(),
            "button": front.go.words.text() if front.go.isEnabled() else "",
        }

    def _focus(self) -> QWidget:
        return QApplication.focusWidget() or self._till.window.front() or self._till.window.sale

    def _button(self, name: str) -> QAbstractButton:
        window = self._till.window
        for button in window.findChildren(QAbstractButton):
            shown = (button.objectName(), button.text(), button.accessibleName())
            if button.isVisible() and any(one == name or one.startswith(f"{name} ") for one in shown):
                return button
        raise LookupError(f"no button {name!r} to be seen")


def answer(said: dict[str, object]) -> None:
    """Write one line to whoever started us."""
    sys.stdout.write(json.dumps(said, default=str) + "\n")
    sys.stdout.flush()


def main(data_dir: str, language: str) -> int:
    """Open the till of a data folder and lend it hands."""
    webcam = SimulatedWebcam()
    hands: list[Hands] = []

    def started(till: TillApp) -> None:
        hands.append(Hands(till, webcam))
        hands[0].begin()

    return run(Options(data_dir=Path(data_dir), language=language, frames=webcam), started=started)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
