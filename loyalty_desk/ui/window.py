"""The one window: shows one screen at a time, in one theme, and asks before it closes."""

from __future__ import annotations

from typing import override

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QCloseEvent, QKeyEvent, QResizeEvent
from PySide6.QtWidgets import QApplication, QStackedLayout, QWidget

from loyalty_desk.ui import theme
from loyalty_desk.ui.sale.view import SaleView


class MainWindow(QWidget):
    """Holds the screens. Closing it only asks: whoever runs the shutdown hides it."""

    close_asked = Signal()

    def __init__(self, theme_name: str) -> None:
        super().__init__()
        self.setObjectName("window")
        self.setWindowTitle("Loyalty Desk")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self._theme = theme_name
        self._may_close = False
        self._stack = QStackedLayout(self)
        self._stack.setContentsMargins(0, 0, 0, 0)
        self.setMinimumSize(*theme.SMALLEST)
        self.sale = SaleView()
        self._stack.addWidget(self.sale)
        self.set_theme(theme_name)

    @property
    def theme(self) -> str:
        """Return the theme's name."""
        return self._theme

    def show_screen(self, screen: QWidget) -> None:
        """Bring a screen to the front and give it the keyboard."""
        if self._stack.indexOf(screen) < 0:
            self._stack.addWidget(screen)
            self._dress(screen)
        self._stack.setCurrentWidget(screen)
        first = screen.field if isinstance(screen, SaleView) else screen
        first.setFocus()

    def front(self) -> QWidget | None:
        """Return the screen in front."""
        return self._stack.currentWidget()

    def set_theme(self, name: str) -> None:
        """Dress everything in `light` or `dark`."""
        self._theme = name
        app = QApplication.instance()
        if isinstance(app, QApplication):
            theme.apply(app, name)
        for screen in self._screens():
            self._dress(screen)

    def fit_screen(self) -> None:
        """Take 1024×768, or what the screen has where that is less."""
        screen = self.screen_size()
        self.resize(min(1024, screen[0]), min(768, screen[1]))

    def screen_size(self) -> tuple[int, int]:
        """Return the room on this display, in pixels."""
        room = self.screen().availableGeometry()
        return room.width(), room.height()

    def let_close(self) -> None:
        """Allow the window to go."""
        self._may_close = True
        self.close()

    @override
    def closeEvent(self, event: QCloseEvent) -> None:
        if self._may_close:
            event.accept()
        else:
            event.ignore()
            self.close_asked.emit()

    @override
    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_F11:
            self.setWindowState(self.windowState() ^ Qt.WindowState.WindowFullScreen)
        else:
            super().keyPressEvent(event)

    @override
    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self.setMinimumSize(*theme.smallest(self.width()))
        for screen in self._screens():
            if not isinstance(screen, SaleView):
                self._dress(screen)

    def _screens(self) -> list[QWidget]:
        found = [self._stack.widget(position) for position in range(self._stack.count())]
        return [screen for screen in found if screen is not None]

    def _dress(self, screen: QWidget) -> None:
        if isinstance(screen, SaleView):
            screen.set_theme(self._theme)
            return
        sheet = theme.stylesheet(self._theme, theme.scale_for(self.width(), self.height()))
        if screen.styleSheet() != sheet:
            screen.setStyleSheet(sheet)
