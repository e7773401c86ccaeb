"""Units of a line as runs of equal price: splitting and picking without a list entry per unit."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import NamedTuple


class Run(NamedTuple):
    """Equal units side by side: price of one in minor units, how many, and whether a set rule has consumed them."""

    price: int
    units: int
    consumed: bool = False


type Runs = tuple[Run, ...]
type Picks = dict[int, dict[int, int]]
type Covered = Mapping[int, dict[int, int] | None]
"""By line, how many units of each of its runs; None: all units of an even line, whatever its runs."""

# `Run._make` without a Python frame for each run: the largest checks make millions.
made: Callable[[tuple[int, int, bool]], Run] = partial(tuple.__new__, Run)


def spread(runs: Runs, amount: int, floor: int = 0) -> Runs:
    """Return the runs after `amount` (minor units) is split over their units as `money.allocate` would.

    Weights are the units' prices, no unit falls below `floor`; the amount must fit.
    """
    if len(runs) == 1:
        price, units, consumed = runs[0]
        share, extra = divmod(amount, units)
        if extra == 0 and price - share >= floor:
            return (made((price - share, units, consumed)),)
        if price - share > floor:
            return (
                made((price - share - 1, extra, consumed)),
                made((price - share, units - extra, consumed)),
            )
    elif floor == 0:
        return _spread_to_nothing(runs, amount)
    return merged(run for pieces in spread_each(runs, amount, floor) for run in pieces)


def _spread_to_nothing(runs: Runs, amount: int) -> Runs:
    """Return the runs after a split without floors: no share of what fits exceeds its unit, so once is enough."""
    weight = sum([price * units for price, units, _ in runs])
    if weight == 0:
        return runs
    shares = [amount * price // weight for price, _, _ in runs]
    missing = amount - sum([share * units for share, (_, units, _) in zip(shares, runs, strict=True)])
    extra = [0] * len(runs)
    if missing:
        remainders = [amount * price % weight for price, _, _ in runs]
        for k in sorted(range(len(runs)), key=remainders.__getitem__, reverse=True):
            extra[k] = min(missing, runs[k].units)
            missing -= extra[k]
            if missing == 0:
                break
    pieces: list[Run] = []
    for (price, units, consumed), share, more in zip(runs, shares, extra, strict=True):
        if more:
            pieces.append(made((price - share - 1, more, consumed)))
        if units > more:
            pieces.append(made((price - share, units - more, consumed)))
    return merged(pieces)


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


def pick_of_line(runs: Runs, count: int, *, dearest: bool = False) -> dict[int, int]:
    """Return how many units of each run of one line `count` (at least 1) units are, as `pick` does."""
    if len(runs) == 1:
        return {0: min(runs[0].units, count)}
    prices = [price for price, _, _ in runs]
    if count == 1:
        return {prices.index(max(prices) if dearest else min(prices)): 1}
    picked: dict[int, int] = {}
    for k in sorted(range(len(runs)), key=prices.__getitem__, reverse=dearest):
        picked[k] = min(runs[k].units, count)
        count -= picked[k]
        if count == 0:
            break
    return picked


def merged(runs: Iterable[Run]) -> Runs:
    """Return the runs without empty ones, equal neighbours as one."""
    out: list[Run] = []
    for run in runs:
        price, units, consumed = run
        if units <= 0:
            continue
        if out:
            last_price, last_units, last_consumed = out[-1]
            if last_price == price and last_consumed == consumed:
                out[-1] = made((price, last_units + units, consumed))
                continue
        out.append(run)
    return tuple(out)


def are_even(runs: Runs) -> bool:
    """Return whether no two units' prices differ by more than one minor unit.

    Then what all units cost together says what each costs, and it stays so whatever is split over all of them. For of
    two units the dearer has the larger weight, so it loses as much as the cheaper or one more: where the whole parts
    of their shares are equal its remainder is larger, where they differ the cheaper one's is, and the shares differ by
    less than one. So the difference stays 0 or 1, or turns round to 1 among equal units.
    """
    if len(runs) == 1:
        return True
    if len(runs) == 2:
        return -1 <= runs[0][0] - runs[1][0] <= 1
    prices = [price for price, _, _ in runs]
    return max(prices) - min(prices) <= 1


def total(runs: Runs) -> int:
    """Return what all units cost, in minor units."""
    return sum([price * units for price, units, _ in runs])


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
