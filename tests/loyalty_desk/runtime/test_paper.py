"""Slips on paper: as wide as the paper, on as many pages as it takes, in a file where there is no printer."""

from __future__ import annotations

import stat
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import QMarginsF, QRectF, QSizeF
from PySide6.QtGui import QImage, QPageLayout, QPageSize, QPainter
from PySide6.QtPrintSupport import QPrinter

from loyalty_desk.domain.errors import Refused
from loyalty_desk.runtime.paper import SystemPaper, draw


def pdf(path: Path, width_mm: float, height_mm: float = 200) -> QPrinter:
    """Return a printer that writes a file, with paper so wide."""
    printer = QPrinter(QPrinter.PrinterMode.HighResolution)
    printer.setOutputFormat(QPrinter.OutputFormat.PdfFormat)
    printer.setOutputFileName(str(path))
    printer.setPageLayout(
        QPageLayout(
            QPageSize(QSizeF(width_mm, height_mm), QPageSize.Unit.Millimeter),
            QPageLayout.Orientation.Portrait,
            QMarginsF(2, 2, 2, 2),
            QPageLayout.Unit.Millimeter,
        )
    )
    return printer


@pytest.mark.parametrize(("width_mm", "columns"), [(58, 32), (80, 42), (210, 42)])
def test_a_slip_has_the_columns_of_its_paper(qapp, tmp_path: Path, width_mm: float, columns: int) -> None:
    asked: list[int] = []

    def lines(wide: int) -> list[str]:
        asked.append(wide)
        return ["Квитанция".center(wide), "-" * wide]

    paper = SystemPaper(tmp_path / "slips", lambda: pdf(tmp_path / "out.pdf", width_mm))
    _, file = paper.put("DE71-000001", lines)
    assert (asked, file) == ([columns], None)
    assert (tmp_path / "out.pdf").read_bytes().startswith(b"%PDF")
    assert not (tmp_path / "slips").exists()


def test_no_line_is_wider_than_the_paper_and_a_long_slip_takes_more_pages(qapp) -> None:
    image = QImage(600, 300, QImage.Format.Format_Grayscale8)
    image.fill(255)
    pages = []
    painter = QPainter(image)
    draw(painter, QRectF(20, 0, 500, 300), ["W" * 42] * 40, 42, lambda: pages.append(1))
    painter.end()
    pixels = np.frombuffer(image.constBits(), np.uint8).reshape(300, image.bytesPerLine())[:, :600]
    inked = np.flatnonzero(pixels.min(axis=0) < 128)
    assert 18 <= inked[0] <= 30
    assert 470 <= inked[-1] <= 521
    assert len(pages) >= 1


def test_without_a_printer_the_slip_is_a_file_of_its_user_alone(qapp, tmp_path: Path) -> None:
    printer, path = SystemPaper(tmp_path / "slips", lambda: None).put("DE71-000001", lambda wide: ["Чек", "-" * wide])
    assert (printer, path) == ("", tmp_path / "slips" / "DE71-000001.txt")
    assert path.read_text("utf-8") == f"Чек\n{'-' * 32}\n"
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_what_cannot_be_printed_or_written_is_a_sentence(qapp, tmp_path: Path, qtlog) -> None:
    (tmp_path / "slips").write_text("not a folder")
    with pytest.raises(Refused) as refused:
        SystemPaper(tmp_path / "slips", lambda: None).put("a", lambda _: ["a"])
    assert refused.value.code == "slip_not_written"
    with qtlog.disabled(), pytest.raises(Refused) as refused:
        SystemPaper(tmp_path, lambda: pdf(tmp_path / "gone" / "out.pdf", 80)).put("a", lambda _: ["a"])
    assert refused.value.code == "slip_not_printed"
