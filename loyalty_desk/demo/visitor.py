"""The till for a visitor: guests come to the simulated webcam one by one, each when the last has been served."""

from __future__ import annotations

import sys
from pathlib import Path

from PySide6.QtCore import QObject, QTimer, Slot

from loyalty_desk.app import Options, TillApp, run
from loyalty_desk.scanning.simulated import SimulatedWebcam
from loyalty_desk.ui.sale.state import Phase

LOOK_MS = 250
# Long enough to read the empty window's hint, short enough not to be waited for.
IDLE_LOOKS_BEFORE_NEXT = 12
HELD_LOOKS = 40


class Queue(QObject):
    """Who comes next. A card stays in view until it has been read, or is taken away after ten seconds."""

    def __init__(self, till: TillApp, webcam: SimulatedWebcam, cards: list[str]) -> None:
        super().__init__()
        self._till = till
        self._webcam = webcam
        self._cards = cards
        self._turn = 0
        self._looks = 0
        self._timer = QTimer(self)
        self._timer.setInterval(LOOK_MS)
        self._timer.timeout.connect(self._on_look)
        self._timer.start()

    @Slot()
    def _on_look(self) -> None:
        state = self._till.state
        idle = state is not None and state.phase is Phase.IDLE and not state.entry.text
        held = self._webcam.wanted is not None
        self._looks = self._looks + 1 if idle else 0
        if held and (not idle or self._looks > HELD_LOOKS):
            self._webcam.show(None)
            self._looks = 0
        elif idle and not held and self._looks > IDLE_LOOKS_BEFORE_NEXT:
            self._webcam.show(self._cards[self._turn % len(self._cards)])
            self._turn += 1
            self._looks = 0


def main(data_dir: str, language: str, tip: str, *cards: str) -> int:
    """Open the till of a data folder with a queue of guests before it."""
    webcam = SimulatedWebcam()
    queue: list[Queue] = []
    options = Options(data_dir=Path(data_dir), language=language, frames=webcam, tip=tip)
    return run(options, started=lambda till: queue.append(Queue(till, webcam, list(cards))))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
