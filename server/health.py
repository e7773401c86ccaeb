"""Whether the process answers, whether its database does, and the figures that Prometheus asks for."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from server import metrics
from server.kit.db import fetch_value
from server.services import Services

_READY_WITHIN_S = 2.0
_THIS_MACHINE = ("127.0.0.1", "::1")
# What a proxy on this machine adds when it speaks for somebody elsewhere.
_FORWARDED = ("forwarded", "x-forwarded-for", "x-real-ip", "via")


def make_router(services: Services) -> APIRouter:
    """Return the routes over the services of this process."""
    router = APIRouter(tags=["health"])

    @router.get("/healthz")
    async def healthz() -> dict[str, str]:
        """Say that the process answers."""
        return {"status": "ok"}

    @router.get("/metrics", responses={403: {"description": "Asked from another machine"}})
    async def get_metrics(request: Request) -> Response:
        """Give Prometheus its figures; to this machine alone, for they say how business goes."""
        is_forwarded = any(name in request.headers for name in _FORWARDED)
        if request.client is None or request.client.host not in _THIS_MACHINE or is_forwarded:
            return JSONResponse({"code": "LOCAL_ONLY", "text": "Metrics are read on the server's own machine."}, 403)
        return Response(await metrics.exposition(services.ground.db), media_type=metrics.CONTENT_TYPE)

    @router.get("/readyz", responses={503: {"description": "The database does not answer"}})
    async def readyz() -> Response:
        """Say whether the database answers."""
        try:
            async with asyncio.timeout(_READY_WITHIN_S), services.ground.db.without_network() as connection:
                await fetch_value(connection, "select 1")
        except Exception as error:  # noqa: BLE001 - whatever it is, we are not ready
            return JSONResponse({"status": "not ready", "reason": type(error).__name__}, 503)
        return JSONResponse({"status": "ready"})

    return router
