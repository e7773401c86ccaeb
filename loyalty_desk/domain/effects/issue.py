"""`issue_coupon` and `load_card`: what a paid check brings for another time."""

from __future__ import annotations

from collections.abc import Sequence

from loyalty_desk.domain.basket import LineFlag
from loyalty_desk.domain.conditions.base import Reason
from loyalty_desk.domain.effects.base import Acting, Effect
from loyalty_desk.domain.fields import Fields
from loyalty_desk.domain.money import BASIS_POINTS
from loyalty_desk.domain.tally import Tally


class IssueCoupon(Effect):
    """`count` (1) coupons that open the rule `opens` next time, for `days` days; issued when the check is paid."""

    __slots__ = ("count", "days", "opens")

    def __init__(self, f: Fields) -> None:
        self.count = f.integer("count", 1, low=1)
        self.days = f.optional("days", low=1)
        self.opens = f.text("opens")

    def apply(self, tally: Tally, acting: Acting, positions: Sequence[int]) -> Reason | None:
        """Note the coupons."""
        if not positions:
            return Reason("nothing_left")
        tally.given.coupons.append((acting.rule, self.count))
        return None


class LoadCard(Effect):
    """Lines that are gift cards load `rate_bp` (10 000) of their price onto the card, whatever was paid for them."""

    __slots__ = ("rate_bp",)

    def __init__(self, f: Fields) -> None:
        self.rate_bp = f.integer("rate_bp", BASIS_POINTS, low=0)

    def apply(self, tally: Tally, acting: Acting, positions: Sequence[int]) -> Reason | None:
        """Note what is loaded."""
        face = sum(tally.gross[i] for i in positions if LineFlag.GIFT_CARD in tally.lines[i].flags)
        amount = face * self.rate_bp // BASIS_POINTS
        if not amount:
            return Reason("no_matching_lines")
        tally.given.loads.append((acting.rule, amount))
        return None
