"""A check as it was sold, line by line and unit by unit: what each unit paid, earned and spent."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property

from loyalty_desk.domain.basket import MILLI, WHOLE_CHECK, Basket, Line
from loyalty_desk.domain.guest import GuestFacts
from loyalty_desk.domain.money import divide_half_up
from loyalty_desk.domain.pricing import quote
from loyalty_desk.domain.program import Program
from loyalty_desk.domain.quote import NO_CHOICES, Choices, Quote
from loyalty_desk.domain.units import Run, Runs, unit_shares


@dataclass(frozen=True)
class Sale:
    """A check as it was sold: what went into its quote, and the quote."""

    basket: Basket
    guest: GuestFacts | None
    program: Program
    choices: Choices
    quote: Quote

    @classmethod
    def priced(
        cls,
        basket: Basket,
        guest: GuestFacts | None,
        program: Program,
        at: datetime,
        choices: Choices = NO_CHOICES,
    ) -> Sale:
        """Return the sale of a check priced at `at`."""
        return cls(basket, guest, program, choices, quote(basket, guest, program, at, choices))

    @property
    def spent(self) -> int:
        """Return the points that the guest gave for the check, rewards included, smallest point units."""
        return self.quote.redeemed_points

    @property
    def is_bare_total(self) -> bool:
        """Return whether the check has no lines but its total."""
        return len(self.basket.lines) == 1 and self.basket.lines[0].id == WHOLE_CHECK

    @cached_property
    def unredeemed(self) -> Quote:
        """Return the same check as it would have cost without points."""
        if self.spent == 0:
            return self.quote
        return self.quoted(self.basket, replace(self.choices, points_asked=0, rewards=()))

    @cached_property
    def lines(self) -> tuple[SoldLine, ...]:
        """Return the lines with their units, in the basket's order."""
        return tuple(_sold_line(self, position) for position in range(len(self.basket.lines)))

    @cached_property
    def has_sets(self) -> bool:
        """Return whether a buy-get, group or bundle rule gave something: its units stand or fall together."""
        return self.quote.units_consumed > 0 or bool(self.quote.gifts)

    def quoted(self, basket: Basket, choices: Choices) -> Quote:
        """Return another basket priced as this sale was: same program, moment and guest."""
        return quote(basket, self.guest, self.program, self.quote.at, choices)


@dataclass(frozen=True, slots=True)
class SoldLine:
    """A line sold, unit by unit in the line's order: `nets` paid, and the price `before` points came off (minor units).

    `earned` and `spent` are the points of each unit. A weighed line has one unit. `id` is the line's, or its place.
    """

    id: str
    line: Line
    nets: Runs
    before: Runs
    earned: Runs
    spent: Runs

    def back(self, of: Runs, quantity_milli: int) -> int:
        """Return how much of `of` belongs to `quantity_milli` thousandths, last units first."""
        if self.line.is_weighed:
            return divide_half_up(sum(run.price for run in of) * quantity_milli, self.line.quantity_milli)
        total, left = 0, quantity_milli // MILLI
        for run in reversed(of):
            taken = min(left, run.units)
            total += taken * run.price
            left -= taken
        return total


def line_id(line: Line, position: int) -> str:
    """Return what a return calls a line: its id, else `#` and its place from 1, as explanations do."""
    return line.id or f"#{position + 1}"


def _sold_line(sale: Sale, position: int) -> SoldLine:
    line, priced = sale.basket.lines[position], sale.quote.lines[position]
    goods = sale.quote.units(position)
    before = sale.unredeemed.units(position)
    charge = priced.charge if line.is_weighed else line.charge
    by_points = _difference(before, goods)
    return SoldLine(
        id=line_id(line, position),
        line=line,
        nets=tuple(run._replace(price=run.price + charge) for run in goods),
        before=before,
        earned=_split(priced.earned, goods),
        spent=_split(priced.points, by_points),
    )


def _difference(more: Runs, less: Runs) -> Runs:
    """Return, unit by unit, what `more` costs above `less`."""
    out: list[Run] = []
    lower = [[run.price, run.units] for run in less]
    for run in more:
        left = run.units
        while left and lower:
            taken = min(left, lower[0][1])
            out.append(Run(max(0, run.price - lower[0][0]), taken))
            left -= taken
            lower[0][1] -= taken
            if not lower[0][1]:
                lower.pop(0)
    return tuple(out)


def _split(points: int, weights: Runs) -> Runs:
    """Split points over units by largest remainder, equally where all weights are zero."""
    if not points:
        return tuple(run._replace(price=0) for run in weights)
    out: list[Run] = []
    shares = unit_shares([(run.price, run.units) for run in weights], points)
    for run, (each, extra) in zip(weights, shares, strict=True):
        out += [Run(price, units) for price, units in ((each + 1, extra), (each, run.units - extra)) if units]
    return tuple(out)
