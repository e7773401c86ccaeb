"""The first-run screen."""

from __future__ import annotations

from typing import override

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QKeyEvent, QResizeEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLineEdit, QPlainTextEdit, QVBoxLayout, QWidget

from loyalty_desk.ui import theme
from loyalty_desk.ui.pairing.state import PairingState, PairingStep
from loyalty_desk.ui.widgets.buttons import KeyedButton, plain_button
from loyalty_desk.ui.widgets.labels import SHAPES, label, show_text


class PairingView(QWidget):
    """Signals are intents; `render` is the only way in."""

    code_changed = Signal(str)
    name_changed = Signal(str)
    submitted = Signal()
    cancelled = Signal()
    language_asked = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("screen")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.title = label("name", wrap=True)
        self.text = label("tell", wrap=True)
        self.name_label = label("field_label")
        self.name = QLineEdit()
        self.name.setObjectName("field")
        self.name.setMinimumHeight(52)
        self.name.setMaxLength(60)
        self.code_label = label("field_label")
        self.code = _PasteField()
        self.code.setMaximumHeight(130)
        self.code.setTabChangesFocus(True)
        self.characters = label("characters")
        self.characters.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.message = label("message", wrap=True)
        self.go = KeyedButton("go", centred=True)
        self.go.setObjectName("go")
        self.back = KeyedButton("key")
        self.back.setMinimumHeight(48)
        self.language = plain_button("key")
        self.name.textEdited.connect(self.name_changed)
        self.code.textChanged.connect(self._on_code_edited)
        self.go.clicked.connect(self.submitted)
        self.back.clicked.connect(self.cancelled)
        self.language.clicked.connect(self.language_asked)
        # Whoever gives the screen the keyboard gives it to the code: Ctrl+V is all that has to be pressed.
        self.setFocusProxy(self.code)
        self._lay_out()

    def _lay_out(self) -> None:
        card = QFrame()
        card.setProperty("panel", "true")
        card.setMaximumWidth(760)
        card.setMinimumWidth(380)
        head = QHBoxLayout()
        head.addWidget(self.title, 1)
        head.addWidget(self.language)
        self._inside = inside = QVBoxLayout(card)
        inside.addLayout(head)
        for part in (self.text, self.name_label, self.name, self.code_label, self.code, self.characters, self.message):
            inside.addWidget(part)
        inside.addWidget(self.go)
        inside.addWidget(self.back)
        across = QHBoxLayout()
        across.addStretch(1)
        across.addWidget(card, 20)
        across.addStretch(1)
        self._outer = outer = QVBoxLayout(self)
        outer.addStretch(1)
        outer.addLayout(across)
        outer.addStretch(2)

    @override
    def render(self, state: PairingState) -> None:  # type: ignore[override]
        """Show a state."""
        show_text(self.title, state.title)
        show_text(self.text, state.text)
        pasting = state.step is PairingStep.PASTE
        show_text(self.name_label, state.name_label if pasting else "")
        show_text(self.code_label, state.code_label if pasting else "")
        self.name.setVisible(pasting)
        self.code.setVisible(pasting)
        self.name.setPlaceholderText(state.name_hint)
        if self.name.text() != state.name:
            self.name.setText(state.name)
        if self.code.toPlainText() != state.code:
            self.code.setPlainText(state.code)
        show_text(self.characters, state.characters)
        shape = SHAPES.get(state.message_tone, "")
        show_text(self.message, f"{shape}  {state.message}".strip() if state.message else "", state.message_tone)
        self.go.set_content(state.button, "Enter" if state.button_enabled else "", enabled=state.button_enabled)
        self.back.setVisible(bool(state.back))
        self.back.set_content(state.back, "Esc", enabled=True)
        self.language.setText(state.language_label)
        self.language.setToolTip(state.language_tip)

    @override
    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        tight = theme.is_tight(self.width(), self.height())
        self._inside.setContentsMargins(*((20, 12, 20, 12) if tight else (28, 22, 28, 22)))
        self._inside.setSpacing(6 if tight else 10)
        self._outer.setContentsMargins(*((8, 8, 8, 8) if tight else (16, 16, 16, 16)))
        self.go.set_narrow(tight)

    @override
    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and not event.isAutoRepeat():
            self.submitted.emit()
        elif event.key() == Qt.Key.Key_Escape:
            self.cancelled.emit()
        else:
            super().keyPressEvent(event)

    def _on_code_edited(self) -> None:
        self.code_changed.emit(self.code.toPlainText())


class _PasteField(QPlainTextEdit):
    """Takes a long text; Enter and Esc are the screen's."""

    @override
    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Escape):
            event.ignore()
        else:
            super().keyPressEvent(event)
