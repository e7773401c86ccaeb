"""The benches that take counts run to their end: with small ones here, for a bench is run by hand and rots unseen."""

import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
LIMIT_S = 600


@pytest.mark.parametrize(
    ("bench", "counts", "last"),
    [
        ("bootstrap", ["200"], "rows of the feed applied"),
        ("posting", ["40"], "verify: ok"),
        ("reconnect", ["2", "20"], "verify: ok"),
        ("requests", ["30"], "commit "),
    ],
)
def test_a_bench_runs_to_its_end(bench: str, counts: list[str], last: str) -> None:
    done = subprocess.run(
        [sys.executable, HERE / f"bench_{bench}.py", *counts],
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )

    assert done.returncode == 0, done.stderr[-2_000:]
    assert last in done.stdout.splitlines()[-1], done.stdout
