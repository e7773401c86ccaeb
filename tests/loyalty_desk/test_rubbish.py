"""What stands when a process has started is left out of every later look for rubbish."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from loyalty_desk.rubbish import AFTER_LOOKS, AFTER_OBJECTS

TILL = """
import gc, sys
from pathlib import Path
from PySide6.QtCore import QTimer
from loyalty_desk.app import Options, run

def started(till):
    def look():
        if gc.get_threshold()[0] != 700:
            timer.stop()
            print(gc.get_threshold(), gc.get_freeze_count() > 10_000, till.window is not None)
            till.shutdown.ask()
    timer = QTimer(till.bridge)
    timer.timeout.connect(look)
    timer.start(10)

sys.exit(run(Options(data_dir=Path(sys.argv[1]), camera="none", language="en", sync=False), started=started))
"""


def test_a_till_looks_seldom_once_it_is_open(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", TILL, str(tmp_path / "till")], capture_output=True, text=True, check=False, timeout=60
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.strip() == f"({AFTER_OBJECTS}, {AFTER_LOOKS}, {AFTER_LOOKS}) True True"
