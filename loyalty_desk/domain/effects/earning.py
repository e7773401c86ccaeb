"""Effects on points (smallest point units): by amount, full blocks, unit, multiplied, or a fixed bonus."""

# ruff: noqa: ARG002 - all effects are asked the same way

from __future__ import annotations

from collections.abc import Sequence

from loyalty_desk.domain.conditions.base import Reason
from loyalty_desk.domain.earning import Earnings, Share
from loyalty_desk.domain.effects.base import EarningEffect
from loyalty_desk.domain.fields import Fields
from loyalty_desk.domain.money import BASIS_POINTS, allocate
from loyalty_desk.domain.program import Program

EARNS_NOTHING = Reason("earns_nothing")
ZERO_DIVISOR = Reason("zero_divisor")


class EarnRate(EarningEffect):
    """`earn_rate`: `points` per `per` minor units, exactly; or `rate_bp` of the money, at the program's point value."""

    __slots__ = ("per", "points", "rate_bp")

    def __init__(self, f: Fields) -> None:
        self.rate_bp = f.optional("rate_bp", low=0)
        self.points = f.integer("points", 0 if self.rate_bp is not None else None, low=0)
        self.per = f.integer("per", 0 if self.rate_bp is not None else None, low=0)

    def earn(self, earnings: Earnings, rule: str, positions: Sequence[int]) -> Reason | None:
        """Add the rate on what is paid for the lines."""
        points, per = self.rate(earnings.tally.program)
        if per == 0:
            return ZERO_DIVISOR
        return None if earnings.add_rate(rule, positions, points, per) else EARNS_NOTHING

    def rate(self, program: Program) -> tuple[int, int]:
        """Return the points for how many minor units."""
        if self.rate_bp is None:
            return self.points, self.per
        return self.rate_bp * program.point_unit, BASIS_POINTS * program.point_value


class EarnBlocks(EarningEffect):
    """`earn_blocks`: `points` for every full `per` minor units of the lines together."""

    __slots__ = ("per", "points")

    def __init__(self, f: Fields) -> None:
        self.points = f.integer("points", None, low=0)
        self.per = f.integer("per", None, low=0)

    def earn(self, earnings: Earnings, rule: str, positions: Sequence[int]) -> Reason | None:
        """Add the points of the full blocks."""
        if self.per == 0:
            return ZERO_DIVISOR
        base = [earnings.base[i] for i in positions]
        total = sum(base)
        points = total // self.per * self.points
        if earnings.add(Share(rule, points * total, max(total, 1), positions, [points * paid for paid in base])):
            return None
        return Reason("block_unfinished", {"per": self.per, "has": total, "missing": self.per - total})


class EarnPerUnit(EarningEffect):
    """`earn_per_unit`: `points` for each unit of the lines; a weighed line is one."""

    __slots__ = ("points",)

    def __init__(self, f: Fields) -> None:
        self.points = f.integer("points", None, low=0)

    def earn(self, earnings: Earnings, rule: str, positions: Sequence[int]) -> Reason | None:
        """Add the points of the units that earn."""
        quantity, base = earnings.tally.quantity, earnings.base
        weights = [self.points * quantity[i] if base[i] else 0 for i in positions]
        return None if earnings.add(Share(rule, sum(weights), 1, positions, weights)) else EARNS_NOTHING


class BonusFixed(EarningEffect):
    """`bonus_fixed`: `points` once, whatever multiplies the rest; `expires_days` is their own expiry."""

    __slots__ = ("expires_days", "points")

    def __init__(self, f: Fields) -> None:
        self.points = f.integer("points", None, low=0)
        self.expires_days = f.optional("expires_days", low=0)

    def earn(self, earnings: Earnings, rule: str, positions: Sequence[int]) -> Reason | None:
        """Add the bonus, lying on the lines by what they cost."""
        if not positions:
            return EARNS_NOTHING
        split = allocate(self.points, [earnings.base[i] for i in positions])
        share = Share(rule, self.points, 1, positions, split, bonus=True, expires_days=self.expires_days)
        return None if earnings.add(share) else EARNS_NOTHING


class BonusMultiplier(EarningEffect):
    """`bonus_multiplier`: the earned sum times `rate_bp` (20 000 is twice)."""

    __slots__ = ("rate_bp",)

    def __init__(self, f: Fields) -> None:
        self.rate_bp = f.integer("rate_bp", None, low=0)

    def earn(self, earnings: Earnings, rule: str, positions: Sequence[int]) -> Reason | None:
        """Add the multiplier."""
        earnings.multipliers.append((rule, self.rate_bp))
        return None
