"""What an effect is: it takes money off, gives points or gifts; several of one rule work one after another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from loyalty_desk.domain.conditions.base import Reason
from loyalty_desk.domain.money import largest_remainder
from loyalty_desk.domain.tally import GOODS, Tally
from loyalty_desk.domain.units import Covered, Run, Runs, made, merged, spread, spread_each

if TYPE_CHECKING:
    from loyalty_desk.domain.earning import Earnings

EXCLUSIONS, RULES, REWARDS = 0, 1, 2
NOTHING_LEFT = Reason("nothing_left")


class Acting(NamedTuple):
    """The rule that acts: its id, what it may take off, whether it spares discounted lines, how often it repeats."""

    rule: str
    cap: int | None = None
    skip_discounted: bool = False
    repeats: int | None = None


class Effect:
    """Base of effects on money and goods. `level` says whether the rule runs with those of lines or of the check.

    An effect that is `of_payable` touches and looks at nothing but the lines that `payable` gives it: where there are
    none, nothing comes of it.
    """

    __slots__ = ()
    level = "line"
    of_payable = False
    stage = RULES

    def apply(self, tally: Tally, acting: Acting, positions: Sequence[int]) -> Reason | None:
        """Act on the tally; return None when anything came of it, else why nothing did."""
        raise NotImplementedError


class EarningEffect:
    """Base of effects on points; they run after redemption, on what is really paid."""

    __slots__ = ()

    def earn(self, earnings: Earnings, rule: str, positions: Sequence[int]) -> Reason | None:
        """Add to the earnings; return None when anything came of it, else why nothing did."""
        raise NotImplementedError


def payable(tally: Tally, acting: Acting, positions: Sequence[int], *, delivery: bool = False) -> list[int]:
    """Return the lines on which a discount may fall and something is left to take: what is free is no cheapest unit."""
    may, left = tally.may, tally.left
    if delivery:
        lines = [i for i in positions if may[i] and left[i] > 0]
    else:
        lines = [i for i in positions if may[i] == GOODS and left[i] > 0]
    if acting.skip_discounted:
        return [i for i in lines if not tally.is_discounted(i)]
    return lines


def cut(amounts: list[int], cap: int | None) -> list[int]:
    """Return the amounts cut to `cap` in all, split by what it cuts."""
    if cap is None or sum(amounts) <= cap:
        return amounts
    # No share of what does not suffice exceeds its weight, so the ceilings need not be looked at.
    return largest_remainder(max(cap, 0), amounts)


def lower(*caps: int | None) -> int | None:
    """Return the lowest of caps, None where there is none."""
    known = [cap for cap in caps if cap is not None]
    return min(known) if known else None


def room_of(runs: Runs, picked: dict[int, int], floor: int) -> int:
    """Return what may come off the picked units, none below the floor."""
    return sum([max(0, runs[k].price - floor) * units for k, units in picked.items()])


def off_each(tally: Tally, covered: Covered, amount: int) -> dict[int, int]:
    """Return what `amount` off each unit is, of every line that is covered without naming units."""
    lines = [i for i, picked in covered.items() if picked is None]
    quantity = tally.quantity
    return {i: min(room, amount * quantity[i]) for i, room in zip(lines, tally.rooms(lines), strict=True)}


def take_covered(tally: Tally, rule: str, covered: Covered, amounts: Mapping[int, int]) -> None:
    """Take an amount off the covered units of each line, split over these alone."""
    lines = [i for i in amounts if covered[i] is None]
    tally.take_each(lines, rule, [amounts[i] for i in lines])
    if len(lines) == len(amounts):
        return
    for i, amount in amounts.items():
        picked = covered[i]
        if amount and picked is not None:
            tally.take_units(i, rule, amount, take_from_picked(tally.runs(i), picked, amount, tally.unit_floor(i)))


def split_picked(runs: Runs, picked: dict[int, int]) -> tuple[list[Run], list[bool]]:
    """Return the runs cut where picked units end, and which of the pieces are picked."""
    pieces: list[Run] = []
    flags: list[bool] = []
    for k, run in enumerate(runs):
        count = picked.get(k, 0)
        for part, is_picked in ((count, True), (run.units - count, False)):
            if part:
                pieces.append(run._replace(units=part))
                flags.append(is_picked)
    return pieces, flags


def take_from_picked(runs: Runs, picked: dict[int, int], amount: int, floor: int, *, consume: bool = False) -> Runs:
    """Return the line's runs after `amount` is split over the picked units alone, marked as consumed if asked."""
    if len(picked) == len(runs):
        for k, (_, units, _) in enumerate(runs):
            if picked[k] != units:
                break
        else:
            if consume:
                runs = tuple([made((price, units, True)) for price, units, _ in runs])
            return spread(runs, amount, floor)
    pieces, flags = split_picked(runs, picked)
    chosen = [k for k, is_picked in enumerate(flags) if is_picked]
    lowered: dict[int, Sequence[Run]]
    if len(chosen) == 1:
        lowered = {chosen[0]: spread((pieces[chosen[0]],), amount, floor)}
    else:
        lowered = dict(zip(chosen, spread_each([pieces[k] for k in chosen], amount, floor), strict=True))
    result: list[Run] = []
    for k, piece in enumerate(pieces):
        if k not in lowered:
            result.append(piece)
        elif consume:
            result += [made((price, units, True)) for price, units, _ in lowered[k]]
        else:
            result += lowered[k]
    return merged(result)
