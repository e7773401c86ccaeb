"""Reading a body: what never ends is let go."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from starlette.requests import Request

from server.kit import auth
from server.kit.errors import ApiError

pytestmark = pytest.mark.anyio


async def test_a_body_that_never_ends_is_refused_when_its_time_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auth, "BODY_WITHIN_S", 0.05)
    sent = [{"type": "http.request", "body": b"a", "more_body": True}]

    async def receive() -> Any:
        return sent.pop() if sent else await asyncio.Event().wait()

    with pytest.raises(ApiError) as caught:
        await asyncio.wait_for(auth.read_body(Request({"type": "http", "method": "POST"}, receive)), 10)
    assert caught.value.status == 408
