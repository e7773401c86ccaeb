"""What a check earns: exact sums per rule and line, multiplied, and rounded once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import lcm, prod

from loyalty_desk.domain.basket import LineFlag
from loyalty_desk.domain.money import BASIS_POINTS, divide_half_up, largest_remainder
from loyalty_desk.domain.program import Program
from loyalty_desk.domain.tally import Tally, in_order, left_out


@dataclass(slots=True)
class Share:
    """What one rule earns, exact: `points` smallest point units over `per`, and how they lie on `lines`, over `per`.

    `weights` are one for each of the lines, which stand in their order. A bonus is whole points, given once after
    everything is multiplied.
    """

    rule: str
    points: int
    per: int
    lines: Sequence[int]
    weights: Sequence[int]
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
        if len(positions) == len(base):
            weights = base if points == 1 else [paid * points for paid in base]
        else:
            weights = [base[i] * points for i in positions]
        return self.add(Share(rule, sum(weights), per, positions, weights))


def earning_base(tally: Tally, program: Program, redeemed: Sequence[int]) -> list[int]:
    """Return the minor units of each line that earn points; `redeemed` is what points paid of each line."""
    settings, excluded = program.settings, program.exclusions.earning
    if (
        tally.all_plain
        and settings.earning_base != "before_redemption"
        and not (settings.no_points_on_discounted or excluded.products or excluded.categories)
    ):
        return tally.left.copy()
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
                paid += redeemed[i] + sum(amount for rule, amount in in_order(tally.cuts[i]) if rule in rewards)
            if settings.earning_base == "net_of_tax" and line.tax:
                paid -= divide_half_up(line.tax * paid, tally.gross[i]) if tally.gross[i] else 0
            base.append(max(paid, 0))
    return base


def total_points(earnings: Earnings, program: Program) -> int:
    """Return the points earned: the sum multiplied, rounded once, and the bonuses added; smallest point units."""
    shares = [share for share in earnings.shares if not share.bonus]
    points, per = exact_sum(shares)
    if earnings.multipliers:
        for part, whole in multiplier(earnings.multipliers, program):
            points, per = points * part, per * whole
    earned = rounded(points, per, program.settings.points_rounding)
    if len(shares) < len(earnings.shares):
        earned += sum([share.points for share in earnings.shares if share.bonus])
    return earned


def exact_sum(shares: Sequence[Share]) -> tuple[int, int]:
    """Return the points of shares over one divisor."""
    if len(shares) == 1:
        return shares[0].points, shares[0].per
    per = lcm(*[share.per for share in shares])
    return sum([share.points * (per // share.per) for share in shares]), per


def multiplier(multipliers: Sequence[tuple[str, int]], program: Program) -> list[tuple[int, int]]:
    """Return the factors that the sum is multiplied by, no more in all than the program's most."""
    factors = [(rate_bp, BASIS_POINTS) for _, rate_bp in multipliers]
    most = program.settings.max_multiplier_bp
    if most and prod([part for part, _ in factors]) * BASIS_POINTS > most * prod([whole for _, whole in factors]):
        return [(most, BASIS_POINTS)]
    return factors


def split_points(earnings: Earnings, points: int) -> list[int]:
    """Return the points of each line, by what each earned, equally where that is nothing."""
    shares, size = earnings.shares, len(earnings.base)
    if len(shares) == 1 and len(shares[0].weights) == size:
        return largest_remainder(points, shares[0].weights)
    weights = [0] * size
    _, per = exact_sum(shares)
    for share in shares:
        scale = per // share.per
        for i, weight in zip(share.lines, share.weights, strict=True):
            weights[i] += weight * scale
    return largest_remainder(points, weights)


def rounded(points: int, per: int, how: str) -> int:
    """Return points over `per` rounded to the smallest point unit: `floor`, `half_up` or `ceil`."""
    if how == "ceil":
        return -(-points // per)
    if how == "half_up":
        return divide_half_up(points, per)
    return points // per
