"""What of a sale is still with the guest, line by line: what a counter offers to take back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from loyalty_desk.domain.check import CheckContents
from loyalty_desk.domain.refund.sale import line_id


@dataclass(frozen=True, slots=True)
class LineLeft:
    """One line and what of it is still with the guest: thousandths, and minor units paid for all of it."""

    line: str
    product: str
    quantity_milli: int
    left_milli: int
    net: int


def lines_left(contents: CheckContents, back: Mapping[str, int]) -> tuple[LineLeft, ...]:
    """Return the lines of a sale of which `back`, thousandths by line as returns call it, has come back."""
    return tuple(
        LineLeft(
            line_id(line, position),
            line.product,
            line.quantity_milli,
            max(0, line.quantity_milli - back.get(line_id(line, position), 0)),
            sold.net,
        )
        for position, (line, sold) in enumerate(zip(contents.basket.lines, contents.claimed.lines, strict=True))
    )
