"""`free_unit`: buy some, get some of the units in the basket free."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from loyalty_desk.domain.basket import LineFlag
from loyalty_desk.domain.conditions.base import UNITS, Reason
from loyalty_desk.domain.effects.base import NOTHING_LEFT, Acting, Effect, lower, payable
from loyalty_desk.domain.effects.goods_named import GoodsNamed
from loyalty_desk.domain.fields import Fields
from loyalty_desk.domain.tally import Tally
from loyalty_desk.domain.unit_order import Row
from loyalty_desk.domain.units import Picks, Run, made, merged

NO_UNITS: Mapping[int, int] = {}
# Units by line and run.
type Left = Mapping[tuple[int, int], int]


class FreeUnit(Effect):
    """Who buys `buy` gets `get` free, the cheapest (or `choose: dearest`); or of a `set_of` units `free` are free.

    `buy` is a `quantity` of units or an `amount` in minor units. It repeats while full sets are there, up to
    `max_repeats`; `partial` gives what there is of a last incomplete `get`. Units bought and got are consumed, the
    dearest bought ones first. A weighed line may be bought, never got.
    """

    __slots__ = ("amount", "buy", "dearest", "get", "max_repeats", "partial")

    def __init__(self, f: Fields) -> None:
        size = f.optional("set_of", low=2)
        if size is not None:
            free = f.integer("free", 1, low=1, high=size - 1)
            self.buy = GoodsNamed(Fields({"quantity": size - free}, f.place, f.owner))
            self.get = GoodsNamed(Fields({"quantity": free}, f.place, f.owner))
        else:
            self.buy, self.get = GoodsNamed(f.object("buy"), quantity=1), GoodsNamed(f.object("get"), quantity=1)
        self.amount = f.object("buy").optional("amount", low=1) if size is None else None
        if size is None and self.amount is None:
            f.object("buy").integer("quantity", None, low=1)
        self.dearest = f.text("choose", "cheapest", one_of=("cheapest", "dearest")) == "dearest"
        self.max_repeats = f.optional("max_repeats", low=1)
        self.partial = f.flag("partial")

    def apply(self, tally: Tally, acting: Acting, positions: Sequence[int]) -> Reason | None:
        """Free the units of all sets."""
        buying = [i for i in self.buy.lines(tally, positions) if LineFlag.REWARD not in tally.lines[i].flags]
        getting = [i for i in self.get.lines(tally, payable(tally, acting, positions)) if not tally.lines[i].is_weighed]
        to_buy, to_get = tally.offered(buying, dearest=True), tally.offered(getting, dearest=self.dearest)
        if self.amount is not None:
            return self._by_amount(tally, acting, to_buy, to_get)
        both = set(buying) & set(getting)
        shared = sum([units for _, i, _, units, _ in to_buy if i in both])
        only_buy = sum([units for _, _, _, units, _ in to_buy]) - shared
        only_get = sum([units for _, _, _, units, _ in to_get]) - shared
        sets, extra = self._sets(only_buy, only_get, shared, lower(self.max_repeats, acting.repeats))
        bought = (sets + (1 if extra else 0)) * self.buy.quantity
        got = sets * self.get.quantity + extra
        if got == 0:
            missing = max(0, self.buy.quantity - only_buy - shared) or 1
            return Reason("set_incomplete", {"missing": missing}, UNITS, missing)
        from_both = shared - max(0, bought - only_buy)
        freed = _picked(to_get, got, both, from_both, {})
        kept = _picked(to_buy, bought, both, shared, freed)
        return self._take(tally, acting, freed, kept)

    def _by_amount(self, tally: Tally, acting: Acting, to_buy: Sequence[Row], to_get: Sequence[Row]) -> Reason | None:
        """Free units for every `amount` bought, reached with the dearest units first, set by set."""
        amount, most = self.amount or 0, lower(self.max_repeats, acting.repeats)
        left = {(i, k): units for _, i, k, units, _ in (*to_buy, *to_get)}
        freed: Picks = {}
        kept: Picks = {}
        sets, missing, buys_from, gets_from = 0, amount, 0, 0
        while most is None or sets < most:
            buys_from, gets_from = _past_gone(to_buy, left, buys_from), _past_gone(to_get, left, gets_from)
            bought, cost = _reach(to_buy[buys_from:], left, amount)
            missing = amount - cost
            if missing > 0:
                break
            got = _drawn(to_get[gets_from:], left, bought, self.get.quantity)
            count = sum(got.values())
            if count < self.get.quantity and not (self.partial and count):
                break
            # The very same set comes again while each of its runs has enough: one that it empties lets it come once.
            need = {run: bought.get(run, 0) + got.get(run, 0) for run in (*bought, *got)}
            times = min(left[run] // units for run, units in need.items())
            if most is not None:
                times = min(times, most - sets)
            sets += times
            for run, units in need.items():
                left[run] -= units * times
            for picks, drawn in ((kept, bought), (freed, got)):
                for (i, k), units in drawn.items():
                    of_line = picks.setdefault(i, {})
                    of_line[k] = of_line.get(k, 0) + units * times
        if not sets:
            if missing > 0:
                return Reason(
                    "money_below", {"of": "lines", "needs": amount, "has": amount - missing, "missing": missing}
                )
            return Reason("set_incomplete", {"missing": 1})
        return self._take(tally, acting, freed, kept)

    def _sets(self, only_buy: int, only_get: int, shared: int, most: int | None) -> tuple[int, int]:
        """Return how many full sets there are, and how many units a last partial one frees."""

        def fits(bought: int, got: int) -> bool:
            return max(0, got - only_get) + max(0, bought - only_buy) <= shared

        n, m = self.buy.quantity, self.get.quantity
        low, high = 0, (only_buy + only_get + shared) // (n + m)
        if most is not None:
            high = min(high, most)
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if fits(middle * n, middle * m) else (low, middle - 1)
        if not self.partial or low == most:
            return low, 0
        room = only_get + shared - max(0, (low + 1) * n - only_buy) - low * m
        extra = max(0, min(m - 1, room))
        return low, extra if fits((low + 1) * n, low * m + extra) else 0

    def _take(self, tally: Tally, acting: Acting, freed: Picks, kept: Picks) -> Reason | None:
        taken, count = 0, 0
        left = acting.cap
        for i in sorted({*freed, *kept}):
            floor, of_freed, of_kept = tally.unit_floor(i), freed.get(i, NO_UNITS), kept.get(i, NO_UNITS)
            pieces: list[Run] = []
            amount = 0
            for k, (was, units, consumed) in enumerate(tally.runs(i)):
                free, keep = of_freed.get(k, 0), of_kept.get(k, 0)
                rest = units - free - keep
                price = min(was, floor)
                if left is not None and free:
                    affordable = min(free, left // max(1, was - price))
                    left -= affordable * (was - price)
                    pieces.append(made((was, free - affordable, True)))
                    free = affordable
                pieces += (made((price, free, True)), made((was, keep, True)), made((was, rest, consumed)))
                amount += (was - price) * free
                count += free
            after = merged(pieces)
            taken += amount
            if amount:
                tally.take_units(i, acting.rule, amount, after)
            else:
                tally.consume(i, after)
        tally.given.free_units += count
        tally.given.units_consumed += sum(sum(part.values()) for picks in (freed, kept) for part in picks.values())
        return None if taken else NOTHING_LEFT


def _past_gone(offers: Sequence[Row], left: Left, begin: int) -> int:
    """Return the place of the first run from `begin` on that has any units left."""
    while begin < len(offers) and not left[offers[begin][1:3]]:
        begin += 1
    return begin


def _reach(offers: Iterable[Row], left: Left, amount: int) -> tuple[Left, int]:
    """Return the dearest units that reach an amount, by run, and what they cost."""
    bought: dict[tuple[int, int], int] = {}
    cost = 0
    for order, i, k, _, _ in offers:
        if cost >= amount or order == 0:
            break
        price = -order
        taken = min(left[i, k], -(-(amount - cost) // price))
        if taken:
            bought[i, k] = taken
            cost += taken * price
    return bought, cost


def _drawn(offers: Iterable[Row], left: Left, bought: Left, count: int) -> Left:
    """Return the first `count` units beside those that are bought, by run; fewer where there are not so many."""
    got: dict[tuple[int, int], int] = {}
    for _, i, k, _, _ in offers:
        if not count:
            break
        taken = min(count, left[i, k] - bought.get((i, k), 0))
        if taken:
            got[i, k] = taken
            count -= taken
    return got


def _picked(offers: Sequence[Row], count: int, both: set[int], from_both: int, taken: Picks) -> Picks:
    """Return which units `count` are, at most `from_both` of lines in `both`, leaving those already `taken`."""
    picks: Picks = {}
    for _, i, k, units, _ in offers:
        if count <= 0:
            break
        available = min(count, units - (taken[i].get(k, 0) if i in taken else 0))
        if i in both:
            available = min(available, from_both)
            from_both -= max(0, available)
        if available > 0:
            picks.setdefault(i, {})[k] = available
            count -= available
    return picks
