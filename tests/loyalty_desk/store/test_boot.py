import os
import shutil
from pathlib import Path

import apsw
import pytest

from loyalty_desk.domain.errors import Refused
from loyalty_desk.domain.record import Record, Totals
from loyalty_desk.store.boot import Finding, examine, open_journal, with_room
from loyalty_desk.store.engine import companions
from loyalty_desk.store.journal import SqliteJournal
from loyalty_desk.store.reserve import Reserve
from loyalty_desk.store.witness import Witness
from tests.loyalty_desk.store.faulty_disk import FaultyDisk
from tests.loyalty_desk.till_parts import KEY, Parts, make_parts, sale


@pytest.fixture
def parts(tmp_path: Path) -> Parts:
    return make_parts(tmp_path)


def witness(parts: Parts) -> Witness:
    return Witness(parts.folder / "head.wit")


def copied(parts: Parts) -> dict[Path, bytes]:
    parts.journal.close()
    return {file: file.read_bytes() for file in companions(parts.folder / "journal.db") if file.exists()}


def put_back(parts: Parts, files: dict[Path, bytes]) -> None:
    for file in companions(parts.folder / "journal.db"):
        file.unlink(missing_ok=True)
    for file, content in files.items():
        file.write_bytes(content)


def test_an_ordinary_start_finds_nothing(parts: Parts) -> None:
    parts.recorder.record(sale(earned=3))
    parts.journal.close()
    again = make_parts(parts.folder)
    assert examine(again.journal, witness(again), None) == Finding(None)
    again.journal.close()


def test_a_witness_that_trails_by_one_is_no_rollback(parts: Parts) -> None:
    parts.journal.witness()
    parts.recorder.record(sale())
    kept = (parts.folder / "head.wit").read_bytes()
    parts.journal.close()
    (parts.folder / "head.wit").write_bytes(kept)
    again = make_parts(parts.folder)
    assert examine(again.journal, witness(again), None) == Finding(None)
    again.journal.close()


def test_a_journal_put_back_from_a_copy_is_known_by_its_witness(parts: Parts) -> None:
    parts.recorder.record(sale(earned=10))
    files = copied(parts)
    later = make_parts(parts.folder)
    later.recorder.record(sale(earned=20))
    later.recorder.record(sale(earned=5, redeemed=7))
    later.journal.close()
    put_back(parts, files)
    again = make_parts(parts.folder)
    finding = examine(again.journal, witness(again), None)
    assert finding == Finding("rollback", "journal_rolled_back", {"records": 2, "earned": 25, "redeemed": 7}, 4)
    again.journal.skip_receipts(finding.receipts)
    opening = Record.from_payload(again.recorder.open_epoch(finding.reason).payload)
    assert opening.totals == Totals(3, 10, 0)
    # Numbers that were printed before the copy was put back are not printed again.
    assert again.recorder.record(sale()).record.receipt_no.endswith("-000005")
    again.journal.close()
    last = make_parts(parts.folder)
    assert examine(last.journal, witness(last), None) == Finding(None)
    last.journal.close()


def test_another_history_under_the_same_seq_is_a_rollback_too(parts: Parts) -> None:
    files = copied(parts)
    first = make_parts(parts.folder)
    first.recorder.record(sale(earned=1))
    first.journal.close()
    seen = (parts.folder / "head.wit").read_bytes()
    put_back(parts, files)
    second = make_parts(parts.folder)
    second.recorder.record(sale(earned=2))
    second.journal.close()
    (parts.folder / "head.wit").write_bytes(seen)
    again = make_parts(parts.folder)
    assert examine(again.journal, witness(again), None).reason == "rollback"
    again.journal.close()


@pytest.mark.parametrize("damage", ["junk", "a flipped page", "cut short"])
def test_an_unreadable_journal_is_set_aside_and_selling_goes_on(parts: Parts, expect_log, damage: str) -> None:
    expect_log("set aside|could be taken over")
    for _ in range(30):
        parts.recorder.record(sale(earned=1))
    parts.journal.close()
    path = parts.folder / "journal.db"
    raw = bytearray(path.read_bytes())
    if damage == "junk":
        raw = bytearray(os.urandom(len(raw)))
    elif damage == "a flipped page":
        raw[5_000] ^= 1
    else:
        raw = raw[:5_000]
    path.write_bytes(raw)
    journal, aside = open_journal(path, KEY, witness(parts), Reserve(parts.folder / "reserve.bin", 4096))
    assert aside is not None
    assert aside.read_bytes() == bytes(raw)
    finding = examine(journal, witness(parts), aside)
    saved = finding.facts["saved"]
    assert finding == Finding(
        "restore", "journal_set_aside", {"file": aside.name, "saved": saved, "seq": 31, "records": 31}, 31
    )
    journal.close()
    again = make_parts(parts.folder)
    if saved:
        again.recorder.open_epoch("restore")
    done = again.recorder.record(sale())
    assert again.journal.head().seq == 2
    assert again.journal.waiting().count == saved + 2
    assert (done.record.receipt_no[-6:] > "000030") == (saved > 0)
    again.journal.close()


