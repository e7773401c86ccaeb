"""Keys: promo codes that anybody may type, and coupons of one guest."""

# ruff: noqa: ARG002 - all conditions answer the same question, few need all of it

from __future__ import annotations

from collections.abc import Sequence

from loyalty_desk.domain.conditions.base import Condition, Reason
from loyalty_desk.domain.fields import Fields
from loyalty_desk.domain.guest import Coupon
from loyalty_desk.domain.tally import Tally, folded


class PromoCode(Condition):
    """`promo_code`: one of `codes` has been entered, in any case of letters."""

    __slots__ = ("codes",)

    def __init__(self, f: Fields) -> None:
        self.codes = frozenset(folded(code) for code in f.texts("codes", needed=True))

    def holds(self, tally: Tally, positions: Sequence[int]) -> bool:
        """Return whether a code is there."""
        return not self.codes.isdisjoint(tally.codes)

    def why(self, tally: Tally, positions: Sequence[int]) -> Reason:
        """Return that a code is needed; which one is not said."""
        return Reason("needs_code")


class CouponHeld(Condition):
    """`coupon`: a coupon for the rule is presented and alive.

    With `codes`, any bearer's coupon of these texts; without, one of the guest's own coupons for this rule. `uses`
    limits how often one coupon works (0: no limit); a void gives a use back unless `reusable_after_void` is false.
    """

    __slots__ = ("codes", "reusable", "rule", "uses")

    def __init__(self, f: Fields) -> None:
        self.codes = frozenset(folded(code) for code in f.texts("codes"))
        self.rule = f.owner
        self.uses = f.integer("uses", 1, low=0)
        self.reusable = f.flag("reusable_after_void", default=True)

    def _mine(self, tally: Tally) -> list[Coupon]:
        if tally.guest is None:
            return []
        return [c for c in tally.guest.coupons if c.rule == self.rule and folded(c.code) in tally.coupons]

    def holds(self, tally: Tally, positions: Sequence[int]) -> bool:
        """Return whether a usable coupon is presented."""
        return self._refusal(tally) is None

    def why(self, tally: Tally, positions: Sequence[int]) -> Reason:
        """Return what is wrong with the coupon, or that none is there."""
        return self._refusal(tally) or Reason("needs_coupon")

    def _refusal(self, tally: Tally) -> Reason | None:
        mine = self._mine(tally)
        if not mine:
            return None if not self.codes.isdisjoint(tally.coupons) else Reason("needs_coupon")
        reasons = [self._state(coupon, tally) for coupon in mine]
        return None if None in reasons else reasons[0]

    def _state(self, coupon: Coupon, tally: Tally) -> Reason | None:
        if coupon.expires_at is not None and coupon.expires_at <= tally.at:
            return Reason("coupon_expired")
        used = coupon.used + (0 if self.reusable else coupon.voided)
        if self.uses and used >= self.uses:
            return Reason("coupon_used", {"used": used, "limit": self.uses})
        return None
