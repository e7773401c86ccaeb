"""A shop of the module's own, its till and a client of the till's."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from loyalty_desk.remote.client import HttpLedgerClient
from loyalty_desk.till import Till
from tests.stages import card, stage, till

__all__ = ["card", "client", "stage", "till"]


@pytest.fixture
def client(till: Till) -> Iterator[HttpLedgerClient]:
    selling = till._selling
    made = HttpLedgerClient(selling.config.identity, selling.key, selling.token)
    yield made
    made.close()
