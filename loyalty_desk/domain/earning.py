"""What a check earns: exact sums per rule and line, multiplied, and rounded once (rules 2 and 10)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from math import lcm

from loyalty_desk.domain.basket import LineFlag
from loyalty_desk.domain.money import BASIS_POINTS, allocate, divide_half_up
from loyalty_desk.domain.program import Program
from loyalty_desk.domain.tally import Tally, left_out

ONE = Fraction(1)


@dataclass(slots=True)
class Share:
    """What one rule earns, exact, in smallest point units: in all, and how it lies on the lines."""

    rule: str
    points: Fraction
    weights: dict[int, Fraction]
    bonus: bool = False
    expires_days: int | None = None


@dataclass(slots=True)
class Earnings:
    """The earning of one check while it is worked out. `base` is money that earns, per line, in minor units."""

    tally: Tally
    base: list[int]
    shares: list[Share] = field(default_factory=list)
    multipliers: list[tuple[str, int]] = field(default_factory=list)

    def add(self, share: Share) -> bool:
        """Add what a rule earns; return whether that is anything."""
        if share.points > 0:
            self.shares.append(share)
        return share.points > 0

    def add_rate(self, rule: str, positions: Sequence[int], points: int, per: int) -> bool:
        """Add `points` for every `per` minor units of the base, exactly."""
        base = self.base
        rate = Fraction(points, per)
        total = sum([base[i] for i in positions])
        return self.add(Share(rule, total * rate, {i: base[i] * rate for i in positions if base[i]}))


def earning_base(tally: Tally, program: Program, redeemed: Sequence[int]) -> list[int]:
    """Return the minor units of each line that earn points; `redeemed` is what points paid of each line."""
    settings, excluded = program.settings, program.exclusions.earning
    before_redemption = settings.earning_base == "before_redemption"
    rewards = {rule for rule, _ in tally.given.rewards}
    base = []
    for i, line in enumerate(tally.lines):
        flags = line.flags
        if (
            (
                flags
                and (
                    LineFlag.NO_POINTS in flags
                    or LineFlag.GIFT_CARD in flags
                    or LineFlag.REWARD in flags
                    or (LineFlag.DELIVERY in flags and not settings.earn_on_delivery)
                )
            )
            or left_out(line, excluded)
            or (settings.no_points_on_discounted and tally.is_discounted(i))
        ):
            base.append(0)
        else:
            paid = tally.left[i]
            if before_redemption:
                paid += redeemed[i] + sum(cut.amount for cut in tally.cuts[i] if cut.rule in rewards)
            if settings.earning_base == "net_of_tax" and line.tax:
                paid -= divide_half_up(line.tax * paid, tally.gross[i]) if tally.gross[i] else 0
            base.append(max(paid, 0))
    return base


def total_points(earnings: Earnings, program: Program) -> int:
    """Return the points earned: the sum multiplied, rounded once, and the bonuses added; smallest point units."""
    earned = sum((share.points for share in earnings.shares if not share.bonus), Fraction(0))
    bonus = sum((share.points for share in earnings.shares if share.bonus), Fraction(0))
    return rounded(earned * multiplier(earnings, program), program.settings.points_rounding) + int(bonus)


def multiplier(earnings: Earnings, program: Program) -> Fraction:
    """Return the product of the multipliers, no more than the program's most."""
    product = ONE
    for _, rate_bp in earnings.multipliers:
        product *= Fraction(rate_bp, BASIS_POINTS)
    most = program.settings.max_multiplier_bp
    return min(product, Fraction(most, BASIS_POINTS)) if most else product


def split_points(earnings: Earnings, points: int) -> list[int]:
    """Return the points of each line, by what each earned, equally where that is nothing."""
    exact = [Fraction(0)] * len(earnings.base)
    for share in earnings.shares:
        for i, weight in share.weights.items():
            exact[i] += weight
    scale = lcm(*(weight.denominator for weight in exact)) if exact else 1
    return allocate(points, [int(weight * scale) for weight in exact])


def rounded(points: Fraction, how: str) -> int:
    """Return exact points rounded to the smallest point unit: `floor`, `half_up` or `ceil`."""
    if how == "ceil":
        return -(-points.numerator // points.denominator)
    if how == "half_up":
        return divide_half_up(points.numerator, points.denominator)
    return points.numerator // points.denominator
