"""PINs, shifts and their reports: what a cashier may do, and what a shift came to, whatever happened meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from loyalty_desk.domain.canonical import Json
from loyalty_desk.domain.contents import ShiftCloseContents, ShiftOpenContents, contents_of
from loyalty_desk.domain.errors import Refused
from loyalty_desk.domain.record import Record, RecordKind
from loyalty_desk.services.pins import Pins
from loyalty_desk.services.recording import Fact
from loyalty_desk.services.shifts import Shifts
from tests.loyalty_desk.till_parts import CARD, GUEST, IDENTITY, STORE, Counter, make_counter, stocked

type FeedRow = tuple[str, str, dict[str, Json] | None]
MANAGER: FeedRow = ("staff", "boss", {"name": "Boris B", "role": "manager", "stores": [], "pin": "hash:135790"})
CASHIER: FeedRow = (
    "staff",
    "anna.k",
    {"name": "Anna K", "role": "cashier", "stores": [str(STORE)], "pin": "hash:4711"},
)
ELSEWHERE: FeedRow = (
    "staff",
    "far",
    {"name": "Far", "role": "cashier", "stores": [IDENTITY.network.hex], "pin": "hash:1111"},
)
NO_PIN: FeedRow = ("staff", "new", {"name": "New", "role": "cashier", "stores": []})


def is_pin(hashed: str, pin: str) -> bool:
    return hashed == f"hash:{pin}"


def pins_of(counter: Counter) -> Pins:
    journal, trusted = counter.parts.journal, counter.parts.trusted
    return Pins(IDENTITY, journal, journal, counter.cache, trusted, is_pin)


def shifts_of(counter: Counter) -> Shifts:
    return Shifts(counter.parts.journal, counter.parts.recorder, counter.parts.trusted, pins_of(counter))


@pytest.fixture
def counter(tmp_path: Path) -> Iterator[Counter]:
    made = stocked(tmp_path)
    made.feed(MANAGER, CASHIER, ELSEWHERE, NO_PIN)
    yield made
    made.parts.journal.close()
    made.cache.close()


def records(counter: Counter) -> list[Record]:
    journal = counter.parts.journal
    return [
        Record.from_payload(one.payload) for epoch in journal.epochs() for one in journal.records(epoch.epoch, 1, 1_000)
    ]


def refused(counter: Counter, who: str, pin: str, *, manager: bool = False) -> Refused:
    pins = pins_of(counter)
    with pytest.raises(Refused) as found:
        (pins.manager if manager else pins.cashier)(who, pin)
    return found.value


def test_staff_of_this_store_log_in_by_id_or_name(counter: Counter) -> None:
    pins = pins_of(counter)
    assert [one.id for one in pins.members()] == ["anna.k", "boss", "new"]
    assert pins.cashier("anna.k", "4711").name == "Anna K"
    assert pins.cashier(" ANNA K ", "4711").id == "anna.k"
    assert pins.manager("boss", "135790").is_manager
    assert refused(counter, "far", "1111").code == "staff_unknown"
    assert refused(counter, "new", "0000").code == "pin_missing"
    assert refused(counter, "anna.k", "4711", manager=True).code == "not_a_manager"


def test_two_of_one_name_must_say_their_id(counter: Counter) -> None:
    counter.feed(("staff", "other", {"name": "anna k", "role": "cashier", "pin": "hash:2222"}))
    assert refused(counter, "Anna K", "4711").code == "staff_ambiguous"
    assert pins_of(counter).cashier("other", "2222").id == "other"


def test_after_five_wrong_pins_there_is_a_pause_that_grows_and_outlives_a_restart(counter: Counter) -> None:
    clock = counter.parts.clock
    assert [refused(counter, "anna.k", "0").facts["tries"] for _ in range(4)] == [4, 3, 2, 1]
    assert refused(counter, "anna.k", "0").code == "pin_pause"
    assert refused(counter, "anna.k", "4711").code == "pin_pause"
    [notice] = counter.parts.journal.notices()
    assert (notice.code, notice.facts) == ("pin_tried", {"name": "Anna K", "count": 5})
    folder = counter.parts.folder
    counter.parts.journal.close()
    counter.cache.close()
    again = make_counter(folder, clock=clock)
    assert refused(again, "anna.k", "4711").code == "pin_pause"
    clock.advance(seconds=601)
    until = refused(again, "anna.k", "0").facts["until"]
    assert (until - clock.now()).total_seconds() == 1_200
    clock.advance(seconds=1_201)
    assert pins_of(again).cashier("anna.k", "4711").id == "anna.k"
    assert refused(again, "anna.k", "0").facts["tries"] == 4
    again.parts.journal.close()
    again.cache.close()


def test_wrong_pins_are_forgotten_after_ten_minutes_and_by_a_right_one(counter: Counter) -> None:
    for _ in range(4):
        refused(counter, "anna.k", "0")
    counter.parts.clock.advance(seconds=601)
    assert refused(counter, "anna.k", "0").facts["tries"] == 4
    pins_of(counter).cashier("anna.k", "4711")
    assert refused(counter, "anna.k", "0").facts["tries"] == 4


def test_one_persons_wrong_pins_do_not_lock_another(counter: Counter) -> None:
    for _ in range(5):
        refused(counter, "anna.k", "0")
    assert pins_of(counter).manager("boss", "135790").id == "boss"


def test_a_clock_put_back_neither_ends_a_pause_nor_makes_it_endless(counter: Counter) -> None:
    for _ in range(5):
        refused(counter, "anna.k", "0")
    counter.parts.clock.clock.at = counter.parts.clock.now().replace(year=2001)
    found = refused(counter, "anna.k", "4711")
    assert found.code == "pin_pause"
    assert (found.facts["until"] - counter.parts.clock.now()).total_seconds() <= 2 * 60 * 60


def test_a_try_is_counted_before_it_is_looked_at(counter: Counter) -> None:
    class Pulled(Exception):
        pass

    def pull_the_plug(hashed: str, pin: str) -> bool:
        raise Pulled

    journal = counter.parts.journal
    pins = Pins(IDENTITY, journal, journal, counter.cache, counter.parts.trusted, pull_the_plug)
    for _ in range(5):
        with pytest.raises(Pulled):
            pins.cashier("anna.k", "0")
    assert refused(counter, "anna.k", "4711").code == "pin_pause"


def test_a_shift_is_opened_counted_and_closed(counter: Counter) -> None:
    shifts = shifts_of(counter)
    shift = shifts.open("anna.k", "4711")
    assert shifts.current() == shift
    opening = records(counter)[-1]
    assert (opening.kind, opening.cashier, opening.seq) == (RecordKind.SHIFT_OPEN, "anna.k", shift.seq)
    assert contents_of(opening) == ShiftOpenContents(shift.id, 1)
    counter.sell(CARD, 200)
    counter.sell(None, 100)
    assert shifts.hand_over("boss", "135790").id == "boss"
    sold = counter.sell(CARD, 100, 20)
    x = shifts.report()
    assert (x.is_final, x.totals.whole.sales, x.totals.by_cashier["boss"].sales) == (False, 3, 1)
    assert x.names == {"anna.k": "Anna K", "boss": "Boris B"}
    z = shifts.close()
    assert z.totals == x.totals
    assert z.totals.whole.money == sum(one.money_total or 0 for one in records(counter))
    assert z.totals.whole.points_redeemed == sold.quote.redeemed_points == 20
    assert z.totals.last_receipt == sold.receipt_no
    closing = records(counter)[-1]
    assert contents_of(closing) == ShiftCloseContents(shift.id, 1, z.totals)
    assert (closing.cashier, shifts.current()) == ("boss", None)
    assert shifts.open("anna.k", "4711").number == 2


def test_what_needs_a_shift_or_none_is_refused(counter: Counter) -> None:
    shifts = shifts_of(counter)
    for call in (shifts.report, shifts.close, lambda: shifts.hand_over("anna.k", "4711")):
        with pytest.raises(Refused, match="shift_is_closed"):
            call()
    shifts.open("anna.k", "4711")
    with pytest.raises(Refused, match="shift_is_open"):
        shifts.open("boss", "135790")


def test_a_wrong_pin_opens_nothing(counter: Counter) -> None:
    before = records(counter)
    with pytest.raises(Refused, match="pin_wrong"):
        shifts_of(counter).open("anna.k", "0")
    assert records(counter) == before


def test_a_shift_outlives_a_restart_midnight_and_a_new_epoch(tmp_path: Path) -> None:
    counter = stocked(tmp_path)
    counter.feed(MANAGER, CASHIER)
    shift = shifts_of(counter).open("anna.k", "4711")
    counter.sell(None, 100)
    counter.parts.clock.advance(days=1)
    late = counter.sell(None, 100)
    assert counter.parts.journal.find(late.record_id) is not None
    assert records(counter)[-1].business_day == shift.day
    counter.parts.journal.close()
    counter.cache.close()
    again = make_counter(tmp_path, clock=counter.parts.clock)
    again.parts.recorder.open_epoch("rollback")
    again.sell(None, 100)
    z = shifts_of(again).close()
    assert (z.shift, z.totals.whole.sales) == (shift, 3)
    assert records(again)[-1].business_day == shift.day
    assert again.sell(None, 1).record_id
    assert records(again)[-1].business_day != shift.day
    again.parts.journal.close()
    again.cache.close()


def test_every_record_of_a_shift_is_counted_once_in_a_long_one(counter: Counter) -> None:
    shifts = shifts_of(counter)
    shifts.open("anna.k", "4711")
    fact = Fact(RecordKind.ADJUST, guest_id=GUEST, earned=1, cashier="anna.k")
    for _ in range(1_003):
        counter.parts.recorder.record(fact)
    assert shifts.report().totals.whole.credited == 1_003


def test_the_last_z_report_can_be_read_again(counter: Counter) -> None:
    shifts = shifts_of(counter)
    assert shifts.last() is None
    shifts.open("anna.k", "4711")
    counter.sell(CARD, 200)
    z = shifts.close()
    again = shifts_of(counter).last()
    assert again is not None
    assert (again.shift, again.totals, again.is_final) == (z.shift, z.totals, True)
    shifts.open("anna.k", "4711")
    counter.sell(None, 100)
    still = shifts.last()
    assert still is not None
    assert (still.shift, still.at, still.totals) == (again.shift, again.at, again.totals), "whatever is open now"
    assert shifts.close().totals.whole.money == 10_000
    newest = shifts.last()
    assert newest is not None
    assert newest.shift.number == 2


def test_who_has_left_stays_named_in_the_reports_of_the_shift(counter: Counter) -> None:
    shifts = shifts_of(counter)
    shifts.open("anna.k", "4711")
    counter.sell(CARD, 200)
    shifts.hand_over("boss", "135790")
    counter.sell(CARD, 300)
    counter.feed(("staff", "anna.k", None), ("staff", "boss", None))
    assert refused(counter, "anna.k", "4711").code == "staff_unknown"
    named = {"anna.k": "Anna K", "boss": "Boris B"}
    assert shifts.report().names == named
    assert shifts.close().names == named
    last = shifts_of(counter).last()
    assert last is not None
    assert last.names == named
    counter.feed(MANAGER)
    shifts.open("boss", "135790")
    still = shifts.last()
    assert still is not None
    assert still.names == named, "whoever has the next shift"
