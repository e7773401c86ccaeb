"""How much is bought: amounts and quantities of the check, of matching lines, or of one line."""

from __future__ import annotations

from collections.abc import Sequence

from loyalty_desk.domain.canonical import Json
from loyalty_desk.domain.conditions.base import MONEY, UNITS, Condition, Reason, Test
from loyalty_desk.domain.fields import Fields
from loyalty_desk.domain.tally import Tally


class _Size(Condition):
    """A least or greatest size `of` the check, the rule's `lines` (or those named here), or one `line`, or any one.

    `min` is inclusive, strict with `over`; `max` is inclusive.
    """

    __slots__ = ("categories", "high", "low", "of", "over", "products")
    kind = MONEY
    of_lines = True

    def __init__(self, f: Fields) -> None:
        self.of = f.text("of", "check", one_of=("check", "lines", "line"))
        self.low = f.integer("min", 0, low=0)
        self.high = f.optional("max", low=0)
        self.over = f.flag("over")
        self.products = frozenset(f.texts("products"))
        self.categories = frozenset(f.texts("categories"))

    def sizes(self, tally: Tally) -> Sequence[int]:
        """Return the size of every line."""
        raise NotImplementedError

    def size(self, tally: Tally, positions: Sequence[int]) -> int:
        """Return the size that is tested."""
        sizes = self.sizes(tally)
        if self.of == "check":
            return sum(sizes)
        if self.products or self.categories:
            lines = tally.lines
            positions = [
                i for i, line in enumerate(lines) if line.product in self.products or line.category in self.categories
            ]
        if self.of == "lines":
            return sum(sizes[i] for i in positions)
        return max((sizes[i] for i in positions), default=0)

    def holds(self, tally: Tally, positions: Sequence[int]) -> bool:
        """Return whether the size lies within the bounds."""
        size = self.size(tally, positions)
        if size < self.low or (self.over and size == self.low):
            return False
        return self.high is None or size <= self.high

    def why(self, tally: Tally, positions: Sequence[int]) -> Reason:
        """Return what is needed and what there is."""
        size = self.size(tally, positions)
        facts: dict[str, Json] = {"of": self.of, "has": size}
        if self.high is not None and size > self.high:
            return Reason(f"{self.kind}_above", facts | {"limit": self.high})
        missing = self.low - size + (1 if self.over else 0)
        code = f"{self.kind}_not_over" if self.over else f"{self.kind}_below"
        return Reason(code, facts | {"needs": self.low, "missing": missing}, self.kind, missing)


class Amount(_Size):
    """`amount`: minor units as they stand after what was taken off before."""

    __slots__ = ()
    moving = True

    def sizes(self, tally: Tally) -> Sequence[int]:
        """Return what each line costs now."""
        return tally.left

    def test(self) -> Test | None:
        """Return the test of the check's least amount, the commonest of all, written out."""
        if self.of != "check" or self.high is not None or self.over:
            return self.holds
        low = self.low
        return (lambda tally, _: sum(tally.left) >= low) if low else None


class Quantity(_Size):
    """`quantity`: whole units, a weighed line being one."""

    __slots__ = ()
    kind = UNITS

    def sizes(self, tally: Tally) -> Sequence[int]:
        """Return the units of each line."""
        return tally.quantity
