"""`fixed_amount`: minor units off the check, off each line, off the lines together, or off each unit."""

from __future__ import annotations

from collections.abc import Sequence

from loyalty_desk.domain.conditions.base import Reason
from loyalty_desk.domain.effects.base import (
    NOTHING_LEFT,
    Acting,
    Effect,
    cut,
    lower,
    off_each,
    payable,
    room_of,
    take_covered,
)
from loyalty_desk.domain.effects.unit_prices import lower_units
from loyalty_desk.domain.fields import Fields
from loyalty_desk.domain.tally import Tally
from loyalty_desk.domain.units import Covered, pick, pick_of_line


class SharedAmount(Effect):
    """`amount` once over all lines chosen, split by what each still costs; of `max_units` only the cheapest units.

    `per: check` runs with the check rules, `per: lines` with the line rules.
    """

    __slots__ = ("amount", "delivery", "level", "max_units")
    of_payable = True

    def __init__(self, f: Fields, *, level: str) -> None:
        self.level = level
        self.amount = f.integer("amount", None, low=0)
        self.max_units = f.optional("max_units", low=0)
        self.delivery = f.flag("includes_delivery")

    def apply(self, tally: Tally, acting: Acting, positions: Sequence[int]) -> Reason | None:
        """Take the amount, as much of it as there is room for."""
        lines = payable(tally, acting, positions, delivery=self.delivery)
        amount = lower(self.amount, acting.cap) or 0
        if self.max_units is None:
            return None if tally.take_split(lines, acting.rule, amount) else NOTHING_LEFT
        covered = tally.pick(lines, self.max_units)
        rooms = {i: _room(tally, i, picked) for i, picked in covered.items()}
        amounts = cut([*rooms.values()], amount)
        take_covered(tally, acting.rule, covered, dict(zip(rooms, amounts, strict=True)))
        return None if sum(amounts) else NOTHING_LEFT


def _room(tally: Tally, i: int, picked: dict[int, int] | None) -> int:
    return tally.room(i) if picked is None else room_of(tally.runs(i), picked, tally.unit_floor(i))


class LineAmount(Effect):
    """`amount` off each line chosen."""

    __slots__ = ("amount", "cap")
    of_payable = True

    def __init__(self, f: Fields) -> None:
        self.amount = f.integer("amount", None, low=0)
        self.cap = f.optional("cap", low=0)

    def apply(self, tally: Tally, acting: Acting, positions: Sequence[int]) -> Reason | None:
        """Take the amount off every line, as much as each has room for."""
        lines = payable(tally, acting, positions)
        most = self.amount
        amounts = cut([min(most, room) for room in tally.rooms(lines)], lower(self.cap, acting.cap))
        return None if tally.take_each(lines, acting.rule, amounts) else NOTHING_LEFT


class UnitAmount(Effect):
    """`amount` off each unit; of `max_units`, `max_units_per_line` or full groups of `group_size` the cheapest."""

    __slots__ = ("amount", "cap", "dearest", "group_size", "max_units", "per_line")
    of_payable = True

    def __init__(self, f: Fields) -> None:
        self.amount = f.integer("amount", None, low=0)
        self.cap = f.optional("cap", low=0)
        self.max_units = f.optional("max_units", low=0)
        self.per_line = f.optional("max_units_per_line", low=0)
        self.group_size = f.integer("group_size", 1, low=1)
        self.dearest = f.text("choose", "cheapest", one_of=("cheapest", "dearest")) == "dearest"

    def apply(self, tally: Tally, acting: Acting, positions: Sequence[int]) -> Reason | None:
        """Take the amount off every unit covered, no unit below its floor."""
        lines = payable(tally, acting, positions)
        off, covered = self.amount, self._covered(tally, lines)
        whole, cap = off_each(tally, covered, off), lower(self.cap, acting.cap)
        return lower_units(tally, acting, covered, lambda _i, _k, _n, now: now - off, cap, whole=whole)

    def _covered(self, tally: Tally, lines: list[int]) -> Covered:
        quantity, per_line = tally.quantity, self.per_line
        if per_line == 0:
            return {}
        offered = {i: quantity[i] if per_line is None else min(quantity[i], per_line) for i in lines}
        count = sum(offered.values()) // self.group_size * self.group_size
        if self.max_units is not None:
            count = min(count, self.max_units)
        if per_line is None:
            return tally.pick(lines, count, dearest=self.dearest)
        if count == sum(offered.values()):
            return {
                i: None if even and units == quantity[i] else pick_of_line(tally.runs(i), units, dearest=self.dearest)
                for (i, units), even in zip(offered.items(), tally.evens(lines), strict=True)
            }
        by_line = {i: tally.runs(i) for i in lines}
        limited = [(i, pick_of_line(runs, offered[i], dearest=self.dearest)) for i, runs in by_line.items()]
        trimmed = [
            (i, tuple(by_line[i][k]._replace(units=units) for k, units in chosen.items())) for i, chosen in limited
        ]
        by_run = {i: list(chosen) for i, chosen in limited}
        found = pick(trimmed, count, dearest=self.dearest)
        return {i: {by_run[i][k]: units for k, units in chosen.items()} for i, chosen in found.items()}


def amount_per(f: Fields) -> Effect:
    """Return the amount `per` `check` (default), `lines` together, each `line`, or each `unit`."""
    match f.text("per", "check", one_of=("check", "lines", "line", "unit")):
        case "unit":
            return UnitAmount(f)
        case "line":
            return LineAmount(f)
        case "lines":
            return SharedAmount(f, level="line")
        case _:
            return SharedAmount(f, level="check")
