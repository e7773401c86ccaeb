from pathlib import Path
from uuid import UUID

import apsw
import pytest

from loyalty_desk.domain.errors import Refused
from loyalty_desk.domain.record import Record, Totals, chain_hash, genesis, head_is_signed
from loyalty_desk.services.ports.journal import OfflineUse, StoredProgram
from loyalty_desk.store.engine import Unreadable
from loyalty_desk.store.journal import SqliteJournal
from tests.loyalty_desk.till_parts import DEVICE, DEVICE_KEY, GUEST, HANDLE, KEY, NETWORK, Parts, make_parts, sale

INCARNATION = UUID(int=7)
OTHER_GUEST = UUID(int=99)


@pytest.fixture
def parts(tmp_path: Path):
    made = make_parts(tmp_path)
    yield made
    made.journal.close()


def reopened(parts: Parts) -> Parts:
    parts.journal.close()
    return make_parts(parts.folder, clock=parts.clock)


def test_records_are_chained_signed_and_survive_reopening(parts: Parts) -> None:
    first = parts.recorder.record(sale(earned=5))
    second = parts.recorder.record(sale(earned=7, redeemed=3))
    again = reopened(parts)
    [opening, one, two] = again.journal.records(first.sealed.epoch, 1, 10)
    assert opening.prev == genesis(NETWORK, DEVICE, opening.epoch)
    assert (one, two) == (first.sealed, second.sealed)
    assert two.prev == one.hash == chain_hash(opening.hash, one.payload)
    assert head_is_signed(DEVICE_KEY.public_key(), NETWORK, DEVICE, two.epoch, 3, two.hash, two.sig)
    assert Record.from_payload(two.payload).totals == Totals(3, 12, 3) == again.journal.head().totals
    assert again.journal.broken_at() is None
    again.journal.close()


def test_receipts_count_on_across_reopening_and_epochs(parts: Parts) -> None:
    assert parts.recorder.record(sale()).record.receipt_no == "DE71-000001"
    again = reopened(parts)
    assert again.recorder.record(sale()).record.receipt_no == "DE71-000002"
    again.recorder.open_epoch("manual")
    assert again.recorder.record(sale()).record.receipt_no.endswith("-000003")
    again.journal.close()


def test_a_new_epoch_hangs_on_its_parent_and_holds_redemption(parts: Parts) -> None:
    parts.recorder.record(sale(earned=4))
    parent = parts.journal.head()
    parts.journal.clear_redemption_hold()
    opening = parts.recorder.open_epoch("rollback")
    assert (opening.seq, opening.prev) == (1, parent.hash)
    record = Record.from_payload(opening.payload)
    assert (record.totals, record.opened_reason) == (Totals(3, 4, 0), "rollback")
    assert [e.epoch for e in parts.journal.epochs()] == [parent.epoch, opening.epoch]
    assert parts.journal.redemption_held()


def test_a_new_epoch_hangs_on_the_head_there_is_when_it_is_opened(parts: Parts, monkeypatch) -> None:
    """A sale committed by another thread while the epoch is being prepared is its parent, not forked off."""
    late: list[bytes] = []
    opened = parts.journal.open_epoch

    def with_a_sale_between(*args, **named):
        late.append(parts.recorder.record(sale(earned=4)).sealed.hash)
        return opened(*args, **named)

    monkeypatch.setattr(parts.journal, "open_epoch", with_a_sale_between)
    opening = parts.recorder.open_epoch("rollback")
    assert [opening.prev] == late
    assert Record.from_payload(opening.payload).totals.earned == 4
    assert parts.journal.broken_at() is None


def test_waiting_sinks_with_acknowledgement_and_rises_with_rewind(parts: Parts) -> None:
    parts.clock.advance(seconds=60)
    for _ in range(3):
        parts.recorder.record(sale())
    epoch = parts.journal.head().epoch
    assert parts.journal.waiting().count == 4
    parts.journal.acknowledge(epoch, 2, INCARNATION, 10)
    assert parts.journal.waiting().count == 2
    assert parts.journal.waiting().oldest == parts.trusted.now_ms()
    parts.journal.acknowledge(epoch, 4, INCARNATION, 12)
    assert (parts.journal.waiting().count, parts.journal.waiting().oldest) == (0, None)
    parts.journal.rewind(epoch, 1)
    assert parts.journal.waiting().count == 3
    again = reopened(parts)
    assert again.journal.waiting().count == 3
    again.journal.close()


def test_an_effect_shows_until_a_cursor_has_seen_it(parts: Parts) -> None:
    parts.recorder.record(sale(earned=10))
    parts.recorder.record(sale(redeemed=4))
    parts.recorder.record(sale(earned=2, guest=None))
    parts.recorder.record(sale(earned=50, guest=OTHER_GUEST))
    epoch = parts.journal.head().epoch

    def shown(cursor: int | None) -> tuple[int, int]:
        overlay = parts.journal.overlay(GUEST, HANDLE, cursor)
        return overlay.earned, overlay.redeemed

    assert shown(None) == shown(1_000) == (12, 4)
    parts.journal.acknowledge(epoch, 2, INCARNATION, 20)
    assert (shown(19), shown(20)) == ((12, 4), (2, 4))
    parts.journal.acknowledge(epoch, 4, INCARNATION, 30)
    assert (shown(20), shown(30)) == ((2, 4), (0, 0))


