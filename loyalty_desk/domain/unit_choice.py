"""Which units of many lines are the cheapest or dearest: counted by line, without looking at units that are not it."""

from __future__ import annotations

from collections.abc import Sequence
from heapq import nlargest, nsmallest
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from loyalty_desk.domain.tally import Tally

# Only of so many times more lines than units wanted are those sorted out first whose units cannot be it.
WORTH_SORTING_OUT = 4


def counted(tally: Tally, lines: Sequence[int], count: int, *, dearest: bool) -> dict[int, int]:
    """Return how many units of each line are among the `count` cheapest or `dearest`, ties to the earlier line.

    The lines stand in their order, those with none left out. Where nearly all units are meant, those that are not are
    looked for instead.
    """
    quantity = tally.quantity
    leave = sum([quantity[i] for i in lines]) - count
    if leave <= 0:
        return {i: quantity[i] for i in lines}
    if count <= 0:
        return {}
    if count <= leave:
        found = _first(tally, lines, count, dearest=dearest, last=False)
        return {i: found[i] for i in sorted(found)}
    found = {i: quantity[i] for i in lines}
    for i, units in _first(tally, lines, leave, dearest=dearest, last=True).items():
        if units < found[i]:
            found[i] -= units
        else:
            del found[i]
    return found


def _first(tally: Tally, lines: Sequence[int], count: int, *, dearest: bool, last: bool) -> dict[int, int]:
    """Return how many units of each line are the first `count` of all in the order asked for, or the `last`.

    A place in that order is one integer: the price, negative where the dearest come first, times the lines, plus the
    line.
    """
    size, sign = len(tally.lines), -1 if dearest else 1
    if count * WORTH_SORTING_OUT < len(lines):
        # So many units are at most units of so many lines: those whose own first unit comes first.
        prices = _ends(tally, lines, highest=dearest != last)
        ends = [sign * price * size + i for price, i in zip(prices, lines, strict=True)]
        lines = [place % size for place in (nlargest if last else nsmallest)(count, ends)]
    left, quantity = tally.left, tally.quantity
    places: list[tuple[int, int]] = []
    for i, even in zip(lines, tally.evens(lines), strict=True):
        if even:
            units = quantity[i]
            price, more = divmod(left[i], units)
            places.append((sign * price * size + i, units - more))
            if more:
                places.append((sign * (price + 1) * size + i, more))
        else:
            places += [(sign * price * size + i, units) for price, units, _ in tally.runs(i)]
    places.sort(reverse=last)
    found: dict[int, int] = {}
    for place, units in places:
        i = place % size
        found[i] = found.get(i, 0) + min(units, count)
        count -= units
        if count <= 0:
            break
    return found


def _ends(tally: Tally, lines: Sequence[int], *, highest: bool) -> list[int]:
    """Return the price of the dearest unit of every line, or of the cheapest."""
    left, quantity = tally.left, tally.quantity
    evens = zip(lines, tally.evens(lines), strict=True)
    if highest:
        return [-(-left[i] // quantity[i]) if even else max([run.price for run in tally.runs(i)]) for i, even in evens]
    return [left[i] // quantity[i] if even else min([run.price for run in tally.runs(i)]) for i, even in evens]
