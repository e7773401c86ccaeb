"""Buttons that show their key: the one big button and the bar of function keys."""

from __future__ import annotations

from typing import override

from PySide6.QtCore import QEvent, QSize, Qt, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QBoxLayout, QPushButton, QSizePolicy, QWidget

from loyalty_desk.ui import theme
from loyalty_desk.ui.widgets.labels import label, show_text

# What stands on the key itself, where there is no room for its name.
ENTER_SIGN = "↵"
AROUND_WORDS_AND_KEY = 48


class KeyedButton(QPushButton):
    """A button whose words and key are labels, so that both can be styled and measured.

    It never takes the focus by a click: the one field keeps it. `refused` is a touch while it is disabled.
    """

    refused = Signal()

    def __init__(self, role: str, *, centred: bool = False, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("role", role)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self._key = ""
        self._spares = False
        self.words = label("words")
        self.keycap = label("keycap")
        self._centred = centred
        self._row = row = QBoxLayout(QBoxLayout.Direction.LeftToRight, self)
        row.setContentsMargins(12, 4, 12, 4)
        row.setSpacing(10)
        if centred:
            row.addStretch(1)
            row.addWidget(self.words)
            row.addWidget(self.keycap, 0, Qt.AlignmentFlag.AlignVCenter)
            row.addStretch(1)
        else:
            row.addWidget(self.keycap, 0, Qt.AlignmentFlag.AlignVCenter)
            row.addWidget(self.words, 1)
        for part in (self.words, self.keycap):
            part.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def set_content(self, words: str, key: str, *, enabled: bool, active: bool = False, tip: str = "") -> None:
        """Show what the button does and by which key."""
        tone = "active" if active else "on" if enabled else "off"
        show_text(self.words, words, tone)
        self._key = key
        theme.set_tone(self.keycap, tone)
        self._show_key()
        self.setAccessibleName(f"{words} ({key})")
        self.setEnabled(enabled)
        if self.toolTip() != tip:
            self.setToolTip(tip)

    def _show_key(self) -> None:
        """Show the key beside the words; where they need the room, what stands on it instead of its name."""
        words, cap = (part.fontMetrics().horizontalAdvance for part in (self.words, self.keycap))
        fits = words(self.words.text()) + cap(self._key) + AROUND_WORDS_AND_KEY <= self.width()
        show_text(self.keycap, ENTER_SIGN if self._spares and self._key == "Enter" and not fits else self._key)

    def set_narrow(self, narrow: bool) -> None:
        """Put the words under the key, with less air around them; in the big button, leave them what room there is."""
        side = 2 if narrow else 12
        self._row.setContentsMargins(side, 4, side, 4)
        self._row.setSpacing(2 if narrow else 10)
        if self._centred:
            # The words take all the width that the key's sign leaves, and a second line where that is not enough.
            self._spares = narrow
            self._row.setContentsMargins(side, 4, 8 if narrow else side, 4)
            self._show_key()
            self.words.setWordWrap(narrow)
            self.words.setAlignment(Qt.AlignmentFlag.AlignCenter)
            for place, stretch in enumerate((0, 1, 0, 0) if narrow else (1, 0, 0, 1)):
                self._row.setStretch(place, stretch)
        else:
            across, down = QBoxLayout.Direction.LeftToRight, QBoxLayout.Direction.TopToBottom
            self._row.setDirection(down if narrow else across)
            middle, left = Qt.AlignmentFlag.AlignCenter, Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
            self.words.setAlignment(middle if narrow else left)
            self._row.setAlignment(self.keycap, middle if narrow else Qt.AlignmentFlag.AlignVCenter)

    @override
    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._show_key()

    @override
    def event(self, event: QEvent) -> bool:
        # Qt lets a disabled button swallow what touches it: a finger would never learn why.
        if event.type() is QEvent.Type.MouseButtonRelease and not self.isEnabled():
            self.refused.emit()
        return super().event(event)

    @override
    def sizeHint(self) -> QSize:
        inside = self._row.sizeHint()
        return QSize(inside.width(), max(inside.height(), self.minimumHeight()))

    @override
    def minimumSizeHint(self) -> QSize:
        inside = self._row.minimumSize()
        return QSize(inside.width(), max(inside.height(), self.minimumHeight()))


def plain_button(role: str) -> QPushButton:
    """Return a button that leaves the focus where it is when clicked."""
    made = QPushButton()
    made.setProperty("role", role)
    made.setFocusPolicy(Qt.FocusPolicy.TabFocus)
    return made
