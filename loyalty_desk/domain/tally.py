"""The running tally of a check while it is priced: what every line and unit still costs, and who took what off."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import NamedTuple
from unicodedata import normalize

from loyalty_desk.domain.basket import MILLI, Basket, Line, LineFlag, by_canonical_order
from loyalty_desk.domain.guest import GuestFacts
from loyalty_desk.domain.money import allocate, divide_half_up, largest_remainder
from loyalty_desk.domain.program import Exclusion, Program
from loyalty_desk.domain.quote import MANUAL_RULE, Choices, Gift
from loyalty_desk.domain.unit_choice import counted
from loyalty_desk.domain.unit_order import Row, UnitOrder
from loyalty_desk.domain.units import Picks, Run, Runs, are_even, pick_of_line, spread

CLOSED, GOODS, DELIVERY = 0, 1, 2
NO_KEYS: frozenset[str] = frozenset()
NO_LINES: frozenset[int] = frozenset()


type Cut = tuple[str, int]
"""A rule's id and the minor units that it took off a line."""

type Cuts = tuple[Cuts, Cut] | None
"""The cuts of a line: those before the last, and the last. They only grow, so a saved tally shares them."""


def in_order(cuts: Cuts) -> tuple[Cut, ...]:
    """Return the cuts of a line, the first one first."""
    if cuts is None:
        return ()
    if cuts[0] is None:
        return (cuts[1],)
    found: list[Cut] = []
    while cuts is not None:
        cuts, cut = cuts
        found.append(cut)
    return tuple(reversed(found))


@dataclass(slots=True)
class Given:
    """What rules give beside money off: extra units, stamps, coupons, loads of cards; all (rule id, number)."""

    gifts: list[Gift] = field(default_factory=list)
    stamps: list[tuple[str, int]] = field(default_factory=list)
    coupons: list[tuple[str, int]] = field(default_factory=list)
    loads: list[tuple[str, int]] = field(default_factory=list)
    rewards: list[tuple[str, int]] = field(default_factory=list)
    free_units: int = 0
    units_consumed: int = 0

    def copy(self) -> Given:
        """Return a copy that can go its own way."""
        return Given(
            self.gifts.copy(),
            self.stamps.copy(),
            self.coupons.copy(),
            self.loads.copy(),
            self.rewards.copy(),
            self.free_units,
            self.units_consumed,
        )


class Known(NamedTuple):
    """What the units of a line cost after these `cuts`; later ones are spread over them. `even`: see `are_even`."""

    cuts: Cuts
    runs: Runs
    even: bool


# `Known._make` without a Python frame for each line.
_known: Callable[[tuple[Cuts, Runs, bool]], Known] = partial(tuple.__new__, Known)


@dataclass(frozen=True, slots=True)
class Saved:
    """The tally at one moment, to come back to."""

    left: list[int]
    cuts: list[Cuts]
    known: list[Known | None]
    given: Given | None


