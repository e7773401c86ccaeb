"""A process that was started by a server which has ended since does not begin its work."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from server.settings import PARENT


@pytest.mark.parametrize(
    "program",
    [pytest.param(("-c", "import server.worker"), id="worker"), pytest.param(("-m", "server.pricer"), id="pricer")],
)
def test_one_whose_server_is_gone_ends_at_once(program: tuple[str, str], tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, *program],
        env=os.environ | {PARENT: "1", "LOYALTY_DATA_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert "has ended" in done.stderr
