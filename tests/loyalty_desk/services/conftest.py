"""The services' tests have a line: a till, its ledger, and the engine between them."""

from pathlib import Path

import pytest

from tests.loyalty_desk.services.sync_line import make_line


@pytest.fixture
def line(tmp_path: Path):
    made = make_line(tmp_path)
    yield made
    made.counter.parts.journal.close()
    made.counter.cache.close()
