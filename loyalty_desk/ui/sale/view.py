"""The sale screen: draws a `SaleState` and says what the cashier wants. It knows no prices, guests or rules."""

from __future__ import annotations

from typing import override

from PySide6.QtCore import QSize, Qt, QTimer, Signal
from PySide6.QtGui import QGuiApplication, QImage, QKeyEvent, QKeySequence, QResizeEvent
from PySide6.QtWidgets import (
    QApplication,
    QBoxLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QVBoxLayout,
    QWidget,
)

from loyalty_desk.ui import theme
from loyalty_desk.ui.sale.header import Header
from loyalty_desk.ui.sale.help_panel import HelpPanel
from loyalty_desk.ui.sale.key_bar import KeyBar
from loyalty_desk.ui.sale.panels import CheckPanel, GuestPanel
from loyalty_desk.ui.sale.state import ButtonState, FieldMode, FieldState, HelpState, MessageState, SaleState
from loyalty_desk.ui.widgets.buttons import KeyedButton, plain_button
from loyalty_desk.ui.widgets.labels import SHAPES, FewLines, label, show_text
from loyalty_desk.ui.widgets.preview import CameraPreview

MAX_TYPED = 512
TOUCH = 48
# What the other panel keeps where one needs nearly all the height: a name and a number.
LEAST_PANEL = 104
# Lower windows have no room for what the server has to say and for what a guest has to pay.
NOTICE_BESIDE_MONEY_FROM = 560
NOTICE_OVER_PANELS_FROM = 800
_MODE_KEYS = {
    Qt.Key.Key_F2: FieldMode.GUEST,
    Qt.Key.Key_F3: FieldMode.AMOUNT,
    Qt.Key.Key_F4: FieldMode.POINTS,
}
_PAGE_KEYS = {
    Qt.Key.Key_F5: "F5",
    Qt.Key.Key_F6: "F6",
    Qt.Key.Key_F7: "F7",
    Qt.Key.Key_F8: "F8",
    Qt.Key.Key_F9: "F9",
    Qt.Key.Key_F10: "F10",
    Qt.Key.Key_F12: "F12",
}


