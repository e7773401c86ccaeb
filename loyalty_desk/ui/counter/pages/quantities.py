"""Quantities of a sale's lines as they are typed and read: thousandths, whole pieces without a point."""

from __future__ import annotations

from loyalty_desk.domain.basket import MILLI
from loyalty_desk.domain.errors import BadInput
from loyalty_desk.domain.refund.left import LineLeft

MOST_QUANTITY = 10**9


def quantity(milli: int) -> str:
    """Return thousandths as a person writes them."""
    whole, part = divmod(milli, MILLI)
    return f"{whole}.{part:03d}".rstrip("0") if part else f"{whole}"


def each(line: LineLeft) -> int:
    """Return what one piece cost, in minor units."""
    return line.net * MILLI // line.quantity_milli if line.quantity_milli else 0


def thousandths(text: str, line: str) -> int:
    """Return a typed quantity in thousandths; raises `BadInput` `return_quantity`."""
    whole, mark, fraction = text.replace(",", ".").partition(".")
    if not whole.isdecimal() or (mark and not fraction.isdecimal()) or len(whole) > 6 or len(fraction) > 3:
        raise BadInput("return_quantity", line=line[:40])
    found = int(whole) * MILLI + int(fraction.ljust(3, "0") or "0")
    if not 0 < found <= MOST_QUANTITY:
        raise BadInput("return_quantity", line=line[:40])
    return found
