"""The most that a program can give for a check of so much: what is beyond it no till can have worked out.

An upper bound and no quote: every rule that earns acts, all of them at once, for the tier that earns most.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from loyalty_desk.domain.effects.earning import BonusFixed, BonusMultiplier, EarnBlocks, EarnPerUnit, EarnRate
from loyalty_desk.domain.money import BASIS_POINTS
from loyalty_desk.domain.program import Program


@dataclass(frozen=True, slots=True)
class EarningBound:
    """Smallest point units per minor unit of money, per unit of goods, and once a check; exact."""

    per_money: Fraction
    per_unit: Fraction
    once: int

    @classmethod
    def of(cls, program: Program) -> EarningBound:
        """Return the bound of a program; rules that are not understood here earn nothing."""
        per_money, per_unit, once, factor = Fraction(0), Fraction(0), 0, Fraction(1)
        worth = BASIS_POINTS * program.point_value
        if program.model != "discount" and worth:
            per_money += Fraction(max((tier.earn_bp for tier in program.tiers), default=0) * program.point_unit, worth)
        for rule in program.compiled.rules:
            for effect in rule.parts.earning:
                match effect:
                    case EarnRate(rate_bp=int(rate_bp)):
                        per_money += Fraction(rate_bp * program.point_unit, worth) if worth else 0
                    case EarnRate() | EarnBlocks():
                        per_money += Fraction(effect.points, effect.per) if effect.per else 0
                    case EarnPerUnit():
                        per_unit += effect.points
                    case BonusFixed():
                        once += effect.points
                    case BonusMultiplier():
                        factor *= max(Fraction(1), Fraction(effect.rate_bp, BASIS_POINTS))
        most = program.settings.max_multiplier_bp
        if most:
            factor = min(factor, max(Fraction(1), Fraction(most, BASIS_POINTS)))
        return cls(per_money * factor, per_unit * factor, once)

    @property
    def gives(self) -> bool:
        """Return whether any check earns anything."""
        return bool(self.per_money or self.per_unit or self.once)

    def most(self, money: int, units: int) -> int:
        """Return the most points of a check of `money` minor units, paid with points or not, with so many `units`."""
        by_money, by_unit = self.per_money, self.per_unit
        # Over one denominator that need not be the least: a sum of fractions would look for it at every check.
        exact = by_money.numerator * max(0, money) * by_unit.denominator
        exact += by_unit.numerator * max(0, units) * by_money.denominator
        return -(-exact // (by_money.denominator * by_unit.denominator)) + self.once
