"""Slips on paper through the system's printer, or in a file where there is none. All of it waits for drivers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QFont, QFontDatabase, QFontMetricsF, QPainter

from loyalty_desk.domain.errors import Refused

if TYPE_CHECKING:
    from PySide6.QtPrintSupport import QPrinter

# A roll of 58 mm has room for 32 columns, one of 80 mm for 42; larger sheets take a strip as wide as the latter.
NARROW_MM, WIDEST_MM = 62.0, 72.0
NARROW_COLUMNS, COLUMNS = 32, 42


class SystemPaper:
    """`Paper` over the default printer of the computer; `folder` is where slips are written without one."""

    def __init__(self, folder: Path, opened: Callable[[], QPrinter | None] | None = None) -> None:
        self._folder = folder
        self._opened = opened or default_printer

    def put(self, name: str, lines_of: Callable[[int], Sequence[str]]) -> tuple[str, Path | None]:
        """Print lines of as many columns as the paper has, or write them into a file; return the printer, the file.

        Raises `Refused` `slip_not_printed` (`printer`), `slip_not_written` (`path`).
        """
        printer = self._opened()
        if printer is None:
            return "", self._write(name, lines_of(NARROW_COLUMNS))
        page = printer.pageRect(type(printer).Unit.DevicePixel)
        across_mm = printer.pageRect(type(printer).Unit.Millimeter).width()
        columns = NARROW_COLUMNS if across_mm < NARROW_MM else COLUMNS
        width = page.width() * min(1.0, WIDEST_MM / across_mm)
        painter = QPainter()
        if not painter.begin(printer):
            raise Refused("slip_not_printed", printer=printer.printerName())
        try:
            draw(painter, QRectF(0, 0, width, page.height()), lines_of(columns), columns, printer.newPage)
        finally:
            is_sent = painter.end()
        if not is_sent:
            raise Refused("slip_not_printed", printer=printer.printerName())
        return printer.printerName(), None

    def _write(self, name: str, lines: Sequence[str]) -> Path:
        path = self._folder / f"{name}.txt"
        try:
            self._folder.mkdir(mode=0o700, exist_ok=True)
            path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        except OSError as error:
            raise Refused("slip_not_written", path=str(path)) from error
        return path


def default_printer() -> QPrinter | None:
    """Return the computer's default printer, its first one where it names none, None without any."""
    from PySide6.QtPrintSupport import QPrinter, QPrinterInfo

    name = QPrinterInfo.defaultPrinterName() or next(iter(QPrinterInfo.availablePrinterNames()), "")
    if not name:
        return None
    return QPrinter(QPrinterInfo.printerInfo(name), QPrinter.PrinterMode.HighResolution)


def draw(painter: QPainter, page: QRectF, lines: Sequence[str], columns: int, next_page: Callable[[], object]) -> None:
    """Draw lines of at most so many columns as wide as a page, one under the other, on as many pages as it takes."""
    font = _font(painter, page.width() / columns)
    painter.setFont(font)
    high = QFontMetricsF(font, painter.device()).lineSpacing()
    top = page.top()
    for line in lines:
        if top + high > page.bottom() and top > page.top():
            next_page()
            top = page.top()
        painter.drawText(QRectF(page.left(), top, page.width(), high), Qt.AlignmentFlag.AlignLeft, line)
        top += high


def _font(painter: QPainter, column: float) -> QFont:
    """Return the system's font of even letters, as large as a column of so many pixels allows."""
    font = QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont)
    font.setStyleHint(QFont.StyleHint.Monospace)
    font.setPixelSize(max(6, int(column / 0.5)))
    while font.pixelSize() > 6 and QFontMetricsF(font, painter.device()).horizontalAdvance("0" * 10) > 10 * column:
        font.setPixelSize(font.pixelSize() - 1)
    return font
