"""The application as a whole: health, its document, errors without anything personal, and a real server process."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import httpx2
import psycopg
import pytest

from loyalty_desk.clock import SystemClock
from loyalty_desk.domain.clock import to_ms
from loyalty_desk.wire.v1 import codec
from loyalty_desk.wire.v1.errors import ErrorAnswer
from loyalty_desk.wire.v1.sync import PushAnswer
from server import app as app_module
from server.guests.scanned import Scan
from server.kit.ground import Base, Ground
from server.networks.service import MadeNetwork
from server.services import Services
from server.settings import Settings
from tests.server.fake_till import Clock
from tests.server.world import World, open_world, read, refusal

pytestmark = [pytest.mark.anyio, pytest.mark.postgres]


@pytest.fixture
async def world(ground: Ground, base: Base, settings: Settings, made: MadeNetwork) -> AsyncIterator[World]:
    async with open_world(ground, base, settings, made) as found:
        yield found


async def test_health_and_readiness(world: World) -> None:
    assert (await world.client.get("/healthz")).json() == {"status": "ok"}
    assert (await world.client.get("/readyz")).json() == {"status": "ready"}


async def test_every_path_of_the_document_says_what_it_takes_and_answers(world: World) -> None:
    document = (await world.client.get("/openapi.json")).json()
    assert set(document["paths"]) >= {
        "/api/v1/sync/hello", "/api/v1/sync/push", "/api/v1/sync/reconcile", "/api/v1/sync/pull",
        "/api/v1/enrol/start", "/api/v1/enrol/finish", "/healthz", "/readyz", "/metrics",
        "/api/v1/staff/login", "/api/v1/staff/refresh", "/api/v1/staff/logout",
        "/api/v1/holds", "/api/v1/holds/void", "/api/v1/holds/{hold}",
        "/api/v1/checks/quote", "/api/v1/checks/commit",
        "/api/v1/sync/bootstrap", "/api/v1/sync/bootstrap/{snapshot}",
        "/api/v1/guests/lookup", "/api/v1/sales/lookup", "/api/v1/guests/short-code",
    }  # fmt: skip
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            assert operation["description"], path
            if path.startswith("/api") and not path.endswith("{snapshot}"):  # a part of a file
                assert "application/msgpack" in operation["responses"]["200"]["content"]
                assert "403" in operation["responses"]
                reads = not path.endswith("logout")
                assert {"408", "413"} <= operation["responses"].keys() or not reads
                assert "415" in operation["responses"] or "requestBody" not in operation
                assert ("requestBody" in operation) == (method == "post" and not path.endswith("logout"))
    text = json.dumps(document)
    for name in re.findall(r"#/components/schemas/([A-Za-z0-9]+)", text):
        assert name in document["components"]["schemas"], name


async def test_no_page_of_the_server_needs_somebody_elses_network(world: World) -> None:
    for path in ("/docs", "/redoc", "/docs/oauth2-redirect"):
        assert (await world.client.get(path)).status_code == 404
    assert "cdn." not in (await world.client.get("/openapi.json")).text


async def test_errors_repeat_nothing_that_was_sent(world: World) -> None:
    for response in (
        await world.client.get("/api/v1/sync/pull?limit=%2B79161234567"),
        await world.client.get("/api/v1/%D0%90%D0%BD%D0%BD%D0%B0"),
        await world.client.put("/api/v1/sync/push", content="+79161234567"),
    ):
        assert response.status_code in (400, 404, 405)
        assert b"7916" not in response.content
        assert codec.decode(ErrorAnswer, response.content).text
    unsigned = await world.client.post("/api/v1/sync/push", content=b"x")
    assert refusal(unsigned) == (401, "UNKNOWN_DEVICE")


async def test_a_real_server_process_takes_a_push_over_http_and_ends_cleanly(
    world: World, base: Base, settings: Settings
) -> None:
    till = await world.till(clock=Clock(to_ms(datetime.now(UTC))))
    (guest,) = await world.guests()
    till.sale(guest.id, earned=5)
    with server_process(base, settings) as (address, process):
        async with httpx2.AsyncClient(base_url=address) as client:
            world.client = client
            answer = await world.push(till)
            assert [one.status.value for one in answer.results] == ["posted", "posted"]
            chunks = codec.encode(till.push())
            headers = till.headers("POST", "/api/v1/sync/push", chunks)

            async def stream() -> AsyncIterator[bytes]:
                for at in range(0, len(chunks), 100):
                    yield chunks[at : at + 100]

            again = read(PushAnswer, await client.post("/api/v1/sync/push", content=stream(), headers=headers))
            assert {one.status.value for one in again.results} == {"duplicate"}
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    assert await world.balance(guest.id) == 5


@contextlib.contextmanager
def server_process(base: Base, settings: Settings) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Run the application under granian in a process of its own, over this test's database."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    assert settings.master_key is not None
    environment = os.environ | {
        "DATABASE_URL": base.app.render_as_string(hide_password=False),
        "LOYALTY_DATA_DIR": str(settings.data_dir),
        "LOYALTY_WITNESS_DIR": str(settings.witness_dir),
        "LOYALTY_MASTER_KEY": settings.master_key.get_secret_value(),
    }
    command = [sys.executable, "-m", "granian", "--interface", "asgi", "--loop", "uvloop"]
    command += ["--host", "127.0.0.1", "--port", str(port), "server.worker:app"]
    root = Path(__file__).parents[2]
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(command, env=environment, cwd=root, stderr=quiet, stdout=quiet, start_new_session=True)
    address = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 30
        while True:
            with contextlib.suppress(httpx2.TransportError):
                if httpx2.get(f"{address}/readyz").status_code == 200:
                    break
            assert process.poll() is None, "the server ended"
            assert time.monotonic() < deadline, "the server does not answer"
            time.sleep(0.05)
        yield address, process
    finally:
        # The group: granian's workers outlive a killed parent.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


async def test_who_waits_when_the_server_ends_is_answered(
    base: Base, settings: Settings, made: MadeNetwork, admin: psycopg.Connection
) -> None:
    network, nobody = made.network.id, uuid4()
    services = Services(SystemClock())
    async with contextlib.AsyncExitStack() as running:
        opened = app_module._opened(services, settings, base, prices_again=False, runs_jobs=False)
        await running.enter_async_context(opened)
        asks = (
            lambda: services.scans.ask(network, Scan(nobody)),
            lambda: services.holds.before(network, nobody, None),
            lambda: services.systems.ask(network, nobody),
        )
        with admin.transaction():
            admin.execute("lock table device, api_token in access exclusive mode")
            asking = [asyncio.ensure_future(one()) for one in asks]
            async with asyncio.timeout(10):
                while admin.execute("select count(*) from pg_locks where not granted").fetchone() != (len(asks),):  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
            # These wait for their turn, without a connection.
            asking += [asyncio.ensure_future(one()) for one in asks]
            ending = asyncio.create_task(running.aclose())
            await asyncio.sleep(0)
        await ending
    answers = await asyncio.gather(*asking[:3])
    assert [getattr(one, "signer", None) for one in answers] == [None] * 3
    assert await asyncio.gather(*asking[3:]) == answers


@pytest.mark.parametrize("error", [None, RuntimeError("a fault")])
async def test_a_background_task_that_ends_early_is_logged_and_stops_nothing(
    error: Exception | None, expect_log: Callable[[str], None], caplog: pytest.LogCaptureFixture
) -> None:
    expect_log("a background task has ended early")

    async def short() -> None:
        if error is not None:
            raise error

    async with app_module._running(short()):
        async with asyncio.timeout(5):
            while not caplog.records:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
    assert [one.name for one in caplog.records] == ["server.app"]
