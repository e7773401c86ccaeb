"""Why a check has no discount of the guest's tier, for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loyalty_desk.domain.quote import TIER_RULE

if TYPE_CHECKING:
    from loyalty_desk.domain.quote import Quote
    from loyalty_desk.services.guests import GuestCard
    from loyalty_desk.services.wording import Words


def tier_withheld_line(guest: GuestCard | None, words: Words) -> str:
    """Return why a check has no discount of the tier."""
    if guest is not None and guest.guest_id is None:
        return words.gettext("The guest’s data has not arrived yet, so there is no discount of the tier.")
    return words.gettext(
        "Today’s discounts of the tier are used up with this card or number: a manager can allow one more."
    )


def withheld_line(quote: Quote, guest: GuestCard | None, words: Words) -> str:
    """Return why a quote has no discount of the tier, empty where nothing is withheld: no list of offers says it."""
    withheld = any(note.rule == TIER_RULE and note.code == "tier_withheld" for note in quote.explanation)
    return tier_withheld_line(guest, words) if withheld else ""
