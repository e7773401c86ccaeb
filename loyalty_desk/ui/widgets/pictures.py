"""Drawings for empty panels, in the theme's colours and at any size: no files, no SVG module to load."""

from __future__ import annotations

from enum import StrEnum
from typing import override

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QPainter, QPaintEvent, QPen, QPolygonF
from PySide6.QtWidgets import QVBoxLayout, QWidget

from loyalty_desk.ui import theme
from loyalty_desk.ui.widgets.labels import label, show_text

SIDE = 104


class Drawing(StrEnum):
    """What is drawn."""

    CODE = "code"
    RECEIPT = "receipt"


class Picture(QWidget):
    """One drawing."""

    def __init__(self, drawing: Drawing) -> None:
        super().__init__()
        self._drawing = drawing
        self._colours = theme.LIGHT
        self.setFixedSize(QSize(SIDE, SIDE))

    def set_colours(self, colours: theme.Colours) -> None:
        """Take the colours of a theme."""
        self._colours = colours
        self.update()

    @override
    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.scale(self.width() / 100, self.height() / 100)
        line = QPen(QColor(self._colours.muted), 4, Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap)
        line.setJoinStyle(Qt.PenJoinStyle.RoundJoin)
        painter.setPen(line)
        if self._drawing is Drawing.CODE:
            self._draw_code(painter)
        else:
            self._draw_receipt(painter)
        painter.end()

    def _draw_code(self, painter: QPainter) -> None:
        """Draw a code inside an aiming frame."""
        for x, dx in ((8, 18), (92, -18)):
            for y, dy in ((8, 18), (92, -18)):
                painter.drawPolyline(QPolygonF([QPointF(x + dx, y), QPointF(x, y), QPointF(x, y + dy)]))
        painter.setPen(Qt.PenStyle.NoPen)
        dark, fill = QColor(self._colours.accent), QColor(self._colours.info_fill)
        painter.setBrush(fill)
        painter.drawRoundedRect(QRectF(20, 20, 60, 60), 8, 8)
        for x, y in ((27, 27), (57, 27), (27, 57)):
            painter.setBrush(dark)
            painter.drawRoundedRect(QRectF(x, y, 16, 16), 3, 3)
            painter.setBrush(fill)
            painter.drawRoundedRect(QRectF(x + 5, y + 5, 6, 6), 1, 1)
        painter.setBrush(dark)
        for x, y in (
            (48, 30),
            (48, 40),
            (30, 48),
            (40, 48),
            (56, 50),
            (66, 48),
            (50, 58),
            (60, 60),
            (68, 66),
            (52, 68),
        ):
            painter.drawRect(QRectF(x, y, 5, 5))

    def _draw_receipt(self, painter: QPainter) -> None:
        """Draw a receipt with a torn edge."""
        painter.setBrush(QColor(self._colours.raised))
        edge = [QPointF(22, 10), QPointF(78, 10), QPointF(78, 88)]
        edge += [QPointF(78 - 7 * step, 80 if step % 2 else 88) for step in range(1, 8)]
        painter.drawPolygon(QPolygonF([*edge, QPointF(22, 88)]))
        painter.setPen(QPen(QColor(self._colours.muted), 4, Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap))
        for y, end in ((28, 60), (42, 66), (56, 52)):
            painter.drawLine(QPointF(34, y), QPointF(end, y))
        painter.setPen(QPen(QColor(self._colours.accent), 5, Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap))
        painter.drawLine(QPointF(54, 69), QPointF(66, 69))


class EmptyPlace(QWidget):
    """A drawing and a sentence in the middle of a panel that has nothing to show yet."""

    def __init__(self, drawing: Drawing) -> None:
        super().__init__()
        self.picture = Picture(drawing)
        self.text = label("empty", wrap=True)
        self.text.setAlignment(Qt.AlignmentFlag.AlignCenter)
        box = QVBoxLayout(self)
        box.setContentsMargins(12, 16, 12, 8)
        box.setSpacing(18)
        box.addWidget(self.picture, 0, Qt.AlignmentFlag.AlignHCenter)
        box.addWidget(self.text)

    def say(self, text: str, *, picture: bool) -> None:
        """Show a sentence, or nothing."""
        show_text(self.text, text)
        self.picture.setVisible(picture)
        self.setVisible(bool(text))
