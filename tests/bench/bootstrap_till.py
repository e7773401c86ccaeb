"""The till's half of `bench_bootstrap`, in a process that has nothing of the server: its memory is a till's.

`load` gathers the parts of the snapshot, checks, unpacks, encrypts and swaps them in; `follow` applies the same guests
as pages of the feed.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from uuid import UUID

sys.path.insert(0, str(Path(__file__).parents[2]))

import apsw
import msgspec

from loyalty_desk.services.bootstrapping import Bootstrap
from loyalty_desk.store.cache import SqliteCache
from loyalty_desk.store.engine import transaction
from loyalty_desk.store.snapshot import SnapshotFiles
from loyalty_desk.wire.v1 import codec
from loyalty_desk.wire.v1.bootstrap import INSERT, LAYOUT, SnapshotManifest
from loyalty_desk.wire.v1.sync import PullAnswer

KEY = bytes(range(32))


def peak_kib() -> int:
    """Return the most memory this program has held: `ru_maxrss` is also what its parent held when it was begun."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0])


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
    client, cache = Parts(folder), SqliteCache(folder / "cache.db", KEY)
    room = SnapshotFiles(cache)
    before, began = peak_kib(), time.perf_counter()
    fetched = [0.0]
    install = room.install

    def timed(manifest: SnapshotManifest) -> None:
        fetched[0] = time.perf_counter() - began
        install(manifest)

    room.install = timed  # type: ignore[method-assign]
    assert Bootstrap(client, room).fetch(client.manifest.incarnation, lambda: False) is None  # type: ignore[arg-type]
    took = time.perf_counter() - began
    peak = peak_kib()
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


def follow(folder: Path) -> None:
    """Be a till that has nothing and pulls all of the feed."""
    cache = SqliteCache(folder / "fed.db", KEY)
    before, began = peak_kib(), time.perf_counter()
    with (folder / "pages").open("rb") as file:
        while head := file.read(4):
            cache.apply(codec.decode(PullAnswer, codec.unpack(file.read(int.from_bytes(head, "big")))))
    took, peak = time.perf_counter() - began, peak_kib()
    state = cache.state()
    print(
        f"till: {state.rows} rows of the feed applied {took:6.1f} s, {state.rows / took:.0f} a second,"
        f" memory +{(peak - before) / 1024:.0f} MiB"
    )
    cache.close()


if __name__ == "__main__":
    {"load": load, "follow": follow}[sys.argv[1]](Path(sys.argv[2]))
