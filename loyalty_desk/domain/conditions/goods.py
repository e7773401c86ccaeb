"""What is bought: products and categories chosen or left out, by what a unit costs, and what else must be there."""

from __future__ import annotations

from collections.abc import Sequence

from loyalty_desk.domain.basket import MILLI
from loyalty_desk.domain.conditions.base import Chooser, Condition, Reason
from loyalty_desk.domain.fields import Fields
from loyalty_desk.domain.tally import Tally


class Products(Chooser):
    """`products`: only lines of these products."""

    __slots__ = ("products",)

    def __init__(self, f: Fields) -> None:
        self.products = frozenset(f.texts("products", needed=True))

    def picks(self, tally: Tally, i: int) -> bool:
        """Return whether the line's product is named."""
        return tally.lines[i].product in self.products

    def picks_any(self, tally: Tally) -> bool:
        """Return whether any product is in the check."""
        return not self.products.isdisjoint(tally.by_product)


class Categories(Chooser):
    """`categories`: only lines of these categories."""

    __slots__ = ("categories",)

    def __init__(self, f: Fields) -> None:
        self.categories = frozenset(f.texts("categories", needed=True))

    def picks(self, tally: Tally, i: int) -> bool:
        """Return whether the line's category is named."""
        return tally.lines[i].category in self.categories

    def picks_any(self, tally: Tally) -> bool:
        """Return whether any category is in the check."""
        return not self.categories.isdisjoint(tally.by_category)


class Excluded(Chooser):
    """`excluded`: all lines but those of these products and categories."""

    __slots__ = ("categories", "products")

    def __init__(self, f: Fields) -> None:
        self.products = frozenset(f.texts("products"))
        self.categories = frozenset(f.texts("categories"))

    def picks(self, tally: Tally, i: int) -> bool:
        """Return whether the line is not named."""
        line = tally.lines[i]
        return line.product not in self.products and line.category not in self.categories


class UnitPrice(Chooser):
    """`unit_price`: only lines whose unit costs `min` to `max` now (minor units, inclusive; `over`: strict)."""

    __slots__ = ("high", "low", "over")
    moving = True

    def __init__(self, f: Fields) -> None:
        self.low = f.integer("min", 0, low=0)
        self.high = f.optional("max", low=0)
        self.over = f.flag("over")

    def picks(self, tally: Tally, i: int) -> bool:
        """Return whether the line's average unit price lies in the range."""
        quantity = tally.lines[i].quantity_milli
        price = tally.left[i] * MILLI
        if price < self.low * quantity or (self.over and price == self.low * quantity):
            return False
        return self.high is None or price <= self.high * quantity


class Presence(Condition):
    """`presence`: `quantity` units (1) of these products or categories in the check; `all`: of each of them.

    Lines that the rule acts on do not count unless `counts_own`.
    """

    __slots__ = ("categories", "counts_own", "every", "products", "quantity")
    of_lines = True

    def __init__(self, f: Fields) -> None:
        self.products = frozenset(f.texts("products"))
        self.categories = frozenset(f.texts("categories"))
        if not self.products and not self.categories:
            raise f.wrong("products", "list_of_texts")
        self.quantity = f.integer("quantity", 1, low=1)
        self.every = f.flag("all")
        self.counts_own = f.flag("counts_own")

    def _found(self, tally: Tally, positions: Sequence[int]) -> tuple[int, list[str]]:
        counted = dict.fromkeys((*sorted(self.products), *sorted(self.categories)), 0)
        total = 0
        own = () if self.counts_own or positions is tally.all else positions
        for i, line in enumerate(tally.lines):
            if i in own:
                continue
            if line.product in self.products:
                counted[line.product] += tally.quantity[i]
                total += tally.quantity[i]
            elif line.category in self.categories:
                counted[line.category] += tally.quantity[i]
                total += tally.quantity[i]
        return total, [name for name, count in counted.items() if count < self.quantity]

    def holds(self, tally: Tally, positions: Sequence[int]) -> bool:
        """Return whether enough is there."""
        total, missing = self._found(tally, positions)
        return not missing if self.every else total >= self.quantity

    def why(self, tally: Tally, positions: Sequence[int]) -> Reason:
        """Return what is missing."""
        total, missing = self._found(tally, positions)
        names = missing if self.every else sorted(self.products | self.categories)
        short = self.quantity if self.every else self.quantity - total
        return Reason("needs_present", {"names": names, "quantity": self.quantity, "missing": short})
