"""Money, points and counters that come back of a sale."""

from __future__ import annotations

from loyalty_desk.domain.refund.exchanges import Exchange, exchange, guest_after
from loyalty_desk.domain.refund.parts import NOTHING_YET, Refund, Refunded, Return, ReturnedLine
from loyalty_desk.domain.refund.returns import refund, refund_amount, void
from loyalty_desk.domain.refund.sale import Sale, SoldLine, line_id

__all__ = [
    "NOTHING_YET",
    "Exchange",
    "Refund",
    "Refunded",
    "Return",
    "ReturnedLine",
    "Sale",
    "SoldLine",
    "exchange",
    "guest_after",
    "line_id",
    "refund",
    "refund_amount",
    "void",
]
