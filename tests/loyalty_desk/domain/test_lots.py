"""The arithmetic of lots that kernel and server share: order, lives that paid checks lengthen, what dies next."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loyalty_desk.domain.lots import (
    SPANS_KEPT,
    Activity,
    drawn,
    is_live,
    is_spendable,
    next_expiries,
    spending_order,
)


@dataclass(frozen=True)
class Lot:
    remaining: int
    earned_at: int = 0
    expires_at: int | None = None
    usable_at: int | None = None


def test_a_lot_lives_up_to_its_end_and_is_spent_from_its_beginning():
    lot = Lot(1, expires_at=20, usable_at=10)
    assert [is_live(lot, at) for at in (0, 19, 20)] == [True, True, False]
    assert [is_spendable(lot, at) for at in (9, 10, 19, 20)] == [False, True, True, False]
    assert is_live(Lot(1), 10**15)
    assert is_spendable(Lot(1), 0)


def test_the_earliest_end_goes_first_then_the_elder_and_the_never_expiring_last():
    never, old_never = Lot(1, earned_at=1), Lot(1)
    soon, soon_too, late = Lot(1, 7, 30), Lot(1, 8, 30), Lot(1, 2, 40)
    assert sorted([never, late, soon_too, old_never, soon], key=spending_order) == [
        soon, soon_too, late, old_never, never
    ]  # fmt: skip


def test_points_are_drawn_lot_by_lot_until_they_are_together():
    lots = [Lot(5), Lot(0), Lot(7), Lot(9)]
    assert list(drawn(lots, 8, lambda lot: lot.remaining)) == [(lots[0], 5), (lots[2], 3)]
    assert list(drawn(lots, 12, lambda lot: lot.remaining)) == [(lots[0], 5), (lots[2], 7)]
    assert list(drawn(lots, 6, lambda lot: lot.remaining)) == [(lots[0], 5), (lots[2], 1)]
    assert list(drawn(lots, 0, lambda lot: lot.remaining)) == []
    assert sum(part for _, part in drawn(lots, 1_000, lambda lot: lot.remaining)) == 21


def test_what_dies_next_is_summed_by_instant_and_is_of_the_living():
    lots = [Lot(1, expires_at=50), Lot(2, expires_at=200), Lot(3, expires_at=200), Lot(4), Lot(0, expires_at=60)]
    more = [Lot(5, expires_at=300), Lot(6, expires_at=400), Lot(7, expires_at=500)]
    assert next_expiries([*more, *lots], 50) == [(200, 5), (300, 5), (400, 6)]
    assert next_expiries([*more, *lots], 49, 1) == [(50, 1)]


def test_a_check_lengthens_what_is_alive_and_never_shortens():
    activity = Activity[int]()
    activity.note(10, 40)
    assert [activity.end_of(end) for end in (10, 11, 40, 41, None)] == [10, 40, 40, 41, None]
    activity.note(20, 30)
    assert activity.spans == [(10, 40)]
    activity.note(40, 70)
    assert activity.spans == [(10, 40), (40, 70)], "points are dead at the instant of their end"
    activity.note(39, 69)
    assert activity.spans == [(10, 70)]
    assert activity.end_of(11) == 70


def test_a_check_that_gives_points_for_ever_ends_nothing():
    activity = Activity[int]()
    activity.note(10, None)
    activity.note(20, 50)
    activity.note(5, 11)
    assert activity.spans == [(5, None)]
    assert activity.end_of(6) is None
    assert activity.end_of(5) == 5


@pytest.mark.parametrize("ends", [(None, 40), (40, None)])
def test_of_two_checks_of_one_moment_the_longer_life_counts(ends):
    activity = Activity[int]()
    for end in ends:
        activity.note(10, end)
    assert activity.spans == [(10, None)]


def test_two_accounts_of_a_guest_are_one_life():
    one, other = Activity[int]([(10, 40)]), Activity[int]([(30, 60), (80, 90)])
    one.join(other.spans)
    assert one.spans == [(10, 60), (80, 90)]


def test_only_the_latest_lives_are_kept():
    activity = Activity[int]()
    for n in range(SPANS_KEPT + 5):
        activity.note(n * 10, n * 10 + 5)
    assert len(activity.spans) == SPANS_KEPT
    assert activity.spans[-1] == (10 * (SPANS_KEPT + 4), 10 * (SPANS_KEPT + 4) + 5)


def played(checks: list[tuple[int, int | None]], base: int) -> int | None:
    """Play checks in the order of time on one lot, as a guest would see it: the plain meaning of the policy."""
    end: int | None = base
    for at, until in sorted(checks, key=lambda check: check[0]):
        if end is not None and at < end:
            end = None if until is None else max(end, until)
    return end


CHECKS = st.lists(st.tuples(st.integers(0, 100), st.integers(1, 40) | st.none()), max_size=12).map(
    lambda found: [(at, None if life is None else at + life) for at, life in found]
)


@given(CHECKS, st.integers(0, 120), st.randoms())
def test_in_whatever_order_checks_come_the_end_is_that_of_playing_them_in_time(checks, base, random):
    shuffled = random.sample(checks, len(checks))
    at_once, step_by_step = Activity[int](), Activity[int]()
    end: int | None = base
    for at, until in shuffled:
        at_once.note(at, until)
        step_by_step.note(at, until)
        end = step_by_step.end_of(end)
    assert at_once.end_of(base) == end == played(checks, base)


@pytest.mark.parametrize("end", [None, 5])
def test_without_checks_an_end_stays(end):
    assert Activity[int]().end_of(end) == end
