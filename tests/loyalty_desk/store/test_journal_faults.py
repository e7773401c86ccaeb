"""The journal on a disk that fails: what was said to be recorded is there, what was not said is not."""

import itertools
import random
import signal
import subprocess
import sys
from pathlib import Path
from uuid import UUID

import apsw
import pytest

from loyalty_desk.domain.errors import Refused
from loyalty_desk.services.ports.journal import PinTries, StoredProgram
from loyalty_desk.services.sentences import sentence_of
from loyalty_desk.services.wording import Words
from tests.loyalty_desk.store.faulty_disk import FaultyDisk
from tests.loyalty_desk.till_parts import GUEST, HANDLE, Parts, make_parts, sale

_NAMES = itertools.count()


@pytest.fixture
def disk():
    made = FaultyDisk(name=f"faulty{next(_NAMES)}")
    yield made
    made.layer.unregister()


@pytest.fixture
def parts(tmp_path: Path, disk: FaultyDisk):
    made = make_parts(tmp_path, vfs=disk.vfs)
    yield made
    disk.fail_write = disk.fail_sync = disk.fail_open = None
    made.journal.close()


def ids_on_disk(parts: Parts) -> list[bytes]:
    """Read the file as the next start would."""
    again = make_parts(parts.folder)
    found = [r.id.bytes for e in again.journal.epochs() for r in again.journal.records(e.epoch, 1, 1_000)]
    assert again.journal.broken_at() is None
    assert again.journal.check_whole()
    again.journal.close()
    return found


def test_a_full_disk_gives_up_the_reserve_for_the_sale_under_way(parts: Parts, disk: FaultyDisk, expect_log) -> None:
    expect_log("the disk is full")
    reserve = parts.folder / "reserve.bin"
    from loyalty_desk.store.reserve import Reserve

    assert Reserve(reserve, 1 << 20).hold()
    disk.fail_write, disk.once = apsw.FullError, True
    done = parts.recorder.record(sale(earned=5))
    assert not reserve.exists()
    assert not parts.journal.usable()
    # Room has come back: the reserve is taken again before the next sale is promised anything.
    parts.recorder.record(sale())
    assert reserve.exists()
    assert parts.journal.usable()
    parts.journal.close()
    assert done.sealed.id.bytes in ids_on_disk(parts)
    assert len(ids_on_disk(parts)) == 3


def test_a_disk_that_stays_full_refuses_and_recovers(parts: Parts, disk: FaultyDisk, expect_log) -> None:
    expect_log("the disk is full")
    disk.fail_write = apsw.FullError
    for _ in range(2):
        with pytest.raises(Refused, match="disk_full"):
            parts.recorder.record(sale())
    assert parts.journal.head().seq == 1
    disk.fail_write = None
    assert parts.recorder.record(sale()).sealed.seq == 2
    parts.journal.close()
    assert len(ids_on_disk(parts)) == 2


@pytest.mark.parametrize("after", range(6))
def test_a_failing_write_anywhere_in_a_commit_records_all_or_nothing(
    parts: Parts, disk: FaultyDisk, after: int, expect_log
) -> None:
    expect_log("could not be written|cannot be reopened")
    first = parts.recorder.record(sale())
    disk.fail_write, disk.after, disk.once = apsw.IOError, after, True
    said: list[bytes] = [first.sealed.id.bytes]
    try:
        said.append(parts.recorder.record(sale()).sealed.id.bytes)
    except Refused as refused:
        assert refused.code == "journal_unavailable"
    disk.fail_write = None
    said.append(parts.recorder.record(sale()).sealed.id.bytes)
    parts.journal.close()
    assert ids_on_disk(parts)[1:] == said


def test_a_failing_sync_is_not_forgotten(parts: Parts, disk: FaultyDisk, expect_log) -> None:
    """After a failed fsync the file decides: recorded and said so, or not recorded and said so, never between."""
    expect_log("could not be written|cannot be reopened")
    disk.fail_sync, disk.once = apsw.IOError, True
    said = []
    try:
        said.append(parts.recorder.record(sale()).sealed.id.bytes)
    except Refused as refused:
        assert refused.code == "journal_unavailable"
    said.append(parts.recorder.record(sale()).sealed.id.bytes)
    parts.journal.close()
    assert ids_on_disk(parts)[1:] == said


