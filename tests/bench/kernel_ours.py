"""The kernel at the bench's work."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from loyalty_desk.domain.basket import Basket, Line
from loyalty_desk.domain.guest import GuestFacts
from loyalty_desk.domain.pricing import quote
from loyalty_desk.domain.program import Program
from tests.bench.kernel_work import NOW, Bought, Spec


def program_of(rules: list[Spec]) -> Program:
    def effect(spec: Spec) -> dict[str, Any]:
        if spec.kind == "percent":
            return {"type": "percentage", "rate_bp": spec.value}
        if spec.kind == "amount":
            return {"type": "fixed_amount", "per": "lines", "amount": spec.value}
        return {"type": "bonus_multiplier", "rate_bp": 10_000 + spec.value}

    data = {
        "network": "bench",
        "version": 1,
        "currency": "RUB",
        "model": "points",
        "rules": [
            {
                "id": f"r{spec.number}",
                "name": {"en": f"Rule {spec.number}"},
                "order": spec.number,
                "skip_discounted_lines": True,
                "effects": [effect(spec)],
                "conditions": [
                    {"type": "amount", "min": spec.least},
                    {"type": "stores", "stores": list(spec.stores)},
                    {"type": "categories", "categories": list(spec.categories)},
                    {"type": "segments", "segments": list(spec.segments)},
                    {"type": "hours", "from": f"{spec.hours[0]:02d}:00", "to": f"{spec.hours[1]:02d}:00"},
                    {"type": "date", "from": spec.dates[0].isoformat(), "to": spec.dates[1].isoformat()},
                    {"type": "usage", "per_guest": spec.limit},
                ],
            }
            for spec in rules
        ]
        + [{"id": "base", "effects": [{"type": "earn_rate", "points": 1, "per": 10_000}]}],
    }
    program = Program.from_dict(data)
    _ = program.compiled, program.hash_text
    return program


def ours_of(bought: Bought) -> tuple[Basket, GuestFacts]:
    lines = tuple(
        Line(id=str(n), product=f"p{n}", category=category, unit_price=price, quantity_milli=quantity * 1_000)
        for n, (category, price, quantity) in enumerate(bought.lines)
    )
    guest = GuestFacts(
        segments=frozenset(bought.segments), uses={(f"r{n}", ""): used for n, used in bought.uses.items()}, points=500
    )
    return Basket("RUB", lines, store=bought.store), guest


def kernel(rules: list[Spec], work: list[Bought], *, explained: bool) -> Callable[[], object]:
    program, made = program_of(rules), [ours_of(one) for one in work]

    def run() -> None:
        for basket, guest in made:
            quoted = quote(basket, guest, program, NOW)
            if explained:
                _ = quoted.explanation

    return run
