"""The row of function keys under the sale."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QFrame, QGridLayout

from loyalty_desk.ui import theme
from loyalty_desk.ui.sale.state import KeyState
from loyalty_desk.ui.widgets.buttons import KeyedButton

MANY_KEYS = 6


class KeyBar(QFrame):
    """The function keys, each a button of 48 px with its key on it."""

    pressed_key = Signal(str)
    refused_key = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("keys")
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setSpacing(8)
        self._narrow = False
        self.buttons: dict[str, KeyedButton] = {}
        self._order: tuple[str, ...] = ()

    def set_keys(self, keys: tuple[KeyState, ...]) -> None:
        for state in keys:
            button = self.buttons.get(state.key)
            if button is None:
                button = KeyedButton("key", parent=self)
                button.setCheckable(True)
                button.setMinimumHeight(48)
                button.setProperty("key", state.key)
                button.clicked.connect(self._on_clicked)
                button.refused.connect(self._on_refused)
                self.buttons[state.key] = button
            button.set_content(state.text, state.key, enabled=state.enabled, active=state.active, tip=state.tip)
            button.setChecked(state.active)
        order = tuple(one.key for one in keys)
        if order != self._order:
            self._order = order
            self._place()

    def set_narrow(self, narrow: bool) -> None:
        if narrow != self._narrow:
            self._narrow = narrow
            self._place()

    def _place(self) -> None:
        for key, button in self.buttons.items():
            button.setVisible(key in self._order)
            self._grid.removeWidget(button)
        count = len(self._order)
        many = count > MANY_KEYS
        # Ten in one row, words under the keys; beside a POS and on a small screen, scaled, they take two rows.
        columns = max((count + 1) // 2 if many and self._narrow else count, 1)
        for position, button in enumerate(self.buttons[key] for key in self._order):
            button.set_narrow(self._narrow or many)
            theme.set_flag(button, "many", many)
            self._grid.addWidget(button, position // columns, position % columns)

    def _on_clicked(self) -> None:
        button = self.sender()
        if isinstance(button, KeyedButton):
            button.setChecked(not button.isChecked())
            self.pressed_key.emit(button.property("key"))

    def _on_refused(self) -> None:
        button = self.sender()
        if isinstance(button, KeyedButton):
            self.refused_key.emit(button.property("key"))