def test_a_disk_that_is_gone_refuses_until_it_is_back(parts: Parts, disk: FaultyDisk, expect_log) -> None:
    expect_log("could not be written|cannot be reopened|not be checked")
    disk.fail_write = disk.fail_sync = apsw.IOError
    for _ in range(2):
        with pytest.raises(Refused, match="journal_unavailable"):
            parts.recorder.record(sale())
        assert not parts.journal.usable()
    disk.fail_write = disk.fail_sync = None
    parts.recorder.record(sale())
    assert parts.journal.usable()
    parts.journal.close()
    assert len(ids_on_disk(parts)) == 2


SELLER = """
import sys
from pathlib import Path
from tests.loyalty_desk.till_parts import make_parts, sale
parts = make_parts(Path(sys.argv[1]))
while True:
    done = parts.recorder.record(sale(earned=1))
    sys.stdout.write(done.sealed.id.hex + "\\n")
    sys.stdout.flush()
"""


@pytest.mark.parametrize("turn", range(6))
def test_a_kill_at_any_moment_keeps_every_sale_that_was_said(tmp_path: Path, turn: int) -> None:
    """Real processes, SIGKILL: each id printed after its commit is there once, at most one more behind them."""
    chance = random.Random(turn)
    said: list[str] = []
    for _ in range(3):
        process = subprocess.Popen(
            [sys.executable, "-c", SELLER, str(tmp_path)], stdout=subprocess.PIPE, text=True, cwd=Path.cwd()
        )
        said += [process.stdout.readline().strip() for _ in range(chance.randrange(1, 60))]
        process.send_signal(signal.SIGKILL)
        rest, _ = process.communicate()
        said += [line for line in rest.split("\n")[:-1] if len(line) == 32]
    again = make_parts(tmp_path)
    epoch = again.journal.head().epoch
    found = [record.id.hex for record in again.journal.records(epoch, 2, 10_000)]
    assert [one for one in found if one in set(said)] == said
    assert len(found) - len(said) <= 3
    assert again.journal.broken_at() is None
    assert again.journal.head().totals.earned == len(found)
    again.journal.close()


def test_the_journal_is_synced_before_it_says_so(tmp_path: Path) -> None:
    """With `synchronous` turned down this fails: each commit must have reached a sync before `append` returns."""
    order: list[str] = []
    disk = FaultyDisk(name=f"watched{next(_NAMES)}")
    real = disk.meet
    disk.meet = lambda what: (order.append(what), real(what))[1]
    parts = make_parts(tmp_path, vfs=disk.vfs)
    for _ in range(5):
        order.clear()
        parts.recorder.record(sale())
        assert order[-1] == "fail_sync"
        assert "fail_write" in order
    parts.journal.close()
    disk.layer.unregister()


def test_a_refused_sale_that_the_disk_kept_is_told_when_the_disk_is_back(
    parts: Parts, disk: FaultyDisk, expect_log
) -> None:
    """The sync fails and goes on failing: refused, and on the disk all the same. The cashier must come to know."""
    expect_log("could not be written|cannot be reopened|recorded after all")
    disk.fail_sync = apsw.IOError
    for _ in range(2):
        with pytest.raises(Refused, match="journal_unavailable"):
            parts.recorder.record(sale(earned=5))
        assert not parts.journal.usable()
    disk.fail_sync = None
    again = parts.recorder.record(sale(earned=7))
    assert again.record.receipt_no == "DE71-000002"
    [told] = parts.journal.notices()
    assert (told.code, told.facts) == ("sale_recorded_after_all", {"receipt": "DE71-000001"})
    assert "DE71-000001" in sentence_of(told.code, told.facts, Words("en"))
    assert parts.journal.waiting().count == 3
    assert len(ids_on_disk(parts)) == 3


def test_a_refused_sale_that_the_disk_lost_is_not_told_as_sold(parts: Parts, disk: FaultyDisk, expect_log) -> None:
    expect_log("could not be written|cannot be reopened")
    disk.fail_write = disk.fail_open = apsw.IOError
    with pytest.raises(Refused, match="journal_unavailable"):
        parts.recorder.record(sale())
    disk.fail_write = disk.fail_open = None
    assert parts.recorder.record(sale()).record.receipt_no == "DE71-000001"
    assert parts.journal.notices() == []


