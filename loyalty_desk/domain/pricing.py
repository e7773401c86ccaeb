"""Pricing: one pure function from a check, a guest, a program, a moment and choices to a quote."""

from __future__ import annotations

from datetime import datetime

from loyalty_desk.domain.basket import Basket
from loyalty_desk.domain.guest import GuestFacts
from loyalty_desk.domain.program import Program
from loyalty_desk.domain.quote import NO_CHOICES, Choices, Hint, ManualDiscount, Note, Quote, QuoteLine, RedemptionNote

__all__ = ["Choices", "Hint", "ManualDiscount", "Note", "Quote", "QuoteLine", "RedemptionNote", "quote"]


def quote(
    basket: Basket, guest: GuestFacts | None, program: Program, at: datetime, choices: Choices = NO_CHOICES
) -> Quote:
    """Return the check priced at `at` (aware). Money in minor units, points in smallest point units.

    Raises `BadInput` for a basket that cannot be priced (`line`, `field`) or is not in the program's currency.
    """
    raise NotImplementedError
