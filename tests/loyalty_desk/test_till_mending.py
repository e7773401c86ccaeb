"""A journal that goes wrong while the till is running: nothing is deleted, and the same process sells on."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from loyalty_desk.domain.errors import Refused
from loyalty_desk.domain.record import Record
from loyalty_desk.store.engine import companions
from loyalty_desk.store.journal import SqliteJournal
from loyalty_desk.till import Till, open_till
from tests.loyalty_desk.test_till import _keys_in_a_file, enrolled, sell  # noqa: F401 - the fixture is meant
from tests.loyalty_desk.till_parts import stored_program

SALES = 40


@pytest.fixture
def till(tmp_path: Path, expect_log) -> Iterator[Till]:
    expect_log("journal|reserve")
    enrolled(tmp_path)
    with open_till(tmp_path) as opened:
        opened._selling.journal.remember_program(stored_program())
        opened.wait_until_checked()
        for _ in range(SALES):
            sell(opened)
        yield opened


def journal_of(till: Till) -> SqliteJournal:
    return till._selling.journal


def receipts(journal: SqliteJournal) -> list[str]:
    found = [r for epoch in journal.epochs() for r in journal.records(epoch.epoch, 1, 10_000)]
    return [number for r in found if (number := Record.from_payload(r.payload).receipt_no) is not None]


def damage(folder: Path) -> None:
    """Flip a byte of every page but the first few: what was read before stays in memory, the disk is wrong."""
    path = folder / "journal.db"
    raw = bytearray(path.read_bytes())
    for page in range(6, len(raw) // 4096):
        raw[page * 4096 + 100] ^= 1
    with path.open("r+b") as file:
        file.write(raw)
        os.fsync(file.fileno())


def settled(till: Till) -> None:
    """Bring the WAL into the file, as SQLite does by itself every thousand pages."""
    journal_of(till)._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def test_damage_found_by_the_check_is_put_right_in_the_running_process(till: Till, tmp_path: Path) -> None:
    settled(till)
    damage(tmp_path)
    journal = journal_of(till)
    assert not journal.check_whole()
    number = sell(till)
    assert journal.usable()
    assert len(journal.epochs()) >= 1
    assert journal.redemption_held()
    assert number in receipts(journal)
    assert "journal_set_aside" in [notice.code for notice in till.status().notices]
    assert len(list(tmp_path.glob("journal.db.unreadable-*[0-9]"))) == 1
    assert journal.check_whole()
    assert till.status().program_version == 3


def test_scenario_40_a_page_that_cannot_be_read_any_more_costs_no_sale_after_it(till: Till, tmp_path: Path) -> None:
    settled(till)
    journal = journal_of(till)
    before = receipts(journal)
    damage(tmp_path)
    journal._connection.execute("PRAGMA shrink_memory").fetchall()
    journal._connection.pragma("cache_size", 1)
    after = receipts(journal)
    assert set(after) < set(before)
    assert sell(till) not in before
    assert journal.usable()
    assert not list(tmp_path.glob("*.damaged"))


def test_scenario_40_a_sale_that_meets_damage_is_refused_once_and_the_next_is_recorded(
    till: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = journal_of(till)
    before = receipts(journal)
    insert = journal._insert

    def met(*args: object) -> None:
        monkeypatch.setattr(journal, "_insert", insert)
        raise apsw.CorruptError("the page is no page")

    monkeypatch.setattr(journal, "_insert", met)
    with pytest.raises(Refused, match="journal_unavailable"):
        sell(till)
    number = sell(till)
    assert receipts(journal) == [*before, number]
    assert len(journal.epochs()) == 2


@pytest.mark.parametrize("replaced", [False, True])
def test_a_journal_taken_away_while_it_is_open_is_kept_from_memory(till: Till, tmp_path: Path, replaced: bool) -> None:
    journal = journal_of(till)
    before = receipts(journal)
    older = (tmp_path / "journal.db").read_bytes()
    for file in companions(tmp_path / "journal.db"):
        file.unlink(missing_ok=True)
    if replaced:
        (tmp_path / "journal.db").write_bytes(older)
    number = sell(till)
    assert receipts(journal) == [*before, number]
    till.close()
    with open_till(tmp_path) as again:
        assert receipts(journal_of(again)) == [*before, number]


def test_a_disk_that_refuses_the_new_file_leaves_the_old_one_and_heals_later(
    till: Till, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = journal_of(till)
    before = receipts(journal)
    monkeypatch.setattr("loyalty_desk.store.boot.salvage", lambda *_: (_ for _ in ()).throw(apsw.FullError("full")))
    journal.note_damage()
    for _ in range(2):
        with pytest.raises(Refused, match="journal_unavailable"):
            sell(till)
    monkeypatch.undo()
    monkeypatch.setenv("LOYALTY_KEYRING", "file")
    number = sell(till)
    assert receipts(journal) == [*before, number]
    assert len(list(tmp_path.glob("journal.db.unreadable-*[0-9]"))) == 1


def test_a_till_that_ends_in_the_middle_of_mending_begins_an_epoch_at_its_next_start(
    till: Till, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = journal_of(till)
    before = receipts(journal)
    monkeypatch.setattr("loyalty_desk.selling._go_on", lambda *_: (_ for _ in ()).throw(apsw.FullError("power cut")))
    journal.note_damage()
    with pytest.raises(Refused):
        sell(till)
    monkeypatch.undo()
    monkeypatch.setenv("LOYALTY_KEYRING", "file")
    # The witness is gone too: nothing but the file itself can tell.
    till.close()
    for witness in tmp_path.rglob("head.wit"):
        witness.unlink()
    with open_till(tmp_path) as again:
        assert len(journal_of(again).epochs()) == 2
        number = sell(again)
        assert receipts(journal_of(again)) == [*before, number]


def test_a_running_till_copies_its_journal_once_a_day(till: Till, tmp_path: Path) -> None:
    copies = tmp_path / "backup"
    deadline = time.monotonic() + 20
    while not list(copies.glob("journal-*.db")):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    [copy] = copies.glob("journal-*.db")
    made = copy.stat().st_mtime_ns
    till.close()
    with open_till(tmp_path) as again:
        again.wait_until_checked()
    assert copy.stat().st_mtime_ns == made
