"""A check and what was chosen at it, as a person writes them: money in whole units, quantities in pieces or kilos."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo

from loyalty_desk.domain.basket import MAX_LINES, Basket, Line
from loyalty_desk.domain.errors import BadInput
from loyalty_desk.domain.money import BASIS_POINTS, CURRENCIES, Currency, currency
from loyalty_desk.domain.quote import Choices, ManualDiscount, Payment
from loyalty_desk.readable.document import Node

CHECK_FIELDS = (
    "currency", "store", "zone", "channel", "at", "amount", "lines", "codes", "coupons", "redeem", "rewards", "gifts",
    "declined", "manual_discounts", "payments",
)  # fmt: skip
LINE_FIELDS = (
    "id", "product", "category", "quantity", "price", "currency", "flags", "tax", "charge", "floor", "added_at",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class ReadCheck:
    """A check read from a file: what is bought, what was chosen, and when, if the file says so."""

    basket: Basket
    choices: Choices
    at: datetime | None


def check_of(document: Node, point_decimals: int = 0, zone: tzinfo = UTC) -> ReadCheck:
    """Return the check of a document; `zone` (the network's) holds where it names none. Raises `BadInput`."""
    document.only(*CHECK_FIELDS)
    of = _currency(document, document.text("currency", None))
    local = document.zone(zone)
    if document.has("amount") == document.has("lines"):
        raise BadInput("check_amount_or_lines", file=document.file)
    if document.has("amount"):
        whole = Basket.of_amount(of.code, document.money("amount", of))
        lines = whole.lines
    else:
        nodes = document.nodes("lines")
        if len(nodes) > MAX_LINES:
            raise BadInput("lines_too_many", file=document.file, lines=len(nodes), limit=MAX_LINES)
        lines = tuple(_line(node, of, local) for node in nodes)
    basket = Basket(of.code, lines, document.text("store"), local, document.text("channel", "till"))
    try:
        basket.validated()
    except BadInput as error:
        raise BadInput(error.code, **{"file": document.file, **error.facts}) from error
    return ReadCheck(basket, _choices(document, of, point_decimals), document.moment("at", local))


def _currency(node: Node, code: str) -> Currency:
    if code not in CURRENCIES:
        raise BadInput("currency_unknown", file=node.file, currency=code[:8])
    return currency(code)


def _line(node: Node, of: Currency, zone: tzinfo) -> Line:
    node.only(*LINE_FIELDS)
    if node.has("currency") and node.text("currency") != of.code:
        raise BadInput(
            "file_two_currencies", file=node.file, place=node.place, one=of.code, other=node.text("currency")[:8]
        )
    return Line(
        id=node.text("id"),
        product=node.text("product"),
        category=node.text("category"),
        quantity_milli=node.scaled("quantity", 3, 1_000),
        unit_price=node.money("price", of, None),
        flags=frozenset(node.texts("flags")),
        tax=node.money("tax", of) if node.has("tax") else None,
        charge=node.money("charge", of),
        floor=node.money("floor", of),
        added_at=node.moment("added_at", zone),
    )


def _choices(document: Node, of: Currency, point_decimals: int) -> Choices:
    gifts = document.node("gifts")
    return Choices(
        points_asked=document.scaled("redeem", point_decimals),
        codes=document.texts("codes"),
        coupons=document.texts("coupons"),
        rewards=document.texts("rewards"),
        gifts={rule: gifts.text(rule) for rule in gifts.data},
        declined=frozenset(document.texts("declined")),
        manual_discounts=tuple(_manual(node, of) for node in document.nodes("manual_discounts")),
        payments=tuple(_payment(node, of) for node in document.nodes("payments")),
    )


def _manual(node: Node, of: Currency) -> ManualDiscount:
    node.only("amount", "percent", "line", "reason", "operator")
    if node.has("amount") == node.has("percent"):
        raise node.wrong("amount", "amount_or_percent")
    rate_bp = node.scaled("percent", 2, unit="%")
    if rate_bp > BASIS_POINTS:
        raise BadInput("manual_discount", file=node.file, place=node.place)
    return ManualDiscount(
        amount=node.money("amount", of),
        rate_bp=rate_bp,
        line=node.text("line") or None,
        reason=node.text("reason"),
        operator=node.text("operator"),
    )


def _payment(node: Node, of: Currency) -> Payment:
    node.only("id", "amount", "kind")
    return Payment(node.text("id", None), node.money("amount", of, None), node.text("kind", "gift_card"))
