"""Errors as answers: who asks is told to try again where the database is away, whatever the driver calls it."""

from __future__ import annotations

from collections.abc import Callable

import asyncpg
import httpx2
import pytest
from fastapi import FastAPI

from loyalty_desk.wire.v1 import codec
from loyalty_desk.wire.v1.errors import ErrorAnswer
from server.kit.answers import install

pytestmark = pytest.mark.anyio
# The last is what the driver raises of a connection that breaks while a statement is under way.
AWAY = [asyncpg.ConnectionDoesNotExistError, asyncpg.InterfaceError, TimeoutError, asyncpg.InternalClientError]


@pytest.mark.parametrize("kind", AWAY, ids=[kind.__name__ for kind in AWAY])
async def test_who_asks_while_the_database_goes_away_is_told_to_try_again(
    kind: type[Exception], expect_log: Callable[[str], None]
) -> None:
    expect_log("the database is away")
    app = FastAPI()
    install(app)

    @app.get("/")
    async def fail() -> None:
        raise kind("of the driver")

    transport = httpx2.ASGITransport(app, raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="http://test") as client:
        answer = await client.get("/")
    assert (answer.status_code, answer.headers.get("Retry-After")) == (503, "5")
    assert codec.decode(ErrorAnswer, answer.content).code == "OUTAGE"
