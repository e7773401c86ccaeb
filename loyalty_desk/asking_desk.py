"""The window's checkout: whom the till cannot find alone, by phone or 6-digit code, the server is asked for."""

from __future__ import annotations

from loyalty_desk.domain.basket import Basket
from loyalty_desk.domain.errors import Refused
from loyalty_desk.domain.program import Program
from loyalty_desk.domain.quote import Quote
from loyalty_desk.services.checkout import CheckDraft, Checkout, GuestCard, SaleDone
from loyalty_desk.services.online import Online
from loyalty_desk.wire.v1.lookup import LookupBy

_BY = {"short_code_needs_network": LookupBy.SHORT, "phone_later": LookupBy.PHONE}


class AskingDesk:
    """`Desk` over the checkout; `identify` may wait a few seconds for the server, so it is for the db thread."""

    def __init__(self, checkout: Checkout, online: Online) -> None:
        self._checkout = checkout
        self._online = online

    def identify(self, data: bytes | str) -> GuestCard:
        """Return whose code, number or phone this is; raises as `Checkout.identify` and `Online.identify`."""
        try:
            return self._checkout.identify(data)
        except Refused as refused:
            by = _BY.get(refused.code)
            if by is None:
                raise
            text = data.decode("utf-8", "replace") if isinstance(data, bytes) else data
            return self._online.identify(by, text.strip())

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
        """Commit the sale durably."""
        return self._checkout.confirm(draft, quote)

    def refresh(self, card: GuestCard) -> GuestCard:
        """Return the same guest as known now."""
        return self._checkout.refresh(card)