def test_a_commit_found_after_its_sync_failed_waits_once(parts: Parts, disk: FaultyDisk, expect_log) -> None:
    expect_log("could not be written")
    disk.fail_sync, disk.heal_on_open = apsw.IOError, True
    done = parts.recorder.record(sale())
    assert parts.journal.waiting().count == 2
    assert parts.journal.head().hash == done.sealed.hash
    assert parts.journal.notices() == []
    assert parts.recorder.record(sale()).sealed.seq == 3
    assert parts.journal.waiting().count == 3


def test_everything_goes_on_once_a_disk_that_was_away_is_back(parts: Parts, disk: FaultyDisk, expect_log) -> None:
    """Reads and small writes reopen the file as a sale does; while it is away they say so in one way."""
    expect_log("could not be written|cannot be reopened|could not be kept")
    journal, epoch = parts.journal, parts.journal.head().epoch
    uses = [
        lambda: journal.overlay(GUEST, HANDLE, None),
        lambda: journal.offline_use(GUEST),
        lambda: journal.records(epoch, 1, 10),
        lambda: journal.members(epoch),
        lambda: journal.holds(epoch, 1),
        lambda: journal.private(UUID(int=1)),
        journal.programs,
        lambda: journal.put("clock", 1),
        lambda: journal.dismiss(1),
        lambda: journal.settle(1),
        lambda: journal.rebind(UUID(int=7)),
        lambda: journal.rewind(epoch, 0),
        lambda: journal.acknowledge(epoch, 1, UUID(int=7), 1),
        lambda: journal.remember_program(StoredProgram(1, bytes(32), b"p")),
        journal.broken_at,
    ]
    for use in uses:
        disk.fail_write = disk.fail_open = apsw.IOError
        with pytest.raises(Refused, match="journal_unavailable"):
            parts.recorder.record(sale())
        with pytest.raises(Refused, match="journal_unavailable"):
            use()
        journal.notify("till_forked", {}, 1)
        disk.fail_write = disk.fail_open = None
        use()
        assert journal.usable()
    journal.notify("till_forked", {}, 1)
    assert [one.code for one in journal.notices()] == ["till_forked"]


def test_a_setting_that_the_disk_refused_is_not_remembered(parts: Parts, disk: FaultyDisk) -> None:
    disk.fail_write = apsw.FullError
    with pytest.raises(Refused, match="disk_full"):
        parts.journal.put("clock", {"offset": 5})
    assert parts.journal.get("clock") is None
    disk.fail_write = None
    parts.journal.put_changed("clock", {"offset": 5})
    parts.journal.close()
    again = make_parts(parts.folder)
    assert again.journal.get("clock") == {"offset": 5}
    again.journal.close()


def test_an_epoch_that_the_disk_refused_holds_no_redemption(parts: Parts, disk: FaultyDisk, expect_log) -> None:
    expect_log("the disk is full")
    parts.journal.clear_redemption_hold()
    disk.fail_write = apsw.FullError
    with pytest.raises(Refused, match="disk_full"):
        parts.recorder.open_epoch("fork")
    assert not parts.journal.redemption_held()


def test_a_journal_that_nobody_sells_into_asks_the_disk_again(parts: Parts, disk: FaultyDisk, expect_log) -> None:
    """The window tries no sale while the journal says that it takes none: somebody else has to ask."""
    expect_log("the disk is full")
    disk.fail_write = apsw.FullError
    with pytest.raises(Refused, match="disk_full"):
        parts.recorder.record(sale())
    assert (parts.journal.usable(), parts.journal.is_full()) == (False, True)
    reserve = parts.journal._reserve
    parts.journal._reserve = None
    assert not parts.journal.regain()
    parts.journal._reserve = reserve
    disk.fail_write = None
    assert parts.journal.regain()
    assert (parts.journal.usable(), parts.journal.is_full()) == (True, False)
    assert parts.recorder.record(sale()).sealed.seq == 2


@pytest.mark.parametrize(("fault", "code"), [(apsw.FullError, "disk_full"), (apsw.IOError, "journal_unavailable")])
def test_what_is_kept_beside_the_facts_is_refused_in_words_too(
    parts: Parts, disk: FaultyDisk, fault: type[apsw.Error], code: str
) -> None:
    disk.fail_write = fault
    with pytest.raises(Refused, match=code):
        parts.journal.note_pin("anna.k", PinTries(1))
    with pytest.raises(Refused, match=code):
        parts.journal.put("cashier_now", ["anna.k", "Anna"])
    disk.fail_write = None
    parts.journal.note_pin("anna.k", PinTries(2))
    assert parts.journal.pin_tries("anna.k").failed == 2
