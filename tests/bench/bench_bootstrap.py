"""The first load: `python tests/bench/bench_bootstrap.py [GUESTS]`, 1 000 000 by default.

The server's half is the real one: guests with a name, a phone and a card each in PostgreSQL, the snapshot built,
packed and sealed by `server.sync.bootstrap`. The till's half runs in a process of its own, so that its memory is its
own: parts of 1 MiB gathered, checked, unpacked, encrypted and swapped in. Beside it, in the same process,
`executemany` of the same rows into an encrypted file. Nothing goes over a network.
"""

from __future__ import annotations

import asyncio
import contextlib
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from uuid import UUID

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

import msgspec  # noqa: E402 - after the path is set

from loyalty_desk.wire.v1.bootstrap import INSERT, LAYOUT, PART_BYTES, SnapshotManifest  # noqa: E402

KEY = bytes(range(32))
BATCH = 5_000


def main(guests: int) -> None:
    """Make the guests and the snapshot, then load it in a child."""
    from server.kit import schema
    from server.kit.embedded import APP, OWNER, Embedded
    from server.kit.ground import Base
    from server.settings import Settings

    folder = Path(tempfile.mkdtemp(prefix="ld-bench-"))
    folder.chmod(0o711)
    embedded = Embedded(folder / "data")
    try:
        embedded.start()
        schema.upgrade(embedded.url(OWNER), APP)
        settings = Settings(
            data_dir=folder / "data",
            witness_dir=folder / "witness",
            master_key="AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8",
        )
        base = Base(embedded.url(), embedded.url(OWNER), folder / "data", embedded)
        asyncio.run(serve(settings, base, guests, folder))
    finally:
        embedded.stop(wait_for_others=False)
    try:
        subprocess.run([sys.executable, __file__, "--till", str(folder)], check=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def serve(settings: object, base: object, count: int, folder: Path) -> None:
    """Register the guests, make the snapshot as the server does, and leave its packed bytes for the till."""
    from server.guests import service as guests
    from server.guests.service import NewGuest
    from server.kit import feed, incarnation
    from server.kit.errors import ApiError
    from server.kit.ground import ground
    from server.networks.service import NewStore, create_network
    from server.sync.bootstrap import Snapshots

    async with ground(settings, base) as opened:  # type: ignore[arg-type]
        await incarnation.at_start(opened.db, opened.witness)
        made = await create_network(opened, "Bench", "shop", "RUB", "UTC", [NewStore("First")])
        network, began = made.network.id, time.perf_counter()
        for start in range(0, count, BATCH):
            wanted = [
                NewGuest(name=f"Гость Номер {number}", phone=f"+7916{number:07d}", spend=number, visits=number % 90)
                for number in range(start, min(start + BATCH, count))
            ]
            async with opened.db.begin(network) as connection:
                found = await guests.register(connection, network, opened.vault, wanted)
                handles = [handle for one in found for handle in one.handles]
                changes = await guests.changes(connection, network, opened.vault, [one.id for one in found], handles)
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


class Parts:
    """A client whose server is a file."""

    def __init__(self, folder: Path) -> None:
        self.manifest = msgspec.msgpack.decode((folder / "manifest").read_bytes(), type=SnapshotManifest)
        self._file = (folder / "packed").open("rb")

    def snapshot(self) -> SnapshotManifest:
        """Return what the snapshot is."""
        return self.manifest

    def snapshot_part(self, _: UUID, start: int, size: int) -> bytes:
        """Return some of it."""
        self._file.seek(start)
        return self._file.read(size)


def load(folder: Path) -> None:
    """Be the till: fetch, install, look up; then write the same rows one by one."""
    import apsw

    from loyalty_desk.services.bootstrapping import Bootstrap
    from loyalty_desk.store.cache import SqliteCache
    from loyalty_desk.store.engine import transaction
    from loyalty_desk.store.snapshot import SnapshotFiles

    client, cache = Parts(folder), SqliteCache(folder / "cache.db", KEY)
    room = SnapshotFiles(cache)
    before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
    fetched = [0.0]
    install = room.install

    def timed(manifest: SnapshotManifest) -> None:
        fetched[0] = time.perf_counter() - began
        install(manifest)

    room.install = timed  # type: ignore[method-assign]
    assert Bootstrap(client, room).fetch(client.manifest.incarnation, lambda: False) is None  # type: ignore[arg-type]
    took = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert cache.state().guests == client.manifest.guests
    size = (folder / "cache.db").stat().st_size
    print(f"till: parts kept, each synced           {fetched[0]:8.1f} s")
    print(
        f"till: bytes to ready encrypted cache    {took - fetched[0]:8.1f} s, memory +{(peak - before) / 1024:.0f} MiB"
    )
    print(f"cache.db                              {size / 1e6:8.1f} MB")
    target = apsw.Connection(str(folder / "raw.db"))
    target.pragma("key", f"raw:{KEY.hex()}")
    target.pragma("journal_mode", "wal")
    target.execute(LAYOUT)
    rows = {table: cache._reader.execute(f"SELECT * FROM {table}").fetchall() for table in INSERT}
    began = time.perf_counter()
    with transaction(target):
        for table, found in rows.items():
            target.executemany(INSERT[table], found)
    raw = time.perf_counter() - began
    print(f"raw executemany of the same rows        {raw:8.1f} s; the load takes {(took - fetched[0]) / raw:.2f} of it")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--till"]:
        load(Path(sys.argv[2]))
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
