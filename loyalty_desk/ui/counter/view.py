"""The pages of the counter drawn: choices and fields left, facts right, what Enter does under both."""

from __future__ import annotations

from collections.abc import Sequence
from typing import override

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtGui import QKeyEvent, QResizeEvent
from PySide6.QtWidgets import (
    QBoxLayout,
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QVBoxLayout,
    QWidget,
)

from loyalty_desk.ui import theme
from loyalty_desk.ui.counter.choices import STEPS, ChoiceButton, GroupBox
from loyalty_desk.ui.counter.column import Column
from loyalty_desk.ui.counter.facts import FactList
from loyalty_desk.ui.counter.field_box import FieldBox
from loyalty_desk.ui.counter.state import CounterState, Field, Group, SideButton
from loyalty_desk.ui.widgets.buttons import KeyedButton
from loyalty_desk.ui.widgets.code import CodePicture
from loyalty_desk.ui.widgets.labels import SHAPES, ElidedLabel, label, show_text

KEYS = {
    Qt.Key.Key_F5: "F5", Qt.Key.Key_F6: "F6", Qt.Key.Key_F7: "F7", Qt.Key.Key_F8: "F8", Qt.Key.Key_F9: "F9",
    Qt.Key.Key_F10: "F10", Qt.Key.Key_F12: "F12",
}  # fmt: skip
PAGES = {Qt.Key.Key_PageDown: 1, Qt.Key.Key_PageUp: -1}


