"""Giving certain units a new price each: what was won stays on the unit."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from loyalty_desk.domain.conditions.base import Reason
from loyalty_desk.domain.effects.base import NOTHING_LEFT, Acting, cut, take_from_picked
from loyalty_desk.domain.tally import Tally
from loyalty_desk.domain.units import Picks, Run, Runs, made, merged, total

# (line, run, place in the run of the first unit of a piece, price now) to the price wished for
type Priced = Callable[[int, int, int, int], int]
NO_SPLIT: Picks = {}
NO_UNITS: Mapping[int, int] = {}


def lower_units(
    tally: Tally,
    acting: Acting,
    picks: Picks,
    price: Priced,
    cap: int | None,
    *,
    split_at: Picks = NO_SPLIT,
) -> Reason | None:
    """Lower the picked units to their prices, none below its floor or above what it costs, all together by `cap`.

    `split_at` says after how many units of a run the price may change.
    """
    by_line = {i: tally.runs(i) for i in sorted(picks)}
    after = {i: _priced(tally, i, runs, picks[i], price, split_at.get(i, NO_UNITS)) for i, runs in by_line.items()}
    left = tally.left
    wanted = [left[i] - total(runs) for i, runs in after.items()]
    amounts = cut(wanted, cap)
    for i, want, taken in zip(after, wanted, amounts, strict=True):
        if taken == want and taken:
            tally.take_units(i, acting.rule, taken, after[i])
        elif taken:
            runs = take_from_picked(by_line[i], picks[i], taken, tally.unit_floor(i))
            tally.take_units(i, acting.rule, taken, runs)
    return None if sum(amounts) else NOTHING_LEFT


def _priced(
    tally: Tally, i: int, runs: Runs, picked: Mapping[int, int], price: Priced, split_at: Mapping[int, int]
) -> Runs:
    floor = tally.unit_floor(i)
    pieces: list[Run] = []
    for k, run in enumerate(runs):
        count = picked.get(k, 0)
        if count == 0:
            pieces.append(run)
            continue
        was, units, consumed = run
        end = min(split_at.get(k, 0), count)
        if end:
            pieces.append(made((min(was, max(price(i, k, 0, was), floor, 0)), end, consumed)))
        if count > end:
            pieces.append(made((min(was, max(price(i, k, end, was), floor, 0)), count - end, consumed)))
        if units > count:
            pieces.append(made((was, units - count, consumed)))
    return merged(pieces)
