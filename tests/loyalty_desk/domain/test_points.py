"""Lots of points: earliest expiry first, debts, holds, reversals and returns."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loyalty_desk.domain.errors import BadInput, Refused
from loyalty_desk.domain.points import EntryKind, PointsLedger
from tests.loyalty_desk.domain.refusals import code_of

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


def test_a_late_check_shortens_no_life():
    ledger = PointsLedger()
    ledger.credit("a", 10, day(0), expires_at=day(30))
    ledger.restart(day(20), day(50))
    ledger.restart(day(10), day(40))
    assert ledger.next_expiries(day(0)) == [(day(50), 10)]
    ledger.credit("late", 5, day(5), expires_at=day(35))
    assert ledger.next_expiries(day(0)) == [(day(50), 15)]


def test_checks_move_no_end_that_is_the_lots_own_and_none_that_never_comes():
    ledger = PointsLedger()
    ledger.credit("birthday", 10, day(0), expires_at=day(9), own_expiry=True)
    ledger.credit("for ever", 20, day(0))
    ledger.restart(day(5), day(50))
    ledger.credit("another birthday", 30, day(6), expires_at=day(12), own_expiry=True)
    assert ledger.next_expiries(day(0)) == [(day(9), 10), (day(12), 30)]
    assert ledger.lots["for ever"].expires_at is None


def test_points_that_come_back_have_had_the_checks_since():
    ledger = PointsLedger()
    for name, own in (("policy", False), ("own", True)):
        ledger.credit(name, 10, day(0), expires_at=day(30), own_expiry=own)
    ledger.debit("sale", 20, day(1))
    ledger.restart(day(20), day(90))
    ledger.give_back("void", "sale", day(25))
    assert ledger.next_expiries(day(25)) == [(day(55), 10), (day(90), 10)]
    assert [(lot.id, lot.own_expiry) for lot in ledger.open_lots] == [("void<own", True), ("policy", False)]


def test_points_that_came_back_to_a_dead_lot_live_on_with_the_next_check():
    ledger = PointsLedger()
    ledger.credit("a", 10, day(0), expires_at=day(10))
    ledger.debit("sale", 10, day(1))
    ledger.give_back("void", "sale", day(20))
    ledger.restart(day(30), day(60))
    assert ledger.next_expiries(day(20)) == [(day(60), 10)]
    again = PointsLedger()
    again.credit("a", 10, day(0), expires_at=day(10))
    again.debit("sale", 10, day(1))
    again.restart(day(30), day(60))
    again.give_back("void", "sale", day(20))
    assert again.next_expiries(day(20)) == [(day(60), 10)]


FACTS = st.lists(
    st.tuples(st.sampled_from(["earn", "bonus", "check"]), st.integers(0, 100), st.integers(1, 30), st.integers(1, 50)),
    max_size=10,
)


@given(FACTS, st.randoms())
def test_lives_do_not_depend_on_the_order_in_which_facts_come(facts, random):
    def lives(order: list[int]) -> dict[str, object]:
        ledger = PointsLedger()
        for n in order:
            kind, at, life, points = facts[n]
            if kind == "check":
                ledger.restart(day(at), day(at + life))
            else:
                ledger.credit(f"{n}", points, day(at), expires_at=day(at + life), own_expiry=kind == "bonus")
        return {lot.id: (lot.remaining, lot.expires_at) for lot in ledger.lots.values()}

    in_order = list(range(len(facts)))
    assert lives(in_order) == lives(random.sample(in_order, len(facts)))


def test_below_zero_and_unknown_entries_are_refused():
    ledger = PointsLedger()
    with pytest.raises(BadInput, match="points_negative"):
        ledger.credit("a", -1, day(0))
    with pytest.raises(BadInput, match="points_negative"):
        ledger.debit("a", -1, day(0))
    with pytest.raises(Refused, match="entry_unknown"):
        ledger.reverse("r", "nothing", day(0))
    assert ledger.entries == {}


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


def test_the_same_credit_again_gives_back_nothing_that_was_spent():
    ledger = PointsLedger()
    first = ledger.credit("a", 100, day(0))
    ledger.debit("sale", 30, day(1))
    assert ledger.credit("a", 100, day(0)) is first
    assert (ledger.balance, remaining(ledger)) == (70, {"a": 70})


def test_three_expiries_are_shown_unless_more_are_asked_for():
    ledger = PointsLedger()
    for n in range(5):
        ledger.credit(f"{n}", n + 1, day(0), expires_at=day(10 + n))
    assert ledger.next_expiries(day(0)) == [(day(10), 1), (day(11), 2), (day(12), 3)]
    assert len(ledger.next_expiries(day(0), 5)) == 5


def test_held_points_of_a_lot_go_after_free_ones_of_a_later_lot():
    ledger = PointsLedger()
    ledger.credit("soon", 50, day(0), expires_at=day(10))
    ledger.credit("late", 50, day(0), expires_at=day(20))
    ledger.hold("h", 20, day(1))
    assert ledger.debit("sale", 70, day(1)).lots == (("soon", 30), ("late", 40))
    assert ledger.lots["soon"].held == 20
    assert ledger.debit("more", 20, day(1)).lots == (("late", 10), ("soon", 10))
    assert ledger.lots["soon"].held == 10


def test_what_a_debit_takes_twice_of_one_lot_is_one_part():
    ledger = PointsLedger()
    ledger.credit("a", 50, day(0), expires_at=day(10))
    ledger.hold("h", 20, day(1))
    assert ledger.debit("sale", 45, day(1)).lots == (("a", 45),)
    assert (ledger.lots["a"].remaining, ledger.lots["a"].held) == (5, 5)


def test_a_capture_and_a_reversal_owe_under_their_own_names():
    ledger = PointsLedger()
    ledger.credit("a", 100, day(0))
    ledger.hold("h", 60, day(1))
    ledger.debit("offline", 70, day(1))
    ledger.capture("h", "sale", day(2))
    assert ledger.debt == 30
    ledger.give_back("void", "sale", day(3))
    assert (ledger.balance, ledger.debt, remaining(ledger)) == (30, 0, {"a": 30})
    undone = PointsLedger()
    undone.credit("earn", 100, day(0))
    undone.debit("spend", 100, day(1))
    undone.reverse("first", "earn", day(2), 40)
    undone.reverse("second", "earn", day(2), 60)
    assert undone.debt == 100
    undone.give_back("void", "spend", day(3))
    assert (undone.balance, undone.debt) == (0, 0)
    assert undone.lots["earn"].remaining == 0


def test_a_reversal_owes_unless_it_is_told_to_clamp_and_a_debtor_has_nothing_left_to_clamp_to():
    ledger = PointsLedger()
    ledger.credit("earn", 10, day(0))
    ledger.debit("spend", 10, day(1))
    assert ledger.reverse("clamped", "earn", day(2), clamp_to_zero=True) is None
    assert ledger.reverse("refund", "earn", day(2)).points == -10
    assert ledger.debt == 10


def test_a_sale_paid_back_in_pieces_returns_what_is_left_of_a_part_from_the_same_lot():
    ledger = PointsLedger()
    ledger.credit("a", 50, day(0), expires_at=day(100))
    ledger.debit("sale", 30, day(1))
    assert [ledger.give_back(f"r{n}", "sale", day(2), 12).lots for n in range(3)] == [
        (("a", 12),), (("a", 12),), (("a", 6),)
    ]  # fmt: skip
    assert remaining(ledger) == {"a": 50}


def test_a_piece_that_is_back_does_not_come_back_to_its_lot_again():
    ledger = PointsLedger()
    ledger.credit("soon", 50, day(0), expires_at=day(100))
    ledger.credit("late", 30, day(0), expires_at=day(200))
    ledger.debit("sale", 80, day(1))
    assert ledger.give_back("r1", "sale", day(2), 10).lots == (("late", 10),)
    assert ledger.give_back("r2", "sale", day(2)).lots == (("late", 20), ("soon", 50))


def test_what_was_reversed_of_one_credit_does_not_shield_another():
    ledger = PointsLedger()
    ledger.credit("a", 50, day(0))
    ledger.credit("b", 50, day(0))
    ledger.reverse("ra", "a", day(1), 40)
    ledger.debit("sale", 20, day(1))
    ledger.give_back("back", "sale", day(1), 20)
    assert ledger.reverse("rb", "b", day(2)).points == -50
    assert ledger.reverse("ra again", "a", day(2)).points == -10


def test_points_that_die_again_in_one_lot_are_named_by_how_often():
    ledger = PointsLedger()
    ledger.credit("a", 30, day(0), expires_at=day(40))
    ledger.debit("first", 10, day(1))
    ledger.debit("second", 10, day(1))
    ids = [entry.id for entry in ledger.expire(day(40))]
    for n, sale in enumerate(("first", "second")):
        # Dated before the lot's last thirty days, so the points go where they came from.
        ledger.give_back(f"void {n}", sale, day(10))
        ids += [entry.id for entry in ledger.expire(day(41 + n))]
    assert ids == ["expire:a", "expire:a:2", "expire:a:3"]
    assert {entry.kind for name, entry in ledger.entries.items() if name.startswith("expire")} == {EntryKind.EXPIRE}
    assert [entry.kind for entry in ledger.entries.values() if not entry.points] == []
    assert ledger.balance == 0


def test_a_lot_whose_every_point_is_held_makes_no_entry_when_it_dies():
    ledger = PointsLedger()
    ledger.credit("a", 30, day(0), expires_at=day(10))
    ledger.hold("h", 30, day(1))
    assert ledger.expire(day(20)) == []


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
