"""Effects by the name that a program snapshot gives them."""

from __future__ import annotations

from collections.abc import Callable

from loyalty_desk.domain.effects.base import Acting, EarningEffect, Effect
from loyalty_desk.domain.effects.bundle import Bundle
from loyalty_desk.domain.effects.earning import BonusFixed, BonusMultiplier, EarnBlocks, EarnPerUnit, EarnRate
from loyalty_desk.domain.effects.exclude import Exclude
from loyalty_desk.domain.effects.fixed_amount import amount_per
from loyalty_desk.domain.effects.fixed_price import FixedPrice
from loyalty_desk.domain.effects.free_unit import FreeUnit
from loyalty_desk.domain.effects.gift import GiftUnit
from loyalty_desk.domain.effects.issue import IssueCoupon, LoadCard
from loyalty_desk.domain.effects.percentage import percentage_of
from loyalty_desk.domain.effects.reward import Reward
from loyalty_desk.domain.effects.stamp import Stamp
from loyalty_desk.domain.effects.stepped import Stepped
from loyalty_desk.domain.effects.unit_series import UnitSeries
from loyalty_desk.domain.fields import Fields

__all__ = ["EFFECTS", "Acting", "EarningEffect", "Effect"]

EFFECTS: dict[str, Callable[[Fields], Effect | EarningEffect]] = {
    "bonus_fixed": BonusFixed,
    "bonus_multiplier": BonusMultiplier,
    "bundle": Bundle,
    "earn_blocks": EarnBlocks,
    "earn_per_unit": EarnPerUnit,
    "earn_rate": EarnRate,
    "exclude": Exclude,
    "fixed_amount": amount_per,
    "fixed_price": FixedPrice,
    "free_unit": FreeUnit,
    "gift": GiftUnit,
    "issue_coupon": IssueCoupon,
    "load_card": LoadCard,
    "percentage": percentage_of,
    "reward": Reward,
    "stamp": Stamp,
    "stepped": Stepped,
    "unit_series": UnitSeries,
}
