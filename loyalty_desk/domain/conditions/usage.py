"""How often: in all, per guest, per guest and period, and money in all."""

# ruff: noqa: ARG002 - all conditions answer the same question, few need all of it

from __future__ import annotations

from collections.abc import Sequence

from loyalty_desk.domain.conditions.base import NO_GUEST, Condition, Reason, Test
from loyalty_desk.domain.conditions.when import period_of
from loyalty_desk.domain.fields import Fields
from loyalty_desk.domain.tally import Tally

PERIODS = ("day", "week", "month", "year")


class Usage(Condition):
    """`usage`: `total` uses at most, `per_guest` of one guest, `times` in a `period` of the store's calendar.

    `per_check` limits how often a repeating rule repeats. Per-guest limits count the snapshot's uses, `total` only what
    this till has leased of it.
    """

    __slots__ = ("per_check", "per_guest", "period", "rule", "times", "total")

    def __init__(self, f: Fields) -> None:
        self.total = f.integer("total", 0, low=0)
        self.per_guest = f.integer("per_guest", 0, low=0)
        self.per_check = f.optional("per_check", low=1)
        self.times = f.integer("times", 0, low=0)
        self.period = f.text("period", "", one_of=("", *PERIODS))
        self.rule = f.owner
        if not (self.total or self.per_guest or self.times or self.per_check):
            raise f.wrong("total", "one_of:total,per_guest,times,per_check")
        if bool(self.times) != bool(self.period):
            raise f.wrong("period", "one_of:" + ",".join(PERIODS))

    def _refusal(self, tally: Tally) -> Reason | None:
        if self.total:
            left = self.left(tally)
            if left is not None and left <= 0:
                return Reason("limit_total", {"limit": self.total})
        if not (self.per_guest or self.times):
            return None
        if tally.guest is None:
            return NO_GUEST
        used = tally.guest.uses.get((self.rule, ""), 0)
        if self.per_guest and used >= self.per_guest:
            return Reason("limit_guest", {"limit": self.per_guest, "used": used})
        if self.times:
            used = tally.guest.uses.get((self.rule, period_of(tally.local, self.period)), 0)
            if used >= self.times:
                return Reason("limit_period", {"limit": self.times, "used": used, "period": self.period})
        return None

    def left(self, tally: Tally) -> int | None:
        """Return the uses that this till may still give, None where nobody counts."""
        return None if tally.choices.quotas is None else tally.choices.quotas.get(self.rule, 0)

    def holds(self, tally: Tally, positions: Sequence[int]) -> bool:
        """Return whether every limit leaves one more use."""
        return self._refusal(tally) is None

    @property
    def of_one_guest(self) -> bool:
        """Return whether the uses of one guest of all time are all that is limited, beside those of one check."""
        return not (self.total or self.times) and self.per_guest > 0

    def test(self) -> Test | None:
        """Return None where nothing but the uses of one check is limited."""
        return self.holds if self.total or self.times or self.per_guest else None

    def why(self, tally: Tally, positions: Sequence[int]) -> Reason:
        """Return the limit that is reached."""
        return self._refusal(tally) or Reason("limit_total")


class Budget(Condition):
    """`budget`: `amount` minor units in all; the discount is cut to what this till has left of it."""

    __slots__ = ("amount", "rule")

    def __init__(self, f: Fields) -> None:
        self.amount = f.integer("amount", None, low=1)
        self.rule = f.owner

    def left(self, tally: Tally) -> int:
        """Return the minor units that this till may still give."""
        return self.amount if tally.choices.quotas is None else tally.choices.quotas.get(self.rule, 0)

    def holds(self, tally: Tally, positions: Sequence[int]) -> bool:
        """Return whether anything is left."""
        return self.left(tally) > 0

    def why(self, tally: Tally, positions: Sequence[int]) -> Reason:
        """Return that the budget is spent."""
        return Reason("budget_spent", {"budget": self.amount})
