"""Conditions by the name that a program snapshot gives them."""

from __future__ import annotations

from collections.abc import Callable

from loyalty_desk.domain.conditions.base import Chooser, Condition, Reason
from loyalty_desk.domain.conditions.goods import Categories, Excluded, Presence, Products, UnitPrice
from loyalty_desk.domain.conditions.keys import CouponHeld, PromoCode
from loyalty_desk.domain.conditions.size import Amount, Quantity
from loyalty_desk.domain.conditions.usage import Budget, Usage
from loyalty_desk.domain.conditions.when import Birthday, DateWindow, Hours, Weekdays
from loyalty_desk.domain.conditions.who import (
    AnyGuest,
    Channels,
    Guests,
    NewGuest,
    NthVisit,
    Referred,
    Segments,
    Stores,
    Tags,
    Tiers,
)
from loyalty_desk.domain.fields import Fields

__all__ = ["CONDITIONS", "Chooser", "Condition", "Reason"]

CONDITIONS: dict[str, Callable[[Fields], Condition]] = {
    "amount": Amount,
    "birthday": Birthday,
    "budget": Budget,
    "categories": Categories,
    "channels": Channels,
    "coupon": CouponHeld,
    "date": DateWindow,
    "excluded": Excluded,
    "guest": AnyGuest,
    "guests": Guests,
    "hours": Hours,
    "new_guest": NewGuest,
    "nth_visit": NthVisit,
    "presence": Presence,
    "products": Products,
    "promo_code": PromoCode,
    "quantity": Quantity,
    "referral": Referred,
    "segments": Segments,
    "stores": Stores,
    "tags": Tags,
    "tiers": Tiers,
    "unit_price": UnitPrice,
    "usage": Usage,
    "weekdays": Weekdays,
}
