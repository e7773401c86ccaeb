"""The last sale or exchange that the journal has: of an earlier run of the till, or recorded on a page."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from loyalty_desk.domain.clock import from_ms
from loyalty_desk.domain.record import RecordKind
from loyalty_desk.domain.return_contents import ExchangeContents
from loyalty_desk.services.sold_checks import SoldCheck


@dataclass(frozen=True, slots=True)
class PastSale:
    """Minor units, the number of the receipt, what the guest is called, empty where nobody knows.

    `due` is what was to pay, of an exchange the difference, negative where money went back; `off` is the discount,
    `came_back` what has been paid back of it since.
    """

    id: UUID
    at: datetime
    due: int
    off: int = 0
    receipt: str = ""
    guest: str = ""
    is_exchange: bool = False
    came_back: int = 0


def past_sale(sold: SoldCheck, guest: str) -> PastSale:
    """Return a sale of the journal as the screen of sales names it."""
    record, total = sold.record, sold.contents.claimed.total
    is_exchange = record.kind is RecordKind.EXCHANGE
    returned = ExchangeContents.from_check(record.check).returned.money if is_exchange else 0
    return PastSale(
        record.id,
        from_ms(record.occurred_at),
        total - returned,
        sold.contents.basket.gross - total,
        record.receipt_no or "",
        guest,
        is_exchange,
        sold.before.money,
    )
