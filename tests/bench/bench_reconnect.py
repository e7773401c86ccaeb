"""Tills that come back all at once: `python tests/bench/bench_reconnect.py [TILLS RECORDS]`, 50 and 10 000 by default.

Each till has so many sales waiting, 25 of each guest, signed and chained as tills do, and pushes them as the till does:
500 at a time, again after what `Retry-After` says. Meanwhile somebody asks for a hold ten times a second, each with its
own answer to wait for. Printed: until everything is posted, what was answered, and how long the holds took.
"""

from __future__ import annotations

import asyncio
import random
import re
import sys
import time
from collections import Counter
from collections.abc import Iterator
from urllib.parse import urlsplit
from uuid import uuid4

import bench_posting
import bench_requests
import load

from loyalty_desk.domain.record import SealedRecord
from loyalty_desk.wire.v1 import codec
from loyalty_desk.wire.v1.holds import HoldRequest
from server.kit.ground import Base, Ground
from server.settings import Settings
from server.verify import last_line, verify
from tests.server.fake_till import FakeTill

BATCH, HOLDS_A_SECOND, HOLD = 500, 10, "/api/v1/holds"
# Sales of a guest while the network was away, and the fewest guests of a network.
SALES_EACH, LEAST = 25, 500
_RETRY_AFTER = re.compile(rb"retry-after: (\d+)", re.IGNORECASE)


def main(tills: int, records: int) -> None:
    """Run the bench."""
    with bench_posting.database() as (settings, base):
        asyncio.run(reconnect(settings, base, tills, records))


async def reconnect(settings: Settings, base: Base, tills: int, records: int) -> None:
    """Let all tills push at once and print what came of it."""
    people = max(LEAST, tills * records // SALES_EACH)
    async with bench_requests.shop(settings, base, tills + 1, people) as (opened, made):
        print(f"{tills} tills, {records} records each, writing them", end="", flush=True)
        began = time.perf_counter()
        waiting = [list(pushes(till, made, records)) for till in made.tills[1:]]
        print(f" took {time.perf_counter() - began:.0f} s", flush=True)
        with bench_posting.server(settings, base) as address:
            port = urlsplit(address).port
            assert port is not None
            await bench_requests.give_points(port, made)
            done, said = asyncio.Event(), Counter[int]()
            asking = asyncio.create_task(holds(port, made, done))
            began = time.perf_counter()
            await asyncio.gather(*(drain(port, bodies, said) for bodies in waiting))
            took = time.perf_counter() - began
            done.set()
            held = sorted(await asking)
        rate = tills * records / took
        print(f"drained in {took:.1f} s, {rate:.0f} sales/s (reach 60 s for 50 x 10 000); answers {dict(said)}")
        print(
            f"{len(held)} holds meanwhile: p50 {held[len(held) // 2]:.0f} ms,"
            f" p99 {held[len(held) * 99 // 100]:.0f} ms (reach 300)"
        )
        await balanced(opened)


def pushes(till: FakeTill, made: bench_requests.Shop, records: int) -> Iterator[bytes]:
    """Yield a till's requests in order; what is packed is forgotten, or 500 000 records would lie in memory."""
    source = random.Random(till.device.int)
    part: list[SealedRecord] = [till.journal[0]]
    for number in range(records):
        part.append(till.sale(source.choice(made.guests).id, earned=5))
        if len(part) >= BATCH or number == records - 1:
            body = codec.pack(codec.encode(till.push(part)))
            headers = till.headers("POST", bench_posting.PUSH, body) | {"Content-Encoding": "zstd"}
            yield load.request("POST", bench_posting.PUSH, headers, body)
            part, till.journal = [], till.journal[-1:]


async def drain(port: int, requests: list[bytes], said: Counter[int]) -> None:
    """Send each request until it is taken, as a till does: in order, later when told so."""
    connection = await load.Connection.to(port)
    for raw in requests:
        while True:
            status, body = await connection.send(raw)
            said[status] += 1
            if status == 200:
                break
            if status not in (429, 503):
                raise RuntimeError(f"{status}: {body[:300]!r}")
            found = _RETRY_AFTER.search(connection.head)
            await asyncio.sleep(random.uniform(0.5, 1) * (int(found[1]) if found else 1))
    connection.close()


async def holds(port: int, made: bench_requests.Shop, done: asyncio.Event) -> list[float]:
    """Ask for holds at a steady pace until `done` and return what each took, in milliseconds."""
    till, took = made.tills[0], list[float]()
    running: set[asyncio.Task[None]] = set()

    async def one(raw: bytes) -> None:
        connection = await load.Connection.to(port)
        began = time.perf_counter()
        status, body = await connection.send(raw)
        took.append(1e3 * (time.perf_counter() - began))
        connection.close()
        if status != 200:
            raise RuntimeError(f"{status}: {body[:300]!r}")

    while not done.is_set():
        guest = random.choice(made.guests).id
        asked = HoldRequest(made.network, till.device, id=uuid4(), guest=guest, amount=1, code="ld1")
        running.add(asyncio.create_task(one(bench_requests.signed(till, HOLD, asked))))
        await asyncio.sleep(1 / HOLDS_A_SECOND)
    await asyncio.gather(*running)
    return took


async def balanced(opened: Ground) -> None:
    """Print whether everything is there."""
    print(last_line(await verify(opened)))


if __name__ == "__main__":
    main(*([int(one) for one in sys.argv[1:3]] if len(sys.argv) > 2 else [50, 10_000]))
