"""A rule's whole turn written out in one function, for the rules that most programs are made of."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from loyalty_desk.domain.conditions.base import Condition, Reason, Test
from loyalty_desk.domain.conditions.size import Amount
from loyalty_desk.domain.effects.base import NOTHING_LEFT, Effect
from loyalty_desk.domain.effects.percentage import LinePercentage
from loyalty_desk.domain.money import BASIS_POINTS
from loyalty_desk.domain.quote import MANUAL_RULE
from loyalty_desk.domain.tally import GOODS, Tally

# Told apart by identity and never shown: the explanation prices such rules again, each at its turn.
NOT_ITS_TURN = Reason(NOTHING_LEFT.code)

type Turn = Callable[[Tally], Reason | None]


def written_out(
    rule: str, categories: frozenset[str], conditions: Sequence[Condition], effect: Effect, *, spares: bool
) -> Turn | None:
    """Return the turn of a rule that takes a bare percentage off categories, None where it does anything else.

    It does what picking, testing and applying do one after another, for a check without floor prices, and returns what
    the effect would: `NOT_ITS_TURN` where it does not come to that. Lines need no order, for each is lowered alone.
    """
    if not isinstance(effect, LinePercentage) or not effect.is_bare:
        return None
    if any(c.of_lines and not (isinstance(c, Amount) and c.of == "check") for c in conditions):
        return None
    tests: list[Test] = [test for test in [c.test() for c in conditions] if test is not None]
    kept = 2 * (BASIS_POINTS - effect.rate_bp)

    def turn(tally: Tally) -> Reason | None:
        by_category = tally.by_category
        found = [by_category[name] for name in categories if name in by_category]
        if not found:
            return NOT_ITS_TURN
        for test in tests:
            if not test(tally, ()):
                return NOT_ITS_TURN
        left, cuts, may = tally.left, tally.cuts, tally.may
        reason: Reason | None = NOTHING_LEFT
        for lines in found:
            for i in lines:
                price, before = left[i], cuts[i]
                if may[i] != GOODS or price <= 0 or (spares and before is not None and before[1][0] != MANUAL_RULE):
                    continue
                # `money.percent_off`.
                amount = price - (price * kept + BASIS_POINTS) // (2 * BASIS_POINTS)
                if amount:
                    left[i] = price - amount
                    cuts[i] = (before, (rule, amount))
                    reason = None
        return reason

    return turn
