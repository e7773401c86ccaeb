"""A rule's whole turn written out in one function, for the rules that most programs are made of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from loyalty_desk.domain.conditions.base import Condition, Reason, Test
from loyalty_desk.domain.conditions.size import Amount
from loyalty_desk.domain.effects.base import NOTHING_LEFT, EarningEffect, Effect
from loyalty_desk.domain.effects.earning import BonusMultiplier
from loyalty_desk.domain.effects.fixed_amount import SharedAmount
from loyalty_desk.domain.effects.percentage import LinePercentage
from loyalty_desk.domain.money import BASIS_POINTS
from loyalty_desk.domain.quote import MANUAL_RULE
from loyalty_desk.domain.tally import GOODS, Tally

if TYPE_CHECKING:
    from loyalty_desk.domain.earning import Earnings

# Told apart by identity and never shown: the explanation prices such rules again, each at its turn.
NOT_ITS_TURN = Reason(NOTHING_LEFT.code)

type Turn = Callable[[Tally], Reason | None]
type EarningTurn = Callable[[Earnings], bool]


def written_out(
    rule: str, categories: frozenset[str], conditions: Sequence[Condition], effect: Effect, *, spares: bool
) -> Turn | None:
    """Return the turn of a rule that takes a bare percentage or one amount off categories, None for any other.

    It does what picking, testing and applying do one after another, for a check without floor prices, and returns what
    the effect would: `NOT_ITS_TURN` where it does not come to that.
    """
    tests = _tests_without_lines(conditions)
    if tests is None:
        return None
    if isinstance(effect, LinePercentage) and effect.is_bare:
        return _percentage(rule, categories, tests, effect.rate_bp, spares=spares)
    if isinstance(effect, SharedAmount) and effect.max_units is None and not effect.delivery:
        return _amount(rule, categories, tests, effect.amount, spares=spares)
    return None


def earning_written_out(
    rule: str, conditions: Sequence[Condition], earning: Sequence[EarningEffect]
) -> EarningTurn | None:
    """Return the turn of a rule that only multiplies points, None for any other; it returns whether that came about.

    It is for rules of which a check has shown goods that they act on: which lines these are does not matter.
    """
    tests = _tests_without_lines(conditions)
    if tests is None or len(earning) != 1 or not isinstance(earning[0], BonusMultiplier):
        return None
    factor = (rule, earning[0].rate_bp)

    def turn(earnings: Earnings) -> bool:
        for test in tests:
            if not test(earnings.tally, ()):
                return False
        earnings.multipliers.append(factor)
        return True

    return turn


def _tests_without_lines(conditions: Sequence[Condition]) -> list[Test] | None:
    """Return the tests of conditions that need not know the rule's lines, None where one does."""
    if any(c.of_lines and not (isinstance(c, Amount) and c.of == "check") for c in conditions):
        return None
    return [test for test in [c.test() for c in conditions] if test is not None]


def _percentage(
    rule: str, categories: frozenset[str], tests: Sequence[Test], rate_bp: int, *, spares: bool
) -> Turn:  # fmt: skip
    """Lines need no order, for each is lowered alone."""
    kept = 2 * (BASIS_POINTS - rate_bp)

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


def _amount(rule: str, categories: frozenset[str], tests: Sequence[Test], amount: int, *, spares: bool) -> Turn:
    def turn(tally: Tally) -> Reason | None:
        by_category = tally.by_category
        found = [by_category[name] for name in categories if name in by_category]
        if not found:
            return NOT_ITS_TURN
        for test in tests:
            if not test(tally, ()):
                return NOT_ITS_TURN
        lines = found[0] if len(found) == 1 else sorted([i for part in found for i in part])
        left, cuts, may = tally.left, tally.cuts, tally.may
        lines = [i for i in lines if may[i] == GOODS and left[i] > 0]
        if spares:
            lines = [i for i in lines if cuts[i] is None or not tally.is_discounted(i)]
        return None if tally.take_split(lines, rule, amount) else NOTHING_LEFT

    return turn
