"""A sale that was refused while its disk failed, asked for again by the process after: told once, or put away."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import UUID

import apsw
import pytest

from loyalty_desk.domain.errors import Refused
from loyalty_desk.store import limbo
from loyalty_desk.store.boot import open_journal
from loyalty_desk.store.reserve import Reserve
from loyalty_desk.store.witness import Witness
from tests.loyalty_desk.store.faulty_disk import FaultyDisk
from tests.loyalty_desk.till_parts import KEY, Parts, make_parts, sale

_NAMES = itertools.count()
ID = UUID("01890000-0000-7000-8000-000000000001")


@pytest.fixture
def disk() -> Iterator[FaultyDisk]:
    made = FaultyDisk(name=f"limbo{next(_NAMES)}")
    yield made
    made.layer.unregister()


@pytest.fixture
def refused(tmp_path: Path, disk: FaultyDisk, expect_log: Callable[[str], None]) -> Parts:
    """A till whose process ended right after a refusal; the sale's pages had reached the disk."""
    expect_log("could not be written|cannot be reopened|recorded after all")
    parts = make_parts(tmp_path, vfs=disk.vfs)
    parts.recorder.record(sale(earned=1))
    disk.fail_sync = apsw.IOError
    with pytest.raises(Refused, match="journal_unavailable"):
        parts.recorder.record(sale(earned=5))
    disk.fail_write = apsw.IOError
    with pytest.raises(apsw.IOError):
        parts.journal.close()
    disk.fail_write = disk.fail_sync = None
    return parts


def codes(parts: Parts) -> list[str]:
    return [one.code for one in parts.journal.notices()]


def test_the_next_start_tells_of_the_sale_that_the_disk_has_kept(refused: Parts) -> None:
    again = make_parts(refused.folder)
    [told] = again.journal.notices()
    assert (told.code, told.facts) == ("sale_recorded_after_all", {"receipt": "DE71-000002"})
    assert again.recorder.record(sale()).record.receipt_no == "DE71-000003"
    again.journal.dismiss(told.id)
    again.journal.close()
    third = make_parts(refused.folder)
    assert codes(third) == [], "once read it is not told again"
    third.journal.close()


def test_the_next_start_puts_the_question_away_where_the_disk_has_lost_the_sale(
    tmp_path: Path, disk: FaultyDisk, expect_log: Callable[[str], None]
) -> None:
    expect_log("could not be written|cannot be reopened")
    parts = make_parts(tmp_path, vfs=disk.vfs)
    disk.fail_write = disk.fail_open = apsw.IOError
    with pytest.raises(Refused, match="journal_unavailable"):
        parts.recorder.record(sale())
    assert limbo.remembered(tmp_path / "journal.db") is not None
    parts.journal.abandon()
    disk.fail_write = disk.fail_open = None
    again = make_parts(tmp_path)
    assert codes(again) == []
    assert limbo.remembered(tmp_path / "journal.db") is None
    assert again.recorder.record(sale()).record.receipt_no == "DE71-000001"
    again.journal.close()


def test_a_journal_that_is_damaged_as_well_is_asked_when_its_records_are_taken_over(
    refused: Parts, expect_log: Callable[[str], None]
) -> None:
    expect_log("cannot be read and is set aside|could be taken over")
    first = make_parts(refused.folder)
    for receipt in ("a", "b"):
        first.journal.notify("till_forked", {"which": receipt}, 1)
    [told] = [one for one in first.journal.notices() if one.code == "sale_recorded_after_all"]
    first.journal.dismiss(told.id)
    [kept] = first.journal.records(first.journal.head().epoch, 3, 1)
    first.journal.close()
    limbo.remember(refused.folder / "journal.db", kept.id)
    (refused.folder / "journal.db.damaged").touch()
    journal, aside = open_journal(
        refused.folder / "journal.db",
        KEY,
        Witness(refused.folder / "head.wit"),
        Reserve(refused.folder / "reserve.bin", 1 << 20),
    )
    assert aside is not None
    assert sorted(one.code for one in journal.notices()) == ["sale_recorded_after_all", "till_forked", "till_forked"]
    journal.close()


def test_an_id_is_kept_and_put_away(tmp_path: Path) -> None:
    journal = tmp_path / "journal.db"
    assert limbo.remembered(journal) is None
    limbo.forget(journal)
    limbo.remember(journal, ID)
    assert limbo.remembered(journal) == ID
    assert (tmp_path / "journal.db.limbo").stat().st_mode & 0o077 == 0
    limbo.forget(journal)
    assert limbo.remembered(journal) is None


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"01890000", b"not an id at all, and long" * 100])
def test_a_file_that_says_nothing_is_no_question(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "journal.db.limbo").write_bytes(content)
    assert limbo.remembered(tmp_path / "journal.db") is None
    parts = make_parts(tmp_path)
    assert codes(parts) == []
    parts.journal.close()


def test_a_disk_that_takes_no_note_refuses_the_sale_all_the_same(
    tmp_path: Path, expect_log: Callable[[str], None]
) -> None:
    expect_log("could not be noted")
    limbo.remember(tmp_path / "gone" / "journal.db", ID)
    assert limbo.remembered(tmp_path / "gone" / "journal.db") is None
