"""The window's checkout where the server answers: it finds guests by phone or 6-digit code, and holds points.

A link that answers makes every redemption a request that may be declined.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING
from uuid import UUID

from loyalty_desk.domain.errors import Refused

if TYPE_CHECKING:
    from loyalty_desk.domain.basket import Basket
    from loyalty_desk.domain.program import Program
    from loyalty_desk.domain.quote import Quote
    from loyalty_desk.services.checkout import CheckDraft, Checkout, GuestCard, SaleDone
    from loyalty_desk.services.guests import Guests
    from loyalty_desk.services.online import Online


class AskingDesk:
    """`Desk` over the checkout; `identify` and `confirm` may wait a few seconds for the server, on the db thread.

    `online` is made when somebody first asks. `is_online` says whether the last exchange came to its end: nobody waits
    for a server that is known to be away. `answers` says it of the link alone, also while the guests are still loading.
    """

    def __init__(
        self,
        checkout: Checkout,
        guests: Guests,
        online: Callable[[], Online],
        is_online: Callable[[], bool],
        answers: Callable[[], bool],
    ) -> None:
        self._checkout = checkout
        self._guests = guests
        self._online = online
        self._is_online = is_online
        self._answers = answers
        # The guest whose points the server was asked for in vain: until somebody else comes, the till's limits hold.
        self._unanswered: UUID | None = None

    def identify(self, data: bytes | str) -> GuestCard:
        """Return whose code, number or phone this is; raises as `Online.identified`."""
        self._unanswered = None
        return self._shown(self._online().identified(self._checkout.identify, data, answers=self._answers()))

    def program(self) -> Program | None:
        """Return the program in force."""
        return self._checkout.program()

    def basket(self, amount: int) -> Basket:
        """Return the basket of a bare total."""
        return self._checkout.basket(amount)

    def price(self, draft: CheckDraft) -> Quote:
        """Return the check priced."""
        return self._checkout.price(draft)

    def confirm(self, draft: CheckDraft, quote: Quote) -> SaleDone:
        """Commit the sale durably, its points held by the server first; raises as `Checkout.confirm`, `Online.hold`.

        What is held is let go of where the sale is not recorded.
        """
        guest, points = draft.guest, quote.redeemed_points
        if guest is None or points == 0 or draft.hold is not None or not self._is_online():
            return self._checkout.confirm(draft, quote)
        held = self._online().hold(guest, points)
        if not held.is_online:
            self._unanswered = guest.guest_id
        try:
            return self._checkout.confirm(replace(draft, points_asked=points, hold=held), quote)
        except Refused:
            if held.is_online:
                self._online().release(held)
            raise

    def refresh(self, card: GuestCard) -> GuestCard:
        """Return the same guest as known now."""
        return self._shown(self._checkout.refresh(card))

    def _shown(self, card: GuestCard) -> GuestCard:
        if card.guest_id is None or card.guest_id == self._unanswered or not self._is_online():
            return card
        return self._guests.online(card)
