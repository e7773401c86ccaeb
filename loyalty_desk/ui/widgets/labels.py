"""Texts of the window: labels with a role for the style sheet, and names that end in … where there is no room."""

from __future__ import annotations

from bisect import bisect_left
from typing import override

from PySide6.QtCore import QEvent, QSize, Qt
from PySide6.QtGui import QPainter, QPaintEvent, QResizeEvent
from PySide6.QtWidgets import QLabel, QSizePolicy, QStyle, QStyleOption, QWidget

from loyalty_desk.ui import theme

# A shape beside every colour: a cashier may not tell red from green.
SHAPES = {"plain": "", "good": "●", "warn": "▲", "bad": "■", "info": "○"}


def label(role: str, *, wrap: bool = False, scrolled: bool = False, parent: QWidget | None = None) -> QLabel:
    """Return an empty label that the style sheet knows by `role`; `scrolled` is one of several lines in what scrolls.

    There the height for its width is what counts: Qt's guess of it would be blank space to scroll to.
    """
    made = QLabel(parent)
    made.setProperty("role", role)
    made.setTextFormat(Qt.TextFormat.PlainText)
    made.setWordWrap(wrap or scrolled)
    if scrolled:
        made.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Preferred)
    elif wrap:
        made.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Minimum)
    return made


def show_text(widget: QLabel, text: str, tone: str | None = None) -> None:
    """Set a label's text and tone where they changed, and hide it where there is nothing to say."""
    if widget.text() != text:
        widget.setText(text)
    if tone is not None:
        theme.set_tone(widget, tone)
    if widget.isHidden() == bool(text):
        widget.setVisible(bool(text))


class FewLines(QLabel):
    """Sentences that may have to do with a few lines: shortened with … there, whole in the tooltip."""

    def __init__(self, role: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._whole = ""
        self._most = 0
        self.setProperty("role", role)
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setWordWrap(True)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Minimum)

    def whole(self) -> str:
        """Return all there is to say."""
        return self._whole

    def set_most(self, lines: int) -> None:
        """Take no more lines than these from now on; 0 is as many as it takes."""
        self._most = lines
        self._fit()

    @override
    def setText(self, text: str) -> None:
        if text != self._whole:
            self._whole = text
            self._fit()

    @override
    def sizeHint(self) -> QSize:
        return self._as_high_as_its_lines(super().sizeHint())

    @override
    def minimumSizeHint(self) -> QSize:
        return self._as_high_as_its_lines(super().minimumSizeHint())

    @override
    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit()
        if event.size().width() != event.oldSize().width():
            self.updateGeometry()

    @override
    def event(self, event: QEvent) -> bool:
        heard = super().event(event)
        # A style sheet brings its padding and its font after the first sizes.
        if event.type() in (QEvent.Type.ContentsRectChange, QEvent.Type.FontChange, QEvent.Type.StyleChange):
            self._fit()
        return heard

    def _as_high_as_its_lines(self, hint: QSize) -> QSize:
        """Return a hint with the height for the width it has: Qt's own guess is another width's."""
        return QSize(hint.width(), self.heightForWidth(self.width()))

    def _fit(self) -> None:
        """Show what fits; a label not laid out yet is as wide as it happens to be, and is fitted again then."""
        text, whole = self.text(), self._whole
        if not self._fits(whole):
            kept = bisect_left(range(len(whole)), True, key=lambda n: not self._fits(f"{whole[:n]}…")) - 1
            QLabel.setText(self, f"{whole[: max(kept, 0)].rstrip()}…")
        if text != self.text():
            self.updateGeometry()
        self.setToolTip(whole if self.text() != whole else "")

    def _fits(self, text: str) -> bool:
        """Show a text and return whether it takes no more lines than it may: what a style adds Qt alone knows."""
        if self._most:
            QLabel.setText(self, "x")
            room = self.heightForWidth(self.width()) + (self._most - 1) * self.fontMetrics().lineSpacing()
        QLabel.setText(self, text)
        return not self._most or self.heightForWidth(self.width()) <= room


class ElidedLabel(QLabel):
    """A name of any length on one line: shortened with …, whole in the tooltip.

    `parted` stands before what is kept as long as it can be: of a store and a till it is the till.
    """

    def __init__(self, role: str, parent: QWidget | None = None, *, parted: str = "") -> None:
        super().__init__(parent)
        self._parted = parted
        self.setProperty("role", role)
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)

    @override
    def sizeHint(self) -> QSize:
        hint = super().sizeHint()
        return QSize(min(hint.width(), 4000), hint.height())

    @override
    def minimumSizeHint(self) -> QSize:
        return QSize(self.fontMetrics().averageCharWidth() * 4, super().minimumSizeHint().height())

    @override
    def setText(self, text: str) -> None:
        super().setText(text)
        self._tell()

    @override
    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._tell()

    @override
    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        option = QStyleOption()
        option.initFrom(self)
        self.style().drawPrimitive(QStyle.PrimitiveElement.PE_Widget, option, painter, self)
        painter.drawText(self.contentsRect(), int(self.alignment() | Qt.AlignmentFlag.AlignVCenter), self.shown())
        painter.end()

    def shown(self) -> str:
        """Return what of the text there is room for."""
        metrics, room, right = self.fontMetrics(), self.contentsRect().width(), Qt.TextElideMode.ElideRight
        first, parted, last = self.text().rpartition(self._parted) if self._parted else ("", "", self.text())
        kept = parted + last
        # A store that is nothing but … tells nothing: then both are cut like one name.
        if first and self._is_cut() and metrics.horizontalAdvance(f"{first[:2]}…{kept}") <= room:
            return metrics.elidedText(first, right, room - metrics.horizontalAdvance(kept)) + kept
        return metrics.elidedText(self.text(), right, room)

    def _tell(self) -> None:
        self.setToolTip(self.text() if self._is_cut() else "")

    def _is_cut(self) -> bool:
        return self.fontMetrics().horizontalAdvance(self.text()) > self.contentsRect().width()
