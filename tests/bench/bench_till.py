"""The till's files against their limits: `python tests/bench/bench_till.py [GUESTS]` (default 100 000 and 1 000 000).

Lookups are CPU time, encrypted `cache.db` to a typed guest, against raw sqlite3 on a plain file of the same rows (14
columns and the same three ways in). A page of changes is measured against raw executemany of those rows. A sale is
scan, quote and one durable commit, wall time, against one append of 4 KiB and its fsync on the same disk, in turns.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from hashlib import sha256
from itertools import batched
from pathlib import Path
from uuid import UUID

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

import msgspec  # noqa: E402 - after the path is set

from loyalty_desk.domain.canonical import Json, bytes_to_text  # noqa: E402
from loyalty_desk.domain.guest_code import ld1, member_number  # noqa: E402
from loyalty_desk.domain.record import handle_text  # noqa: E402
from loyalty_desk.store.cache import SqliteCache  # noqa: E402
from loyalty_desk.store.engine import transaction  # noqa: E402
from loyalty_desk.store.journal_acks import signed  # noqa: E402
from loyalty_desk.wire.v1.bootstrap import StoredGuest  # noqa: E402
from loyalty_desk.wire.v1.rows import GuestRow, read  # noqa: E402
from loyalty_desk.wire.v1.sync import FeedRow, PullAnswer  # noqa: E402
from tests.loyalty_desk.till_parts import INCARNATION, KEY, make_counter, stored_program  # noqa: E402

LOOKUPS, SALES, PAGE = 20_000, 300, 5_000
COLUMNS = "id,name,phone_hash,phone_last4,member_no,tier,tier_until,points,spend,visits,first_visit,birthday,tags,flags"


def main() -> None:
    """Print every figure."""
    sizes = [int(size) for size in sys.argv[1:]] or [100_000, 1_000_000]
    folder = Path(tempfile.mkdtemp(prefix="ld-bench-till-", dir=os.environ.get("BENCH_DIR")))
    try:
        sales(folder / "sales")
        per_size = [lookups(folder / str(size), size) for size in sizes]
        if len(per_size) == 2:
            worst = max(b / a for a, b in zip(*per_size, strict=True))
            print(f"{sizes[1]} guests against {sizes[0]}: {worst:.2f} times")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def guest_row(n: int) -> dict[str, Json]:
    """Return a guest as the feed carries it."""
    return {
        "name": f"Гость {n:07d}",
        "phone_hash": bytes_to_text(sha256(b"%d" % n).digest()),
        "phone_last4": f"{n % 10_000:04d}",
        "member_no": member_number(100_000_000 + n),
        "tier": "GOLD",
        "points": n % 5_000,
        "spend": n * 13,
        "visits": n % 90,
        "first_visit": "2025-03-02",
        "birthday": "1990-05-17",
    }


def lookups(folder: Path, size: int) -> tuple[float, float, float]:
    """Load both files, then look up by card, member number and phone; return our microseconds."""
    folder.mkdir()
    rng = random.Random(7)
    ids = [UUID(int=rng.getrandbits(128)) for _ in range(size)]
    handles = [rng.getrandbits(64) for _ in range(size)]
    plain = load_plain(folder / "plain.db", ids, handles)
    cache = SqliteCache(folder / "cache.db", KEY)
    seq = fill(cache, ids, handles)
    print(f"{size} guests, {(folder / 'cache.db').stat().st_size // size} bytes each")
    wanted = [rng.randrange(size) for _ in range(LOOKUPS)]
    numbers = [member_number(100_000_000 + n) for n in wanted]
    phones = [str(guest_row(n)["phone_hash"]) for n in wanted]
    cards = [handles[n] for n in wanted]
    by_card = "SELECT g.* FROM credential c JOIN guest g ON g.id = c.guest WHERE c.handle = ?"
    found = []
    for name, keys, ours, sql, bind in (
        ("card", cards, cache.by_handle, by_card, signed),
        ("number", numbers, cache.by_member_number, "SELECT * FROM guest WHERE member_no = ?", str),
        ("phone", phones, cache.by_phone_hash, "SELECT * FROM guest WHERE phone_hash = ?", str),
    ):
        mine, raw = (
            best_of(lambda ours=ours, keys=keys: [ours(key) for key in keys]),
            best_of(
                lambda sql=sql, keys=keys, bind=bind: [plain.execute(sql, (bind(key),)).fetchone() for key in keys]
            ),
        )
        assert ours(keys[0])
        found.append(mine)
        print(f"  by {name:7} {mine:6.1f} µs, raw sqlite3 {raw:6.1f} µs, {mine / raw:.2f} times")
    changes(cache, plain, ids, seq)
    cache.close()
    plain.close()
    return (found[0], found[1], found[2])


def fill(cache: SqliteCache, ids: list[UUID], handles: list[int]) -> int:
    """Lay guests and cards straight into the cache's tables, as a bootstrap would; return the cursor.

    Digests are left empty: they are not what is measured here, and the feed's own pages are measured below.
    """
    connection = cache._writer
    encode = msgspec.msgpack.Encoder().encode
    nothing = bytes(16)
    for page in batched(range(len(ids)), 50_000):
        with transaction(connection):
            connection.executemany(
                "INSERT INTO guest VALUES (?, ?, ?, ?, ?)",
                (
                    (ids[n].bytes, row["member_no"], row["phone_hash"], encode(stored(row)), nothing)
                    for n in page
                    for row in (guest_row(n),)
                ),
            )
            connection.executemany(
                "INSERT INTO credential VALUES (?, ?, 'card', 'active', 0, x'', 0, ?)",
                ((signed(handles[n]), ids[n].bytes, nothing) for n in page),
            )
    return 0


def stored(row: dict[str, Json]) -> StoredGuest:
    """Return a guest as the cache holds it."""
    return StoredGuest(*msgspec.structs.astuple(read(GuestRow, row)))


def best_of(work: Callable[[], object], turns: int = 5) -> float:
    """Return CPU microseconds of one lookup, the best of some turns."""
    times = []
    for _ in range(turns):
        began = time.process_time()
        work()
        times.append((time.process_time() - began) / LOOKUPS * 1e6)
    return min(times)


def load_plain(path: Path, ids: list[UUID], handles: list[int]) -> sqlite3.Connection:
    """Return a plain file of the same guests."""
    plain = sqlite3.connect(path, isolation_level=None)
    plain.execute("PRAGMA journal_mode=WAL")
    plain.execute("PRAGMA synchronous=NORMAL")
    plain.execute("PRAGMA cache_size=-65536")
    plain.execute(f"CREATE TABLE guest ({COLUMNS.replace('id,', 'id BLOB PRIMARY KEY,', 1)}) WITHOUT ROWID")
    plain.execute("CREATE INDEX by_number ON guest(member_no)")
    plain.execute("CREATE INDEX by_phone ON guest(phone_hash)")
    plain.execute("CREATE TABLE credential (handle INTEGER PRIMARY KEY, guest BLOB, kind TEXT, state TEXT)")
    for page in batched(range(len(ids)), 50_000):
        plain.execute("BEGIN")
        plain.executemany(f"INSERT INTO guest VALUES ({','.join('?' * 14)})", (plain_row(ids[n], n) for n in page))
        plain.executemany(
            "INSERT INTO credential VALUES (?,?,'card','active')", ((signed(handles[n]), ids[n].bytes) for n in page)
        )
        plain.execute("COMMIT")
    return plain


def plain_row(guest: UUID, n: int) -> tuple[object, ...]:
    """Return the columns of a guest."""
    row = guest_row(n)
    middle = tuple(row.get(name) for name in COLUMNS.split(",")[1:-2])
    return (guest.bytes, *middle, "", 0)


def changes(cache: SqliteCache, plain: sqlite3.Connection, ids: list[UUID], seq: int) -> None:
    """Apply a page of changed guests to both files, best of three."""
    ours, raw = [], []
    for turn in range(3):
        picked = random.Random(turn).sample(range(len(ids)), min(PAGE, len(ids)))
        rows = [
            FeedRow(seq + k, "guest", str(ids[n]), guest_row(n) | {"points": turn}) for k, n in enumerate(picked, 1)
        ]
        seq += len(rows)
        began = time.process_time()
        cache.apply(PullAnswer(INCARNATION, rows, seq, True))
        ours.append(time.process_time() - began)
        prepared = [plain_row(ids[n], n + turn) for n in picked]
        began = time.process_time()
        plain.execute("BEGIN")
        plain.executemany(f"INSERT OR REPLACE INTO guest VALUES ({','.join('?' * 14)})", prepared)
        plain.execute("COMMIT")
        raw.append(time.process_time() - began)
    mine, bare = min(ours) * 1e3, min(raw) * 1e3
    print(f"  page of {PAGE} changes {mine:.0f} ms CPU, raw {bare:.0f} ms, {mine / bare:.1f} times")


def sales(folder: Path) -> None:
    """Sell and append in turns."""
    folder.mkdir()
    counter = make_counter(folder)
    rng = random.Random(3)
    handles = [rng.getrandbits(64) for _ in range(1_000)]
    rows: list[tuple[str, str, dict[str, Json] | None]] = []
    for n, handle in enumerate(handles):
        rows.append(("guest", str(UUID(int=n + 1)), guest_row(n)))
        rows.append(("credential", handle_text(handle), {"guest": str(UUID(int=n + 1)), "kind": "card"}))
    counter.feed(*rows)
    counter.synced()
    counter.parts.journal.remember_program(stored_program())
    ours: list[float] = []
    limit: list[float] = []
    with (folder / "append").open("ab", buffering=0) as file:
        for n in range(SALES):
            code = ld1(handles[n % len(handles)])
            began = time.perf_counter()
            counter.sell(code, 100 + n)
            ours.append(time.perf_counter() - began)
            # What the sync thread does between two sales.
            counter.parts.journal.witness()
            began = time.perf_counter()
            file.write(os.urandom(4096))
            os.fsync(file.fileno())
            limit.append(time.perf_counter() - began)
    mine, bare = statistics.median(ours) * 1e3, statistics.median(limit) * 1e3
    print(f"scan to recorded sale: {mine:.2f} ms median ({p95(ours):.2f} p95), 4 KiB and fsync {bare:.2f} ms", end="")
    print(f" ({p95(limit):.2f} p95), {mine / bare:.2f} times")
    cpu = time.process_time()
    for n in range(SALES):
        counter.sell(ld1(handles[n]), 100 + n)
    print(f"  of it {(time.process_time() - cpu) / SALES * 1e3:.2f} ms CPU")
    with contextlib.suppress(Exception):
        counter.parts.journal.close()
        counter.cache.close()


def p95(times: list[float]) -> float:
    """Return the 95th percentile in milliseconds."""
    return sorted(times)[int(len(times) * 0.95)] * 1e3


if __name__ == "__main__":
    main()
