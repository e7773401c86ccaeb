"""Counting units by line, and the order of units that is kept, pick what looking at every unit picks."""

from datetime import UTC, datetime
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from loyalty_desk.domain.basket import Basket, Line
from loyalty_desk.domain.effects.base import take_from_picked
from loyalty_desk.domain.program import Program
from loyalty_desk.domain.quote import NO_CHOICES
from loyalty_desk.domain.tally import Tally
from loyalty_desk.domain.units import Covered, Picks, are_even, pick

PROGRAM = Program.from_dict({"version": 1, "currency": "RUB", "rules": []})


def tally_of(r: Random, size: int) -> Tally:
    lines = tuple(
        Line(
            str(n),
            quantity_milli=r.choice([1_000, 1_000, 2_000, 5_000, 350]),
            unit_price=r.choice([0, 100, 100, 250, 999]),
            floor=r.choice([0, 0, 90]),
        )
        for n in range(size)
    )
    return Tally(Basket("RUB", lines), None, PROGRAM, datetime(2026, 3, 2, tzinfo=UTC), NO_CHOICES)


def change(r: Random, tally: Tally) -> None:
    """Do to some lines what effects do."""
    for i in r.sample(tally.all, min(len(tally.all), r.randint(0, 4))):
        match r.choice(["take", "units", "consume", "replace"]):
            case "take":
                tally.take_each([i], "a", [r.randint(0, tally.room(i))])
            case "units":
                runs = tally.runs(i)
                amount = min(tally.room(i), max(0, runs[0].price - tally.unit_floor(i)))
                tally.take_units(i, "b", amount, take_from_picked(runs, {0: 1}, amount, tally.unit_floor(i)))
            case "consume":
                tally.consume(i, take_from_picked(tally.runs(i), {0: 1}, 0, 0, consume=True))
            case "replace":
                tally.replace_cuts(i, [("c", r.randint(0, tally.gross[i] - min(tally.gross[i], tally.least[i])))])


def told(tally: Tally, covered: Covered) -> Picks:
    """Return picks with all units of the even lines named that are covered as a whole."""
    found: Picks = {}
    for i, picked in covered.items():
        if picked is not None:
            found[i] = picked
            continue
        assert are_even(tally.runs(i))
        assert tally.unit_floor(i) == 0 or tally.quantity[i] == 1
        found[i] = {k: run.units for k, run in enumerate(tally.runs(i))}
    return found


@given(st.integers(0, 2**32 - 1), st.integers(1, 40))
def test_counting_by_line_and_the_kept_order_pick_what_looking_at_all_units_picks(seed, size):
    r = Random(seed)
    tally = tally_of(r, size)
    saved = tally.save()
    for _ in range(8):
        if r.random() < 0.15:
            tally.restore(saved)
        change(r, tally)
        lines = [i for i in tally.all if r.random() < 0.8]
        count, dearest = r.randint(0, 3 * size), r.random() < 0.5
        every = [(i, tally.runs(i)) for i in lines]
        assert told(tally, tally.pick(lines, count, dearest=dearest)) == pick(every, count, dearest=dearest)
        assert tally.pick_free(lines, count) == pick(every, count, dearest=True, free_only=True)
        free = [
            (-run.price if dearest else run.price, i, k, run.units, False)
            for i in lines
            for k, run in enumerate(tally.runs(i))
            if not run.consumed
        ]
        assert list(tally.unit_order(dearest=dearest).offered(lines)) == sorted(free)


def test_only_what_was_touched_is_placed_again(monkeypatch):
    tally = tally_of(Random(1), 40)
    order = tally.unit_order(dearest=False)
    before = order.rows()
    assert order.rows() is before
    touched = next(i for i in tally.all if tally.room(i))
    tally.take_each([touched], "a", [1])
    asked: list[int] = []
    runs = Tally.runs
    monkeypatch.setattr(Tally, "runs", lambda tally, i: asked.append(i) or runs(tally, i))
    assert order.rows() != before
    assert asked == [touched]
