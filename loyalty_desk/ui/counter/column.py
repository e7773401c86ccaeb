"""The two columns of a page, each a card that scrolls where it must."""

from __future__ import annotations

from typing import override

from PySide6.QtCore import Qt, Signal, SignalInstance
from PySide6.QtGui import QKeyEvent, QResizeEvent
from PySide6.QtWidgets import QFrame, QScrollArea, QSizePolicy, QVBoxLayout, QWidget

from loyalty_desk.ui.widgets.labels import label

MORE_HEIGHT = 34
AIR = 6


class _Area(QScrollArea):
    """Leaves the keys to the page: Qt's own would scroll where the page goes from choice to choice."""

    resized = Signal()

    @override
    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self.resized.emit()

    @override
    def keyPressEvent(self, event: QKeyEvent) -> None:
        event.ignore()


class Column(QFrame):
    """A white card that scrolls where it must, and says so: half a line at the bottom looks like a fault."""

    def __init__(self) -> None:
        super().__init__()
        self.setProperty("panel", "true")
        body = QWidget()
        body.setObjectName("body")
        self.rows = QVBoxLayout(body)
        self.rows.setContentsMargins(0, 0, AIR, 0)
        self._most: int | None = None
        self.rows.setSpacing(12)
        self._area = area = _Area()
        area.setWidgetResizable(True)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        area.setFrameShape(QFrame.Shape.NoFrame)
        area.setWidget(body)
        # Its height is what there is and what `CounterView` shares out: never what the words would like.
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Ignored)
        self._outer = outer = QVBoxLayout(self)
        outer.setContentsMargins(16, 14, 10, 14)
        outer.addWidget(area)
        self.more = label("more", parent=self)
        self.more.setText("▼  PgDn")
        self.more.setAlignment(Qt.AlignmentFlag.AlignHCenter | Qt.AlignmentFlag.AlignBottom)
        self.more.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.more.hide()
        self._bar = bar = area.verticalScrollBar()
        area.resized.connect(self._fit)
        bar.rangeChanged.connect(self._mark)
        bar.valueChanged.connect(self._mark)

    @property
    def range_changed(self) -> SignalInstance:
        """Return the signal that what there is to scroll has changed."""
        return self._bar.rangeChanged

    def wanted_height(self) -> int:
        """Return how high the column would have to be for nothing in it to scroll."""
        body, width = self._area.widget(), self._area.viewport().width()
        if body is None:
            return 0
        self.rows.activate()
        inside = max(body.heightForWidth(width), body.minimumSizeHint().height())
        edges = self.contentsMargins() + self._outer.contentsMargins()
        return inside + edges.top() + edges.bottom()

    def keep_to(self, most: int | None) -> None:
        """Let no row be wider than so many pixels."""
        if most != self._most:
            self._most = most
            self._fit()

    def to_top(self) -> None:
        """Show the beginning: whatever another page was scrolled to."""
        self._bar.setValue(0)

    def turn(self, step: int) -> bool:
        """Scroll by what is in sight, less twice what covers the end; return whether that moved anything."""
        before = self._bar.value()
        self._bar.setValue(self._bar.value() + step * max(self._bar.pageStep() - 2 * MORE_HEIGHT, MORE_HEIGHT))
        return self._bar.value() != before

    def show_whole(self, part: QWidget) -> None:
        """Scroll until a part is in sight, clear of what covers the end."""
        body = self._area.widget()
        if body is not None and body.isAncestorOf(part):
            self._area.ensureWidgetVisible(part, 0, MORE_HEIGHT)

    def _fit(self) -> None:
        # A margin, not a greatest width: lines would have the height that they need at the column's.
        spare = 0 if self._most is None else self._area.viewport().width() - self._most
        self.rows.setContentsMargins(0, 0, max(spare, AIR), 0)
        self._mark()

    def _mark(self) -> None:
        """Say that there is more below, unless that is less than what would say so."""
        is_more = self._bar.maximum() - self._bar.value() > 2
        self.more.setVisible(is_more)
        if is_more:
            place = self._area.geometry()
            width = place.width() - self._bar.width()
            self.more.setGeometry(place.left(), place.bottom() + 1 - MORE_HEIGHT, width, MORE_HEIGHT)
            self.more.raise_()
