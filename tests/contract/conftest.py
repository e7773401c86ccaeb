"""A shop of the module's own, its till and a client of the till's."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from loyalty_desk.demo.stage import Stage
from loyalty_desk.remote.client import HttpLedgerClient
from loyalty_desk.till import Till, open_till
from tests.stages import opened_stage


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with opened_stage() as made:
        yield made


@pytest.fixture
def till(stage: Stage) -> Iterator[Till]:
    with open_till(stage.till_dir) as opened:
        opened.wait_until_checked()
        assert opened.sync_once().done
        yield opened


@pytest.fixture
def client(till: Till) -> Iterator[HttpLedgerClient]:
    selling = till._selling
    made = HttpLedgerClient(selling.config.identity, selling.key, selling.token)
    yield made
    made.close()


@pytest.fixture(scope="module")
def card(stage: Stage) -> str:
    return max(stage.demo_data(), key=lambda guest: guest.points).card
