"""The first load, and the whole feed instead: `python tests/bench/bench_bootstrap.py [GUESTS]`, 1 000 000 by default.

The server's half is the real one: guests with a name, a phone and a card each in PostgreSQL, the snapshot built,
packed and sealed by `server.sync.bootstrap`. The till's half runs in a process of its own, so that its memory is its
own: parts of 1 MiB gathered, checked, unpacked, encrypted and swapped in. Beside it, in the same process,
`executemany` of the same rows into an encrypted file. Then the same guests as pages of the feed, as every till goes on
after its first load: read and packed by the server, unpacked and applied by a till in another process. Nothing goes
over a network.
"""

from __future__ import annotations

import asyncio
import contextlib
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from uuid import uuid4

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

import bench_posting  # noqa: E402 - after the path is set
import msgspec  # noqa: E402

from loyalty_desk.wire.v1 import codec  # noqa: E402
from loyalty_desk.wire.v1.bootstrap import PART_BYTES  # noqa: E402
from loyalty_desk.wire.v1.sync import cursor_text  # noqa: E402
from server.guests import service as guests_of  # noqa: E402
from server.guests.service import NewGuest  # noqa: E402
from server.kit import feed, incarnation  # noqa: E402
from server.kit.auth import Signer  # noqa: E402
from server.kit.errors import ApiError  # noqa: E402
from server.kit.ground import Base, Ground, ground  # noqa: E402
from server.ledger.shelf import ProgramShelf  # noqa: E402
from server.networks.service import NewStore, create_network  # noqa: E402
from server.settings import Settings  # noqa: E402
from server.sync.bootstrap import Snapshots  # noqa: E402
from server.sync.pull import pull  # noqa: E402
from server.sync.store import PostgresSyncStores  # noqa: E402

TILL = Path(__file__).with_name("bootstrap_till.py")
BATCH = 5_000


def main(guests: int) -> None:
    """Make the guests and the snapshot, then load it in a child."""
    with tempfile.TemporaryDirectory(prefix="ld-bench-") as name:
        with bench_posting.database() as (settings, base):
            asyncio.run(serve(settings, base, guests, Path(name)))
        for way in ("load", "follow"):
            subprocess.run([sys.executable, TILL, way, name], check=True)


async def serve(settings: Settings, base: Base, count: int, folder: Path) -> None:
    """Register the guests, make the snapshot as the server does, and leave its packed bytes for the till."""
    async with ground(settings, base) as opened:
        await incarnation.at_start(opened.db, opened.witness)
        made = await create_network(opened, "Bench", "shop", "RUB", "UTC", [NewStore("First")])
        network, began = made.network.id, time.perf_counter()
        for start in range(0, count, BATCH):
            wanted = [
                NewGuest(name=f"Гость Номер {number}", phone=f"+7916{number:07d}", spend=number, visits=number % 90)
                for number in range(start, min(start + BATCH, count))
            ]
            async with opened.db.begin(network) as connection:
                found = await guests_of.register(connection, network, opened.vault, wanted)
                handles = [handle for one in found for handle in one.handles]
                changes = await guests_of.changes(connection, network, opened.vault, [one.id for one in found], handles)
                await feed.record(connection, network, changes)
        print(f"{count} guests registered              {time.perf_counter() - began:8.1f} s", flush=True)
        before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
        snapshots = Snapshots()
        with contextlib.suppress(ApiError):  # it is made for the first that asks, who is told to come back
            await snapshots.manifest(opened, network)
        await snapshots.settled()
        manifest = await snapshots.manifest(opened, network)
        took, peak = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        print(f"server: snapshot made, packed, sealed   {took:8.1f} s, memory +{(peak - before) / 1024:.0f} MiB")
        per_guest = manifest.packed / count
        print(f"on the wire                           {manifest.packed / 1e6:8.1f} MB, {per_guest:.0f} bytes a guest")
        began = time.perf_counter()
        with (folder / "packed").open("wb") as file:
            for start in range(0, manifest.packed, PART_BYTES):
                part, _ = await snapshots.part(opened, network, manifest.id, start, PART_BYTES)
                file.write(part)
        print(f"server: all parts read and opened       {time.perf_counter() - began:8.1f} s")
        (folder / "manifest").write_bytes(msgspec.msgpack.encode(manifest))
        await write_pages(opened, Signer(network, uuid4(), made.stores[0].id, "active", b"", None), count, folder)


async def write_pages(opened: Ground, signer: Signer, guests: int, folder: Path) -> None:
    """Read the whole feed page by page, as the server answers pulls, and leave the packed answers for the till."""
    stores, cursor, size, pages = PostgresSyncStores(opened, ProgramShelf()), None, 0, 0
    began = time.perf_counter()
    with (folder / "pages").open("wb") as file:
        while True:
            page = await pull(stores, signer, cursor, from_zero_guests=guests + 1)
            body = codec.pack(codec.encode(page))
            file.write(len(body).to_bytes(4, "big") + body)
            size, pages, cursor = size + len(body), pages + 1, cursor_text(page.incarnation, page.next)
            if not page.has_more:
                break
    took = time.perf_counter() - began
    print(
        f"server: {pages} pages of the feed packed   {took:8.1f} s, {size / 1e6:.1f} MB, {size / guests:.0f} a guest",
        flush=True,
    )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
