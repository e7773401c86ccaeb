"""Selling at a real till, as its window would."""

from __future__ import annotations

from datetime import UTC, datetime

from loyalty_desk.services.checkout import CheckDraft, SaleDone
from loyalty_desk.till import Till


def sell(till: Till, code: str, points: int = 0, amount: int = 1_000_00) -> SaleDone:
    draft = CheckDraft(till.checkout.basket(amount), till.checkout.identify(code), points, at=datetime.now(UTC))
    return till.checkout.confirm(draft, till.checkout.price(draft))
