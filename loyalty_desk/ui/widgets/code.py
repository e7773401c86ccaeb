"""A QR code on the screen, to be photographed."""

from __future__ import annotations

from typing import override

from PySide6.QtCore import QRect, QSize, Qt
from PySide6.QtGui import QColor, QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from loyalty_desk.services.code_picture import Modules

# Seven pixels to each of the 29 modules of a card with its margin: 50 mm on an old screen.
LEAST = 203
SMALLEST = 116


class CodePicture(QWidget):
    """Black on white with its margin, whatever the theme, whole pixels to a module."""

    def __init__(self) -> None:
        super().__init__()
        self._modules: Modules = ()
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumSize(SMALLEST, SMALLEST)

    def show_modules(self, modules: Modules) -> None:
        """Take the rows to draw; none hides the picture."""
        if modules != self._modules:
            self._modules = modules
            self.update()
        self.setVisible(bool(modules))

    def side(self) -> int:
        """Return how wide a module is drawn, in pixels of the screen's own."""
        across = len(self._modules) or 1
        return max(1, int(min(self.width(), self.height()) * self.devicePixelRatioF()) // across)

    @override
    def sizeHint(self) -> QSize:
        return QSize(LEAST, LEAST)

    @override
    def paintEvent(self, event: QPaintEvent) -> None:
        if not self._modules:
            return
        painter = QPainter(self)
        # Whole pixels of the screen, at 125 % too: a module of one and a quarter is read badly.
        painter.scale(1 / self.devicePixelRatioF(), 1 / self.devicePixelRatioF())
        each, across = self.side(), len(self._modules)
        width, height = (int(one * self.devicePixelRatioF()) for one in (self.width(), self.height()))
        left, top = (width - each * across) // 2, (height - each * across) // 2
        painter.fillRect(QRect(left, top, each * across, each * across), QColor(Qt.GlobalColor.white))
        for y, row in enumerate(self._modules):
            for x, is_dark in enumerate(row):
                if is_dark:
                    painter.fillRect(left + x * each, top + y * each, each, each, QColor(Qt.GlobalColor.black))
        painter.end()
