"""Effects by the name that a program snapshot gives them."""

from __future__ import annotations

from collections.abc import Callable

from loyalty_desk.domain.effects.base import Acting, EarningEffect, Effect
from loyalty_desk.domain.effects.earning import BonusFixed, BonusMultiplier, EarnBlocks, EarnPerUnit, EarnRate
from loyalty_desk.domain.effects.fixed_amount import fixed_amount
from loyalty_desk.domain.effects.percentage import percentage
from loyalty_desk.domain.fields import Fields

__all__ = ["EFFECTS", "Acting", "EarningEffect", "Effect"]

EFFECTS: dict[str, Callable[[Fields], Effect | EarningEffect]] = {
    "bonus_fixed": BonusFixed,
    "bonus_multiplier": BonusMultiplier,
    "earn_blocks": EarnBlocks,
    "earn_per_unit": EarnPerUnit,
    "earn_rate": EarnRate,
    "fixed_amount": fixed_amount,
    "percentage": percentage,
}
