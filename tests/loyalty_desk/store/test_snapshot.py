from __future__ import annotations

import sqlite3
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from uuid import UUID

import msgspec
import pytest
import zstandard

from loyalty_desk.domain.errors import Refused
from loyalty_desk.domain.record import handle_text
from loyalty_desk.services.bootstrapping import Bootstrap
from loyalty_desk.services.ports.cache import SnapshotSpoiled
from loyalty_desk.services.ports.server import NoAnswer, NotOurServer, ServerSaid
from loyalty_desk.store.cache import SqliteCache
from loyalty_desk.store.snapshot import SnapshotFiles
from loyalty_desk.wire.v1.bootstrap import FORMAT, INSERT, LAYOUT, SnapshotManifest, stored
from loyalty_desk.wire.v1.rows import DIGEST_MODULUS, row_digest
from loyalty_desk.wire.v1.sync import FeedRow, PullAnswer
from tests.loyalty_desk.till_parts import ANNA, ANNA_CARD, GUEST, HANDLE, INCARNATION, KEY, STAFF

PART = 4_000
ROWS = [
    ANNA,
    ANNA_CARD,
    STAFF,
    ("weather", "x", {"new": 1}),
    *(("guest", str(UUID(int=n)), {"name": f"Гость {n}", "phone_hash": f"{n * 7919:032x}"}) for n in range(1, 900)),
    *(("credential", handle_text(n), {"guest": str(UUID(int=n)), "kind": "card"}) for n in range(1, 900)),
]


class Server:
    """Serves one snapshot, in parts, through a connection that fails as told."""

    def __init__(self, rows: list[tuple[str, str, dict[str, object]]] = ROWS) -> None:
        file = sqlite3.connect(":memory:")
        file.executescript(LAYOUT)
        total = 0
        for table, key, row in rows:
            digest = row_digest(table, key, row)
            total += digest
            place, values = stored(table, key, row, digest.to_bytes(16, "big"))
            file.execute(INSERT[place], values)
        file.commit()
        self.packed = zstandard.ZstdCompressor(level=3).compress(file.serialize())
        self.manifest = SnapshotManifest(
            id=UUID(int=77),
            format=FORMAT,
            incarnation=INCARNATION,
            feed_seq=5_000,
            rows=len(rows),
            guests=sum(table == "guest" for table, _, _ in rows),
            digest=(total % DIGEST_MODULUS).to_bytes(16, "big"),
            packed=len(self.packed),
            size=len(file.serialize()),
            sha256=sha256(self.packed).digest(),
        )
        self.asked: list[int] = []
        self.fault: Callable[[int], None] = lambda _: None

    def snapshot(self) -> SnapshotManifest:
        return self.manifest

    def snapshot_part(self, snapshot: UUID, start: int, size: int) -> bytes:
        self.asked.append(start)
        self.fault(len(self.asked))
        assert snapshot == self.manifest.id
        return self.packed[start : start + min(size, PART)]


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def cache(tmp_path: Path):
    made = SqliteCache(tmp_path / "cache.db", KEY)
    yield made
    made.close()


def fetch(server: Server, cache: SqliteCache, stop_after: int | None = None) -> str | None:
    stops = iter(range(10_000))
    boot = Bootstrap(server, SnapshotFiles(cache))
    return boot.fetch(INCARNATION, lambda: stop_after is not None and next(stops) >= stop_after)


def test_a_snapshot_becomes_the_cache_and_the_delta_follows(server: Server, cache: SqliteCache, tmp_path: Path) -> None:
    heard: list[tuple[int, int]] = []
    assert (
        Bootstrap(server, SnapshotFiles(cache), lambda a, b: heard.append((a, b))).fetch(INCARNATION, lambda: False)
        is None
    )
    assert len(server.asked) > 10
    assert heard[0] == (0, len(server.packed))
    assert heard[-1] == (len(server.packed), len(server.packed))
    state = cache.state()
    assert (state.cursor, state.rows, state.guests, state.digest) == (5_000, len(ROWS), 900, server.manifest.digest)
    assert not state.complete
    assert cache.by_handle(HANDLE).row.name == "Анна"
    assert cache.by_phone_hash(f"{5 * 7919:032x}")[0].row.name == "Гость 5"
    assert cache.staff()[0][0] == "anna.k"
    cache.apply(PullAnswer(INCARNATION, [FeedRow(5_001, "guest", str(GUEST), None)], 5_001, False), onto=state)
    assert cache.state().guests == 899
    cache.close()
    again = SqliteCache(tmp_path / "cache.db", KEY)
    assert (again.rebuilt, again.state().cursor) == (False, 5_001)
    again.close()
    assert not list(tmp_path.glob("cache.part"))
    assert not list(tmp_path.glob("cache.new*"))


