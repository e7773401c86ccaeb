"""Single requests under load: `python tests/bench/bench_requests.py [REQUESTS]` of each kind, 3 000 by default.

Guest lookup, hold, quote and commit over HTTP into the real server with durable PostgreSQL, as fast as answers come and
then at 70 % of that rate. Beside them, in the same run, a bare FastAPI echo of a body as long under the same HTTP
server. Client, server and PostgreSQL share the machine. A quote has ten lines and a program of 100 rules.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import bench_posting
import load
import msgspec

from loyalty_desk.domain.clock import from_ms, to_ms
from loyalty_desk.domain.guest_code import ld1
from loyalty_desk.wire.v1 import codec
from loyalty_desk.wire.v1.holds import HoldRequest
from loyalty_desk.wire.v1.lookup import GuestLookup, LookupBy
from server.guests import service as guests
from server.guests.service import NewGuest, Registered
from server.kit import feed, incarnation
from server.kit.db import write
from server.kit.ground import Base, Ground, ground
from server.networks.service import NewStore, create_network
from server.settings import Settings
from server.systems import service as systems
from tests.server.fake_till import Clock, FakeTill

GUESTS, POINTS, CONNECTIONS, TILLS = 1_000, 4_000, 32, 8
BEFORE, SHARE = 200, 0.7
# Of the limit: asked for are 30 % of the echo's rate, 20 % for what is committed.
REACH = {"guest lookup": 30, "hold": 30, "quote": 30, "commit": 20}


@dataclass(frozen=True, slots=True)
class Shop:
    """A network ready to be asked: its tills, its guests with points, a system's token."""

    network: UUID
    tills: list[FakeTill]
    guests: list[Registered]
    token: str


@contextlib.asynccontextmanager
async def shop(
    settings: Settings, base: Base, tills: int = TILLS, people: int = GUESTS
) -> AsyncIterator[tuple[Ground, Shop]]:
    """Make a network of so many tills and guests."""
    async with ground(settings, base) as opened:
        await incarnation.at_start(opened.db, opened.witness)
        program = bench_posting.bench_program()
        made = await create_network(opened, "Bench", "shop", "RUB", "UTC", [NewStore("First")], program=program)
        network, store = made.network.id, made.stores[0].id
        async with opened.db.begin(network) as connection:
            found = await guests.register(
                connection, network, opened.vault, [NewGuest(name=f"Guest {number}") for number in range(people)]
            )
            handles = [handle for one in found for handle in one.handles]
            changes = await guests.changes(connection, network, opened.vault, [one.id for one in found], handles)
            await feed.record(connection, network, changes)
            _, token = await systems.add(connection, network, "web shop", store, datetime.now(UTC))
            life = await incarnation.current(connection)
        assert life is not None
        now = to_ms(datetime.now(UTC))
        enrolled = [FakeTill(network, store, incarnation=life.id, clock=Clock(now - 10**7)) for _ in range(tills)]
        for till in enrolled:
            till.open_epoch()
            till.token = f"ldt.{network}.{till.device}.secret"
            async with opened.db.begin(network) as connection:
                await write(
                    connection,
                    "insert into device (network_id, id, store_id, name, pubkey, token_hash, state, created_at)"
                    " values ($1, $2, $3, 'b', $4, $5, 'active', $6)",
                    network,
                    till.device,
                    store,
                    till.public,
                    sha256(b"secret").digest(),
                    from_ms(now - 10**7),
                )
        await bench_posting.analyse(base)
        yield opened, Shop(network, enrolled, found, token)


def signed(till: FakeTill, target: str, message: object) -> bytes:
    """Return a till's request as it goes over the line."""
    body = codec.encode(message)
    return load.request("POST", target, till.headers("POST", target, body), body)


