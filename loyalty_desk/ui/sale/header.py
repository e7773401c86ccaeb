"""The line at the top: where we are, who sells, whether scanners and server are there, what waits, the time."""

from __future__ import annotations

from typing import override

from msgspec.structs import replace
from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QBoxLayout, QFrame, QLabel, QVBoxLayout

from loyalty_desk.ui.sale.state import PARTED, Badge, HeaderState, SaleState
from loyalty_desk.ui.widgets.buttons import plain_button
from loyalty_desk.ui.widgets.labels import SHAPES, ElidedLabel, label, show_text


class Header(QFrame):
    """Two groups side by side, or one under the other where the window is narrow."""

    language_asked = Signal()
    theme_asked = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("header")
        self._badge = Badge("")
        self.place = ElidedLabel("place", parted=PARTED)
        self.cashier = ElidedLabel("cashier")
        self.scanner = label("badge")
        self.link = label("badge")
        self.waiting = label("badge")
        self.clock = label("clock")
        self.language = plain_button("small")
        self.theme = plain_button("small")
        self.language.clicked.connect(self.language_asked)
        self.theme.clicked.connect(self.theme_asked)
        self._first = QBoxLayout(QBoxLayout.Direction.LeftToRight)
        self._second = QBoxLayout(QBoxLayout.Direction.LeftToRight)
        self._controls = QBoxLayout(QBoxLayout.Direction.LeftToRight)
        for row in (self._first, self._second, self._controls):
            row.setSpacing(8)
        names = QVBoxLayout()
        names.setSpacing(0)
        names.addWidget(self.place)
        names.addWidget(self.cashier)
        self._first.addLayout(names, 1)
        for part in (self.scanner, self.link, self.waiting):
            self._second.addWidget(part)
        self._controls.addWidget(self.clock)
        self._controls.addWidget(self.language)
        self._controls.addWidget(self.theme)
        self._outer = QBoxLayout(QBoxLayout.Direction.LeftToRight, self)
        self._outer.setContentsMargins(16, 6, 12, 6)
        self._outer.setSpacing(10)
        self._outer.addLayout(self._first, 1)
        self._outer.addLayout(self._second)
        self._outer.addLayout(self._controls)

    def set_narrow(self, narrow: bool) -> None:
        """Put the badges under the names where there is no room beside them."""
        top = QBoxLayout.Direction.TopToBottom if narrow else QBoxLayout.Direction.LeftToRight
        if self._outer.direction() == top:
            return
        self._outer.setDirection(top)
        if narrow:
            self._outer.removeItem(self._controls)
            self._first.addLayout(self._controls)
            self._second.addStretch(1)
        else:
            self._first.removeItem(self._controls)
            self._outer.addLayout(self._controls)
            self._second.takeAt(self._second.count() - 1)

    def set_state(self, state: SaleState) -> None:
        """Show the header of a state."""
        header: HeaderState = state.header
        show_text(self.place, header.place)
        show_text(self.cashier, header.cashier)
        self._badge = header.link
        _show_badge(self.scanner, header.scanner)
        _show_badge(self.waiting, header.waiting)
        show_text(self.clock, header.clock)
        for button, words, tip in (
            (self.language, state.language_label, state.language_tip),
            (self.theme, state.theme_label, state.theme_tip),
        ):
            if button.text() != words:
                button.setText(words)
            button.setVisible(bool(words))
            button.setToolTip(tip)
            button.setAccessibleName(tip)
        self._fit()

    @override
    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        """Shorten the badge that can be said shorter before the names beside it have to be cut."""
        _show_badge(self.link, self._badge)
        if self._badge.short and self._outer.direction() == QBoxLayout.Direction.LeftToRight:
            for row in (self._second, self._controls, self._outer):
                row.invalidate()
            margins = self._outer.contentsMargins()
            beside = self._second.sizeHint().width() + self._controls.sizeHint().width() + 2 * self._outer.spacing()
            room = self.width() - margins.left() - margins.right() - beside
            if max(self.place.sizeHint().width(), self.cashier.sizeHint().width()) > room:
                _show_badge(self.link, replace(self._badge, text=self._badge.short))
        # Now, not at the event loop's next turn: a paint in between would cut a longer badge off.
        self._outer.activate()


def _show_badge(widget: QLabel, badge: Badge) -> None:
    shape = SHAPES[badge.tone.value]
    show_text(widget, f"{shape} {badge.text}".strip() if badge.text else "", badge.tone.value)
    widget.setAlignment(Qt.AlignmentFlag.AlignCenter)
    if widget.toolTip() != badge.tip:
        widget.setToolTip(badge.tip)