def test_a_cut_after_every_part_costs_no_part_twice(server: Server, cache: SqliteCache) -> None:
    def cut(asked: int) -> None:
        if asked % 2:
            raise NoAnswer("cut")

    server.fault = cut
    for _ in range(200):
        try:
            if fetch(server, cache) is None:
                break
        except NoAnswer:
            continue
    assert cache.state().guests == 900
    done = server.asked[1::2]
    assert done == sorted(set(done))


def test_a_restart_goes_on_where_it_was_even_after_half_a_write(
    server: Server, cache: SqliteCache, tmp_path: Path
) -> None:
    assert fetch(server, cache, stop_after=5) is None
    part = tmp_path / "cache.part"
    assert "Гость".encode() not in part.read_bytes()
    assert server.manifest.id.bytes not in part.read_bytes()
    with part.open("ab") as file:
        file.write(b"\x00\x00\x0f\xff half a box")
    assert server.asked == [n * PART for n in range(5)]
    assert fetch(server, cache) is None
    assert server.asked[5] == 5 * PART
    assert cache.state().guests == 900


@pytest.mark.parametrize("damage", ["a flipped bit", "junk", "another key"])
def test_a_damaged_part_is_fetched_anew(server: Server, cache: SqliteCache, tmp_path: Path, damage: str) -> None:
    fetch(server, cache, stop_after=5)
    part = tmp_path / "cache.part"
    raw = bytearray(part.read_bytes())
    if damage == "a flipped bit":
        raw[-50] ^= 1
    elif damage == "junk":
        raw[:] = b"junk"
    else:
        cache.key = bytes(32)
    part.write_bytes(raw)
    fresh = SnapshotFiles(cache)
    assert fresh.begun() is None
    assert not part.exists()


def changed(server: Server, **fields: object) -> Server:
    server.manifest = msgspec.structs.replace(server.manifest, **fields)
    return server


@pytest.mark.parametrize(
    "fields",
    [{"sha256": bytes(32)}, {"size": 5}, {"rows": 3}, {"guests": 3}, {"digest": bytes(16)}],
    ids=lambda fields: next(iter(fields)),
)
def test_what_is_not_what_was_promised_leaves_the_cache_as_it_was(
    cache: SqliteCache, expect_log, fields: dict[str, object], tmp_path: Path
) -> None:
    expect_log("cannot be used")
    cache.apply(PullAnswer(INCARNATION, [FeedRow(1, *ANNA)], 1, False))
    assert fetch(changed(Server(), **fields), cache) == "snapshot_spoiled"
    assert (cache.state().cursor, cache.guest(GUEST).row.name) == (1, "Анна")
    assert not (tmp_path / "cache.part").exists()
    assert fetch(Server(), cache) is None
    assert cache.state().guests == 900


def test_a_snapshot_of_a_newer_program_is_named_as_such(server: Server, cache: SqliteCache) -> None:
    assert fetch(changed(server, format=FORMAT + 1), cache) == "app_too_old"
    assert server.asked == []


def test_a_snapshot_of_another_life_is_not_begun(server: Server, cache: SqliteCache) -> None:
    with pytest.raises(NotOurServer):
        fetch(changed(server, incarnation=UUID(int=9)), cache)


def test_a_snapshot_that_is_replaced_on_the_way_is_asked_for_anew(server: Server, cache: SqliteCache) -> None:
    fetch(server, cache, stop_after=3)
    gone = ServerSaid(404, "NOT_FOUND", "gone")

    def not_found(_: int) -> None:
        raise gone

    server.fault = not_found
    assert fetch(server, cache) == "snapshot_prepared"
    server.fault = lambda _: None
    server.asked.clear()
    assert fetch(changed(server, id=UUID(int=78)), cache) is None
    assert server.asked[0] == 0


def test_a_server_that_still_prepares_it_is_asked_later(cache: SqliteCache, server: Server) -> None:
    def waits() -> SnapshotManifest:
        raise ServerSaid(503, "SNAPSHOT_WAITS", "in a moment", retry_after=3)

    server.snapshot = waits  # type: ignore[method-assign]
    assert fetch(server, cache) == "snapshot_prepared"


def test_a_full_disk_gives_its_room_back_and_keeps_what_was_there(
    server: Server, cache: SqliteCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch(server, cache, stop_after=3)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("loyalty_desk.store.snapshot.os.fsync", full)
    with pytest.raises(Refused, match="disk_full"):
        fetch(server, cache)
    assert not (tmp_path / "cache.part").exists()
    monkeypatch.undo()
    assert fetch(server, cache) is None


def test_spoiled_is_told_by_install_itself(server: Server, cache: SqliteCache, expect_log) -> None:
    expect_log("cannot be used")
    room = SnapshotFiles(cache)
    room.begin(server.manifest)
    with pytest.raises(SnapshotSpoiled):
        room.install(server.manifest)