async def give_points(port: int, made: Shop) -> None:
    """Push a sale of every guest."""
    till = made.tills[0]
    for one in made.guests:
        # Paid for: what the program does not give for a check waits for a manager, and no hold of it is given.
        till.sale(one.id, earned=POINTS, total=1_000 * POINTS)
    connection = await load.Connection.to(port)
    for at in range(0, len(till.journal), 500):
        target = bench_posting.PUSH
        status, body = await connection.send(signed(till, target, till.push(till.journal[at : at + 500])))
        assert status == 200, body
    connection.close()


def asked(made: Shop, kind: str, count: int) -> list[bytes]:
    """Return so many requests of a kind, no two alike where they change something."""
    return [_one(made, kind, number) for number in range(count)]


def _one(made: Shop, kind: str, number: int) -> bytes:
    till, guest = made.tills[number % len(made.tills)], made.guests[number % len(made.guests)]
    if kind == "guest lookup":
        lookup = GuestLookup(made.network, till.device, LookupBy.CODE, ld1(guest.handles[0]))
        return signed(till, "/api/v1/guests/lookup", lookup)
    if kind == "hold":
        held = HoldRequest(made.network, till.device, id=uuid4(), guest=guest.id, amount=1, code="ld1")
        return signed(till, "/api/v1/holds", held)
    lines = [
        {"id": f"l{n}", "product": f"p{n}", "category": f"c{(number + n) % 200}", "unit_price": 1_000 + 37 * n}
        for n in range(bench_posting.LINES)
    ]
    check = {"network": str(made.network), "currency": "RUB", "lines": lines, "guest": ld1(guest.handles[0])}
    if kind == "commit":
        check["id"] = str(uuid4())
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {made.token}"}
    return load.request("POST", f"/api/v1/checks/{kind}", headers, msgspec.json.encode(check))


async def echo_rate(count: int) -> load.Measured:
    """Measure the bare echo."""
    port = bench_posting.free_port()
    command = [sys.executable, "-m", "granian", "--interface", "asgi", "--loop", "uvloop", "--log-level", "error"]
    command += ["--host", "127.0.0.1", "--port", str(port), "echo_app:app"]
    process = subprocess.Popen(command, cwd=Path(__file__).parent, env=os.environ)  # noqa: ASYNC220 - nothing else runs
    try:
        await answering(port)
        raw = [load.request("POST", "/echo", {}, bytes(300))] * count
        await load.measure(port, raw[:BEFORE], CONNECTIONS)
        return await load.measure(port, raw, CONNECTIONS)
    finally:
        process.terminate()
        process.wait(30)


async def answering(port: int) -> None:
    """Wait until somebody listens."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            (await load.Connection.to(port)).close()
            return
        await asyncio.sleep(0.05)
    raise TimeoutError("nobody listens")


async def run(settings: Settings, base: Base, count: int) -> None:
    """Print a row each."""
    async with shop(settings, base) as (_, made):
        with bench_posting.server(settings, base) as address:
            port = urlsplit(address).port
            assert port is not None
            await give_points(port, made)
            for kind, reach in REACH.items():
                echo = await echo_rate(4 * count)
                await load.measure(port, asked(made, kind, BEFORE), CONNECTIONS)
                most = await load.measure(port, asked(made, kind, count), CONNECTIONS)
                part = await load.measure(port, asked(made, kind, count), CONNECTIONS, SHARE * most.rate)
                share = 100 * most.rate / echo.rate
                print(
                    f"{kind:12} {most.rate:6.0f}/s, {share:3.0f} % of the echo's {echo.rate:.0f}/s (reach {reach} %),"
                    f" p50 {most.p50_ms:.1f} p99 {most.p99_ms:.1f} ms;"
                    f" at {SHARE:.0%} of it p50 {part.p50_ms:.1f} p99 {part.p99_ms:.1f} ms (reach p99 100)",
                    flush=True,
                )


def main(count: int) -> None:
    """Run the bench with so many requests of each kind."""
    with bench_posting.database() as (settings, base):
        asyncio.run(run(settings, base, count))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3_000)
