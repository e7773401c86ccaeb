"""Lots: earliest expiry first, debts, and INV-15 under any sequence."""

from __future__ import annotations

from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from loyalty_desk.domain.lots import next_expiries
from server.ledger.lots import Holdings

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