def test_what_a_damaged_journal_still_proves_is_taken_over(parts: Parts, expect_log) -> None:
    """One page in the middle is lost: what lies on it is missing, everything else reaches the server."""
    expect_log("set aside|could be taken over|does not hold")
    epoch = parts.journal.head().epoch
    for _ in range(60):
        parts.recorder.record(sale(earned=1))
    sold = {record.id: record for record in parts.journal.records(epoch, 1, 100)}
    parts.journal.close()
    path = parts.folder / "journal.db"
    size = path.stat().st_size
    raw = bytearray(path.read_bytes())
    saved = []
    for page in range(1, size // 4096):
        damaged = bytearray(raw)
        damaged[page * 4096 + 100] ^= 1
        folder = parts.folder / f"page{page}"
        folder.mkdir()
        (folder / "journal.db").write_bytes(damaged)
        other = Witness(folder / "head.wit")
        journal, aside = open_journal(folder / "journal.db", KEY, other, Reserve(folder / "r", 4096))
        if aside is None:
            # The page holds nothing that a start reads; the check behind the counter's back finds it, and from then on
            # nothing is written into the file: the next opening sets it aside.
            assert not journal.check_whole()
            assert not journal.usable()
            journal.abandon()
            journal, aside = open_journal(folder / "journal.db", KEY, other, Reserve(folder / "r", 4096))
            assert aside is not None
            assert journal.usable()
        else:
            found = [record for one in journal.epochs() for record in journal.records(one.epoch, 1, 100)]
            assert all(sold[record.id] == record for record in found)
            saved.append(len(found))
        journal.close()
    assert max(saved) >= 50


def test_a_journal_that_is_gone_names_the_last_head_known(parts: Parts) -> None:
    parts.recorder.record(sale())
    parts.journal.close()
    for file in companions(parts.folder / "journal.db"):
        file.unlink(missing_ok=True)
    journal, aside = open_journal(parts.folder / "journal.db", KEY, witness(parts), Reserve(parts.folder / "r", 4096))
    assert examine(journal, witness(parts), aside) == Finding(
        "restore", "journal_lost", {"file": "", "saved": 0, "seq": 2, "records": 2}, 2
    )
    journal.close()


def test_an_empty_journal_without_a_witness_is_a_lost_one(tmp_path: Path) -> None:
    seen = Witness(tmp_path / "head.wit")
    journal, aside = open_journal(tmp_path / "journal.db", KEY, seen, Reserve(tmp_path / "r", 4096))
    assert examine(journal, seen, aside) == Finding("restore", "journal_lost", {"file": "", "saved": 0})
    journal.close()


def test_no_receipt_number_comes_twice_however_often_journal_and_witness_are_lost(tmp_path: Path) -> None:
    printed: list[str] = []
    for life in range(4):
        parts = make_parts(tmp_path / str(life), reason="restore" if life else "enrol")
        printed += [parts.recorder.record(sale()).record.receipt_no for _ in range(5)]
        parts.journal.close()
    assert len(set(printed)) == 20
    assert printed[:5] == [f"DE71-{number:06d}" for number in range(1, 6)]
    assert all(len(number) == 15 for number in printed[5:])


def test_a_reserve_takes_its_room_and_gives_it_up(tmp_path: Path) -> None:
    reserve = Reserve(tmp_path / "reserve.bin", 1 << 16)
    assert not reserve.is_held()
    assert reserve.hold()
    assert (tmp_path / "reserve.bin").stat().st_blocks * 512 >= 1 << 16
    assert reserve.hold()
    assert reserve.release()
    assert not reserve.release()


def test_a_reserve_that_does_not_fit_leaves_nothing_behind(tmp_path: Path) -> None:
    folder = tmp_path / "gone"
    assert not Reserve(folder / "reserve.bin", 4096).hold()
    free = shutil.disk_usage(tmp_path).free
    reserve = Reserve(tmp_path / "reserve.bin", free * 4)
    assert not reserve.hold()
    assert not (tmp_path / "reserve.bin").exists()


def test_a_disk_too_full_to_open_the_journal_gets_the_reserve(tmp_path: Path, expect_log) -> None:
    expect_log("the disk is full")
    disk = FaultyDisk(name="full_at_opening")
    held = Reserve(tmp_path / "reserve.bin", 4096)
    assert held.hold()
    path, seen = tmp_path / "journal.db", Witness(tmp_path / "head.wit")

    def full_until_released() -> SqliteJournal:
        disk.fail_write = apsw.FullError if held.is_held() else None
        return open_journal(path, KEY, seen, held, vfs=disk.vfs)[0]

    journal = with_room(held, full_until_released)
    assert not held.is_held()
    journal.close()
    disk.fail_write = apsw.FullError
    with pytest.raises(Refused, match="disk_full"):
        with_room(held, lambda: open_journal(tmp_path / "other.db", KEY, seen, held, vfs=disk.vfs))
    disk.layer.unregister()
