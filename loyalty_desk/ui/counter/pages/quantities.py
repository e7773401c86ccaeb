"""Quantities of a sale's lines as they are typed, and what one piece of them cost."""

from __future__ import annotations

import re

from loyalty_desk.domain.basket import MILLI
from loyalty_desk.domain.errors import BadInput
from loyalty_desk.domain.refund.left import LineLeft

MOST_QUANTITY = 10**9
_SPACES = re.compile(r"\s")


def each(line: LineLeft) -> int:
    """Return what one piece cost, in minor units."""
    return line.net * MILLI // line.quantity_milli if line.quantity_milli else 0


def thousandths(text: str, line: str) -> int:
    """Return a typed quantity in thousandths; raises `BadInput` `return_quantity`."""
    whole, mark, fraction = _SPACES.sub("", text).replace(",", ".").partition(".")
    if not whole.isdecimal() or (mark and not fraction.isdecimal()) or len(whole) > 6 or len(fraction) > 3:
        raise BadInput("return_quantity", line=line[:40])
    found = int(whole) * MILLI + int(fraction.ljust(3, "0") or "0")
    if not 0 < found <= MOST_QUANTITY:
        raise BadInput("return_quantity", line=line[:40])
    return found