class Tally:
    """Working state of one quote: lists over the lines in canonical order, minor units, charges left out."""

    __slots__ = (
        "_by_product",
        "_given",
        "_quantity",
        "_unit_orders",
        "all",
        "all_plain",
        "at",
        "basket",
        "by_category",
        "by_points",
        "choices",
        "codes",
        "coupons",
        "cuts",
        "gross",
        "guest",
        "has_floors",
        "ids",
        "known",
        "least",
        "left",
        "lines",
        "local",
        "may",
        "no_tier_discount",
        "no_tier_points",
        "order",
        "original",
        "points_at_hand",
        "program",
    )

    def __init__(
        self, basket: Basket, guest: GuestFacts | None, program: Program, at: datetime, choices: Choices
    ) -> None:
        lines = basket.lines
        ids, gross, self.all_plain = basket.read()
        self.order: list[int] | None = None
        if "" in ids:
            self.order = by_canonical_order(lines)
            lines = tuple([lines[i] for i in self.order])
            ids, gross = [line.id for line in lines], [line.gross for line in lines]
        self.basket, self.guest, self.program, self.at, self.choices = basket, guest, program, at, choices
        self.lines, self.ids = lines, ids
        size = len(lines)
        self.all = range(size)
        self.gross = gross
        by_category: dict[str, list[int]] = {}
        for i, line in enumerate(lines):
            category = line.category
            if category in by_category:
                by_category[category].append(i)
            else:
                by_category[category] = [i]
        self.by_category = by_category
        self._by_product: dict[str, list[int]] | None = None
        self._quantity: list[int] | None = None
        if self.all_plain:
            self.may, self.least, self.has_floors = [GOODS] * size, [0] * size, False
        else:
            self.may = [_may(line.flags) if line.flags else GOODS for line in lines]
            self.least = [_least(line.floor, line.quantity_milli) if line.floor else 0 for line in lines]
            self.has_floors = any(self.least)
        excluded = program.exclusions.discounts
        if excluded.products or excluded.categories:
            self.may = [CLOSED if left_out(line, excluded) else self.may[i] for i, line in enumerate(lines)]
        self.left, self.original = self.gross.copy(), self.gross
        self.cuts: list[Cuts] = [None] * size
        self.known: list[Known | None] = [None] * size
        self._unit_orders: dict[bool, UnitOrder] = {}
        self.by_points: Sequence[int] = ()
        self._given: Given | None = None
        self.points_at_hand = 0
        self.no_tier_discount: frozenset[int] = NO_LINES
        self.no_tier_points: frozenset[int] = NO_LINES
        self.local = at.astimezone(basket.zone)
        self.codes = {folded(code) for code in choices.codes} if choices.codes else NO_KEYS
        self.coupons = {folded(code) for code in choices.coupons} if choices.coupons else NO_KEYS

    @property
    def has_given(self) -> bool:
        """Return whether any rule had a look at what is given beside money off."""
        return self._given is not None

    @property
    def given(self) -> Given:
        """Return what rules give beside money off."""
        if self._given is None:
            self._given = Given()
        return self._given

    @property
    def quantity(self) -> list[int]:
        """Return the units of every line, a weighed line being one."""
        if self._quantity is None:
            self._quantity = [line.quantity_milli // MILLI if line.is_plain else line.units for line in self.lines]
        return self._quantity

    @property
    def by_product(self) -> dict[str, list[int]]:
        """Return the lines of every product."""
        if self._by_product is None:
            self._by_product = {}
            for i, line in enumerate(self.lines):
                self._by_product.setdefault(line.product, []).append(i)
        return self._by_product

    def room(self, i: int) -> int:
        """Return what may still come off line `i`, down to its floor price."""
        room = self.left[i] - self.least[i]
        return max(room, 0)

    def rooms(self, positions: Sequence[int]) -> list[int]:
        """Return what may still come off each of these lines."""
        left = self.left
        return [self.room(i) for i in positions] if self.has_floors else [left[i] for i in positions]

    def is_even(self, i: int) -> bool:
        """Return whether no two units of line `i` differ in price by more than one minor unit, for all that is known.

        A floor price under several units would keep them apart, so such a line is never taken for even.
        """
        known = self.known[i]
        return (known is None or known[2]) and (not self.least[i] or self.quantity[i] == 1)

    def evens(self, positions: Sequence[int]) -> list[bool]:
        """Return of each of these lines whether it is even."""
        known = self.known
        if self.has_floors:
            return [self.is_even(i) for i in positions]
        return [(units := known[i]) is None or units[2] for i in positions]

    def take_units(self, i: int, rule: str, amount: int, runs: Runs) -> None:
        """Take an amount off certain units of line `i`; `runs` are all its units afterwards."""
        self.left[i] -= amount
        self.cuts[i] = (self.cuts[i], (rule, amount))
        self.known[i] = _known((self.cuts[i], runs, are_even(runs)))

    def take_each(self, positions: Sequence[int], rule: str, amounts: Sequence[int]) -> bool:
        """Take an amount off each of these lines, spread over its units; return whether any was taken."""
        left, cuts = self.left, self.cuts
        came = False
        for i, amount in zip(positions, amounts, strict=True):
            if amount:
                left[i] -= amount
                cuts[i] = (cuts[i], (rule, amount))
                came = True
        return came

    def take_split(self, positions: Sequence[int], rule: str, amount: int) -> int:
        """Split an amount over lines by what each still costs, none below its floor; return what was taken."""
        left, cuts = self.left, self.cuts
        if len(positions) == 1:
            (i,) = positions
            amount = min(amount, self.room(i))
            if amount > 0:
                left[i] -= amount
                cuts[i] = (cuts[i], (rule, amount))
                return amount
            return 0
        weights = [left[i] for i in positions]
        if self.has_floors:
            parts = allocate(amount, weights, self.rooms(positions))
            taken = sum(parts)
        else:
            # No share of what fits exceeds its weight, so the ceilings need not be looked at.
            taken = min(amount, sum(weights))
            if not taken:
                return 0
            parts = largest_remainder(taken, weights)
        self.take_each(positions, rule, parts)
        return taken

    def take_points(self, parts: Sequence[int]) -> None:
        """Take what points pay of each line."""
        self.by_points = parts
        for i, part in enumerate(parts):
            self.left[i] -= part

    def unit_floor(self, i: int) -> int:
        """Return the least that a unit of line `i` may cost; a weighed line is one unit."""
        if not self.has_floors:
            return 0
        return self.least[i] if self.lines[i].is_weighed else self.lines[i].floor

    def unit_original(self, i: int) -> int:
        """Return what a unit of line `i` cost before any rule, rounded half up."""
        return divide_half_up(self.original[i], self.quantity[i])

    def is_discounted(self, i: int) -> bool:
        """Return whether a rule has lowered line `i`; what the cashier takes off by hand is no rule."""
        cuts = self.cuts[i]
        # What is taken by hand is taken first.
        return cuts is not None and cuts[1][0] != MANUAL_RULE

    def runs(self, i: int) -> Runs:
        """Return the units of line `i` with what each costs now."""
        cuts, known = self.cuts[i], self.known[i]
        if known is None:
            known = self.known[i] = Known(None, self.first_runs(i), even=True)
        last, runs, even = known
        if cuts is last and not self.by_points:
            return runs
        line = self.lines[i]
        floor = 0 if not line.floor or line.is_weighed else line.floor
        if cuts is not last:
            later: list[int] = []
            while cuts is not None and cuts is not last:
                cuts, (_, amount) = cuts
                later.append(amount)
            for amount in reversed(later):
                runs = spread(runs, amount, floor)
            # Kept, so that no cut is spread twice however often a check's units are looked at.
            self.known[i] = Known(self.cuts[i], runs, even)
        if self.by_points and self.by_points[i]:
            runs = spread(runs, self.by_points[i], floor)
        return runs

    def pick(self, lines: Sequence[int], count: int, *, dearest: bool = False) -> dict[int, dict[int, int] | None]:
        """Return which units of these lines are the `count` cheapest or `dearest`, ties to the earlier line and unit.

        The lines stand in their order. Where all units of an even line are meant it says so without looking at them.
        """
        quantity = self.quantity
        units = counted(self, lines, count, dearest=dearest)
        return {
            i: None if even and units[i] == quantity[i] else pick_of_line(self.runs(i), units[i], dearest=dearest)
            for i, even in zip(units, self.evens([*units]), strict=True)
        }

    def pick_free(self, lines: Sequence[int], count: int) -> Picks:
        """Return the `count` dearest units of these lines that no set rule has consumed."""
        return self.unit_order(dearest=True).pick_free(lines, count)

    def offered(self, lines: Collection[int], *, dearest: bool) -> list[Row]:
        """Return the runs of these lines that no set rule has consumed, by price, ties to the earlier."""
        return self.unit_order(dearest=dearest).offered(lines)

    def unit_order(self, *, dearest: bool) -> UnitOrder:
        """Return the units of all lines by price."""
        if dearest not in self._unit_orders:
            self._unit_orders[dearest] = UnitOrder(self, dearest=dearest)
        return self._unit_orders[dearest]

    def first_runs(self, i: int) -> Runs:
        """Return the units of line `i` before any discount."""
        line = self.lines[i]
        return (Run(self.gross[i], 1),) if line.is_weighed else (Run(line.unit_price, self.quantity[i]),)

    def consume(self, i: int, runs: Runs) -> None:
        """Note that units of line `i` are consumed, nothing being taken off: `runs` are all its units now."""
        self.known[i] = Known(self.cuts[i], runs, are_even(runs))

    def replace_cuts(self, i: int, cuts: Sequence[Cut]) -> None:
        """Put other cuts, spread over its units, in the place of all that line `i` had since its price before rules."""
        chain: Cuts = None
        for cut in cuts:
            chain = (chain, cut)
        self.cuts[i] = chain
        self.left[i] = self.gross[i] - sum([amount for _, amount in cuts])
        self.known[i] = None

    def name(self, i: int) -> str:
        """Return the id of line `i`; one without is named by its place in the basket, from 1."""
        return self.ids[i] or f"#{(i if self.order is None else self.order[i]) + 1}"

    def gave(self, rule: str) -> bool:
        """Return whether a rule gave anything beside money off."""
        if self._given is None:
            return False
        given = self._given
        pairs = (*given.stamps, *given.coupons, *given.loads, *given.rewards)
        return any(gift.rule == rule for gift in given.gifts) or any(identifier == rule for identifier, _ in pairs)

    def save(self) -> Saved:
        """Return the tally as it stands."""
        return Saved(self.left.copy(), self.cuts.copy(), self.known.copy(), self._given and self._given.copy())

    def restore(self, saved: Saved) -> None:
        """Come back to a tally saved before; it can be restored more than once."""
        self.left = saved.left.copy()
        self.cuts = saved.cuts.copy()
        self.known = saved.known.copy()
        self.by_points = ()
        self._given = saved.given and saved.given.copy()


def _may(flags: frozenset[str]) -> int:
    if LineFlag.NO_DISCOUNT in flags or LineFlag.REWARD in flags:
        return CLOSED
    return DELIVERY if LineFlag.DELIVERY in flags else GOODS


def folded(text: str) -> str:
    """Return a code as it is compared: case, spaces around it and how its accents are written do not count."""
    return normalize("NFC", text.strip().casefold())


def left_out(line: Line, exclusion: Exclusion) -> bool:
    """Return whether an exclusion names the line's product or category."""
    return line.product in exclusion.products or line.category in exclusion.categories


def _least(floor: int, quantity_milli: int) -> int:
    return -(-floor * quantity_milli // MILLI)
