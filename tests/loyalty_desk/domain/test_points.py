"""Lots of points: earliest expiry first, debts, holds, reversals and returns."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loyalty_desk.domain.errors import BadInput, Refused
from loyalty_desk.domain.points import PointsLedger

JAN = datetime(2026, 1, 1, tzinfo=UTC)


def day(n: int) -> datetime:
    return JAN + timedelta(days=n)


def remaining(ledger: PointsLedger) -> dict[str, int]:
    return {lot.id: lot.remaining for lot in ledger.lots.values()}


def test_points_are_spent_earliest_expiry_first_and_never_expiring_ones_last():
    ledger = PointsLedger()
    ledger.credit("never", 100, day(0))
    ledger.credit("late", 100, day(1), expires_at=day(300))
    ledger.credit("soon", 100, day(2), expires_at=day(100))
    ledger.debit("sale", 250, day(3))
    assert remaining(ledger) == {"never": 50, "late": 0, "soon": 0}
    assert ledger.entries["sale"].lots == (("soon", 100), ("late", 100), ("never", 50))


def test_a_debt_is_eaten_by_the_next_credit():
    ledger = PointsLedger()
    ledger.credit("a", 50, day(0))
    ledger.debit("first till", 50, day(1))
    ledger.debit("second till", 30, day(1))
    assert (ledger.balance, ledger.debt, ledger.available(day(1))) == (-30, 30, -30)
    ledger.credit("b", 100, day(2))
    assert (ledger.balance, ledger.debt, remaining(ledger)) == (70, 0, {"a": 0, "b": 70})


def test_the_expiry_instant_is_already_too_late_whether_or_not_the_job_has_run():
    ledger = PointsLedger()
    ledger.credit("a", 150, day(0), expires_at=day(10))
    assert ledger.available(day(10) - timedelta(milliseconds=1)) == 150
    assert ledger.available(day(10)) == 0
    assert ledger.redeem("late", 10, day(10)).points == 0
    assert [entry.points for entry in ledger.expire(day(10))] == [-150]
    assert ledger.balance == 0
    assert ledger.expire(day(11)) == []


def test_the_job_waits_its_grace_and_a_sale_dated_earlier_keeps_its_points():
    ledger = PointsLedger()
    ledger.credit("a", 100, day(0), expires_at=day(10))
    assert ledger.expire(day(16), grace=timedelta(days=7)) == []
    ledger.debit("offline sale", 40, day(9))
    assert [entry.points for entry in ledger.expire(day(17), grace=timedelta(days=7))] == [-60]
    assert (ledger.balance, ledger.debt) == (0, 0)


def test_only_what_nobody_holds_expires_and_a_released_hold_expires_at_once():
    ledger = PointsLedger()
    ledger.credit("a", 100, day(0), expires_at=day(10))
    assert ledger.hold("h", 30, day(9)) == 30
    assert ledger.hold("h", 30, day(9)) == 30
    assert ledger.available(day(9)) == 70
    assert [entry.points for entry in ledger.expire(day(10))] == [-70]
    assert [entry.points for entry in ledger.release("h", day(11))] == [-30]
    assert ledger.balance == 0


def test_a_hold_is_captured_even_after_its_lot_died_and_is_refused_when_short():
    ledger = PointsLedger()
    ledger.credit("a", 100, day(0), expires_at=day(10))
    ledger.hold("h", 60, day(9))
    with pytest.raises(Refused) as refusal:
        ledger.hold("more", 41, day(9))
    assert refusal.value.facts == {"asked": 41, "available": 40}
    ledger.expire(day(12))
    assert ledger.capture("h", "sale", day(12)).points == -60
    assert ledger.capture("h", "sale", day(12)).points == -60
    with pytest.raises(Refused, match="hold_unknown"):
        ledger.capture("h", "another", day(12))
    assert (ledger.balance, ledger.debt) == (0, 0)


def test_a_hold_whose_points_a_late_sale_took_is_captured_as_a_debt():
    ledger = PointsLedger()
    ledger.credit("a", 100, day(0))
    ledger.hold("h", 60, day(1))
    ledger.debit("offline", 70, day(1))
    assert ledger.capture("h", "sale", day(2)).points == -60
    assert (ledger.balance, ledger.debt) == (-30, 30)


def test_pending_points_cannot_be_spent_yet():
    ledger = PointsLedger()
    ledger.credit("a", 100, day(0), usable_at=day(3))
    assert ledger.available(day(2)) == 0
    assert ledger.available(day(3)) == 100


def test_the_same_id_twice_moves_points_once():
    ledger = PointsLedger()
    ledger.credit("a", 100, day(0))
    ledger.credit("a", 100, day(0))
    first = ledger.redeem("sale", 30, day(1))
    assert ledger.redeem("sale", 30, day(1)) is first
    ledger.give_back("void", "sale", day(2))
    ledger.give_back("void", "sale", day(2))
    assert ledger.give_back("void again", "sale", day(2)) is None
    assert ledger.balance == 100


@pytest.mark.parametrize(("clamp", "taken", "balance"), [(False, -150, -100), (True, -50, 0)])
def test_a_reversal_may_leave_a_debt_unless_it_is_clamped(clamp, taken, balance):
    ledger = PointsLedger()
    ledger.credit("earn", 150, day(0))
    ledger.debit("spend", 100, day(1))
    entry = ledger.reverse("refund", "earn", day(2), clamp_to_zero=clamp)
    assert entry is not None
    assert (entry.points, ledger.balance) == (taken, balance)


def test_a_reversal_is_clamped_to_what_is_left_and_never_becomes_a_credit():
    ledger = PointsLedger()
    ledger.credit("earn", 150, day(0))
    assert ledger.reverse("r0", "earn", day(1), -50) is None
    assert ledger.reverse("r1", "earn", day(1), 100).points == -100
    assert ledger.reverse("r2", "earn", day(1), 100).points == -50
    assert ledger.reverse("r3", "earn", day(1), 100) is None
    assert ledger.balance == 0


def test_a_reversal_takes_its_own_lot_first():
    ledger = PointsLedger()
    ledger.credit("old", 100, day(0), expires_at=day(50))
    ledger.credit("earn", 40, day(1))
    ledger.reverse("refund", "earn", day(2))
    assert remaining(ledger) == {"old": 100, "earn": 0}


def test_returned_points_keep_their_expiry_but_live_thirty_days_at_least():
    ledger = PointsLedger()
    ledger.credit("soon", 50, day(0), expires_at=day(20))
    ledger.credit("late", 50, day(0), expires_at=day(200))
    ledger.debit("sale", 80, day(1))
    ledger.give_back("refund", "sale", day(10))
    assert {(lot.remaining, lot.expires_at) for lot in ledger.open_lots} == {(50, day(40)), (50, day(200))}


def test_a_part_returns_last_taken_first():
    ledger = PointsLedger()
    ledger.credit("soon", 50, day(0), expires_at=day(100))
    ledger.credit("late", 50, day(0), expires_at=day(200))
    ledger.debit("sale", 80, day(1))
    ledger.give_back("refund 1", "sale", day(2), 30)
    assert remaining(ledger) == {"soon": 0, "late": 50}
    ledger.give_back("refund 2", "sale", day(2), 1000)
    assert remaining(ledger) == {"soon": 50, "late": 50}


def test_a_return_cancels_its_own_debt_and_goes_to_the_lots_that_repaid_it():
    ledger = PointsLedger()
    ledger.credit("a", 50, day(0))
    ledger.debit("sale", 80, day(1))
    ledger.credit("b", 20, day(2))
    assert (ledger.balance, ledger.debt) == (-10, 10)
    ledger.give_back("refund", "sale", day(3))
    assert (ledger.balance, ledger.debt, remaining(ledger)) == (70, 0, {"a": 50, "b": 20})


def test_inactivity_restarts_live_lots_only():
    ledger = PointsLedger()
    ledger.credit("dead", 10, day(0), expires_at=day(5))
    ledger.credit("live", 10, day(0), expires_at=day(9))
    ledger.restart(day(6), day(50))
    assert ledger.next_expiries(day(0)) == [(day(5), 10), (day(50), 10)]
    assert ledger.expiring_by(day(49)) == 10


def test_below_zero_and_unknown_entries_are_refused():
    ledger = PointsLedger()
    with pytest.raises(BadInput, match="points_negative"):
        ledger.credit("a", -1, day(0))
    with pytest.raises(BadInput, match="points_negative"):
        ledger.debit("a", -1, day(0))
    with pytest.raises(Refused, match="entry_unknown"):
        ledger.reverse("r", "nothing", day(0))
    assert ledger.entries == {}


def code_of(refused, call, *arguments) -> tuple[str, dict]:
    with pytest.raises(refused) as caught:
        call(*arguments)
    return caught.value.code, dict(caught.value.facts)


def test_refusals_carry_their_code_and_facts_exactly():
    ledger = PointsLedger()
    ledger.debit("owed", 5, day(0))
    assert code_of(BadInput, ledger.credit, "a", -1, day(0)) == ("points_negative", {"points": -1})
    assert code_of(Refused, ledger.hold, "h", 1, day(0)) == ("points_short", {"asked": 1, "available": 0})
    assert code_of(Refused, ledger.capture, "h", "e", day(0)) == ("hold_unknown", {"hold": "h"})
    assert code_of(Refused, ledger.reverse, "r", "no", day(0)) == ("entry_unknown", {"entry": "no"})
    assert code_of(Refused, ledger.give_back, "r", "no", day(0)) == ("entry_unknown", {"entry": "no"})


def test_every_move_leaves_exactly_this_entry_and_these_lots():
    ledger = PointsLedger()
    ledger.credit("a", 100, day(0), expires_at=day(20))
    ledger.credit("b", 50, day(1), usable_at=day(3))
    ledger.credit("c", 40, day(1), expires_at=day(90))
    assert ledger.hold("h1", 60, day(2)) == 60
    assert ledger.hold("h2", 70, day(2)) == 70
    ledger.capture("h2", "sale", day(4))
    ledger.debit("big", 70, day(5))
    ledger.reverse("taken back", "c", day(6), 30)
    ledger.capture("h1", "late sale", day(7))
    ledger.give_back("void", "sale", day(8), 45)
    ledger.credit("d", 10, day(9), expires_at=day(10))
    entries = [(e.id, e.kind.value, e.points, (e.at - JAN).days, e.lots, e.of) for e in ledger.entries.values()]
    assert entries == [
        ("a", "credit", 100, 0, (("a", 100),), ""),
        ("b", "credit", 50, 1, (("b", 50),), ""),
        ("c", "credit", 40, 1, (("c", 40),), ""),
        ("sale", "debit", -70, 4, (("a", 40), ("c", 30)), ""),
        ("big", "debit", -70, 5, (("c", 10), ("b", 50), ("a", 10)), ""),
        ("taken back", "reverse", -30, 6, (("a", 30),), "c"),
        ("late sale", "debit", -60, 7, (("a", 20),), ""),
        ("void", "return", 45, 8, (("c", 30), ("void<a", 15)), "sale"),
        ("d", "credit", 10, 9, (("d", 10),), ""),
    ]
    lots = [
        (lot.id, lot.amount, lot.remaining, lot.held, (lot.earned_at - JAN).days, lot.expires_at)
        for lot in ledger.lots.values()
    ]
    assert lots == [
        ("a", 100, 0, 0, 0, day(20)),
        ("b", 50, 0, 0, 1, None),
        ("c", 40, 0, 0, 1, day(90)),
        ("void<a", 15, 5, 0, 0, day(38)),
        ("d", 10, 10, 0, 9, day(10)),
    ]
    assert (ledger.balance, ledger.debt, ledger.holds) == (15, 0, {})
    assert ledger.next_expiries(day(9)) == [(day(10), 10), (day(38), 5)]
    assert ledger.next_expiries(day(10)) == [(day(38), 5)]
    assert ledger.next_expiries(day(9), 1) == [(day(10), 10)]
    assert (ledger.expiring_by(day(9)), ledger.expiring_by(day(10)), ledger.expiring_by(day(38))) == (0, 10, 15)
    assert [(e.id, e.points, e.at, e.lots) for e in ledger.expire(day(11))] == [
        ("expire:d", -10, day(11), (("d", 10),))
    ]


def test_expiries_of_one_instant_are_one_and_held_points_are_left_out_of_the_forecast():
    ledger = PointsLedger()
    ledger.credit("a", 10, day(0), expires_at=day(5))
    ledger.credit("b", 20, day(0), expires_at=day(5))
    ledger.credit("never", 1, day(0))
    ledger.hold("h", 4, day(1))
    assert ledger.next_expiries(day(1)) == [(day(5), 30)]
    assert ledger.expiring_by(day(5)) == 26
    assert [(e.id, e.at) for e in ledger.expire(day(6))] == [("expire:a", day(6)), ("expire:b", day(6))]
    assert [(e.id, e.at, e.points) for e in ledger.release("h", day(7))] == [("expire:h:a", day(7), -4)]


def test_dead_points_go_last_and_the_same_reversal_and_return_count_once():
    ledger = PointsLedger()
    ledger.credit("dead", 10, day(0), expires_at=day(5))
    ledger.credit("live", 10, day(0))
    assert ledger.debit("sale", 15, day(6)).lots == (("live", 10), ("dead", 5))
    first = ledger.give_back("back", "sale", day(6), 3)
    assert ledger.give_back("back", "sale", day(6), 3) is first
    once = ledger.reverse("undo", "live", day(6), 2)
    assert ledger.reverse("undo", "live", day(6), 2) is once
    assert ledger.balance == 20 - 15 + 3 - 2


def test_points_returned_exactly_thirty_days_before_their_end_keep_their_lot():
    ledger = PointsLedger()
    ledger.credit("a", 10, day(0), expires_at=day(40))
    ledger.debit("sale", 10, day(1))
    assert ledger.give_back("void", "sale", day(10)).lots == (("a", 10),)


MOVES = st.lists(
    st.tuples(
        st.sampled_from(["credit", "debit", "redeem", "hold", "release", "capture", "expire", "reverse", "give_back"]),
        st.integers(0, 120),
        st.integers(0, 6),
        st.sampled_from([None, 1, 8, 40, 90]),
    ),
    max_size=40,
)


@given(MOVES)
def test_whatever_happens_the_entries_add_up_and_lots_and_debt_never_stand_side_by_side(moves):
    ledger = PointsLedger()
    for n, (move, points, target, life) in enumerate(moves):
        at = day(n * 3)
        earned = [e for e in ledger.entries.values() if e.kind == "credit"]
        debits = [e for e in ledger.entries.values() if e.kind == "debit"]
        match move:
            case "credit":
                ledger.credit(f"e{n}", points, at, expires_at=None if life is None else at + timedelta(days=life))
            case "debit":
                ledger.debit(f"e{n}", points, at)
            case "redeem":
                assert -ledger.redeem(f"e{n}", points, at).points <= points
            case "hold" if points <= ledger.available(at):
                assert ledger.hold(f"h{target}", points, at) >= 0
            case "release":
                ledger.release(f"h{target}", at)
            case "capture" if f"h{target}" in ledger.holds:
                ledger.capture(f"h{target}", f"e{n}", at)
            case "expire":
                ledger.expire(at, grace=timedelta(days=target))
            case "reverse" if earned:
                ledger.reverse(f"e{n}", earned[target % len(earned)].id, at, points)
            case "give_back" if debits:
                ledger.give_back(f"e{n}", debits[target % len(debits)].id, at, points)
        assert ledger.balance == sum(entry.points for entry in ledger.entries.values())
        assert ledger.debt == 0 or not ledger.open_lots
        assert all(0 <= lot.held <= lot.remaining <= lot.amount for lot in ledger.lots.values())
        for kind, undone in (("credit", "reverse"), ("debit", "return")):
            for entry in [e for e in ledger.entries.values() if e.kind == kind]:
                back = [e.points for e in ledger.entries.values() if e.kind == undone and e.of == entry.id]
                assert abs(sum(back)) <= abs(entry.points)