class CounterView(QWidget):
    """Signals are intents; `render` is the only way in."""

    typed = Signal(str, str)
    chosen = Signal(str, str)
    submitted = Signal()
    pressed = Signal(str)
    cancelled = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("screen")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self._state: CounterState | None = None
        self.title = ElidedLabel("name")
        self.place = label("tier")
        self.left, self.right = Column(), Column()
        self.groups: dict[str, GroupBox] = {}
        self.fields: dict[str, FieldBox] = {}
        self.facts_label = label("label", wrap=True)
        self.facts = FactList()
        self.right.rows.addWidget(self.facts_label)
        self.code = CodePicture()
        self.code.hide()
        self.number = label("amount")
        self.number.setAlignment(Qt.AlignmentFlag.AlignHCenter)
        self.left.rows.addWidget(self.code, 20)
        self.left.rows.addWidget(self.number)
        self.paper = label("paper")
        self.left.rows.addWidget(self.paper, 0, Qt.AlignmentFlag.AlignHCenter)
        self.right.rows.addWidget(self.facts)
        # By the side they stand on: (left, right).
        self._groups_at = (QVBoxLayout(), QVBoxLayout())
        self._fields_at = (QVBoxLayout(), QVBoxLayout())
        self._order = QBoxLayout(QBoxLayout.Direction.TopToBottom)
        self._order.setSpacing(12)
        self._order.addLayout(self._groups_at[0])
        self._order.addLayout(self._fields_at[0])
        self.left.rows.addLayout(self._order)
        self.left.rows.addStretch(1)
        self.right.rows.addStretch(1)
        self.right.rows.addLayout(self._groups_at[1])
        self.right.rows.addLayout(self._fields_at[1])
        for place in (*self._groups_at, *self._fields_at):
            place.setSpacing(10)
        self.message = label("message", wrap=True)
        self.go = KeyedButton("go", centred=True)
        self.go.setObjectName("go")
        self.go.clicked.connect(self.submitted)
        self.close_button = KeyedButton("key")
        self.close_button.setMinimumHeight(48)
        self.close_button.setProperty("many", True)
        self.close_button.clicked.connect(self.cancelled)
        self.side: list[KeyedButton] = []
        # What a text needs is known once the layouts under it have run, at the event loop's next turn.
        self._sharing = QTimer(self, singleShot=True, interval=0)
        self._sharing.timeout.connect(self._share_height)
        # Nor is it always known by then: a style comes to new lines when they are first laid out.
        self.left.range_changed.connect(self._on_range_changed)
        self._lay_out()

    def _lay_out(self) -> None:
        head = QHBoxLayout()
        head.addWidget(self.title, 1)
        head.addWidget(self.place)
        self._columns = QBoxLayout(QBoxLayout.Direction.LeftToRight)
        self._columns.setSpacing(12)
        self._columns.addWidget(self.left, 1)
        self._columns.addWidget(self.right, 1)
        self._below = QGridLayout()
        self._below.setSpacing(8)
        keys = QFrame()
        keys.setObjectName("keys")
        keys.setLayout(self._below)
        self._below.setContentsMargins(0, 0, 0, 0)
        self._outer = outer = QVBoxLayout(self)
        outer.addLayout(head)
        outer.addLayout(self._columns, 1)
        outer.addWidget(self.message)
        outer.addWidget(self.go)
        outer.addWidget(keys)

    # -- in: what to show

    @override
    def render(self, state: CounterState) -> None:  # type: ignore[override]
        """Show a page. Widgets are kept by key, so that the one with the keyboard keeps it."""
        before, self._state = self._state, state
        if before == state:
            return
        show_text(self.title, state.title)
        show_text(self.place, state.place)
        up, down = QBoxLayout.Direction.BottomToTop, QBoxLayout.Direction.TopToBottom
        self._order.setDirection(up if state.fields_first else down)
        self._show_groups(state.groups)
        self._show_fields(state.fields)
        show_text(self.facts_label, state.facts_label)
        self.code.show_modules(state.code.modules if state.code is not None else ())
        show_text(self.number, state.code.number if state.code is not None else "")
        show_text(self.paper, "\n".join(state.paper))
        self.facts.set_facts(state.facts)
        on_left = [not one.is_right for one in state.groups] + [not one.is_right for one in state.fields]
        is_alone = not any(on_left) and state.code is None and not state.paper
        self.left.setVisible(not is_alone)
        # Alone they would stand a whole screen apart from what they are called.
        self.right.keep_to(theme.FACTS_ALONE if is_alone else None)
        shape = SHAPES[state.message.tone.value]
        text = f"{shape}  {state.message.text}".strip() if state.message.text else ""
        show_text(self.message, text, state.message.tone.value)
        self.go.set_content(state.button.text, "Enter" if state.button.enabled else "", enabled=state.button.enabled)
        self._show_side(state.side)
        self.close_button.set_content(state.close, "Esc", enabled=True)
        if before is None or _begins_with(before) != _begins_with(state):
            for column in (self.left, self.right):
                column.to_top()
        if before is None or before.title != state.title or before.focus != state.focus:
            self.take_focus()
        self._sharing.start()

    def take_focus(self) -> None:
        """Put the keyboard where the page wants it."""
        state = self._state
        if state is None:
            return
        wanted = self.fields.get(state.focus)
        # Whoever gives the screen the keyboard gives it to this field; keys pressed elsewhere are the screen's.
        self.setFocusProxy(wanted.edit if wanted is not None and wanted.isVisibleTo(self) else None)  # type: ignore[arg-type]
        self.setFocus()

    def forget(self) -> None:
        """Empty every field: what was typed on a page that is left stays nowhere."""
        self._state = None
        for box in self.fields.values():
            box.edit.clear()

    def _show_groups(self, groups: tuple[Group, ...]) -> None:
        for group in groups:
            if group.key not in self.groups:
                box = self.groups[group.key] = GroupBox(group.key, self)
                box.chosen.connect(self.chosen)
        for key, box in self.groups.items():
            wanted = next((one for one in groups if one.key == key), None)
            box.setVisible(wanted is not None)
            if wanted is not None:
                box.set_group(wanted, narrow=self.width() < theme.TIGHT_BELOW[0])
        _place([(one.is_right, self.groups[one.key]) for one in groups], self._groups_at)

    def _show_fields(self, fields: tuple[Field, ...]) -> None:
        for field in fields:
            if field.key not in self.fields:
                box = self.fields[field.key] = FieldBox(field.key, self)
                box.typed.connect(self.typed)
        for key, box in self.fields.items():
            wanted = next((one for one in fields if one.key == key), None)
            box.setVisible(wanted is not None)
            if wanted is not None:
                box.set_field(wanted)
        _place([(one.is_right, self.fields[one.key]) for one in fields], self._fields_at)

    def _show_side(self, side: tuple[SideButton, ...]) -> None:
        while len(self.side) < len(side):
            button = KeyedButton("key", parent=self)
            button.setMinimumHeight(48)
            button.setProperty("many", True)
            button.set_narrow(self._is_narrow)
            button.clicked.connect(self._on_side)
            self.side.append(button)
        for position, button in enumerate(self.side):
            button.setVisible(position < len(side))
            if position < len(side):
                wanted = side[position]
                button.setProperty("key", wanted.key)
                button.set_content(wanted.text, wanted.key, enabled=wanted.enabled)
        self._place_keys(len(side))

    def _place_keys(self, side: int) -> None:
        """Put Esc and the side keys in one row, in a small window two or three beside each other."""
        columns = side + 1
        if theme.is_tight(self.width(), self.height()) and side > 1:
            columns = 2 if self._is_narrow else min(columns, 3)
        for position, button in enumerate((self.close_button, *self.side[:side])):
            # The last one takes what is left of its row.
            span = columns - position % columns if position == side else 1
            self._below.addWidget(button, position // columns, position % columns, 1, span)

    # -- out: what the cashier wants

    @override
    def keyPressEvent(self, event: QKeyEvent) -> None:
        key = event.key()
        if key in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            if not event.isAutoRepeat():
                self._enter()
        elif key == Qt.Key.Key_Escape:
            self.cancelled.emit()
        elif key in KEYS:
            self.pressed.emit(KEYS[Qt.Key(key)])
        elif key in STEPS:
            self._step(STEPS[Qt.Key(key)])
        elif key in PAGES:
            self._turn(PAGES[Qt.Key(key)])
        elif event.text() and event.text().isprintable() and self._type_into_field(event.text()):
            pass
        else:
            super().keyPressEvent(event)

    def _enter(self) -> None:
        """Choose what the arrows have led to; where it is chosen already, or they led nowhere, do the big button."""
        at = self.focusWidget()
        if isinstance(at, ChoiceButton) and at.hasFocus() and not at.is_chosen:
            at.click()
        else:
            self.submitted.emit()

    def _step(self, step: int) -> None:
        """Go to the next or the previous choice; before the first one stands the field that the page wants typed in."""
        state = self._state
        if state is None:
            return
        boxes = [self.groups[one.key] for one in state.groups]
        choices = [one for box in boxes for one in box.buttons if one.isVisibleTo(self) and one.isEnabled()]
        at = self.focusWidget()
        place = choices.index(at) if isinstance(at, ChoiceButton) and at.hasFocus() and at in choices else -1
        if place + step < 0:
            self.take_focus()
        elif place + step < len(choices):
            choices[place + step].setFocus(Qt.FocusReason.TabFocusReason)
            for column in (self.left, self.right):
                column.show_whole(choices[place + step])

    def _turn(self, step: int) -> None:
        """Scroll what does not fit: first the report, then the choices, which the arrows lead through as well."""
        for column in (self.right, self.left):
            if column.isVisibleTo(self) and column.turn(step):
                break

    def _type_into_field(self, text: str) -> bool:
        """Give what is typed elsewhere to the field that the page wants it in; False where it wants none."""
        wanted = self.fields.get(self._state.focus) if self._state is not None else None
        if wanted is None or not wanted.isVisibleTo(self):
            return False
        wanted.edit.setFocus()
        wanted.edit.insert(text)
        self.typed.emit(self._state.focus if self._state is not None else "", wanted.edit.text())
        return True

    @override
    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        across, down = QBoxLayout.Direction.LeftToRight, QBoxLayout.Direction.TopToBottom
        tight = theme.is_tight(self.width(), self.height())
        self._columns.setDirection(down if self._is_narrow else across)
        self._columns.setSpacing(6 if tight else 12)
        self._outer.setContentsMargins(*((8, 6, 8, 6) if tight else (16, 12, 16, 10)))
        self._outer.setSpacing(6 if tight else 10)
        for button in (self.close_button, *self.side):
            button.set_narrow(self._is_narrow)
        self.go.set_narrow(tight)
        if self.go.property("narrow") != tight:
            self.go.setProperty("narrow", tight)
            self.go.style().unpolish(self.go)
            self.go.style().polish(self.go)
        if self._state is not None:
            self._show_groups(self._state.groups)
            self._place_keys(len(self._state.side))
        self._sharing.start()

    def _on_range_changed(self) -> None:
        if self._is_narrow:
            self._sharing.start()

    def _share_height(self) -> None:
        """Give each column what it needs where they stand under each other; a code all that is left."""
        if not self._is_narrow or not self.left.isVisibleTo(self):
            self._columns.setStretch(0, 1)
            self._columns.setStretch(1, 1)
            return
        room = self.left.height() + self.right.height()
        wanted = max(room - self.right.wanted_height(), room // 2)
        if self.code.isHidden():
            wanted = min(self.left.wanted_height(), wanted)
        self._columns.setStretch(0, max(wanted, 1))
        self._columns.setStretch(1, max(room - wanted, 1))

    @property
    def _is_narrow(self) -> bool:
        return theme.is_stacked(self.width())

    def _on_side(self) -> None:
        button = self.sender()
        if isinstance(button, KeyedButton):
            self.pressed.emit(button.property("key"))


def _begins_with(state: CounterState) -> tuple[str, ...]:
    """Return what a page begins with: where that is another, it is read from the top."""
    return state.title, state.place, state.facts_label, state.facts[0].caption if state.facts else ""


def _place(boxes: Sequence[tuple[bool, QWidget]], at: tuple[QVBoxLayout, QVBoxLayout]) -> None:
    """Put boxes in their order where they belong; one that is there already is not touched, nor its focus."""
    for place, layout in enumerate(at):
        for position, box in enumerate(box for is_right, box in boxes if is_right == bool(place)):
            if layout.indexOf(box) != position:
                at[1 - place].removeWidget(box)
                layout.insertWidget(position, box)
                box.show()
