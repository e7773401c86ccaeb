"""`bundle`: a combination for a set price, of the dearest goods that make it up."""

from __future__ import annotations

from collections.abc import Sequence

from loyalty_desk.domain.conditions.base import UNITS, Reason
from loyalty_desk.domain.effects.base import Acting, Effect, cut, lower, payable, room_of, take_from_picked
from loyalty_desk.domain.effects.goods_named import GoodsNamed
from loyalty_desk.domain.fields import Fields
from loyalty_desk.domain.money import allocate
from loyalty_desk.domain.tally import Tally
from loyalty_desk.domain.units import Picks

# (line, run, units, price of one)
type Draw = tuple[int, int, int, int]


class Bundle(Effect):
    """`items` (each `quantity` of `products` or `categories`), or any `quantity` of the rule's goods, for `price`.

    It repeats while full sets are there, up to `max_repeats`; a set dearer than its goods does not apply. The discount
    of a set lies on its units, by what each cost.
    """

    __slots__ = ("items", "max_repeats", "price")

    def __init__(self, f: Fields) -> None:
        self.price = f.integer("price", None, low=0)
        self.max_repeats = f.optional("max_repeats", low=1)
        items = f.objects("items")
        self.items = [GoodsNamed(item, quantity=1) for item in items] if items else [GoodsNamed(f)]

    def apply(self, tally: Tally, acting: Acting, positions: Sequence[int]) -> Reason | None:
        """Form sets from the dearest units down and price them."""
        lines = payable(tally, acting, positions)
        stock = _Stock(tally, self.items, lines)
        off: dict[int, int] = {}
        picks: Picks = {}
        sets = 0
        dearer = False
        most = lower(self.max_repeats, acting.repeats)
        while most is None or sets < most:
            draws = stock.draw()
            if draws is None:
                break
            cost = sum(units * price for _, _, units, price in draws)
            if cost <= self.price:
                dearer = True
                break
            times = stock.times(draws)
            if most is not None:
                times = min(times, most - sets)
            sets += times
            parts = allocate((cost - self.price) * times, [units * price for _, _, units, price in draws])
            for (i, k, units, _), part in zip(draws, parts, strict=True):
                off[i] = off.get(i, 0) + part
                taken = picks.setdefault(i, {})
                taken[k] = taken.get(k, 0) + units * times
            stock.remove(draws, times)
        if not sets:
            missing = stock.missing()
            return Reason("bundle_dearer") if dearer else Reason("set_incomplete", {"missing": missing}, UNITS, missing)
        return _take(tally, acting, picks, off)


class _Stock:
    """The units for each item of a set that no set rule has consumed, the dearest first.

    `left` are the units of the runs drawn from, by line and run; `begins` is where each item's first unit may be.
    """

    def __init__(self, tally: Tally, items: Sequence[GoodsNamed], lines: Sequence[int]) -> None:
        self.items = items
        self.rows = [tally.offered(item.lines(tally, lines), dearest=True) for item in items]
        self.begins = [0] * len(items)
        self.left: dict[tuple[int, int], int] = {}

    def draw(self) -> list[Draw] | None:
        """Return the dearest units that make one set, None where it is incomplete."""
        gone: dict[tuple[int, int], int] = {}
        draws: list[Draw] = []
        left = self.left
        for n, (item, rows) in enumerate(zip(self.items, self.rows, strict=True)):
            need = item.quantity
            begin = self.begins[n]
            while begin < len(rows) and left.get(rows[begin][1:3]) == 0:
                begin += 1
            self.begins[n] = begin
            for place in range(begin, len(rows)):
                price, i, k, of_run, _ = rows[place]
                units = min(need, left.setdefault((i, k), of_run) - gone.get((i, k), 0))
                if units > 0:
                    gone[i, k] = gone.get((i, k), 0) + units
                    draws.append((i, k, units, -price))
                    need -= units
                if need == 0:
                    break
            if need:
                return None
        return draws

    def times(self, draws: Sequence[Draw]) -> int:
        """Return how often the very same draw can be made."""
        need: dict[tuple[int, int], int] = {}
        for i, k, units, _ in draws:
            need[i, k] = need.get((i, k), 0) + units
        return min(self.left[key] // units for key, units in need.items())

    def remove(self, draws: Sequence[Draw], times: int) -> None:
        """Take drawn units out."""
        for i, k, units, _ in draws:
            self.left[i, k] -= units * times

    def missing(self) -> int:
        """Return how many units lack until one set is complete, at least one; nothing has been removed."""
        lacking = [
            max(0, item.quantity - sum([units for _, _, _, units, _ in rows]))
            for item, rows in zip(self.items, self.rows, strict=True)
        ]
        return max(1, sum(lacking))


def _take(tally: Tally, acting: Acting, picks: Picks, off: dict[int, int]) -> Reason | None:
    lines = sorted(picks)
    rooms = [room_of(tally.runs(i), picks[i], tally.unit_floor(i)) for i in lines]
    amounts = [min(off[i], room) for i, room in zip(lines, rooms, strict=True)]
    amounts = cut(amounts, acting.cap)
    for i, amount in zip(lines, amounts, strict=True):
        after = take_from_picked(tally.runs(i), picks[i], amount, tally.unit_floor(i), consume=True)
        tally.take_units(i, acting.rule, amount, after)
    tally.given.units_consumed += sum(sum(picked.values()) for picked in picks.values())
    return None if sum(amounts) else Reason("nothing_left")
