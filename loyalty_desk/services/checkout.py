"""From a scanned code to a recorded sale: identify, price, confirm."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

from loyalty_desk.domain.basket import Basket
from loyalty_desk.domain.guest import GuestFacts
from loyalty_desk.domain.quote import Quote
from loyalty_desk.domain.record import Credential
from loyalty_desk.services.redemption import Allowance

__all__ = ["Allowance", "CheckDraft", "Checkout", "GuestCard", "SaleDone"]


@dataclass(frozen=True, slots=True)
class GuestCard:
    """A guest at the counter. `points` = what the server said at the cursor and own effects since, each once (INV-23).

    `guest_id` and `facts` are None while guests are still loading and only the card's handle is known: no tier, no
    redemption, the server finds the guest. `tier_name` is in the till's language.
    """

    guest_id: UUID | None
    credential: Credential
    name: str
    tier: str
    tier_name: str
    points: int
    as_of: datetime | None
    member_no: str
    facts: GuestFacts | None
    allowance: Allowance


@dataclass(frozen=True, slots=True)
class CheckDraft:
    """A check being put together; `at` is the moment it is priced for."""

    basket: Basket | None = None
    guest: GuestCard | None = None
    points_asked: int = 0
    codes: tuple[str, ...] = ()
    at: datetime = field(default_factory=lambda: datetime(1970, 1, 1, tzinfo=UTC))


@dataclass(frozen=True, slots=True)
class SaleDone:
    """A sale that is on the disk. `balance_after` is None where the guest is not known here."""

    record_id: UUID
    receipt_no: str
    quote: Quote
    guest: GuestCard | None
    balance_after: int | None
    committed_at: datetime


class Checkout:
    """The cashier's use case. `price` belongs to the main thread, the others to the db thread."""

    def identify(self, data: bytes | str) -> GuestCard:
        """Return whose card, number or code this is.

        Raises `BadInput` as `guest_code.parse` does; `Refused`: `card_unknown`, `card_blocked`, `card_kind`,
        `number_unknown`, `guests_loading`, `short_code_needs_network`, `phone_later`.
        """
        raise NotImplementedError

    def price(self, draft: CheckDraft) -> Quote:
        """Return the check priced with the program in force and the guest's allowance; pure and fast.

        Raises `BadInput` of `quote`, and `Refused`: `program_missing`, `check_empty`.
        """
        raise NotImplementedError

    def confirm(self, draft: CheckDraft, quote: Quote) -> SaleDone:
        """Commit the sale durably and return; a raised `Refused` means that nothing was recorded.

        Refused: `quote_stale` where prices, program or guest changed since `quote`, `redemption_refused` (`reason`)
        where points were asked and none can be had, `check_too_large`, `journal_unavailable`, `disk_full`.
        """
        raise NotImplementedError

    def refresh(self, card: GuestCard) -> GuestCard:
        """Return the same guest as known now, after a sync or a sale."""
        raise NotImplementedError
