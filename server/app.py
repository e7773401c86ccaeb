"""The application, made by `create_app(settings)`; `server.worker` makes it for an ASGI server."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from typing import Any

from fastapi import FastAPI

from loyalty_desk import __version__
from loyalty_desk.clock import SystemClock
from loyalty_desk.domain.clock import Clock
from loyalty_desk.wire.v1 import codec
from server import health
from server.checks import router as checks
from server.checks.desk import CheckDesk
from server.guests import router as lookups
from server.guests.leaving import erase_again
from server.holds import router as holds
from server.holds.service import Holds
from server.jobs.bench import Bench
from server.jobs.schedule import scheduled
from server.kit import answers, incarnation, schema
from server.kit.db import Database
from server.kit.documented import schemas
from server.kit.ground import Base, ground, running
from server.kit.proxies import BehindProxies
from server.ledger.repricing import Repricer
from server.ledger.service import Ledger
from server.ledger.shelf import ProgramShelf
from server.ledger.store import postgres
from server.services import Services, ledger_tools
from server.settings import Settings, proxies_of
from server.staff import router as staff
from server.sync import router as sync
from server.sync import snapshot_router as snapshots
from server.tills import router as tills

_LOG = logging.getLogger(__name__)
_HOLDS_AT_ONCE = 6
_NO_TELEMETRY: Any = {"tracing": False, "metrics": False, "logs": False, "operation_spans": False}


def create_app(
    settings: Settings,
    base: Base | None = None,
    clock: Clock | None = None,
    *,
    prices_again: bool = True,
    runs_jobs: bool = True,
) -> FastAPI:
    """Return the application. It opens its database when it starts: `base`, or what the settings say.

    Where another process prices again (`server.pricer`), it does not: `prices_again`. Every hour it does what is due by
    itself, unless somebody else does it: `runs_jobs`.
    """
    services = Services(clock or SystemClock())

    @contextlib.asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        async with _opened(services, settings, base, prices_again=prices_again, runs_jobs=runs_jobs):
            yield

    app = FastAPI(
        title="Loyalty Desk",
        version=__version__,
        summary="The central ledger: tills push facts and pull changes.",
        lifespan=lifespan,
        max_body_size=codec.MAX_BODY_BYTES + 1,
        telemetry=_NO_TELEMETRY,
        # The pages that draw the document come from somebody else's network, which a shop may not reach: /openapi.json
        # is what there is, for any reader of it.
        docs_url=None,
        redoc_url=None,
    )
    if trusted := proxies_of(settings.trusted_proxies):
        app.add_middleware(BehindProxies, trusted=trusted)
    answers.install(app)
    # Paths are compared one by one: first those for which a guest waits at the counter.
    app.include_router(lookups.make_router(services))
    app.include_router(checks.make_router(services))
    app.include_router(holds.make_router(services))
    app.include_router(sync.make_router(services))
    app.include_router(snapshots.make_router(services))
    app.include_router(tills.make_router(services))
    app.include_router(staff.make_router(services))
    app.include_router(health.make_router(services))
    _describe_bodies(app)
    return app


@contextlib.asynccontextmanager
async def _opened(
    services: Services, settings: Settings, base: Base | None, *, prices_again: bool, runs_jobs: bool
) -> AsyncIterator[None]:
    """Fill the services over the database, and keep running what works by itself; all of it ends in turn."""
    async with contextlib.AsyncExitStack() as stack:
        found = base or stack.enter_context(running(settings, role="command"))
        opened = await stack.enter_async_context(ground(settings, found))
        async with opened.db.without_network() as connection:
            await schema.require_head(connection)
        await incarnation.at_start(opened.db, opened.witness)
        # A database that was put back knows people again who were promised to be forgotten.
        await erase_again(opened)
        shelf = ProgramShelf()
        repricer = Repricer(opened.db, shelf)
        tools = ledger_tools(opened, shelf)
        ledger = Ledger(postgres(opened.db, tools), services.clock, repricer.wake)
        desk = CheckDesk(opened.db, tools, services.clock)
        quick = Database(found.app, pool_size=_HOLDS_AT_ONCE)
        stack.push_async_callback(quick.close)
        services.open(opened, ledger, Holds(quick, opened.vault), desk, shelf)
        stack.push_async_callback(services.close)
        if prices_again:
            await stack.enter_async_context(_running(repricer.run()))
        if runs_jobs:
            bench = Bench(opened.db, opened.vault, shelf)
            await stack.enter_async_context(scheduled(bench, services.clock))
        await stack.enter_async_context(_running(incarnation.keep_witness(opened.db, opened.witness)))
        yield


def _describe_bodies(app: FastAPI) -> None:
    """Put the structs that routes name into the document: the framework knows nothing of them."""
    made = app.openapi

    def openapi() -> dict[str, Any]:
        document = made()
        document.setdefault("components", {}).setdefault("schemas", {}).update(schemas())
        return document

    app.openapi = openapi  # type: ignore[method-assign]


@contextlib.asynccontextmanager
async def _running(work: Any) -> AsyncIterator[None]:
    task = asyncio.create_task(work)
    task.add_done_callback(_say_if_early)
    try:
        yield
    finally:
        task.cancel()
        # An error of a task that ended early was logged when it did; it must not keep the others from being closed.
        await asyncio.wait([task])


def _say_if_early(task: asyncio.Task[None]) -> None:
    if not task.cancelled():
        _LOG.error("a background task has ended early: %s", task.get_coro(), exc_info=task.exception())
