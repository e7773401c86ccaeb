"""Pricing a check of another system with the kernel, for a guest as the ledger has them at this moment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID
from zoneinfo import ZoneInfo

from loyalty_desk.domain.basket import Basket, Line
from loyalty_desk.domain.canonical import Json
from loyalty_desk.domain.check import summed
from loyalty_desk.domain.clock import to_ms
from loyalty_desk.domain.code_proof import Permit
from loyalty_desk.domain.errors import BadInput
from loyalty_desk.domain.fields import Fields
from loyalty_desk.domain.guest import GuestFacts
from loyalty_desk.domain.pricing import quote
from loyalty_desk.domain.program import Program
from loyalty_desk.domain.quote import Choices, Quote
from loyalty_desk.wire.v1.rows import ProfileRow
from server.checks.schemas import CheckLine, PricedCheck, PricedLine, QuoteRequest
from server.guests.proof import Proved
from server.networks.service import StoreLimits

CODE_LIMIT = "code_limit"


@dataclass(frozen=True, slots=True)
class Priced:
    """A check priced, with what went into it."""

    basket: Basket
    choices: Choices
    facts: GuestFacts | None
    quote: Quote

    @property
    def guest(self) -> UUID | None:
        """Return whose check it is."""
        return None if self.facts is None else self.facts.guest_id


def price(
    asked: QuoteRequest,
    store: StoreLimits,
    facts: GuestFacts | None,
    program: Program,
    at: datetime,
    limit: int | None,
    quotas: Mapping[str, int],
) -> Priced:
    """Return the check priced at `at`; `limit` is the most that the code shown may redeem, None without a guest.

    `quotas` is what is left of rules with totals and budgets, by rule.

    Raises `BadInput` as the kernel does, and `check_amount_or_lines`.
    """
    if bool(asked.lines) == (asked.amount is not None):
        raise BadInput("check_amount_or_lines")
    zone, place = ZoneInfo(store.zone), str(store.store)
    if asked.amount is not None:
        basket = Basket.of_amount(asked.currency, asked.amount, store=place, zone=zone)
        basket = Basket(basket.currency, basket.lines, basket.store, zone, asked.channel)
    else:
        basket = Basket(asked.currency, tuple(_line(one) for one in asked.lines), place, zone, asked.channel)
    choices = Choices(
        points_asked=asked.points,
        codes=tuple(asked.codes),
        coupons=tuple(asked.coupons),
        rewards=tuple(asked.rewards),
        gifts=asked.gifts,
        declined=frozenset(asked.declined),
        quotas=quotas,
        redemption_cap=limit,
        redemption_cap_reason=None if limit is None else CODE_LIMIT,
    )
    return Priced(basket, choices, facts, quote(basket.validated(), facts, program, at, choices))


def code_limit(proved: Proved, profile: ProfileRow) -> int:
    """Return how many points what was shown may redeem at once."""
    return 0 if proved.permit < Permit.LIMITED else profile.online_cvm.get(proved.kind.value, 0)


def told(quoted: Quote) -> PricedCheck:
    """Return a quote as other systems get it."""
    return PricedCheck(
        program_version=quoted.program_version,
        at=to_ms(quoted.at),
        gross=quoted.gross,
        discount_total=quoted.discount_total,
        redeemed_points=quoted.redeemed_points,
        redeemed_money=quoted.redeemed_money,
        total=quoted.total,
        earned_points=quoted.earned_points,
        lines=[
            PricedLine(one.net, one.id, summed(one.discounts), one.points_money, one.points, one.earned)
            for one in quoted.lines
        ],
    )


def told_again(check: Mapping[str, Json]) -> PricedCheck:
    """Return what was answered for a check that is posted, from its record."""
    f = Fields(check, "check")
    return PricedCheck(
        program_version=f.integer("program_version"),
        at=f.integer("at"),
        gross=f.integer("gross"),
        discount_total=f.integer("discount_total"),
        redeemed_points=f.integer("redeemed_points"),
        redeemed_money=f.integer("redeemed_money"),
        total=f.integer("total"),
        earned_points=f.integer("earned_points"),
        lines=[_line_told(line) for line in f.objects("lines")],
    )


def _line_told(line: Fields) -> PricedLine:
    discounts: Sequence[Fields] = line.objects("discounts")
    return PricedLine(
        line.integer("net"),
        line.text("id"),
        {one.text("rule"): one.integer("amount") for one in discounts},
        line.integer("points_money"),
        line.integer("points"),
        line.integer("earned"),
    )


def _line(line: CheckLine) -> Line:
    return Line(
        id=line.id,
        product=line.product,
        category=line.category,
        quantity_milli=line.quantity_milli,
        unit_price=line.unit_price,
        flags=frozenset(line.flags),
        tax=line.tax,
        charge=line.charge,
        floor=line.floor,
    )
