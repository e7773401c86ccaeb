"""`exclude`: the rule's lines get no discount of the tier, or earn none of its points."""

# ruff: noqa: ARG002 - all effects are asked the same way

from __future__ import annotations

from collections.abc import Sequence

from loyalty_desk.domain.conditions.base import Reason
from loyalty_desk.domain.effects.base import EXCLUSIONS, Acting, Effect
from loyalty_desk.domain.fields import Fields
from loyalty_desk.domain.tally import Tally

TIER_DISCOUNT, TIER_POINTS = "tier_discount", "tier_points"


class Exclude(Effect):
    """Leave the lines out of `from`: `tier_discount`, `tier_points` or both; it runs before everything else."""

    __slots__ = ("discount", "points")
    stage = EXCLUSIONS

    def __init__(self, f: Fields) -> None:
        named = f.texts("from", needed=True)
        if not set(named) <= {TIER_DISCOUNT, TIER_POINTS}:
            raise f.wrong("from", f"one_of:{TIER_DISCOUNT},{TIER_POINTS}")
        self.discount, self.points = TIER_DISCOUNT in named, TIER_POINTS in named

    def apply(self, tally: Tally, acting: Acting, positions: Sequence[int]) -> Reason | None:
        """Mark the lines."""
        if self.discount:
            tally.no_tier_discount |= frozenset(positions)
        if self.points:
            tally.no_tier_points |= frozenset(positions)
        return None if positions else Reason("nothing_left")
