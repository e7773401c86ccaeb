"""A shop of a test's own: a server with its database and a till that has joined; real processes in a passing folder."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from loyalty_desk.demo.stage import Stage
from loyalty_desk.till import Till, open_till


@contextmanager
def opened_stage() -> Iterator[Stage]:
    """Prepare the demo's shop on a free port, and take all of it away at the end."""
    folder = Path(tempfile.mkdtemp(prefix="ld-stage-"))
    # The database's own user passes through it.
    folder.chmod(0o711)
    made = Stage(folder, say=lambda _: None, port=0)
    try:
        made.prepare()
        yield made
    finally:
        made.close()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    """A shop of the module's own, for the tests of a folder whose conftest takes this in."""
    with opened_stage() as made:
        yield made


@pytest.fixture
def till(stage: Stage) -> Iterator[Till]:
    """The shop's till, level with its server."""
    with open_till(stage.till_dir) as opened:
        opened.wait_until_checked()
        assert opened.sync_once().done
        yield opened


@pytest.fixture(scope="module")
def card(stage: Stage) -> str:
    """The code of the shop's guest with the most points."""
    return max(stage.demo_data(), key=lambda guest: guest.points).card
