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
    payable,
    room_of,
    take_from_picked,
)
from loyalty_desk.domain.fields import Fields
from loyalty_desk.domain.tally import Tally
from loyalty_desk.domain.units import Picks, Run, Runs, made, merged, pick, pick_of_line, total


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
        picks = tally.pick(lines, self.max_units)
        by_line = {i: tally.runs(i) for i in picks}
        rooms = [room_of(by_line[i], picks[i], tally.unit_floor(i)) for i in sorted(picks)]
        amounts = cut(rooms, amount)
        for i, taken in zip(sorted(picks), amounts, strict=True):
            if taken:
                tally.take_units(
                    i, acting.rule, taken, take_from_picked(by_line[i], picks[i], taken, tally.unit_floor(i))
                )
        return None if sum(amounts) else NOTHING_LEFT


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
        amounts = cut([min(self.amount, tally.room(i)) for i in lines], lower(self.cap, acting.cap))
        for i, taken in zip(lines, amounts, strict=True):
            tally.take(i, acting.rule, taken)
        return None if sum(amounts) else NOTHING_LEFT


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
        if self.covers_all and acting.cap is None:
            came = [self._all_units(tally, acting.rule, i) for i in lines]
            return None if any(came) else NOTHING_LEFT
        picks = self._picks(tally, lines)
        by_line = {i: tally.runs(i) for i in sorted(picks)}
        wanted = [self._off(runs, picks[i], tally.unit_floor(i)) for i, runs in by_line.items()]
        amounts = cut(wanted, lower(self.cap, acting.cap))
        for (i, runs), want, taken in zip(by_line.items(), wanted, amounts, strict=True):
            if taken:
                floor = tally.unit_floor(i)
                after = (
                    take_from_picked(runs, picks[i], taken, floor)
                    if taken < want
                    else self._lowered(runs, picks[i], floor)
                )
                tally.take_units(i, acting.rule, taken, after)
        return None if sum(amounts) else NOTHING_LEFT

    @property
    def covers_all(self) -> bool:
        """Return whether every unit is meant, whatever it costs."""
        return self.cap is None and self.max_units is None and self.per_line is None and self.group_size == 1

    def _all_units(self, tally: Tally, rule: str, i: int) -> int:
        floor = tally.unit_floor(i)
        runs = tally.runs(i)
        after: Runs
        if len(runs) == 1:
            ((price, units, consumed),) = runs
            off = min(self.amount, max(0, price - floor))
            taken, after = off * units, (made((price - off, units, consumed)),)
        else:
            after = merged([made((p - min(self.amount, max(0, p - floor)), units, used)) for p, units, used in runs])
            taken = tally.left[i] - total(after)
        if taken:
            tally.take_units(i, rule, taken, after)
        return taken

    def _picks(self, tally: Tally, lines: list[int]) -> Picks:
        quantity, per_line = tally.quantity, self.per_line
        if per_line == 0:
            return {}
        offered = {i: quantity[i] if per_line is None else min(quantity[i], per_line) for i in lines}
        count = sum(offered.values()) // self.group_size * self.group_size
        if self.max_units is not None:
            count = min(count, self.max_units)
        if per_line is None:
            return tally.pick(lines, count, dearest=self.dearest)
        by_line = {i: tally.runs(i) for i in lines}
        if count == sum(offered.values()):
            return {i: pick_of_line(runs, offered[i], dearest=self.dearest) for i, runs in by_line.items()}
        limited = [(i, pick_of_line(runs, offered[i], dearest=self.dearest)) for i, runs in by_line.items()]
        trimmed = [
            (i, tuple(by_line[i][k]._replace(units=units) for k, units in chosen.items())) for i, chosen in limited
        ]
        by_run = {i: list(chosen) for i, chosen in limited}
        found = pick(trimmed, count, dearest=self.dearest)
        return {i: {by_run[i][k]: units for k, units in chosen.items()} for i, chosen in found.items()}

    def _off(self, runs: Runs, picked: dict[int, int], floor: int) -> int:
        off = 0
        for k, count in picked.items():
            off += min(self.amount, max(0, runs[k][0] - floor)) * count
        return off

    def _lowered(self, runs: Runs, picked: dict[int, int], floor: int) -> Runs:
        pieces: list[Run] = []
        for k, run in enumerate(runs):
            count = picked.get(k, 0)
            if count == 0:
                pieces.append(run)
                continue
            price, units, consumed = run
            pieces.append(made((price - min(self.amount, max(0, price - floor)), count, consumed)))
            if units > count:
                pieces.append(made((price, units - count, consumed)))
        return merged(pieces)


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
