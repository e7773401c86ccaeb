"""What holds for every test: no display, our own time zones, no unexpected log line, seeds that can be repeated."""

import logging
import os
import re
import zoneinfo
from collections.abc import Callable, Iterator

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
os.environ.setdefault("OPENCV_LOG_LEVEL", "ERROR")
# Till and server must use the pinned tzdata alone, or one check gets two business days.
os.environ["PYTHONTZPATH"] = ""
zoneinfo.reset_tzpath(to=())

import pytest  # noqa: E402 - after the environment is set
from hypothesis import HealthCheck, settings  # noqa: E402

# print_blob: a failing example is printed so that it can be run again on any machine.
settings.register_profile("default", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("default")


class _Kept(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


@pytest.fixture
def expect_log(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Name a log line (a regular expression) of WARNING or above that this test means to cause."""
    expected: list[str] = []
    request.node.stash[_EXPECTED] = expected
    return expected.append


_EXPECTED = pytest.StashKey[list[str]]()


@pytest.fixture(autouse=True)
def _no_unexpected_log(request: pytest.FixtureRequest) -> Iterator[None]:
    kept = _Kept()
    root = logging.getLogger()
    root.addHandler(kept)
    yield
    root.removeHandler(kept)
    expected = request.node.stash.get(_EXPECTED, [])
    surprises = [
        # Of a thread that an earlier test has left behind, it is that test's fault.
        f"{record.name} in {record.threadName}: {record.getMessage()}"
        for record in kept.records
        if not any(re.search(pattern, record.getMessage()) for pattern in expected)
    ]
    assert not surprises, f"unexpected log lines: {surprises}"
