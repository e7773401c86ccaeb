"""The problem screen."""

from __future__ import annotations

from typing import override

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QVBoxLayout, QWidget

from loyalty_desk.ui.problem.state import ProblemState
from loyalty_desk.ui.widgets.buttons import KeyedButton
from loyalty_desk.ui.widgets.labels import label, show_text


class ProblemView(QWidget):
    """A card in the middle. Enter tries again, Esc closes."""

    retried = Signal()
    closed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("screen")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.title = label("name", wrap=True)
        self.text = label("tell", wrap=True)
        self.calm = label("muted", wrap=True)
        self.retry = KeyedButton("key")
        self.close_button = KeyedButton("key")
        for button in (self.retry, self.close_button):
            button.setMinimumHeight(56)
        self.retry.clicked.connect(self.retried)
        self.close_button.clicked.connect(self.closed)
        card = QFrame()
        card.setProperty("panel", "true")
        card.setMaximumWidth(720)
        buttons = QHBoxLayout()
        buttons.setSpacing(12)
        buttons.addWidget(self.retry)
        buttons.addWidget(self.close_button)
        inside = QVBoxLayout(card)
        inside.setContentsMargins(28, 24, 28, 24)
        inside.setSpacing(14)
        for part in (self.title, self.text, self.calm):
            inside.addWidget(part)
        inside.addLayout(buttons)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(16, 16, 16, 16)
        outer.addStretch(1)
        outer.addWidget(card)
        outer.setAlignment(card, Qt.AlignmentFlag.AlignHCenter)
        outer.addStretch(2)

    @override
    def render(self, state: ProblemState) -> None:  # type: ignore[override]
        """Show a state."""
        show_text(self.title, state.title)
        show_text(self.text, state.text)
        show_text(self.calm, state.calm)
        self.retry.set_content(state.retry, "Enter", enabled=True)
        self.close_button.set_content(state.close, "Esc", enabled=True)

    @override
    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and not event.isAutoRepeat():
            self.retried.emit()
        elif event.key() == Qt.Key.Key_Escape:
            self.closed.emit()
        else:
            super().keyPressEvent(event)
