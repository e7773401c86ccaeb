from __future__ import annotations

import os
import threading
import time
from datetime import date
from pathlib import Path
from uuid import UUID

import pytest

from loyalty_desk.domain.errors import Refused
from loyalty_desk.domain.record import head_is_signed
from loyalty_desk.services.ports.journal import PHONE_KEY
from loyalty_desk.store.boot import Finding, examine
from loyalty_desk.store.engine import connect, rows
from loyalty_desk.store.journal import SqliteJournal
from loyalty_desk.store.journal_care import _DAY_MS, KEPT_COPIES, backup, care_for, copy_of, forget, prune
from loyalty_desk.store.witness import Witness
from tests.loyalty_desk.till_parts import DEVICE, DEVICE_KEY, GUEST, KEY, NETWORK, Parts, make_parts, sale

LIFE = UUID(int=6)
DAY = date(2026, 3, 9)


@pytest.fixture
def parts(tmp_path: Path):
    made = make_parts(tmp_path)
    yield made
    made.journal.close()


def days_of_sales(parts: Parts, days: int, each: int = 3) -> None:
    for _ in range(days):
        for _ in range(each):
            parts.recorder.record(sale(earned=1))
        parts.clock.advance(days=1)


def acknowledge(parts: Parts, upto: int) -> None:
    head = parts.journal.head()
    parts.journal.acknowledge(head.epoch, upto, LIFE, 10)
    parts.journal.settle(10)


def seqs(parts: Parts) -> list[int]:
    return [seq for epoch in parts.journal.epochs() for seq, _, _ in parts.journal.members(epoch.epoch)]


def test_no_copy_holds_the_key_of_phones_and_the_journal_keeps_it(parts: Parts, tmp_path: Path) -> None:
    parts.journal.put(PHONE_KEY, "a key")
    parts.journal.put("keyset", "kept")
    copy = connect(backup(parts.journal, tmp_path / "copies", DAY), KEY, durable=True, cache_kib=64)
    kept = dict(rows(copy, "SELECT key, value FROM meta"))
    copy.close()
    assert PHONE_KEY not in kept
    assert kept["keyset"] == '"kept"'
    assert parts.journal.get(PHONE_KEY) == "a key"


def test_old_acknowledged_records_go_and_the_chain_still_holds(parts: Parts, tmp_path: Path) -> None:
    days_of_sales(parts, 120)
    acknowledge(parts, 350)
    head, waiting = parts.journal.head(), parts.journal.waiting()
    now = parts.trusted.now_ms()
    assert prune(parts.journal, now - 90 * _DAY_MS) == 91
    assert seqs(parts) == list(range(92, 362))
    assert parts.journal.broken_at() is None
    assert parts.journal.broken_at(tail=100_000) is None
    assert (parts.journal.head(), parts.journal.waiting()) == (head, waiting)
    [(epoch, seq, _, digest, sig, *totals)] = rows(parts.journal._connection, "SELECT * FROM pruned")
    assert (epoch, seq, totals) == (head.epoch, 91, [91, 90, 0])
    assert head_is_signed(DEVICE_KEY.public_key(), NETWORK, DEVICE, epoch, seq, digest, sig)
    assert parts.journal.records(epoch, 92, 1)[0].prev == digest
    again = SqliteJournal(tmp_path / "journal.db", KEY, Witness(tmp_path / "head.wit"))
    assert examine(again, Witness(tmp_path / "head.wit"), None) == Finding(None)
    assert again.epochs()[0].first_seq == 92
    again.abandon()
    assert parts.recorder.record(sale()).sealed.seq == head.seq + 1
    assert prune(parts.journal, now - 90 * _DAY_MS) == 0


def test_a_record_that_the_server_has_not_is_never_pruned_however_old(parts: Parts) -> None:
    days_of_sales(parts, 10)
    acknowledge(parts, 5)
    parts.clock.advance(days=4_000)
    assert prune(parts.journal, parts.trusted.now_ms()) == 5
    assert seqs(parts)[0] == 6
    assert prune(parts.journal, parts.trusted.now_ms()) == 0


def test_a_redemption_that_no_pull_has_shown_stays(parts: Parts) -> None:
    parts.recorder.record(sale(redeemed=5))
    days_of_sales(parts, 3)
    parts.journal.acknowledge(parts.journal.head().epoch, 11, LIFE, 10)
    parts.clock.advance(days=200)
    assert prune(parts.journal, parts.trusted.now_ms()) == 0
    assert parts.journal.offline_use(GUEST).guest_points == 5