class SaleView(QWidget):
    """Signals are the cashier's intents; `render` is the only way in."""

    field_changed = Signal(str)
    submitted = Signal()
    cancelled = Signal()
    mode_requested = Signal(object)
    points_chosen = Signal(object)
    fold_toggled = Signal()
    help_toggled = Signal()
    notice_read = Signal()
    copied = Signal()
    language_asked = Signal()
    theme_asked = Signal()
    page_asked = Signal(str)
    key_refused = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("screen")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self._state: SaleState | None = None
        self._theme = "light"
        self._is_stacked = self._is_tight = False
        self.header = Header()
        self.notice = FewLines("message")
        self.notice_read_button = plain_button("copy")
        self.notice_read_button.hide()
        self.check = CheckPanel()
        self.guest = GuestPanel()
        self.preview = CameraPreview()
        self.field_label = label("field_label")
        self.reading = label("reading")
        self.field = EntryField()
        self.field.setObjectName("field")
        self.field.setMaxLength(MAX_TYPED)
        self.field.setMinimumHeight(60)
        self.field.setContextMenuPolicy(Qt.ContextMenuPolicy.NoContextMenu)
        self.message = label("message", wrap=True)
        self.go = KeyedButton("go", centred=True)
        self.go.setObjectName("go")
        self.help = HelpPanel(self)
        self.help.hide()
        self.keys = KeyBar()
        # What a text needs is known once the layouts under it have run, at the event loop's next turn.
        self._sharing = QTimer(self, singleShot=True, interval=0)
        self._sharing.timeout.connect(self._share_height)
        # Nor is it always known by then: a style comes to new lines when they are first laid out.
        self.check.area.verticalScrollBar().rangeChanged.connect(self._on_range_changed)
        self._lay_out()
        self._connect()

    def _lay_out(self) -> None:
        self._panels = QBoxLayout(QBoxLayout.Direction.LeftToRight)
        self._panels.setSpacing(12)
        self._panels.addWidget(self.check, 1)
        self._panels.addWidget(self.guest, 1)
        self._over_field = over_field = QBoxLayout(QBoxLayout.Direction.LeftToRight)
        over_field.setSpacing(2)
        over_field.addWidget(self.field_label)
        over_field.addStretch(1)
        over_field.addWidget(self.reading)
        self._under_field = entry = QVBoxLayout()
        entry.setSpacing(6)
        entry.addLayout(over_field)
        entry.addWidget(self.field)
        entry.addWidget(self.message)
        entry.addStretch(1)
        self._entry = QBoxLayout(QBoxLayout.Direction.LeftToRight)
        self._entry.setSpacing(14)
        self._entry.addWidget(self.preview)
        self._entry.addLayout(entry, 1)
        self._inside = inside = QVBoxLayout()
        inside.setContentsMargins(16, 10, 16, 10)
        inside.setSpacing(10)
        told = QHBoxLayout()
        told.setSpacing(12)
        told.addWidget(self.notice, 1)
        told.addWidget(self.notice_read_button, 0, Qt.AlignmentFlag.AlignTop)
        inside.addLayout(told)
        inside.addLayout(self._panels, 1)
        inside.addLayout(self._entry)
        inside.addWidget(self.go)
        inside.addWidget(self.keys)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.setSpacing(0)
        outer.addWidget(self.header)
        outer.addLayout(inside, 1)
        self.setMinimumSize(*theme.SMALLEST)

    def _connect(self) -> None:
        self.field.textEdited.connect(self.field_changed)
        self.go.clicked.connect(self._on_go_clicked)
        self.notice_read_button.clicked.connect(self.notice_read)
        self.check.copy_asked.connect(self._on_copy_asked)
        self.guest.points_chosen.connect(self.points_chosen)
        self.guest.fold_toggled.connect(self.fold_toggled)
        self.header.language_asked.connect(self.language_asked)
        self.header.theme_asked.connect(self.theme_asked)
        self.keys.pressed_key.connect(self._on_key_button)
        self.keys.refused_key.connect(self.key_refused)
        self.help.closed.connect(self.help_toggled)

    # -- in: what to show

    @override
    def render(self, state: SaleState) -> None:  # type: ignore[override]
        """Show a state. Only what changed is touched, so that a key press costs a fraction of a frame."""
        before, self._state = self._state, state
        if before == state:
            return
        self.header.set_state(state)
        self._show_notice(state)
        self._show_panels(state)
        self.preview.set_state(state.preview)
        self._show_field(state.entry)
        _show_message(self.message, state.message)
        self._show_go(state.button)
        self.keys.set_keys(state.keys)
        self._show_help(state.help)
        if before is None or before.title != state.title:
            self.window().setWindowTitle(state.title)
        if self._is_stacked:
            self._sharing.start()

    def show_frame(self, image: QImage) -> None:
        """Show the camera's newest frame, copied by whoever sends it."""
        self.preview.set_image(image)

    def flash(self) -> None:
        """Show that a code has just been read."""
        self.preview.flash()

    def set_theme(self, name: str) -> None:
        """Dress the screen in `light` or `dark`."""
        self._theme = name
        theme.apply(_app(), name)
        colours = theme.THEMES[name]
        self.preview.set_colours(colours)
        self.check.empty.picture.set_colours(colours)
        self.guest.empty.picture.set_colours(colours)
        self._restyle()

    # -- out: what the cashier wants

    @override
    def keyPressEvent(self, event: QKeyEvent) -> None:
        key = event.key()
        if key in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            # A key held down must not confirm twice, nor confirm the next sale.
            if not event.isAutoRepeat():
                self.submitted.emit()
        elif key == Qt.Key.Key_Escape:
            self.cancelled.emit()
        elif key == Qt.Key.Key_F1:
            self.help_toggled.emit()
        elif key in _PAGE_KEYS:
            self._ask_page(_PAGE_KEYS[Qt.Key(key)])
        elif key in _MODE_KEYS:
            self.mode_requested.emit(_MODE_KEYS[Qt.Key(key)])
        elif key == Qt.Key.Key_Insert and self.notice_read_button.isVisible():
            self.notice_read.emit()
        elif event.matches(QKeySequence.StandardKey.Copy):
            self._on_copy_asked()
        elif event.text().isprintable() and event.text() and not self.field.hasFocus():
            # Whatever has the focus, what is typed belongs into the one field.
            self.field.setFocus()
            self.field.insert(event.text())
            self.field_changed.emit(self.field.text())
        else:
            super().keyPressEvent(event)

    @override
    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self.setMinimumSize(*theme.smallest(self.width()))
        stacked, tight = theme.is_stacked(self.width()), theme.is_tight(self.width(), self.height())
        if (stacked, tight) != (self._is_stacked, self._is_tight):
            self._is_stacked, self._is_tight = stacked, tight
            self._arrange()
        if self._state is not None:
            self._show_notice(self._state)
        self._restyle()
        self._sharing.start()
        self.help.fit(self.size())

    def _arrange(self) -> None:
        """Put everything where it has room: panels under each other, or the big button beside the field."""
        stacked, tight = self._is_stacked, self._is_tight
        beside = tight and not stacked
        across, down = QBoxLayout.Direction.LeftToRight, QBoxLayout.Direction.TopToBottom
        self._panels.setDirection(down if stacked else across)
        self._panels.setSpacing(6 if tight else 12)
        self._inside.setContentsMargins(*((8, 6, 8, 6) if tight else (16, 10, 16, 10)))
        self._inside.setSpacing(6 if tight else 10)
        self._entry.setSpacing(8 if tight else 14)
        self.reading.setWordWrap(tight)
        # F12 tells a notice whole.
        self.notice.set_most(0 if not tight else 3 if stacked else 2)
        self.check.set_narrow(tight)
        self.guest.set_narrow(tight)
        self.header.set_narrow(stacked)
        self.keys.set_narrow(tight and self.width() < theme.TIGHT_BELOW[0])
        self.go.set_narrow(tight)
        self._under_field.removeWidget(self.message)
        self._inside.removeWidget(self.message)
        self._entry.removeWidget(self.go)
        self._inside.removeWidget(self.go)
        if beside:
            self._inside.insertWidget(self._inside.indexOf(self._entry), self.message)
            self._entry.addWidget(self.go, 1, Qt.AlignmentFlag.AlignBottom)
        else:
            self._under_field.insertWidget(self._under_field.indexOf(self.field) + 1, self.message)
            self._inside.insertWidget(self._inside.indexOf(self._entry) + 1, self.go)
        for part in (self.go, self.header, self.keys):
            part.setProperty("narrow", tight)
        if self._state is not None:
            self._show_field(self._state.entry)
            self._show_go(self._state.button)
            self._show_panels(self._state)
        self.setStyleSheet("")

    def _on_range_changed(self) -> None:
        if self._is_stacked:
            self._sharing.start()

    def _share_height(self) -> None:
        """Give the check what it needs where the panels stand under each other: money is never scrolled to."""
        if not self._is_stacked:
            self._panels.setStretch(0, 1)
            self._panels.setStretch(1, 1)
            return
        room = self.check.height() + self.guest.height()
        wanted = min(self.check.wanted_height(), max(room - LEAST_PANEL, room // 2))
        self._panels.setStretch(0, max(wanted, 1))
        self._panels.setStretch(1, max(room - wanted, 1))

    def _restyle(self) -> None:
        scale = theme.scale_for(self.width(), self.height())
        sheet = theme.stylesheet(self._theme, scale)
        self.preview.setFixedSize(QSize(98, 74) if self._is_tight else QSize(round(200 * scale), round(112 * scale)))
        if sheet != self.styleSheet():
            self.setStyleSheet(sheet)
            self.field.setMinimumHeight(TOUCH if self._is_tight else round(60 * scale))

    def _show_notice(self, state: SaleState) -> None:
        """Show the notice where there is room for it, while there is money to be seen not in the lowest windows."""
        least = NOTICE_OVER_PANELS_FROM if self._is_stacked else NOTICE_BESIDE_MONEY_FROM
        waits = self.height() < least and bool(state.check.amount or state.done)
        _show_message(self.notice, MessageState() if waits else state.notice)
        self.notice_read_button.setText(f"{state.notice_read_label}  Ins")
        self.notice_read_button.setVisible(bool(state.notice_read_label) and not waits)

    def _show_panels(self, state: SaleState) -> None:
        self.check.set_state(state.check, state.done)
        self.guest.set_state(state.guest, state.done, is_priced=bool(state.check.amount))

    def _show_field(self, state: FieldState) -> None:
        if self.field.text() != state.text:
            self.field.setText(state.text)
        if self.field.placeholderText() != state.placeholder:
            self.field.setPlaceholderText(state.placeholder)
        if self.field.isReadOnly() != state.read_only:
            self.field.setReadOnly(state.read_only)
        self.field.setAccessibleName(state.label)
        # Where there is no room for both, how it is read says what it is for.
        show_text(self.field_label, "" if self._is_tight and state.reading else state.label)
        show_text(self.reading, state.reading)

    def _show_go(self, state: ButtonState) -> None:
        self.go.set_content(state.text, "Enter" if state.enabled else "", enabled=state.enabled, tip=state.tip)

    def _show_help(self, state: HelpState | None) -> None:
        if state is None:
            if self.help.isVisibleTo(self):
                self.help.hide()
                self.field.setFocus()
            return
        self.help.set_state(state)
        self.help.fit(self.size())
        self.help.show()
        self.help.raise_()

    def _on_go_clicked(self) -> None:
        self.submitted.emit()

    def _on_copy_asked(self) -> None:
        if self._state and self._state.done and self._state.done.copy_text:
            QGuiApplication.clipboard().setText(self._state.done.copy_text)
            self.copied.emit()

    def _ask_page(self, key: str) -> None:
        """Ask for a page where its key may be used, else for why it may not; F5 and F7 may where F6 may."""
        shown = "F6" if key in ("F5", "F7") else key
        state = next((one for one in self._state.keys if one.key == shown), None) if self._state is not None else None
        if state is not None:
            (self.page_asked if state.enabled else self.key_refused).emit(key)

    def _on_key_button(self, key: str) -> None:
        if key == "F1":
            self.help_toggled.emit()
        elif key == "Esc":
            self.cancelled.emit()
        elif key in _PAGE_KEYS.values():
            self._ask_page(key)
            return
        else:
            self.mode_requested.emit({"F2": FieldMode.GUEST, "F3": FieldMode.AMOUNT, "F4": FieldMode.POINTS}[key])
        self.field.setFocus()


class EntryField(QLineEdit):
    """The one field. Without a selection there is nothing of its own to copy: Ctrl+C is the screen's then."""

    @override
    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.matches(QKeySequence.StandardKey.Copy) and not self.hasSelectedText():
            event.ignore()
        else:
            super().keyPressEvent(event)


def _show_message(widget: QLabel, state: MessageState) -> None:
    shape = SHAPES[state.tone.value]
    show_text(widget, f"{shape}  {state.text}".strip() if state.text else "", state.tone.value)


def _app() -> QApplication:
    app = QApplication.instance()
    if not isinstance(app, QApplication):
        raise TypeError("there is no QApplication yet")
    return app
