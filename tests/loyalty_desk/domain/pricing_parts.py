"""Short ways to say a program, a rule and a basket in the tests of the kernel."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from loyalty_desk.domain.basket import Basket, Line
from loyalty_desk.domain.guest import GuestFacts
from loyalty_desk.domain.program import Program
from loyalty_desk.domain.quote import Note, Quote

AT = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)  # a Monday
GUEST = GuestFacts(tier="GOLD", points=1_000)
TIERS = [{"code": "BRONZE", "discount_bp": 500, "earn_bp": 300}, {"code": "GOLD", "discount_bp": 1000, "earn_bp": 500}]


def rule(
    identifier: str, *effects: dict[str, Any], when: list[dict[str, Any]] | None = None, **more: Any
) -> dict[str, Any]:
    return {"id": identifier, "name": {"en": identifier}, "effects": list(effects), "conditions": when or [], **more}


def percent(rate_bp: int, **more: Any) -> dict[str, Any]:
    return {"type": "percentage", "rate_bp": rate_bp, **more}


def off(amount: int, per: str = "check", **more: Any) -> dict[str, Any]:
    return {"type": "fixed_amount", "amount": amount, "per": per, **more}


def program(*rules: dict[str, Any], **more: Any) -> Program:
    return Program.from_dict({"version": 1, "currency": "RUB", "model": "discount", "rules": list(rules), **more})


def basket(*lines: Line | int, **more: Any) -> Basket:
    made = [
        line if isinstance(line, Line) else Line(chr(ord("a") + n), product=chr(ord("A") + n), unit_price=line)
        for n, line in enumerate(lines)
    ]
    return Basket("RUB", tuple(made), **more)


def notes(quoted: Quote) -> dict[str, Note]:
    return {note.rule: note for note in quoted.explanation}


def discounts(quoted: Quote) -> list[int]:
    return [line.discount for line in quoted.lines]
