from __future__ import annotations

import re
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from PySide6.QtCore import qCritical

from loyalty_desk.runtime.crash import KEPT_REPORTS, CrashReports


def fails(secret: str) -> None:
    guest_phone = secret
    raise ValueError(f"guest {guest_phone}")


def caught(secret: str = "+79161234567") -> ValueError:
    try:
        fails(secret)
    except ValueError as error:
        return error
    raise AssertionError


@pytest.fixture
def expecting(expect_log: Callable[[str], None]) -> None:
    expect_log("fault in")


@pytest.mark.usefixtures("expecting")
def test_a_report_names_the_place_and_keeps_no_values(tmp_path: Path) -> None:
    written = CrashReports(tmp_path).report(caught(), "a test")
    assert written is not None
    text = written.read_text(encoding="utf-8")
    assert "test_crash.py" in text
    assert "in fails" in text
    assert "ValueError" in text
    assert "+79161234567" not in text
    assert re.search(r"Loyalty Desk \d", text)


@pytest.mark.usefixtures("expecting")
def test_the_same_fault_is_written_once(tmp_path: Path) -> None:
    reports = CrashReports(tmp_path)
    assert reports.report(caught()) is not None
    assert reports.report(caught()) is None
    assert len(list(tmp_path.glob("crash-*.txt"))) == 1


@pytest.mark.usefixtures("expecting")
def test_old_reports_make_room(tmp_path: Path) -> None:
    for number in range(KEPT_REPORTS + 5):
        (tmp_path / f"crash-2020010{number % 10}-{number:06d}-x.txt").write_text("old")
    CrashReports(tmp_path).report(caught())
    left = sorted(path.name for path in tmp_path.glob("crash-*.txt"))
    assert len(left) == KEPT_REPORTS
    assert any(name.startswith("crash-2026") or name > "crash-2021" for name in left)


@pytest.mark.usefixtures("expecting")
def test_a_folder_that_takes_no_file_costs_only_the_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    assert CrashReports(blocked / "crashes").report(caught()) is None
    assert "in fails" in capsys.readouterr().err


@pytest.mark.usefixtures("expecting")
def test_faults_in_threads_and_in_qt_are_reported_and_told(tmp_path: Path, qapp) -> None:
    told: list[int] = []
    reports = CrashReports(tmp_path, lambda: told.append(1))
    before = sys.excepthook, threading.excepthook
    reports.install()
    try:
        thread = threading.Thread(target=fails, args=("x",), name="camera")
        thread.start()
        thread.join()
        qCritical("the style cannot be drawn")
    finally:
        reports.uninstall()
        sys.excepthook, threading.excepthook = before
    texts = [path.read_text(encoding="utf-8") for path in tmp_path.glob("crash-*.txt")]
    assert len(texts) == 2
    assert any("thread camera" in text for text in texts)
    assert any("the style cannot be drawn" in text for text in texts)
    assert told == [1]


def test_a_death_in_native_code_leaves_a_trace(tmp_path: Path) -> None:
    code = (
        "import sys, ctypes\n"
        "from pathlib import Path\n"
        "from loyalty_desk.runtime.crash import CrashReports\n"
        "CrashReports(Path(sys.argv[1])).install()\n"
        "ctypes.string_at(0)\n"
    )
    died = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, check=False, timeout=60)
    assert died.returncode != 0
    assert "Fatal Python error" in (tmp_path / "native.txt").read_text(encoding="utf-8")
