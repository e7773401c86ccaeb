"""How many sales a second are posted: `python tests/bench/bench_posting.py [SALES]`.

Signed pushes over HTTP into the real server (granian) with durable PostgreSQL, in batches of 500, 100 and 1, and in the
same run the same rows inserted bare: three `unnest` statements and a commit a batch by asyncpg, into tables with the
same columns, keys and indexes, without foreign keys, triggers and row-level security. Client, server and PostgreSQL
share the machine. A sale has a guest, ten lines and a program of 100 rules; it is priced again afterwards.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

import asyncpg  # noqa: E402 - after the path is set
import httpx2  # noqa: E402
import psutil  # noqa: E402
from pydantic import SecretStr  # noqa: E402

from loyalty_desk.domain.basket import Basket, Line  # noqa: E402
from loyalty_desk.domain.canonical import Json  # noqa: E402
from loyalty_desk.domain.check import check_to_payload  # noqa: E402
from loyalty_desk.domain.clock import from_ms, to_ms  # noqa: E402
from loyalty_desk.domain.guest import GuestFacts  # noqa: E402
from loyalty_desk.domain.pricing import Choices, Quote, quote  # noqa: E402
from loyalty_desk.domain.program import Program  # noqa: E402
from loyalty_desk.domain.record import Record, SealedRecord  # noqa: E402
from loyalty_desk.wire.v1 import codec  # noqa: E402
from loyalty_desk.wire.v1.sync import PushAnswer, Status  # noqa: E402
from server.guests import service as guests  # noqa: E402
from server.guests.service import NewGuest  # noqa: E402
from server.kit import feed, incarnation, schema  # noqa: E402
from server.kit.db import fetch_value, write  # noqa: E402
from server.kit.embedded import APP, OWNER, SUPERUSER, Embedded  # noqa: E402
from server.kit.ground import Base, Ground, ground  # noqa: E402
from server.networks.service import NewStore, create_network  # noqa: E402
from server.programs import service as programs  # noqa: E402
from server.settings import Settings  # noqa: E402
from server.verify import last_line, verify  # noqa: E402
from tests.server.fake_till import Clock, FakeTill  # noqa: E402

GUESTS, LINES, RULES, CHECKS = 2_000, 10, 100, 50
# Sales a push, tills that push at once, and which part of all sales.
SIZES = ((500, 2, 1), (100, 2, 1), (1, 16, 5))
PUSH = "/api/v1/sync/push"


@dataclass(slots=True)
class Sold:
    """A till's signed pushes, ready to send, and the records in them."""

    till: FakeTill
    bodies: list[bytes]
    records: list[SealedRecord]


def main(sales: int) -> None:
    """Run the bench with `sales` sales for each size of batch."""
    with database() as (settings, base):
        asyncio.run(measure(settings, base, sales))


@contextlib.contextmanager
def database() -> Iterator[tuple[Settings, Base]]:
    """Provide settings and an empty database of their own; both go at the end."""
    folder = Path(tempfile.mkdtemp(prefix="ld-bench-"))
    folder.chmod(0o711)
    embedded = Embedded(folder / "data")
    try:
        embedded.start()
        schema.upgrade(embedded.url(OWNER), APP)
        settings = Settings(
            data_dir=folder / "data",
            witness_dir=folder / "witness",
            master_key=SecretStr("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"),
        )
        yield settings, Base(embedded.url(), embedded.url(OWNER), folder / "data", embedded)
    finally:
        embedded.stop(wait_for_others=False)
        shutil.rmtree(folder, ignore_errors=True)


