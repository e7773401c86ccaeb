"""Lots: earliest expiry first, debts, and INV-15 under any sequence."""

from __future__ import annotations

from datetime import datetime
from typing import overload
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from loyalty_desk.domain.clock import from_ms, to_ms
from loyalty_desk.domain.lots import is_live, next_expiries
from loyalty_desk.domain.points import PointsLedger
from server.ledger.lots import Holdings, lot_id

TX = [UUID(int=number) for number in range(200)]
MOVES = st.lists(
    st.tuples(st.integers(-500, 500).filter(bool), st.integers(0, 50), st.none() | st.integers(1, 60)), max_size=40
)


@given(MOVES)
def test_lots_less_debt_are_the_balance_and_never_are_both_above_zero(moves: list[tuple[int, int, int | None]]) -> None:
    held = Holdings()
    balance = 0
    for tx, (amount, at, expires_at) in zip(TX, moves, strict=False):
        if amount > 0:
            held.credit(tx, 0, amount, at, expires_at)
        else:
            held.debit(tx, -amount, at)
        balance += amount
        assert held.posted == balance
        assert not (held.debt and any(lot.remaining for lot in held.lots))
    used: dict[UUID, int] = {}
    for use in held.used:
        used[use.lot_id] = used.get(use.lot_id, 0) + use.amount
    for lot in held.lots:
        assert lot.amount - used.get(lot.id, 0) == lot.remaining >= 0


def test_earliest_expiry_goes_first_and_never_expiring_last() -> None:
    held = Holdings()
    never = held.credit(TX[0], 0, 10, 0, None)
    late = held.credit(TX[1], 0, 10, 0, 300)
    soon = held.credit(TX[2], 0, 10, 0, 200)
    assert held.debit(TX[3], 15, 100) == 0
    assert (soon.remaining, late.remaining, never.remaining) == (0, 5, 10)


def test_a_lot_is_dead_at_its_expiry_instant_and_only_a_shortage_touches_it() -> None:
    held = Holdings()
    dead = held.credit(TX[0], 0, 10, 0, 100)
    live = held.credit(TX[1], 0, 10, 0, 101)
    assert held.available(100) == 10
    assert held.debit(TX[2], 10, 100) == 0
    assert (dead.remaining, live.remaining) == (10, 0)
    assert held.debit(TX[3], 15, 100) == 5
    assert (dead.remaining, held.debt) == (0, 5)


def test_the_next_credit_repays_the_debt_first() -> None:
    held = Holdings()
    assert held.debit(TX[0], 30, 0) == 30
    lot = held.credit(TX[1], 0, 50, 0, None)
    assert (held.debt, lot.amount, lot.remaining, held.available(0)) == (0, 50, 20, 20)


def test_next_expiries_are_summed_by_instant_and_leave_out_the_dead() -> None:
    held = Holdings()
    for tx, (amount, expires_at) in zip(TX, [(1, 50), (2, 200), (3, 200), (4, 300), (5, 400), (6, 500)], strict=False):
        held.credit(tx, 0, amount, 0, expires_at)
    assert next_expiries(held.lots, 50) == [(200, 5), (300, 4), (400, 5)]


def test_a_posting_taken_back_gives_of_its_own_lots_first_and_of_those_that_wait_before_all() -> None:
    held, sale, other = Holdings(), UUID(int=1), UUID(int=2)
    held.credit(other, 0, 50, 0, 10)
    held.credit(sale, 0, 30, 0, 1_000)
    held.hold(sale, 0, 20, 0, 1_000)
    assert held.debit(UUID(int=3), 25, 5, of=sale) == 0
    assert [(one.tx_id, one.amount, one.remaining) for one in held.made] == [
        (other, 50, 50),
        (sale, 30, 25),
        (sale, 20, 0),
    ]
    assert held.debit(UUID(int=4), 60, 5, of=sale) == 0
    assert [(one.tx_id, one.remaining) for one in held.lots] == [(other, 15), (sale, 0)]
    assert held.debit(UUID(int=5), 20, 5) == 5
    assert (held.debt, held.posted) == (5, -5)


