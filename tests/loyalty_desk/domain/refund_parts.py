"""Short ways to say a program, a line and a sale of it in the tests of returns."""

from datetime import UTC, datetime

from loyalty_desk.domain.basket import Basket, Line
from loyalty_desk.domain.guest import GuestFacts
from loyalty_desk.domain.program import Program
from loyalty_desk.domain.quote import NO_CHOICES, Choices
from loyalty_desk.domain.refund import Return, Sale

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)

ANNA = GuestFacts(points=10_000, visits=3)


def program(*rules: dict, **settings) -> Program:
    named = [{"id": f"r{n}", "name": {"en": f"Rule {n}"}, **rule} for n, rule in enumerate(rules, 1)]
    data = {"version": 1, "currency": "RUB", "model": "points", "rules": named, "redemption": {}, "point_value": 1}
    return Program.from_dict({**data, "settings": settings})


EARN = {"effects": [{"type": "earn_rate", "points": 1, "per": 100}]}


def tenth_off(**more) -> dict:
    return {"effects": [{"type": "percentage", "of": "check", "rate_bp": 1_000}], **more}


def sold(of: Program, *lines: Line, choices: Choices = NO_CHOICES, guest: GuestFacts | None = ANNA) -> Sale:
    return Sale.priced(Basket("RUB", lines), guest, of, NOON, choices)


def line(name: str, price: int, units: int = 1, **more) -> Line:
    return Line(id=name, product=name, unit_price=price, quantity_milli=units * 1_000, **more)


def one(name: str, units: int = 1) -> list[Return]:
    return [Return(name, units * 1_000)]
