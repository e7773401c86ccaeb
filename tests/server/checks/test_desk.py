"""The queue of checks to be committed, over a database that is away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast
from uuid import UUID, uuid4

import pytest

from server.checks.desk import CheckDesk
from server.checks.schemas import CommitRequest
from server.kit.db import Database
from server.kit.errors import ApiError
from server.ledger.store import Tools
from server.systems.service import Asker
from tests.fake_clock import FakeClock

pytestmark = pytest.mark.anyio
NETWORK = uuid4()


class Away:
    """A database that nobody reaches: whoever tries waits until `goes_on`."""

    def __init__(self) -> None:
        self.tried = 0
        self.is_tried = asyncio.Event()
        self.goes_on = asyncio.Event()

    @asynccontextmanager
    async def begin(self, _network: UUID) -> AsyncIterator[Any]:
        self.tried += 1
        self.is_tried.set()
        await self.goes_on.wait()
        raise TimeoutError("no connection")
        yield


async def test_who_waits_behind_an_outage_hears_of_it_with_those_who_met_it() -> None:
    db = Away()
    desk = CheckDesk(cast("Database", db), cast("Tools", None), FakeClock())
    asker = Asker(NETWORK, uuid4(), "system", uuid4())

    def commit() -> asyncio.Task[Any]:
        return asyncio.create_task(desk.commit(asker, CommitRequest(network=NETWORK, currency="RUB", id=uuid4())))

    asking = [commit()]
    await asyncio.wait_for(db.is_tried.wait(), 5)
    asking += [commit() for _ in range(3)]
    await asyncio.sleep(0)
    db.goes_on.set()
    said = await asyncio.gather(*asking, return_exceptions=True)
    assert [one.status for one in said if isinstance(one, ApiError)] == [503] * 4
    assert db.tried == 1
    await desk.close()