def test_the_head_of_every_epoch_stays(parts: Parts) -> None:
    days_of_sales(parts, 3)
    first = parts.journal.head()
    acknowledge(parts, first.seq)
    parts.recorder.open_epoch("manual")
    days_of_sales(parts, 2)
    acknowledge(parts, parts.journal.head().seq)
    parts.clock.advance(days=300)
    assert prune(parts.journal, parts.trusted.now_ms()) == first.seq - 1 + 6
    assert [(one.first_seq, one.head_seq) for one in parts.journal.epochs()] == [(first.seq, first.seq), (7, 7)]
    assert parts.journal.epochs()[0].head_hash == first.hash
    assert parts.journal.broken_at() is None


def test_an_edited_record_behind_the_pruned_ones_is_still_found(parts: Parts) -> None:
    days_of_sales(parts, 10)
    acknowledge(parts, 20)
    parts.clock.advance(days=300)
    prune(parts.journal, parts.trusted.now_ms())
    parts.journal._connection.execute("UPDATE record SET prev = zeroblob(32) WHERE seq = 21")
    assert parts.journal.broken_at() == (parts.journal.head().epoch, 21)


def test_personal_fields_go_30_days_after_they_were_handed_over(parts: Parts) -> None:
    for _ in range(4):
        record = parts.recorder.record(sale()).sealed
        parts.journal._connection.execute("INSERT INTO private VALUES (?, x'00', x'01')", (record.id.bytes,))
        parts.clock.advance(days=20)
    acknowledge(parts, 4)
    assert forget(parts.journal, parts.trusted.now_ms() - 30 * _DAY_MS) == 3
    parts.clock.advance(days=1_000)
    assert forget(parts.journal, parts.trusted.now_ms() - 30 * _DAY_MS) == 0
    assert len(rows(parts.journal._connection, "SELECT 1 FROM private")) == 1


def test_a_copy_is_whole_encrypted_and_one_file_and_a_week_of_them_stays(parts: Parts, tmp_path: Path) -> None:
    days_of_sales(parts, 2)
    folder = tmp_path / "backup"
    for day in range(1, 11):
        copy = backup(parts.journal, folder, date(2026, 3, day))
    assert [one.name for one in sorted(folder.iterdir())] == [
        f"journal-2026-03-{day:02d}.db" for day in range(11 - KEPT_COPIES, 11)
    ]
    assert b"Enrol" not in copy.read_bytes()
    assert not copy.read_bytes().startswith(b"SQLite format 3")
    assert copy.stat().st_mode & 0o077 == 0
    again = SqliteJournal(copy, KEY)
    assert again.head() == parts.journal.head()
    assert again.broken_at() is None
    again.close()


def test_nothing_is_pruned_where_no_copy_could_be_made(parts: Parts, tmp_path: Path, expect_log, monkeypatch) -> None:
    expect_log("could not be copied")
    days_of_sales(parts, 3)
    acknowledge(parts, 9)
    parts.clock.advance(days=300)
    (tmp_path / "backup").write_text("in the way")
    assert care_for(parts.journal, tmp_path / "backup", DAY, parts.trusted.now_ms()).pruned == 0
    (tmp_path / "backup").unlink()

    def full(*_: object, **__: object) -> None:
        raise Refused("disk_full")

    monkeypatch.setattr("loyalty_desk.store.journal_care.backup", full)
    assert care_for(parts.journal, tmp_path / "backup", DAY, parts.trusted.now_ms()).pruned == 0
    monkeypatch.undo()
    done = care_for(parts.journal, tmp_path / "backup", DAY, parts.trusted.now_ms())
    assert done.pruned == 9
    kept = SqliteJournal(done.copy, KEY)
    assert kept.epochs()[0].first_seq == 1
    kept.close()


def test_copies_made_at_once_are_each_whole(parts: Parts, tmp_path: Path) -> None:
    days_of_sales(parts, 40)
    folder, faults = tmp_path / "backups", []

    def copy() -> None:
        try:
            for _ in range(8):
                backup(parts.journal, folder, DAY)
        except Exception as error:
            faults.append(error)

    threads = [threading.Thread(target=copy) for _ in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert faults == []
    assert [one.name for one in folder.iterdir()] == ["journal-2026-03-09.db"]
    copied = connect(copy_of(folder, DAY), KEY, durable=True, cache_kib=64)
    assert rows(copied, "SELECT count(*) FROM record") == rows(parts.journal._connection, "SELECT count(*) FROM record")
    copied.close()


def test_what_a_killed_copy_has_left_goes_with_a_later_one(parts: Parts, tmp_path: Path) -> None:
    folder = tmp_path / "backups"
    for name, age in (("half-old", 7_200), ("half-under-way", 0)):
        (folder / name).mkdir(parents=True)
        (folder / name / "journal-2026-03-08.db").write_bytes(b"half")
        os.utime(folder / name, (time.time() - age, time.time() - age))
    backup(parts.journal, folder, DAY)
    assert sorted(one.name for one in folder.iterdir()) == ["half-under-way", "journal-2026-03-09.db"]
