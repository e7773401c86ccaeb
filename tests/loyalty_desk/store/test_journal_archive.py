"""What the till finds again among its own facts, and what it counts as redeemed without the server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest
from msgspec.structs import replace

from loyalty_desk.domain.guest_code import CodeKind
from loyalty_desk.domain.private_fields import GuestFields, Private
from loyalty_desk.domain.record import Credential, RecordKind
from loyalty_desk.domain.return_contents import Returned
from loyalty_desk.services.ports.journal import PinTries
from loyalty_desk.services.recording import Fact
from loyalty_desk.store.engine import connect
from loyalty_desk.store.migrations.journal import first
from tests.loyalty_desk.till_parts import GUEST, KEY, Parts, make_parts, sale

OTHER = UUID("66666666-6666-4666-8666-666666666666")


@pytest.fixture
def parts(tmp_path: Path) -> Iterator[Parts]:
    made = make_parts(tmp_path)
    yield made
    made.journal.close()


def back(of: UUID, *, earned: int = 0, redeemed: int = 0, kind: RecordKind = RecordKind.VOID) -> Fact:
    return Fact(kind, guest_id=GUEST, earned=earned, redeemed=redeemed, money_total=1, reverses_id=of)


def test_a_sale_is_found_by_id_and_by_the_number_on_its_receipt(parts: Parts) -> None:
    one, two = parts.recorder.record(sale()), parts.recorder.record(sale())
    assert parts.journal.find(one.record.id) == one.sealed
    assert parts.journal.find(OTHER) is None
    assert parts.journal.numbered(2) == [two.sealed]
    assert parts.journal.numbered(3) == []
    assert parts.journal.newest(1) == [two.sealed]


def test_only_records_with_a_receipt_have_a_number(parts: Parts) -> None:
    made = parts.recorder.record(sale())
    parts.recorder.record(back(made.record.id))
    assert parts.journal.numbered(1) == [made.sealed]
    assert parts.journal.newest(5) == [made.sealed]


def test_returns_are_found_by_their_sale_oldest_first(parts: Parts) -> None:
    made, other = parts.recorder.record(sale()), parts.recorder.record(sale())
    found = [parts.recorder.record(back(made.record.id, kind=RecordKind.REFUND)) for _ in range(3)]
    parts.recorder.record(back(other.record.id))
    assert parts.journal.returns_of(made.record.id) == [one.sealed for one in found]


def test_a_guests_own_records_come_newest_first(parts: Parts) -> None:
    made = [parts.recorder.record(sale()) for _ in range(4)]
    parts.recorder.record(sale(guest=OTHER))
    assert parts.journal.of_guest(GUEST, 3) == [one.sealed for one in reversed(made[1:])]


def test_points_taken_back_are_no_redemption_and_what_the_server_holds_is_none_while_it_does(parts: Parts) -> None:
    made = parts.recorder.record(sale(earned=50, redeemed=30))
    parts.recorder.record(back(made.record.id, earned=30, redeemed=50))
    assert parts.journal.offline_use(GUEST).guest_points == 30
    parts.recorder.record(replace(sale(redeemed=200), hold_until=1_000))
    at_first, later = parts.journal.offline_use(GUEST, 1_000), parts.journal.offline_use(GUEST, 1_001)
    assert (at_first.guest_points, at_first.guest_count, at_first.device_points) == (30, 1, 30)
    assert (later.guest_points, later.guest_count, later.device_points) == (230, 2, 230)
    assert parts.journal.offline_use(GUEST) == later
    overlay = parts.journal.overlay(GUEST, None, None)
    assert (overlay.earned, overlay.redeemed) == (80, 280)


def test_an_exchange_moves_both_halves_and_redeems_by_one(parts: Parts) -> None:
    made = parts.recorder.record(sale(earned=50, redeemed=30))
    half = Returned("lines", 100, earned_reversed=20, spent_returned=10, is_whole=False)
    exchange = Fact(
        RecordKind.EXCHANGE, guest_id=GUEST, earned=5, redeemed=7, reverses_id=made.record.id, returned=half
    )
    record = parts.recorder.record(exchange).record
    assert (record.points_earned, record.points_redeemed) == (5, 7)
    overlay = parts.journal.overlay(GUEST, None, None)
    assert (overlay.earned, overlay.redeemed) == (50 + 5 + 10, 30 + 7 + 20)
    assert parts.journal.offline_use(GUEST).guest_points == 37


def test_a_registration_is_found_by_card_and_by_guest_with_its_fields_beside_it(parts: Parts) -> None:
    private = Private(bytes(16), GuestFields(name="Борис")).to_bytes()
    card = Credential(CodeKind.LD1, 0x8000000000000001)
    made = parts.recorder.record(Fact(RecordKind.REGISTER, guest_id=OTHER, credential=card, private=private))
    assert parts.journal.registered(handle=card.handle) == made.sealed
    assert parts.journal.registered(guest=OTHER) == made.sealed
    assert parts.journal.registered(handle=1) is None
    assert parts.journal.registered() is None
    assert parts.journal.private(made.record.id) == private
    assert "Борис".encode() not in made.sealed.payload


def test_tier_discounts_of_weak_codes_are_counted_by_guest_and_day(parts: Parts) -> None:
    for amount in (100, 250, 0):
        made = parts.recorder.record(replace(sale(), tier_discount=amount))
    assert parts.journal.tier_discounts(GUEST, made.record.business_day) == (2, 350)
    assert parts.journal.tier_discounts(GUEST, "2020-01-01") == (0, 0)
    assert parts.journal.tier_discounts(OTHER, made.record.business_day) == (0, 0)


def test_pin_tries_outlive_the_process(parts: Parts) -> None:
    assert parts.journal.pin_tries("anna") == PinTries()
    parts.journal.note_pin("anna", PinTries(3, 5_000, 1_000))
    parts.journal.note_pin("anna", PinTries(4, 6_000, 1_000))
    parts.journal.close()
    again = make_parts(parts.folder, clock=parts.clock)
    assert again.journal.pin_tries("anna") == PinTries(4, 6_000, 1_000)
    again.journal.close()


def test_a_journal_of_the_first_layout_is_moved_forward(parts: Parts) -> None:
    made = parts.recorder.record(sale(earned=9, redeemed=30))
    parts.journal.close()
    path = parts.folder / "journal.db"
    old = connect(path, KEY, durable=True, cache_kib=100)
    kept = {name: old.execute(f"SELECT * FROM {name}").fetchall() for name in ("epoch", "record", "meta")}
    effects = old.execute(
        "SELECT epoch, seq, at, guest, handle, earned, redeemed, day, uses, program, receipt, cum_count, cum_earned,"
        " cum_redeemed, feed_seq, settled FROM effect"
    ).fetchall()
    old.close()
    for file in parts.folder.glob("journal.db*"):
        file.unlink()
    new = connect(path, KEY, durable=True, cache_kib=100)
    first(new)
    for name, found in {**kept, "effect": effects}.items():
        for values in found:
            new.execute(f"INSERT INTO {name} VALUES ({', '.join('?' * len(values))})", values)
    new.pragma("user_version", 1)
    new.close()
    again = make_parts(parts.folder, clock=parts.clock)
    assert again.journal.offline_use(GUEST).guest_points == 30
    assert again.journal.numbered(1) == [made.sealed]
    assert again.journal.newest(9) == [made.sealed]
    assert again.recorder.record(sale()).record.receipt_no == "DE71-000002"
    again.journal.close()
