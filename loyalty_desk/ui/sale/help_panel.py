"""What every key does, over the sale."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtWidgets import QFrame, QGridLayout, QSizePolicy, QVBoxLayout, QWidget

from loyalty_desk.ui import theme
from loyalty_desk.ui.sale.state import HelpState
from loyalty_desk.ui.widgets.buttons import KeyedButton
from loyalty_desk.ui.widgets.labels import label

# Below this the help takes the whole height.
LOW = 640


class HelpPanel(QFrame):
    """What F1 opens, over the screen."""

    closed = Signal()

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setObjectName("help")
        self.title = label("name")
        self._grid = QGridLayout()
        self._grid.setHorizontalSpacing(14)
        self._grid.setVerticalSpacing(8)
        self._grid.setColumnStretch(1, 1)
        self._shown: HelpState | None = None
        self.close_button = KeyedButton("key")
        self.close_button.setMinimumHeight(48)
        self.close_button.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        self.close_button.clicked.connect(self.closed)
        self._box = box = QVBoxLayout(self)
        box.addWidget(self.title)
        box.addLayout(self._grid, 1)
        box.addWidget(self.close_button)

    def set_state(self, state: HelpState) -> None:
        if state == self._shown:
            return
        self._shown = state
        self.title.setText(state.title)
        while (item := self._grid.takeAt(0)) is not None:
            widget = item.widget()
            if widget is not None:
                widget.deleteLater()
        for row, (key, words) in enumerate(state.rows):
            cap = label("keycap")
            cap.setText(key)
            cap.setAlignment(Qt.AlignmentFlag.AlignCenter)
            text = label("line", wrap=True)
            text.setText(words)
            self._grid.addWidget(cap, row, 0)
            self._grid.addWidget(text, row, 1)
        self.close_button.set_content(state.close, "F1", enabled=True)

    def fit(self, around: QSize) -> None:
        """Lie in the middle of the screen; on a low one with less air, so that every key is in sight."""
        low = around.height() < LOW or theme.is_stacked(around.width())
        self._box.setContentsMargins(*((14, 10, 14, 10) if low else (24, 20, 24, 20)))
        self._box.setSpacing(6 if low else 12)
        self._grid.setVerticalSpacing(2 if low else 8)
        if self.property("low") != low:
            self.setProperty("low", low)
            self.style().unpolish(self)
            self.style().polish(self)
        width = min(around.width() - 32, 760)
        height = min(around.height() - 32, max(self.heightForWidth(width), self.sizeHint().height()) + 8)
        self.setGeometry((around.width() - width) // 2, (around.height() - height) // 2, width, height)
