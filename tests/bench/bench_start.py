"""Start of the till against a bare Qt window: process begun → first paint → a scan is accepted; and memory.

Each run is a process of its own, the two kinds in turn, offscreen, with warm files; medians of `RUNS`. The till's
folder is that of a till which has joined a network and holds no guests yet: it opens files, keys and journal as on any
morning.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
RUNS = 9

BARE = """
import json, resource, sys, time
from PySide6.QtWidgets import QApplication, QWidget
app = QApplication([])
window = QWidget()
window.resize(1024, 768)
window.show()
app.processEvents()
now = time.time()
kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps({"painted": now - float(sys.argv[1]), "ready": now - float(sys.argv[1]), "mib": kib / 1024}))
"""
TILL = """
import json, resource, sys, time
from pathlib import Path
from loyalty_desk.app import Options, TillApp
from PySide6.QtCore import QEventLoop
from PySide6.QtWidgets import QApplication
app = QApplication([])
till = TillApp(app, Options(data_dir=Path(sys.argv[2]), language="ru", camera="none", sync=False))
till.start()
while till.window.sale.isHidden():
    app.processEvents()
app.processEvents()
painted = time.time()
while till.presenter is None:
    app.processEvents(QEventLoop.ProcessEventsFlag.WaitForMoreEvents)
ready = time.time()
kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
began = float(sys.argv[1])
print(json.dumps({"painted": painted - began, "ready": ready - began, "mib": kib / 1024}))
sys.stdout.flush()
till.shutdown.run_phases()
"""


def run(code: str, folder: Path) -> dict[str, float]:
    """Run one start; seconds since the process was begun, and the largest resident size in MiB."""
    import time

    environ = {
        **os.environ,
        "QT_QPA_PLATFORM": "offscreen",
        "LOYALTY_KEYRING": "file",
        "XDG_CACHE_HOME": str(folder.parent),
    }
    arguments = [sys.executable, "-c", code, str(time.time()), str(folder)]
    ran = subprocess.run(arguments, env=environ, cwd=ROOT, capture_output=True, text=True, check=True)
    return dict(json.loads(ran.stdout.splitlines()[-1]))


def main() -> None:
    """Print one row a figure: till, bare window, ratio, and what is to be reached."""
    os.environ["LOYALTY_KEYRING"] = "file"
    from tests.loyalty_desk.test_till import enrolled

    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "till"
        enrolled(folder)
        for code in (BARE, TILL):
            run(code, folder)
        bare, till = [], []
        for _ in range(RUNS):
            bare.append(run(BARE, folder))
            till.append(run(TILL, folder))
    print(f"{'start':<34}{'till':>10}{'bare Qt':>10}{'ratio':>8}   reach")
    for name, key, reach in (
        ("process begun → painted, ms", "painted", "–"),
        ("process begun → accepts a scan, ms", "ready", "1.8"),
        ("memory, MiB", "mib", "1.5"),
    ):
        scale = 1 if key == "mib" else 1000
        ours = statistics.median(one[key] for one in till) * scale
        theirs = statistics.median(one[key] for one in bare) * scale
        print(f"{name:<34}{ours:>10.0f}{theirs:>10.0f}{ours / theirs:>8.2f}   {reach}")


if __name__ == "__main__":
    main()
