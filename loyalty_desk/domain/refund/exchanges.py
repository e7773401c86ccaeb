"""A return and a sale in one, and what a return leaves a guest with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from loyalty_desk.domain.basket import Basket
from loyalty_desk.domain.conditions.usage import PERIODS
from loyalty_desk.domain.conditions.when import period_of
from loyalty_desk.domain.guest import GuestFacts
from loyalty_desk.domain.program import Program
from loyalty_desk.domain.quote import NO_CHOICES, Choices
from loyalty_desk.domain.refund.parts import NOTHING_YET, Refund, Refunded, Return
from loyalty_desk.domain.refund.returns import refund
from loyalty_desk.domain.refund.sale import Sale


@dataclass(frozen=True, slots=True)
class Exchange:
    """A return and a sale in one; `to_pay` minor units, negative where the guest gets money back."""

    refund: Refund
    sale: Sale

    @property
    def to_pay(self) -> int:
        """Return what the guest pays for the difference, in minor units."""
        return self.sale.quote.due - self.refund.cash


def exchange(
    sale: Sale,
    returns: Sequence[Return],
    basket: Basket,
    program: Program,
    at: datetime,
    *,
    guest: GuestFacts | None = None,
    choices: Choices = NO_CHOICES,
    before: Refunded = NOTHING_YET,
) -> Exchange:
    """Return an exchange: the return is worked out first, then the new basket for the guest as it leaves them."""
    returned = refund(sale, returns, before)
    return Exchange(returned, Sale.priced(basket, guest_after(guest, sale, returned), program, at, choices))


def guest_after(guest: GuestFacts | None, sale: Sale, returned: Refund) -> GuestFacts | None:
    """Return a guest's facts once a return is posted: points, spend, stamps and, of a whole return, visits and uses.

    Uses go from all time and from the periods that the sale lay in, not from others.
    """
    if guest is None:
        return None
    local = sale.quote.at.astimezone(sale.basket.zone)
    periods = {"", *(period_of(local, period) for period in PERIODS)}
    uses, stamps = dict(guest.uses), dict(guest.stamps)
    for rule, count in returned.uses:
        uses = {key: max(0, n - count) if key[0] == rule and key[1] in periods else n for key, n in uses.items()}
    for rule, count in returned.stamps:
        stamps[rule] = stamps.get(rule, 0) - count
    visits = 1 if returned.is_whole else 0
    return replace(
        guest,
        points=guest.points - returned.earned_reversed + returned.spent_returned,
        spend=max(0, guest.spend - returned.money),
        earned=max(0, guest.earned - returned.earned_reversed),
        visits=max(0, guest.visits - visits),
        visits_ever=None if guest.visits_ever is None else max(0, guest.visits_ever - visits),
        uses=uses,
        stamps=stamps,
    )
