"""Power cuts at any write: what the till said is recorded is recorded, and nothing is half there."""

from __future__ import annotations

import contextlib
import itertools
import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any
from unittest import mock
from uuid import UUID

import apsw
import pytest

from loyalty_desk.domain.errors import Refused
from loyalty_desk.store import journal_file
from loyalty_desk.store.boot import examine, open_journal
from loyalty_desk.store.cache import SqliteCache
from loyalty_desk.store.engine import Unreadable, connect, rows
from loyalty_desk.store.reserve import Reserve
from loyalty_desk.store.witness import Witness
from loyalty_desk.wire.v1.rows import DIGEST_MODULUS, row_digest
from loyalty_desk.wire.v1.sync import FeedRow, PullAnswer
from tests.loyalty_desk.store.faulty_disk import FaultyDisk
from tests.loyalty_desk.till_parts import INCARNATION, KEY, Parts, make_parts, sale
from tests.scenarios.counts import count
from tests.scenarios.power_cut import PowerCutDisk

LIVES_OF_A_FILE = 20
_NAMES = itertools.count()


@pytest.fixture
def disk() -> Iterator[PowerCutDisk]:
    made = PowerCutDisk(f"cut{next(_NAMES)}")
    yield made
    made.close()


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """The journal says at length, a thousand times, that it has no power."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@dataclass
class Found:
    """What many power cuts have shown."""

    cuts: int = 0
    during_opening: int = 0
    corrupt: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    torn: list[str] = field(default_factory=list)
    unseen: list[str] = field(default_factory=list)


def live(parts: Parts, random: Random, said: list[bytes]) -> None:
    """Sell until the power fails, with what else a journal does in between."""
    while True:
        what = random.random()
        if what < 0.8:
            said.append(parts.recorder.record(sale(earned=1)).sealed.id.bytes)
        elif what < 0.9:
            parts.journal.put("clock", random.randrange(1 << 40))
        elif what < 0.95:
            head = parts.journal.head()
            parts.journal.acknowledge(head.epoch, head.seq, parts.journal.file_id, head.seq)
        else:
            parts.journal._connection.execute("PRAGMA wal_checkpoint(RESTART)").fetchall()


def cut_many(folder: Path, disk: PowerCutDisk, times: int, seed: int = 1) -> Found:
    """Cut the power `times` times at a random write, and look at what is left as the next start would."""
    random, found = Random(seed), Found()
    place, said = folder, []
    for number in range(times):
        if number % LIVES_OF_A_FILE == 0:
            place, said = folder / f"file{number}", []
            place.mkdir()
        disk.restart()
        disk.cut_at = random.randrange(60)
        parts: Parts | None = None
        with disk.leads(place / "head.wit"):
            try:
                parts = make_parts(place, vfs=disk.vfs)
                live(parts, random, said)
            except (Refused, journal_file.Unreadable, apsw.Error, OSError):
                assert disk.off, "it failed with the power on"
            if parts is None:
                found.during_opening += 1
            else:
                with contextlib.suppress(apsw.Error):
                    parts.journal._connection.close(True)
        found.cuts += 1
        disk.cut(random)
        _look(place, said, found)
    return found


def _look(place: Path, said: list[bytes], found: Found) -> None:
    label = f"cut {found.cuts}"
    if not (place / "journal.db").exists() or (place / "journal.db").stat().st_size == 0:
        found.lost += [f"{label}: the file is gone"] * bool(said)
        return
    try:
        again = make_parts(place)
    except (journal_file.Unreadable, apsw.Error) as error:
        found.corrupt.append(f"{label}: {error!r}")
        return
    journal = again.journal
    if journal.broken_at() is not None or not journal.check_whole():
        found.corrupt.append(f"{label}: broken at {journal.broken_at()}")
    if examine(journal, Witness(place / "head.wit"), None).reason is not None:
        found.unseen.append(f"{label}: an honest disk is taken for one that went back")
    there = [r for e in journal.epochs() for r in journal.records(e.epoch, 1, 1 << 30)]
    effects = rows(journal._connection, "SELECT count(*) FROM effect")[0][0]
    if effects != len(there) or journal.head().totals.count != len(there):
        found.torn.append(f"{label}: {len(there)} records, {effects} effects, {journal.head().totals.count} counted")
    ids = [one.id.bytes for one in there]
    lost = set(said) - set(ids)
    if lost:
        found.lost.append(f"{label}: {len(lost)} sales that were said to be recorded")
    if [one for one in ids if one in set(said)] != [one for one in said if one in set(ids)]:
        found.torn.append(f"{label}: out of order")
    # A sale whose answer the power took away may be there: from now on it is one of them.
    said[:] = ids
    journal.close()


def _normal(path: Path, key: bytes, *, durable: bool, **more: Any) -> apsw.Connection:
    connection = connect(path, key, durable=durable, **more)
    connection.pragma("synchronous", 1)
    return connection


def not_synced() -> Any:
    """Return the planted defect: journals are opened with `synchronous=NORMAL`."""
    return mock.patch.object(journal_file, "connect", _normal)


def test_a_power_cut_at_any_write_loses_no_sale_and_tears_none(tmp_path: Path, disk: PowerCutDisk) -> None:
    found = cut_many(tmp_path, disk, count(60, 1_000))
    assert (found.corrupt, found.lost, found.torn, found.unseen) == ([], [], [], [])
    assert found.during_opening < found.cuts // 2


def test_the_same_without_syncing_each_commit_loses_sales(tmp_path: Path, disk: PowerCutDisk) -> None:
    """The harness bites: `synchronous=NORMAL` has to lose what was said, in most lives."""
    with not_synced():
        found = cut_many(tmp_path, disk, count(60, 1_000))
    assert len(found.lost) > found.cuts // 3, found


def _rolled_back(place: Path, disk: PowerCutDisk, random: Random, *, synced: bool) -> tuple[int, int | None]:
    """Sell, cut the power, put back an older copy of the journal; return what is lost and what the witness says."""
    with disk.leads(place / "head.wit", synced=synced):
        parts = make_parts(place, vfs=disk.vfs)
        for _ in range(random.randrange(1, 6)):
            parts.recorder.record(sale(earned=3))
        parts.journal._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        copy, kept = (place / "journal.db").read_bytes(), parts.journal.head().seq
        for _ in range(random.randrange(2, 12)):
            parts.recorder.record(sale(earned=3))
        last = parts.journal.head().seq
        disk.off = True
        with contextlib.suppress(apsw.Error):
            parts.journal._connection.close(True)
    disk.cut(random)
    for name in ("journal.db", "journal.db-wal"):
        (place / name).unlink(missing_ok=True)
    (place / "journal.db").write_bytes(copy)
    again = make_parts(place)
    told = examine(again.journal, Witness(place / "head.wit"), None)
    again.journal.close()
    return last - kept, int(str(told.facts["records"])) if told.reason == "rollback" else None


def rollbacks(folder: Path, disk: PowerCutDisk, times: int, *, synced: bool) -> list[tuple[int, int | None]]:
    """Return of every try how many records were lost, and how many the witness names (None: it saw nothing)."""
    random = Random(5)
    made = []
    for number in range(times):
        place = folder / f"back{number}"
        place.mkdir()
        disk.restart()
        made.append(_rolled_back(place, disk, random, synced=synced))
    return made


def test_a_journal_put_back_after_a_power_cut_is_named_by_its_witness(tmp_path: Path, disk: PowerCutDisk) -> None:
    for lost, named in rollbacks(tmp_path, disk, count(20, 200), synced=True):
        assert named is not None, "a journal that went back was not noticed"
        assert lost - 1 <= named <= lost


def test_a_witness_that_is_not_synced_is_caught(tmp_path: Path, disk: PowerCutDisk) -> None:
    """The harness bites: without fdatasync the witness forgets with the journal."""
    tries = rollbacks(tmp_path, disk, 20, synced=False)
    assert any(named is None or named < lost - 1 for lost, named in tries)


def test_the_power_cut_disk_loses_what_is_not_synced(tmp_path: Path, disk: PowerCutDisk) -> None:
    path = tmp_path / "plain.db"
    connection = connect(path, KEY, durable=True, cache_kib=100, vfs=disk.vfs)
    connection.execute("CREATE TABLE t (n)")
    connection.pragma("synchronous", 0)
    connection.execute("INSERT INTO t VALUES (1)")
    disk.off = True
    with contextlib.suppress(apsw.Error):
        connection.close(True)
    outcomes = set()
    saved = dict(disk._files)
    for seed in range(20):
        disk._files = dict(saved)
        disk.cut(Random(seed))
        again = connect(path, KEY, durable=True, cache_kib=100)
        outcomes.add(rows(again, "SELECT count(*) FROM t")[0][0])
        again.close()
        for extra in ("-wal", "-shm"):
            path.with_name(path.name + extra).unlink(missing_ok=True)
    assert outcomes == {0, 1}


def _feed(random: Random, length: int) -> list[FeedRow]:
    """Return changes of some guests, tombstones among them."""
    made = []
    for seq in range(1, length + 1):
        key = str(UUID(int=random.randrange(40)))
        row = None if random.random() < 0.1 else {"name": f"Guest {seq}", "points": seq}
        made.append(FeedRow(seq, "guest", key, row))
    return made


def _digest_at(feed: list[FeedRow], cursor: int) -> bytes:
    live = {one.key: one for one in feed[:cursor]}
    total = sum(row_digest(one.table, one.key, one.row) for one in live.values() if one.row is not None)
    return (total % DIGEST_MODULUS).to_bytes(16, "big")


def test_a_power_cut_while_pages_are_applied_leaves_rows_and_cursor_agreeing(
    tmp_path: Path, disk: PowerCutDisk
) -> None:
    """The cache may forget its newest pages; it may not keep rows without their cursor, or the other way round."""
    random, path = Random(38), tmp_path / "cache.db"
    feed, behind, level = _feed(random, 250), 0, 0
    for _ in range(count(40, 500)):
        disk.restart()
        # Now and then the program is closed in order, after some pages: else nothing of a cache was ever synced.
        orderly = random.random() < 0.3
        disk.cut_at, last = (None if orderly else random.randrange(1, 250)), random.randrange(1, len(feed) + 60)
        cache: SqliteCache | None = None
        cursor = 0
        try:
            cache = SqliteCache(path, KEY, vfs=disk.vfs)
            while (cursor := cache.state().cursor or 0) < len(feed) and not (orderly and cursor > last):
                rows_ = feed[cursor : cursor + random.randrange(1, 30)]
                cache.apply(PullAnswer(INCARNATION, rows_, rows_[-1].seq, rows_[-1].seq < len(feed)))
        except (Refused, Unreadable, apsw.Error, OSError):
            assert disk.off
        disk.off = disk.off or not orderly
        if cache is not None:
            with contextlib.suppress(apsw.Error):
                cache.close()
        disk.cut(random)
        again = SqliteCache(path, KEY)
        state = again.state()
        found = state.cursor or 0
        assert state.digest == _digest_at(feed, found), f"rows of another moment than the cursor {found}"
        stored = rows(again._writer, "SELECT count(*) FROM guest")[0][0]
        assert stored == len({one.key for one in feed[:found]} - _deleted(feed[:found]))
        behind += found < cursor
        level += found == len(feed)
        again.close()
        if found == len(feed):
            for name in ("cache.db", "cache.db-wal", "cache.db-shm"):
                (tmp_path / name).unlink(missing_ok=True)
    assert level, "no life has applied all pages"
    assert behind, "no cut has cost a page: nothing was tried"


def _deleted(feed: list[FeedRow]) -> set[str]:
    return {key for key, row in {one.key: one.row for one in feed}.items() if row is None}


def test_a_flipped_bit_anywhere_is_found_and_nothing_wrong_is_pushed(tmp_path: Path) -> None:
    parts = make_parts(tmp_path)
    for number in range(60):
        parts.recorder.record(sale(earned=number))
    epoch = parts.journal.head().epoch
    good = {one.id: one for one in parts.journal.records(epoch, 1, 100)}
    parts.journal.close()
    image, random = (tmp_path / "journal.db").read_bytes(), Random(40)
    found = 0
    for number in range(count(25, 300)):
        place = tmp_path / f"flip{number}"
        place.mkdir()
        spoilt = bytearray(image)
        spoilt[random.randrange(len(spoilt))] ^= 1 << random.randrange(8)
        (place / "journal.db").write_bytes(spoilt)
        (place / "head.wit").write_bytes((tmp_path / "head.wit").read_bytes())
        witness = Witness(place / "head.wit")
        journal, aside = open_journal(place / "journal.db", KEY, witness, Reserve(place / "reserve.bin", 1 << 20))
        whole = journal.check_whole()
        told = examine(journal, witness, aside)
        if aside is not None or not whole or told.reason is not None:
            found += 1
        if aside is not None:
            assert told.reason == "restore"
            assert aside.read_bytes(), "set aside, never deleted"
        for one in journal.epochs():
            try:
                kept = journal.records(one.epoch, 1, 100)
            except (Refused, Unreadable, apsw.Error):
                continue
            for record in kept:
                assert good[record.id] == record, "a record that is not what was written would be pushed"
            if aside is None and whole and told.reason is None:
                assert len(kept) == len(good)
        journal.close()
    assert found > count(25, 300) // 2


def test_a_disk_full_at_every_write_leaves_nothing_half_done(tmp_path: Path) -> None:
    """The n-th write of a sale and all after it fail, for every n: said and there, or refused and not."""
    unmet, n = False, 0
    while not unmet:
        disk = FaultyDisk(name=f"full{next(_NAMES)}")
        place = tmp_path / f"full{n}"
        place.mkdir()
        parts = make_parts(place, vfs=disk.vfs)
        said = [parts.recorder.record(sale()).sealed.id]
        writes = disk.writes
        disk.fail_write, disk.after = apsw.FullError, n
        try:
            said.append(parts.recorder.record(sale()).sealed.id)
            unmet = disk.writes - writes <= n
        except Refused as refused:
            assert refused.code == "disk_full"
        disk.fail_write = None
        said.append(parts.recorder.record(sale()).sealed.id)
        parts.journal.close()
        disk.layer.unregister()
        again = make_parts(place)
        epoch = again.journal.head().epoch
        assert [one.id for one in again.journal.records(epoch, 2, 10)] == said
        assert again.journal.broken_at() is None
        again.journal.close()
        n += 1
    assert n > 2
