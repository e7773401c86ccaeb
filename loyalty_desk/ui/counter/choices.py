"""What is chosen on a page, by a touch or by the arrows."""

from __future__ import annotations

from typing import override

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QGridLayout, QHBoxLayout, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from loyalty_desk.ui.counter.state import Group, Option
from loyalty_desk.ui.widgets.labels import label, show_text

# Longer ones do not fit beside each other where the window is narrow.
LONG_TITLE = 12
STEPS = {Qt.Key.Key_Down: 1, Qt.Key.Key_Up: -1}


class GroupBox(QWidget):
    """A caption and buttons of which one, or several, are chosen."""

    chosen = Signal(str, str)

    def __init__(self, key: str, page: QWidget) -> None:
        super().__init__(page)
        self._key = key
        self.caption = label("field_label", scrolled=True)
        self._keys = label("key_hint")
        self._keys.setText("↑ ↓")
        self._grid = QGridLayout()
        self._grid.setSpacing(8)
        self.buttons: list[ChoiceButton] = []
        self._columns = 0
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(4)
        head = QHBoxLayout()
        head.addWidget(self.caption, 1)
        head.addWidget(self._keys, 0, Qt.AlignmentFlag.AlignBottom)
        box.addLayout(head)
        box.addLayout(self._grid)

    def set_group(self, group: Group, *, narrow: bool) -> None:
        show_text(self.caption, group.label)
        self._keys.setVisible(any(one.enabled for one in group.options))
        longest = max((len(one.title) for one in group.options), default=0)
        columns = group.columns if not narrow else 1 if longest > LONG_TITLE else min(group.columns, 2)
        while len(self.buttons) < len(group.options):
            button = ChoiceButton()
            button.clicked.connect(self._on_clicked)
            self.buttons.append(button)
            self._columns = 0
        if columns != self._columns:
            self._columns = columns
            for position, button in enumerate(self.buttons):
                self._grid.addWidget(button, position // columns, position % columns)
        for position, button in enumerate(self.buttons):
            button.setVisible(position < len(group.options))
            if position < len(group.options):
                button.set_option(group.options[position])

    def _on_clicked(self) -> None:
        button = self.sender()
        if isinstance(button, ChoiceButton):
            key, is_chosen = button.option_key, button.is_chosen
            # What is chosen is the page's to say: a click shows nothing by itself.
            button.setChecked(is_chosen)
            self.chosen.emit(self._key, key)


class ChoiceButton(QPushButton):
    """Something to choose: a title, and a smaller line under it."""

    def __init__(self) -> None:
        super().__init__()
        self.setProperty("role", "choice")
        self.setCheckable(True)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setMinimumHeight(48)
        self.option_key = ""
        self.is_chosen = False
        self.title = label("line", scrolled=True)
        self.detail = label("why", scrolled=True)
        # A button's own policy takes the width its words would like for the least it needs: wider than its column.
        policy = QSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Minimum)
        policy.setHeightForWidth(True)
        self.setSizePolicy(policy)
        self._box = QVBoxLayout(self)
        self._box.setContentsMargins(12, 4, 12, 4)
        self._box.setSpacing(0)
        for part in (self.title, self.detail):
            part.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
            self._box.addWidget(part)

    def set_option(self, option: Option) -> None:
        self.option_key, self.is_chosen = option.key, option.chosen
        # A shape beside the colour says what is chosen.
        show_text(self.title, f"{'●' if option.chosen else '○'}  {option.title}", "on" if option.enabled else "off")
        show_text(self.detail, option.detail, "on" if option.enabled else "off")
        self.setChecked(option.chosen)
        self.setEnabled(option.enabled)
        self.setAccessibleName(f"{option.title} {option.detail}".strip())

    @override
    def keyPressEvent(self, event: QKeyEvent) -> None:
        # Qt's own way of arrows goes from any button to any other; the page's goes through its choices.
        if event.key() in STEPS:
            event.ignore()
        else:
            super().keyPressEvent(event)

    @override
    def hasHeightForWidth(self) -> bool:
        return True

    @override
    def heightForWidth(self, width: int) -> int:
        return max(self._box.heightForWidth(width), 48)

    @override
    def sizeHint(self) -> QSize:
        inside = self._box.sizeHint()
        return QSize(inside.width(), 48)

    @override
    def minimumSizeHint(self) -> QSize:
        return QSize(80, 48)
