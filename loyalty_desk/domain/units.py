"""Units of a line as runs of equal price: splitting and picking without a list entry per unit."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from loyalty_desk.domain.money import largest_remainder


class Run(NamedTuple):
    """Equal units side by side: price of one in minor units, how many, and whether a set rule has consumed them."""

    price: int
    units: int
    consumed: bool = False


# Up to so many units a plain split is quicker than one of runs; both give the same.
FEW = 8

type Runs = tuple[Run, ...]
type Picks = dict[int, dict[int, int]]


def spread(runs: Runs, amount: int, floor: int = 0) -> Runs:
    """Return the runs after `amount` (minor units) is split over their units as `money.allocate` would (rule 3).

    Weights are the units' prices, no unit falls below `floor`; the amount must fit.
    """
    if len(runs) == 1 and runs[0].units == 1:
        return (Run(runs[0].price - amount, 1, runs[0].consumed),)
    if floor == 0 and sum([run.units for run in runs]) <= FEW:
        prices = [run.price for run in runs for _ in range(run.units)]
        parts = iter(largest_remainder(amount, prices))
        return merged([Run(run.price - next(parts), 1, run.consumed) for run in runs for _ in range(run.units)])
    return merged(run for pieces in spread_each(runs, amount, floor) for run in pieces)


def spread_each(runs: Sequence[Run], amount: int, floor: int = 0) -> list[list[Run]]:
    """Return, for each run, what it has become after the split of `spread`."""
    pieces = [[(run.price, run)] for run in runs]
    left = amount
    while left > 0:
        is_open = [(weight, run.units) for piece in pieces for weight, run in piece if run.price > floor]
        shares = iter(unit_shares(is_open, left))
        taken = 0
        for k, piece in enumerate(pieces):
            after: list[tuple[int, Run]] = []
            for weight, run in piece:
                if run.price <= floor:
                    after.append((weight, run))
                    continue
                share, extra = next(shares)
                for each, count in ((share + 1, extra), (share, run.units - extra)):
                    if count:
                        take = min(each, run.price - floor)
                        taken += take * count
                        after.append((weight, Run(run.price - take, count, run.consumed)))
            pieces[k] = after
        if taken == 0:
            break
        left -= taken
    return [[run for _, run in piece] for piece in pieces]


def pick(lines: Sequence[tuple[int, Runs]], count: int, *, dearest: bool = False, free_only: bool = False) -> Picks:
    """Return which units of which lines `count` units are, cheapest first, ties to the earlier line and unit.

    `lines` are (line, its runs); the answer is per line how many units of each of its runs, from the run's first.
    `free_only` passes over units that another set rule has consumed.
    """
    offers = [
        (-run.price if dearest else run.price, order, k, line, run.units)
        for order, (line, runs) in enumerate(lines)
        for k, run in enumerate(runs)
        if not (free_only and run.consumed)
    ]
    picks: Picks = {}
    for _, _, k, line, available in sorted(offers):
        if count <= 0:
            break
        taken = min(available, count)
        picks.setdefault(line, {})[k] = taken
        count -= taken
    return picks


def merged(runs: Iterable[Run]) -> Runs:
    """Return the runs without empty ones, equal neighbours as one."""
    out: list[Run] = []
    for run in runs:
        if run.units <= 0:
            continue
        if out and out[-1].price == run.price and out[-1].consumed == run.consumed:
            out[-1] = Run(run.price, out[-1].units + run.units, run.consumed)
        else:
            out.append(run)
    return tuple(out)


def total(runs: Runs) -> int:
    """Return what all units cost, in minor units."""
    return sum(run.price * run.units for run in runs)


def unit_shares(units: list[tuple[int, int]], amount: int) -> list[tuple[int, int]]:
    """Return per (weight, count) what each unit gives and how many of its first units give one more."""
    weight_sum = sum(weight * count for weight, count in units)
    weights = [weight for weight, _ in units] if weight_sum else [1] * len(units)
    weight_sum = weight_sum or sum(count for _, count in units)
    if not weight_sum:
        return [(0, 0)] * len(units)
    shares = [amount * weight // weight_sum for weight in weights]
    missing = amount - sum(share * count for share, (_, count) in zip(shares, units, strict=True))
    extra = [0] * len(units)
    for i in sorted(range(len(units)), key=lambda i: (-(amount * weights[i] % weight_sum), i)):
        if missing == 0:
            break
        extra[i] = min(missing, units[i][1])
        missing -= extra[i]
    return list(zip(shares, extra, strict=True))
