"""`percentage`: a rate off lines, or off the check."""

from __future__ import annotations

from collections.abc import Sequence

from loyalty_desk.domain.conditions.base import Reason
from loyalty_desk.domain.effects.base import (
    NOTHING_LEFT,
    Acting,
    Effect,
    cut,
    lower,
    payable,
    room_of,
    take_covered,
)
from loyalty_desk.domain.fields import Fields
from loyalty_desk.domain.money import BASIS_POINTS, percent_off
from loyalty_desk.domain.tally import Tally


class LinePercentage(Effect):
    """`rate_bp` off each line; of `max_units` (or of full groups of `group_size`) the cheapest, or `choose: dearest`.

    `cap` minor units in all; `times` applies it so often in a row; `base: original` counts from the price before rules.
    """

    __slots__ = ("cap", "dearest", "delivery", "group_size", "is_bare", "max_units", "original", "rate_bp", "times")
    of_payable = True

    def __init__(self, f: Fields) -> None:
        self.rate_bp = f.integer("rate_bp", None, low=0, high=BASIS_POINTS)
        self.cap = f.optional("cap", low=0)
        self.max_units = f.optional("max_units", low=0)
        self.group_size = f.integer("group_size", 1, low=1)
        self.times = f.integer("times", 1, low=1, high=100)
        self.dearest = f.text("choose", "cheapest", one_of=("cheapest", "dearest")) == "dearest"
        self.original = f.text("base", "remaining", one_of=("remaining", "original")) == "original"
        self.delivery = f.flag("includes_delivery")
        more = self.max_units is not None or self.group_size > 1 or self.times > 1 or self.original or self.delivery
        # Every line's price alone decides what comes off it.
        self.is_bare = self.cap is None and not more

    def apply(self, tally: Tally, acting: Acting, positions: Sequence[int]) -> Reason | None:
        """Take the rate off every line, rounded once per line over the units it covers."""
        lines = payable(tally, acting, positions, delivery=self.delivery)
        cap = lower(self.cap, acting.cap)
        came = False
        for _ in range(self.times):
            taken = self._once(tally, acting.rule, lines, cap)
            came = came or taken > 0
            cap = None if cap is None else cap - taken
        return None if came else NOTHING_LEFT

    def _once(self, tally: Tally, rule: str, lines: list[int], cap: int | None) -> int:
        if self.max_units is not None or self.group_size > 1:
            return self._some_units(tally, rule, lines, cap)
        left = tally.left
        base = tally.original if self.original else left
        # `money.percent_off` written out: many checks spend much of their time on this line.
        kept = 2 * (BASIS_POINTS - self.rate_bp)
        amounts = [base[i] - (base[i] * kept + BASIS_POINTS) // (2 * BASIS_POINTS) for i in lines]
        if self.original or tally.has_floors:
            amounts = [min(amount, tally.room(i)) for i, amount in zip(lines, amounts, strict=True)]
        if cap is not None:
            amounts = cut(amounts, cap)
        tally.take_each(lines, rule, amounts)
        return sum(amounts)

    def _some_units(self, tally: Tally, rule: str, lines: list[int], cap: int | None) -> int:
        quantity = tally.quantity
        count = sum([quantity[i] for i in lines]) // self.group_size * self.group_size
        if self.max_units is not None:
            count = min(count, self.max_units)
        covered = tally.pick(lines, count, dearest=self.dearest)
        # `money.percent_off` written out: where most units are covered, most lines are so as a whole.
        left, kept, plain = tally.left, 2 * (BASIS_POINTS - self.rate_bp), not (self.original or tally.has_floors)
        amounts = {
            i: left[i] - (left[i] * kept + BASIS_POINTS) // (2 * BASIS_POINTS)
            if plain and picked is None
            else self._off(tally, i, picked)
            for i, picked in covered.items()
        }
        if cap is not None:
            amounts = dict(zip(amounts, cut([*amounts.values()], cap), strict=True))
        take_covered(tally, rule, covered, amounts)
        return sum(amounts.values())

    def _off(self, tally: Tally, i: int, picked: dict[int, int] | None) -> int:
        """Return what comes off the covered units of a line."""
        if picked is None:
            cost, room, units = tally.left[i], tally.room(i), tally.quantity[i]
        else:
            runs = tally.runs(i)
            units = sum(picked.values())
            cost = sum([runs[k].price * count for k, count in picked.items()])
            room = room_of(runs, picked, tally.unit_floor(i)) if tally.has_floors else cost
        return min(percent_off(tally.unit_original(i) * units if self.original else cost, self.rate_bp), room)


class CheckPercentage(Effect):
    """`rate_bp` off the sum of the lines chosen, rounded once, then split by what each line still costs."""

    __slots__ = ("cap", "delivery", "original", "rate_bp", "times")
    of_payable = True
    level = "check"

    def __init__(self, f: Fields) -> None:
        self.rate_bp = f.integer("rate_bp", None, low=0, high=BASIS_POINTS)
        self.cap = f.optional("cap", low=0)
        self.times = f.integer("times", 1, low=1, high=100)
        self.original = f.text("base", "remaining", one_of=("remaining", "original")) == "original"
        self.delivery = f.flag("includes_delivery")

    def apply(self, tally: Tally, acting: Acting, positions: Sequence[int]) -> Reason | None:
        """Take the rate off the eligible sum."""
        lines = payable(tally, acting, positions, delivery=self.delivery)
        cap = lower(self.cap, acting.cap)
        came = 0
        for _ in range(self.times):
            base = tally.original if self.original else tally.left
            amount = percent_off(sum([base[i] for i in lines]), self.rate_bp)
            amount = amount if cap is None else max(0, min(amount, cap - came))
            came += tally.take_split(lines, acting.rule, amount)
        return None if came else NOTHING_LEFT


def percentage_of(f: Fields) -> Effect:
    """Return the percentage `of` `lines` (default) or of the `check`."""
    of = f.text("of", "lines", one_of=("lines", "check"))
    return CheckPercentage(f) if of == "check" else LinePercentage(f)