def test_redemptions_count_until_a_pull_has_seen_every_acknowledged_one(parts: Parts) -> None:
    parts.recorder.record(sale(redeemed=40))
    parts.recorder.record(sale(redeemed=60, guest=OTHER_GUEST))
    epoch = parts.journal.head().epoch
    assert parts.journal.offline_use(GUEST) == OfflineUse(40, 1, 100)
    parts.journal.acknowledge(epoch, 2, INCARNATION, 10)
    parts.journal.acknowledge(epoch, 3, INCARNATION, 20)
    assert parts.journal.offline_use(GUEST) == OfflineUse(40, 1, 100)
    assert not parts.journal.settle(19)
    assert parts.journal.offline_use(GUEST) == OfflineUse(40, 1, 100)
    assert parts.journal.settle(20)
    assert parts.journal.offline_use(GUEST) == OfflineUse(0, 0, 0)


def test_a_new_life_of_the_server_shows_what_it_holds_at_once(parts: Parts) -> None:
    parts.recorder.record(sale(earned=10))
    parts.recorder.record(sale(earned=5))
    epoch = parts.journal.head().epoch
    parts.journal.acknowledge(epoch, 2, INCARNATION, 500)
    parts.journal.rebind(UUID(int=8))
    assert parts.journal.overlay(GUEST, HANDLE, 3).earned == 5


def test_a_program_named_by_a_record_stays_for_its_return(parts: Parts) -> None:
    programs = [StoredProgram(n, bytes([n]) * 32, b"p%d" % n) for n in range(1, 6)]
    parts.journal.remember_program(programs[0])
    fact = sale()
    parts.recorder.record(type(fact)(kind=fact.kind, program=programs[0].hash))
    for program in programs[1:]:
        parts.journal.remember_program(program)
    parts.journal.remember_program(programs[4])
    assert parts.journal.program() == programs[4]
    assert [p.version for p in parts.journal.programs()] == [5, 4, 1]
    parts.journal.acknowledge(parts.journal.head().epoch, 2, INCARNATION, 9)
    parts.journal.remember_program(programs[3])
    assert [p.version for p in parts.journal.programs()] == [4, 5, 1]


def test_notices_are_kept_once_until_dismissed(parts: Parts) -> None:
    parts.journal.notify("quarantined", {"seq": 3}, 1_000)
    parts.journal.notify("quarantined", {"seq": 3}, 2_000)
    parts.journal.notify("quarantined", {"seq": 4}, 2_000)
    [one, two] = parts.journal.notices()
    assert (one.facts, two.facts) == ({"seq": 3}, {"seq": 4})
    parts.journal.dismiss(one.id)
    assert [n.id for n in parts.journal.notices()] == [two.id]


def test_settings_survive(parts: Parts) -> None:
    parts.journal.put("clock", {"offset": -5})
    again = reopened(parts)
    assert again.journal.get("clock") == {"offset": -5}
    assert again.journal.get("absent") is None
    again.journal.close()


@pytest.mark.parametrize("change", ["payload = CAST(payload || ' ' AS BLOB)", "prev = zeroblob(32)", "seq = 90"])
def test_an_edited_record_is_found_at_its_place(parts: Parts, change: str) -> None:
    for _ in range(5):
        parts.recorder.record(sale())
    parts.journal.close()
    connection = apsw.Connection(str(parts.folder / "journal.db"))
    connection.pragma("key", f"raw:{KEY.hex()}")
    connection.execute(f"UPDATE record SET {change} WHERE seq = 4")
    connection.close()
    again = make_parts(parts.folder)
    assert again.journal.broken_at() == (again.journal.head().epoch, 4)
    again.journal.close()


def test_nothing_of_a_record_is_in_the_file_in_plain(parts: Parts) -> None:
    parts.recorder.record(sale())
    for file in parts.folder.glob("journal.db*"):
        assert b"anna" not in file.read_bytes()
        assert b"SQLite format" not in file.read_bytes()


def test_another_key_and_a_file_of_junk_are_unreadable(parts: Parts, tmp_path: Path) -> None:
    parts.journal.close()
    with pytest.raises(Unreadable):
        SqliteJournal(tmp_path / "journal.db", bytes(32))
    (tmp_path / "junk.db").write_bytes(b"junk" * 4096)
    with pytest.raises(Unreadable):
        SqliteJournal(tmp_path / "junk.db", KEY)


def test_a_key_of_another_length_never_becomes_a_passphrase(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        SqliteJournal(tmp_path / "journal.db", bytes(48))
    assert not (tmp_path / "journal.db").exists()


def test_a_newer_file_is_refused_and_left_alone(parts: Parts) -> None:
    parts.journal.close()
    connection = apsw.Connection(str(parts.folder / "journal.db"))
    connection.pragma("key", f"raw:{KEY.hex()}")
    connection.pragma("user_version", 99)
    connection.close()
    with pytest.raises(Refused, match="journal_newer"):
        make_parts(parts.folder)


def test_the_whole_file_is_read_before_it_counts_as_checked(parts: Parts) -> None:
    assert not parts.journal.checked()
    assert parts.journal.check_whole()
    assert parts.journal.checked()
