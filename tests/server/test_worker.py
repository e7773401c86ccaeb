"""A worker that was started by a server which has ended since does not begin to serve."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from server.settings import PARENT


def test_a_worker_whose_server_is_gone_ends_before_it_serves(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import server.worker"],
        env=os.environ | {PARENT: "1", "LOYALTY_DATA_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert "has ended" in done.stderr
