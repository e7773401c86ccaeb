"""`reward`: something from the catalogue for points, whole or not at all."""

from __future__ import annotations

from collections.abc import Sequence

from loyalty_desk.domain.basket import LineFlag
from loyalty_desk.domain.conditions.base import Reason
from loyalty_desk.domain.effects.base import NOTHING_LEFT, REWARDS, Acting, Effect, lower, payable
from loyalty_desk.domain.fields import Fields
from loyalty_desk.domain.money import BASIS_POINTS, percent_off
from loyalty_desk.domain.tally import Tally
from loyalty_desk.domain.units import merged


class Reward(Effect):
    """For `cost` points: `amount` minor units off, `rate_bp` off, or goods of the check marked as rewards.

    Goods cost `cost` for every `quantity` units begun. A reward acts only when claimed, once for each claim, and is
    refused whole when the points are short.
    """

    __slots__ = ("amount", "cost", "quantity", "rate_bp")
    level = "check"
    stage = REWARDS

    def __init__(self, f: Fields) -> None:
        self.cost = f.integer("cost", None, low=0)
        self.amount = f.optional("amount", low=0)
        self.rate_bp = f.optional("rate_bp", low=0, high=BASIS_POINTS)
        self.quantity = f.optional("quantity", low=1)
        if [self.amount, self.rate_bp, self.quantity].count(None) != 2:
            raise f.wrong("amount", "one_of:amount,rate_bp,quantity")

    def apply(self, tally: Tally, acting: Acting, positions: Sequence[int]) -> Reason | None:
        """Take what is claimed and note its cost."""
        claims = lower(tally.choices.rewards.count(acting.rule), acting.repeats) or 0
        if not claims:
            return Reason("not_claimed", {"cost": self.cost})
        if tally.guest is None:
            return Reason("no_guest")
        return (
            self._goods(tally, acting, positions)
            if self.quantity
            else self._discounts(tally, acting, positions, claims)
        )

    def _goods(self, tally: Tally, acting: Acting, positions: Sequence[int]) -> Reason | None:
        lines = [i for i in positions if LineFlag.REWARD in tally.lines[i].flags]
        units = sum(tally.quantity[i] for i in lines)
        if not units:
            return Reason("no_matching_lines")
        cost = -(-units // (self.quantity or 1)) * self.cost
        refused = self._pay(tally, acting, cost)
        if refused is None:
            for i in lines:
                # Goods for points cost no money at all: a floor price does not hold for them.
                free = merged([run._replace(price=0) for run in tally.runs(i)])
                tally.take_units(i, acting.rule, tally.left[i], free)
        return refused

    def _discounts(self, tally: Tally, acting: Acting, positions: Sequence[int], claims: int) -> Reason | None:
        reason: Reason | None = NOTHING_LEFT
        for claim in range(claims):
            lines = payable(tally, acting, positions)
            cost = sum(tally.left[i] for i in lines)
            amount = self.amount if self.amount is not None else percent_off(cost, self.rate_bp or 0)
            amount = min(amount, sum(tally.room(i) for i in lines))
            if acting.cap is not None:
                amount = min(amount, acting.cap)
            if not amount:
                return reason
            refused = self._pay(tally, acting, self.cost)
            if refused is not None:
                return None if claim else refused
            tally.take_split(lines, acting.rule, amount)
            reason = None
        return reason

    def _pay(self, tally: Tally, acting: Acting, cost: int) -> Reason | None:
        if cost > tally.points_at_hand:
            return Reason("insufficient_points", {"cost": cost, "has": tally.points_at_hand})
        tally.points_at_hand -= cost
        tally.given.rewards.append((acting.rule, cost))
        return None