def test_a_late_check_shortens_no_life_and_reaches_what_a_later_one_met_as_dead() -> None:
    held = Holdings()
    first, own = held.credit(TX[0], 0, 10, 0, 100), held.credit(TX[1], 0, 10, 0, 100, own_expiry=True)
    held.hold(TX[2], 0, 5, 0, 100)
    held.restart(150, 250)
    assert (first.expires_at, own.expires_at) == (100, 100)
    held.restart(80, 180)
    assert (first.expires_at, own.expires_at, held.waiting[0].expires_at) == (250, 100, 250)
    assert held.credit(TX[3], 0, 1, 90, 190).expires_at == 250
    assert held.credit(TX[4], 0, 1, 90, None).expires_at is None


def test_a_merge_unites_what_kept_points_alive() -> None:
    one, other = Holdings(), Holdings()
    lot = one.credit(TX[0], 0, 10, 0, 100)
    other.restart(90, 190)
    one.restart(180, 280)
    one.join(other)
    assert lot.expires_at == 280
    assert one.touched == {lot.id: lot}


HISTORY = st.lists(
    st.tuples(
        st.sampled_from(["credit", "credit", "debit", "debit", "reverse", "check", "expire"]),
        st.integers(0, 60),
        st.integers(1, 120),
        st.none() | st.integers(1, 40),
        st.sampled_from([(None, False), (5, False), (None, True)]),
    ),
    max_size=30,
)


@settings(max_examples=500)
@given(HISTORY)
def test_the_kernels_ledger_and_the_stored_one_agree_on_every_history(
    history: list[tuple[str, int, int, int | None, tuple[int | None, bool]]],
) -> None:
    kernel, stored = PointsLedger(), Holdings()
    made: list[UUID] = []
    for tx, (move, at, points, life, (pending, own)) in zip(TX, history, strict=False):
        ends = None if life is None else at + life
        match move:
            case "credit":
                usable = None if pending is None else at + pending
                lot = stored.credit(tx, 0, points, at, ends, usable, own_expiry=own)
                kernel.credit(
                    str(lot.id), points, moment(at), expires_at=moment(ends), usable_at=moment(usable), own_expiry=own
                )
                made.append(tx)
            case "debit":
                before = len(stored.used)
                stored.debit(tx, points, at)
                parts = tuple((str(use.lot_id), use.amount) for use in stored.used[before:])
                assert kernel.debit(str(tx), points, moment(at)).lots == parts
            case "reverse" if made:
                of = made[points % len(made)]
                undone = kernel.reverse(str(tx), str(lot_id(of, 0)), moment(at), points)
                if undone is not None:
                    stored.debit(tx, -undone.points, at, of)
            case "check":
                stored.restart(at, ends)
                kernel.restart(moment(at), moment(ends))
            case "expire":
                kernel.expire(moment(at))
                for lot in stored.lots:
                    if lot.remaining and not is_live(lot, at):
                        stored.expire(tx, lot)
        assert kernel.balance == stored.posted
        assert kernel.debt == stored.debt
        for later in (at, at + 7, at + 50):
            assert kernel.available(moment(later)) == stored.available(later)
            expiries = [(to_ms(when), lost) for when, lost in kernel.next_expiries(moment(later))]
            assert expiries == next_expiries(stored.lots, later)
        assert {(str(lot.id), lot.amount, lot.remaining, lot.own_expiry) for lot in stored.lots} == {
            (lot.id, lot.amount, lot.remaining, lot.own_expiry) for lot in kernel.lots.values()
        }
        assert {str(lot.id): moment(lot.expires_at) for lot in stored.lots if lot.remaining} == {
            lot.id: lot.expires_at for lot in kernel.open_lots
        }


@overload
def moment(milliseconds: int) -> datetime: ...
@overload
def moment(milliseconds: None) -> None: ...
def moment(milliseconds: int | None) -> datetime | None:
    return None if milliseconds is None else from_ms(milliseconds)
