"""What is typed on a page: one field under its caption."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QLineEdit, QVBoxLayout, QWidget

from loyalty_desk.ui.counter.state import MAX_TYPED, Field
from loyalty_desk.ui.widgets.labels import label, show_text


class FieldBox(QWidget):
    """A caption and a line to type into; Enter and Esc are the page's."""

    typed = Signal(str, str)

    def __init__(self, key: str, page: QWidget) -> None:
        super().__init__(page)
        self._key = key
        self.caption = label("field_label", scrolled=True)
        self.edit = QLineEdit()
        self.edit.setObjectName("field")
        self.edit.setMaxLength(MAX_TYPED)
        self.edit.setMinimumHeight(48)
        self.edit.setProperty("plain", "true")
        self.edit.setContextMenuPolicy(Qt.ContextMenuPolicy.NoContextMenu)
        self.edit.textEdited.connect(self._on_edited)
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(4)
        box.addWidget(self.caption)
        box.addWidget(self.edit)

    def set_field(self, field: Field) -> None:
        show_text(self.caption, field.label)
        if self.edit.text() != field.text:
            self.edit.setText(field.text)
        if self.edit.placeholderText() != field.placeholder:
            self.edit.setPlaceholderText(field.placeholder)
        mode = QLineEdit.EchoMode.Password if field.secret else QLineEdit.EchoMode.Normal
        if self.edit.echoMode() != mode:
            self.edit.setEchoMode(mode)
        self.edit.setAccessibleName(field.label)

    def _on_edited(self, text: str) -> None:
        self.typed.emit(self._key, text)
