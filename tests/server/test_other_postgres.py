"""The server's part of the suite on a PostgreSQL that is not ours: Debian's own, 15 or newer, where it is installed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.server.conftest import OTHER_POSTGRES

pytestmark = pytest.mark.postgres
ROOT = Path(__file__).parents[2]
DEBIAN = Path("/usr/lib/postgresql")
OLDEST = 15
# What asks most of the database; all server tests run on it with LOYALTY_TEST_POSTGRES=/usr/lib/postgresql/15/bin.
PARTS = (
    "kit/test_row_security.py",
    "kit/test_feed.py",
    "ledger/test_push.py",
    "ledger/test_audit.py",
    "sync/test_hello.py",
    "holds",
    "checks",
)


def programs() -> Path | None:
    """Return where the newest PostgreSQL of this machine has its programs."""
    found = [one for one in DEBIAN.glob("*/bin/postgres") if one.parts[-3].isdigit() and int(one.parts[-3]) >= OLDEST]
    return max(found, key=lambda one: int(one.parts[-3])).parent if found else None


@pytest.mark.timeout(1_200)
def test_the_servers_tests_pass_on_debians_postgresql() -> None:
    where = programs()
    if where is None:
        pytest.skip("no PostgreSQL of Debian's, 15 or newer, is installed here: apt-get install postgresql")
    if os.environ.get(OTHER_POSTGRES):
        pytest.skip("these tests run on it already")
    tests = [str(ROOT / "tests" / "server" / part) for part in PARTS]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests],
        cwd=ROOT,
        env=os.environ | {OTHER_POSTGRES: str(where)},
        capture_output=True,
        text=True,
        check=False,
        timeout=1_100,
    )
    assert done.returncode == 0, done.stdout[-4_000:] + done.stderr[-1_000:]
