"""Which goods of a check can still be claimed: a rule whose goods are all lowered already waits for nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce
from operator import or_

from loyalty_desk.domain.plan import Bits, Plan, PlannedRule
from loyalty_desk.domain.quote import MANUAL_RULE
from loyalty_desk.domain.tally import CLOSED, Tally


class Claims:
    """The claiming rules of a check by the goods that they name, as long as a line of these goods can be lowered."""

    __slots__ = ("_by_category", "_by_product", "_others", "_tally")

    def __init__(self, plan: Plan, tally: Tally) -> None:
        self._tally = tally
        self._others = ~plan.claims
        self._by_category = _named(plan.by_category, tally.by_category, plan.claims)
        self._by_product = _named(plan.by_product, tally.by_product, plan.claims) if plan.by_product else {}

    def waiting_after(self, rule: PlannedRule, waiting: Bits) -> Bits:
        """Return those of the waiting rules that still wait for something after the turn of a claiming one."""
        tally = self._tally
        claims, shown = self._by_category, tally.by_category
        if rule.goods_are_products:
            claims, shown = self._by_product, tally.by_product
        closed = False
        for name in rule.goods:
            # Goods that nobody waits for may stay open: they let nobody wait.
            if claims.get(name, 0) & waiting and not self._is_open(shown[name]):
                del claims[name]
                closed = True
        if not closed:
            return waiting
        wanted = reduce(or_, self._by_category.values(), self._others)
        if self._by_product:
            wanted = reduce(or_, self._by_product.values(), wanted)
        return waiting & wanted

    def _is_open(self, lines: Sequence[int]) -> bool:
        """Return whether any of the lines can still be lowered by a rule that spares lowered ones."""
        tally = self._tally
        left, may, cuts = tally.left, tally.may, tally.cuts
        for i in lines:
            last = cuts[i]
            if (last is None or last[1][0] == MANUAL_RULE) and left[i] > 0 and may[i] != CLOSED:
                return True
        return False


def _named(index: Mapping[str, Bits], shown: Mapping[str, Sequence[int]], claims: Bits) -> dict[str, Bits]:
    found: dict[str, Bits] = {}
    for name in shown:
        rules = index.get(name, 0) & claims
        if rules:
            found[name] = rules
    return found
