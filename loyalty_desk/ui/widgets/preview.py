"""The camera's little window: the picture, a frame to aim with, and a green flash where a code was read."""

from __future__ import annotations

from typing import override

from PySide6.QtCore import QLineF, QRectF, QSize, Qt, QTimer
from PySide6.QtGui import QColor, QImage, QPainter, QPainterPath, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QWidget

from loyalty_desk.ui import theme
from loyalty_desk.ui.sale.state import PreviewState

FLASH_MS = 450


class CameraPreview(QWidget):
    """Shows copied frames; holds the last one only."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._image = QImage()
        self._text = ""
        self._colours = theme.LIGHT
        self._flash = QTimer(self)
        self._flash.setSingleShot(True)
        self._flash.setInterval(FLASH_MS)
        self._flash.timeout.connect(self.update)
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self.setFixedSize(QSize(208, 117))

    @property
    def flashing(self) -> bool:
        """Whether the green frame of a fresh read is on."""
        return self._flash.isActive()

    def set_colours(self, colours: theme.Colours) -> None:
        """Take the colours of a theme."""
        self._colours = colours
        self.update()

    def set_state(self, state: PreviewState) -> None:
        """Show the words for where there is no picture."""
        self.setVisible(state.shown)
        if state.text and not self._image.isNull():
            self._image = QImage()
        if self._text != state.text:
            self._text = state.text
            self.update()
        self.setToolTip(state.tip)

    def set_image(self, image: QImage) -> None:
        """Show a frame that nobody else writes to any more."""
        self._image = image
        self.update()

    def flash(self) -> None:
        """Light the frame green for a moment."""
        self._flash.start()
        self.update()

    @override
    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        box = QRectF(self.rect()).adjusted(1.5, 1.5, -1.5, -1.5)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(self._colours.header))
        painter.drawRoundedRect(box, 10, 10)
        if not self._image.isNull():
            size = self._image.size().scaled(self.size(), Qt.AspectRatioMode.KeepAspectRatioByExpanding)
            target = QRectF(0, 0, size.width(), size.height())
            target.moveCenter(box.center())
            rounded = QPainterPath()
            rounded.addRoundedRect(box, 10, 10)
            painter.setClipPath(rounded)
            painter.drawImage(target, self._image)
            painter.setClipping(False)
        elif self._text:
            painter.setPen(QColor(self._colours.on_header))
            self._draw_words(painter, box.adjusted(8, 6, -8, -6))
        lit = self.flashing
        pen = QPen(QColor("#2fe08a" if lit else self._colours.line), 5 if lit else 2)
        painter.setPen(pen)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawRoundedRect(box, 10, 10)
        if not self._image.isNull():
            self._draw_aim(painter, box, QColor("#2fe08a" if lit else "#ffffff"))
        painter.end()

    def _draw_words(self, painter: QPainter, inside: QRectF) -> None:
        """Write as large as the longest word allows."""
        flags = int(Qt.AlignmentFlag.AlignCenter) | int(Qt.TextFlag.TextWordWrap)
        font = self.font()
        for size in (16, 14, 12, 11):
            font.setPixelSize(size)
            painter.setFont(font)
            needs = painter.boundingRect(inside, flags, self._text)
            if needs.width() <= inside.width() and needs.height() <= inside.height():
                break
        painter.drawText(inside, flags, self._text)

    @staticmethod
    def _draw_aim(painter: QPainter, box: QRectF, colour: QColor) -> None:
        side = box.height() * 0.72
        frame = QRectF(0, 0, side, side)
        frame.moveCenter(box.center())
        arm = side * 0.2
        painter.setPen(QPen(colour, 3, Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap))
        for x, dx in ((frame.left(), arm), (frame.right(), -arm)):
            for y, dy in ((frame.top(), arm), (frame.bottom(), -arm)):
                painter.drawLine(QLineF(x, y, x + dx, y))
                painter.drawLine(QLineF(x, y, x, y + dy))