async def measure(settings: Settings, base: Base, sales: int) -> None:
    """Prepare, push, insert bare, and print a row each."""
    async with ground(settings, base) as opened:
        await incarnation.at_start(opened.db, opened.witness)
        made = await create_network(opened, "Bench", "shop", "RUB", "UTC", [NewStore("First")], program=bench_program())
        network, store = made.network.id, made.stores[0].id
        people = await register(opened, network)
        async with opened.db.begin(network) as connection:
            program = await programs.current(connection, network)
            life = await incarnation.current(connection)
        assert program is not None
        assert life is not None
        checks = priced(program)
        print(f"{sales} sales a size of batch, {LINES} lines each, {GUESTS} guests, program of {RULES} rules")
        sold = sell(network, store, life.id, people, checks, sales, 500)
        spent = processor_seconds() + time.process_time()
        bare = await bare_rate(base, sold, 500)
        spent = processor_seconds() + time.process_time() - spent
        print(f"bare unnest insert, batches of 500    {bare:9.0f} sales/s", end="")
        print(f"; processor {1e6 * spent / sales:.0f} us a sale, client and PostgreSQL")
        for size, count, part in SIZES:
            each = max(1, sales // count // part)
            tills = [
                await enrol(opened, sell(network, store, life.id, people, checks, each, size)) for _ in range(count)
            ]
            pushed = each * count
            await analyse(base)
            with server(settings, base) as address:
                started, spent = time.perf_counter(), processor_seconds()
                await push_all(address, tills)
                rate = pushed / (time.perf_counter() - started)
                spent = processor_seconds() - spent
                await repriced(opened, network)
                caught_up = pushed / (time.perf_counter() - started)
            share = 100 * rate / bare
            print(f"posted over HTTP, batches of {size:3}      {rate:9.0f} sales/s, {share:.0f}% of bare", end="")
            print(f"; processor {1e6 * spent / pushed:.0f} us a sale, server and PostgreSQL")
            print(f"the same with pricing again caught up {caught_up:9.0f} sales/s")
        print(last_line(await verify(opened)))


def bench_program() -> dict[str, Json]:
    """Return 1% points and rules that look at categories."""
    content = programs.default_program("shop", "RUB")
    earning = content["rules"]
    assert isinstance(earning, list)
    rules: list[Json] = [
        {
            "id": f"r{number}",
            "name": {"en": f"Rule {number}"},
            "effects": [{"type": "percentage", "rate_bp": 100 + number}],
            "conditions": [{"type": "categories", "categories": [f"c{number}"]}],
        }
        for number in range(RULES)
    ]
    return {**content, "rules": [*earning, *rules]}


async def register(opened: Ground, network: UUID) -> list[UUID]:
    """Register guests and return their ids."""
    async with opened.db.begin(network) as connection:
        found = await guests.register(
            connection, network, opened.vault, [NewGuest(name=f"Guest {number}") for number in range(GUESTS)]
        )
        ids = [one.id for one in found]
        changes = await guests.changes(connection, network, opened.vault, ids)
        await feed.record(connection, network, changes)
    return ids


def priced(program: Program) -> list[tuple[Quote, dict[str, Json]]]:
    """Return checks as the till's kernel prices them."""
    found = []
    source = random.Random(7)
    for _ in range(CHECKS):
        lines = tuple(
            Line(
                f"l{n}", f"p{source.randrange(500)}", f"c{source.randrange(RULES * 2)}", 1_000, source.randrange(9_999)
            )
            for n in range(LINES)
        )
        basket = Basket("RUB", lines, zone=UTC)
        quoted = quote(basket, GuestFacts(), program, datetime.now(UTC))
        found.append((quoted, check_to_payload(basket, GuestFacts(), Choices(), quoted)))
    return found


def sell(
    network: UUID,
    store: UUID,
    life: UUID,
    people: Sequence[UUID],
    checks: Sequence[tuple[Quote, dict[str, Json]]],
    sales: int,
    size: int,
) -> Sold:
    """Return a till that has made `sales` sales, packed into pushes of `size`."""
    till = FakeTill(network, store, incarnation=life, clock=Clock(to_ms(datetime.now(UTC)) - sales * 1_000))
    till.epoch = random.getrandbits(40)
    till.open_epoch()
    # Another sequence for each till: tills that serve the same guests in the same order would wait for each other.
    source = random.Random(till.device.int)
    for _ in range(sales):
        quoted, check = source.choice(checks)
        till.sale(source.choice(people), earned=quoted.earned_points, total=quoted.total, check=check)
    records = till.journal
    pushes = [till.push(records[at : at + size]) for at in range(0, len(records), size)]
    return Sold(till, [codec.pack(codec.encode(push)) for push in pushes], records)


async def enrol(opened: Ground, sold: Sold) -> Sold:
    """Make the till known to the server."""
    till = sold.till
    async with opened.db.begin(till.network) as connection:
        await write(
            connection,
            "insert into device (network_id, id, store_id, name, pubkey, state, created_at)"
            " values ($1, $2, $3, 'b', $4, 'active', $5)",
            till.network,
            till.device,
            till.store,
            till.public,
            from_ms(Record.from_payload(sold.records[0].payload).occurred_at),
        )
    return sold


async def push_all(address: str, sold: Sequence[Sold]) -> None:
    """Send all pushes, each till its own in order, and check that everything was posted."""
    async with httpx2.AsyncClient(base_url=address, timeout=60) as client:

        async def one(which: Sold) -> None:
            for body in which.bodies:
                headers = which.till.headers("POST", PUSH, body) | {"Content-Encoding": "zstd"}
                response = await client.post(PUSH, content=body, headers=headers)
                assert response.status_code == 200, response.content
                answer = codec.decode(PushAnswer, response.content)
                assert all(record.status is Status.POSTED for record in answer.results)

        await asyncio.gather(*(one(which) for which in sold))


def processor_seconds() -> float:
    """Return what PostgreSQL and the server have used of the processor so far, pricing again left out.

    On a machine that does other things this says more than the time on the wall.
    """
    running = [one for one in psutil.Process().children(recursive=True) if "server.pricer" not in _arguments(one)]
    used = 0.0
    for process in running:
        with contextlib.suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            used += times.user + times.system + times.children_user + times.children_system
    return used


def _arguments(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return []


async def repriced(opened: Ground, network: UUID) -> None:
    """Wait until nothing waits to be priced again."""
    left = 1
    while left:
        async with opened.db.begin(network) as connection:
            left = await fetch_value(connection, "select count(*) from reprice_queue where network_id = $1", network)
        await asyncio.sleep(0.05)


async def superuser(base: Base) -> asyncpg.Connection:
    """Connect past the server."""
    assert base.embedded is not None
    url = base.embedded.url(SUPERUSER)
    return await asyncpg.connect(
        host=url.query.get("host") or url.host, user=url.username, password=url.password, database=url.database
    )


async def analyse(base: Base) -> None:
    """Let PostgreSQL know its tables, as it does by itself within the first minute: a run is shorter than that."""
    connection = await superuser(base)
    await connection.execute("analyze")
    await connection.close()


async def bare_rate(base: Base, sold: Sold, size: int) -> float:
    """Insert the rows that the sales become and return sales a second."""
    connection = await superuser(base)
    for table in ("ledger_tx", "entry", "lot"):
        await connection.execute(f"create table bare_{table} (like {table} including all)")
    records, network = sold.records[1:], sold.till.network
    now = from_ms(to_ms(datetime.now(UTC)))
    started = time.perf_counter()
    for at in range(0, len(records), size):
        part = records[at : at + size]
        ids, n = [one.id for one in part], len(part)
        async with connection.transaction():
            await connection.execute(
                """
                insert into bare_ledger_tx (network_id, id, kind, origin, device_id, epoch, branch, seq, payload,
                    payload_hash, hash, prev_hash, occurred_at, effective_at, recorded_at, guest_id, store_id)
                select $1, id, 'sale', 'till', $2, $3, 0, seq, payload, hash, hash, prev, occurred_at, $4, $4, guest, $2
                from unnest($5::uuid[], $6::bigint[], $7::bytea[], $8::bytea[], $9::bytea[], $10::bigint[], $11::uuid[])
                    as t (id, seq, payload, hash, prev, occurred_at, guest)
                """,
                network,
                sold.till.device,
                sold.till.epoch,
                now,
                ids,
                [one.seq for one in part],
                [one.payload for one in part],
                [one.hash for one in part],
                [one.prev for one in part],
                list(range(n)),
                ids,
            )
            await connection.execute(
                "insert into bare_entry (network_id, tx_id, leg, account_id, amount, lot_id)"
                " select $1, * from unnest($2::uuid[], $3::smallint[], $4::bigint[], $5::bigint[], $6::uuid[])",
                network,
                [one for one in ids for _ in "ab"],
                [0, 1] * n,
                [number % GUESTS for number in range(2 * n)],
                [5, -5] * n,
                [one for one in ids for _ in "ab"],
            )
            await connection.execute(
                "insert into bare_lot (network_id, id, account_id, tx_id, amount, remaining, earned_at)"
                " select $1, id, account, id, 5, 5, $2 from unnest($3::uuid[], $4::bigint[]) as t (id, account)",
                network,
                now,
                ids,
                list(range(n)),
            )
    rate = len(records) / (time.perf_counter() - started)
    await connection.close()
    return rate


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def server(settings: Settings, base: Base) -> Iterator[str]:
    """Run `loyalty-server run`: one worker, and the process that prices again."""
    port, owner = free_port(), base.owner
    assert settings.master_key is not None
    assert owner is not None
    environment = os.environ | {
        "DATABASE_URL": base.app.render_as_string(hide_password=False),
        "LOYALTY_OWNER_DATABASE_URL": owner.render_as_string(hide_password=False),
        "LOYALTY_DATA_DIR": str(settings.data_dir),
        "LOYALTY_WITNESS_DIR": str(settings.witness_dir),
        "LOYALTY_MASTER_KEY": settings.master_key.get_secret_value(),
    }
    command = [sys.executable, "-m", "server.cli", "run", "--port", str(port), "--json"]
    process = subprocess.Popen(command, env=environment, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(600):
            with contextlib.suppress(httpx2.TransportError):
                if httpx2.get(f"{address}/readyz").status_code == 200:
                    break
            time.sleep(0.05)
        yield address
    finally:
        process.terminate()
        process.wait(30)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000)
