"""Goods that a part of an effect names: products, categories, how many units."""

from __future__ import annotations

from collections.abc import Sequence

from loyalty_desk.domain.fields import Fields
from loyalty_desk.domain.tally import Tally


class GoodsNamed:
    """`quantity` units of `products` or `categories`; without either, of the rule's own lines."""

    __slots__ = ("categories", "products", "quantity")

    def __init__(self, f: Fields, *, quantity: int | None = None) -> None:
        self.quantity = f.integer("quantity", quantity, low=1)
        self.products = frozenset(f.texts("products"))
        self.categories = frozenset(f.texts("categories"))

    def lines(self, tally: Tally, positions: Sequence[int]) -> list[int]:
        """Return those of the rule's lines that are meant."""
        if not self.products and not self.categories:
            return list(positions)
        return [
            i
            for i in positions
            if tally.lines[i].product in self.products or tally.lines[i].category in self.categories
        ]
