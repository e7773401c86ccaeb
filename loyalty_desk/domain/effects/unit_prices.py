"""Giving certain units a new price each: what was won stays on the unit."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from loyalty_desk.domain.conditions.base import Reason
from loyalty_desk.domain.effects.base import NOTHING_LEFT, Acting, cut, take_covered
from loyalty_desk.domain.tally import Tally
from loyalty_desk.domain.units import Covered, Run, Runs, made, merged

# (line, run, place in the run of the first unit of a piece, price now) to the price wished for
type Priced = Callable[[int, int, int, int], int]
NO_SPLIT: Covered = {}
NO_UNITS: Mapping[int, int] = {}
NO_LINES: Mapping[int, int] = {}


def lower_units(
    tally: Tally,
    acting: Acting,
    covered: Covered,
    price: Priced,
    cap: int | None,
    *,
    whole: Mapping[int, int] = NO_LINES,
    split_at: Covered = NO_SPLIT,
) -> Reason | None:
    """Lower the covered units to their prices, none below its floor or above what it costs, all together by `cap`.

    `whole` is what is to come off each line, in their order, that is covered without naming units. Such a line is even,
    and where all its units are lowered by one amount or to one price it stays so: what they lose is what a split of it
    all gives. `split_at` says after how many units of a run the price may change.
    """
    if len(whole) == len(covered):
        return None if tally.take_each([*whole], acting.rule, cut([*whole.values()], cap)) else NOTHING_LEFT
    after: dict[int, Runs] = {}
    wanted: dict[int, int] = {}
    for i in sorted(covered):
        picked = covered[i]
        if picked is None:
            wanted[i] = whole[i]
        else:
            wanted[i], after[i] = _priced(tally, i, tally.runs(i), picked, price, split_at.get(i) or NO_UNITS)
    amounts = dict(zip(wanted, cut([*wanted.values()], cap), strict=True))
    came = any(amounts.values())
    for i, runs in after.items():
        if amounts[i] == wanted[i]:
            taken = amounts.pop(i)
            if taken:
                tally.take_units(i, acting.rule, taken, runs)
    take_covered(tally, acting.rule, covered, amounts)
    return None if came else NOTHING_LEFT


def _priced(
    tally: Tally, i: int, runs: Runs, picked: Mapping[int, int], price: Priced, split_at: Mapping[int, int]
) -> tuple[int, Runs]:
    """Return what comes off the picked units of a line, and all its units after it."""
    floor = tally.unit_floor(i)
    off = 0
    pieces: list[Run] = []
    for k, run in enumerate(runs):
        count = picked.get(k, 0)
        if count == 0:
            pieces.append(run)
            continue
        was, units, consumed = run
        end = min(split_at.get(k, 0), count)
        if end:
            then = min(was, max(price(i, k, 0, was), floor, 0))
            off += (was - then) * end
            pieces.append(made((then, end, consumed)))
        if count > end:
            then = min(was, max(price(i, k, end, was), floor, 0))
            off += (was - then) * (count - end)
            pieces.append(made((then, count - end, consumed)))
        if units > count:
            pieces.append(made((was, units - count, consumed)))
    return off, merged(pieces)
