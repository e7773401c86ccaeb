"""A guest as a person writes one: facts for a quote, and the paid checks that a tier is worked out from."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from uuid import UUID

from loyalty_desk.domain.guest import Coupon, GuestFacts
from loyalty_desk.domain.money import Currency
from loyalty_desk.domain.tiers import ManualTier, PaidCheck, Returned
from loyalty_desk.readable.document import Node

GUEST_FIELDS = (
    "guest_id", "tier", "tier_until", "points", "spend", "visits", "visits_ever", "earned", "first_visit", "birthday",
    "segments", "tags", "uses", "coupons", "stamps", "referred", "as_of", "zone", "checks", "manual",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class ReadGuest:
    """A guest read from a file: facts, paid checks in the order written, and tiers given by hand."""

    facts: GuestFacts
    checks: tuple[PaidCheck, ...]
    manual: tuple[ManualTier, ...]
    zone: tzinfo


def guest_of(document: Node, of: Currency, point_decimals: int = 0, zone: tzinfo = UTC) -> ReadGuest:
    """Return the guest of a document; money in whole units of `of`, points in whole points. Raises `BadInput`."""
    document.only(*GUEST_FIELDS)
    local = document.zone(zone)
    stamps = document.node("stamps")
    facts = GuestFacts(
        guest_id=_uuid(document, "guest_id"),
        tier=document.text("tier"),
        tier_until=document.moment("tier_until", local),
        points=document.scaled("points", point_decimals, signed=True),
        spend=document.money("spend", of),
        visits=document.integer("visits"),
        visits_ever=document.integer("visits_ever") if document.has("visits_ever") else None,
        earned=document.scaled("earned", point_decimals),
        first_visit=document.moment("first_visit", local),
        birthday=document.day("birthday"),
        segments=frozenset(document.texts("segments")),
        tags=frozenset(document.texts("tags")),
        uses={(n.text("rule", None), n.text("period")): n.integer("used", 1) for n in document.nodes("uses")},
        coupons=tuple(_coupon(node, local) for node in document.nodes("coupons")),
        stamps={rule: stamps.integer(rule, low=-1_000_000) for rule in stamps.data},
        referred=document.flag("referred"),
        as_of=document.moment("as_of", local),
    )
    checks = tuple(_check(node, of, point_decimals, local) for node in document.nodes("checks"))
    return ReadGuest(facts, checks, tuple(_manual(node, local) for node in document.nodes("manual")), local)


def _uuid(node: Node, field: str) -> UUID | None:
    text = node.text(field)
    try:
        return UUID(text) if text else None
    except ValueError:
        raise node.wrong(field, "uuid") from None


def _coupon(node: Node, zone: tzinfo) -> Coupon:
    node.only("code", "rule", "expires_at", "used", "voided")
    return Coupon(
        node.text("code", None),
        node.text("rule", None),
        node.moment("expires_at", zone),
        node.integer("used"),
        node.integer("voided"),
    )


def _check(node: Node, of: Currency, point_decimals: int, zone: tzinfo) -> PaidCheck:
    node.only("at", "paid", "earned", "returned")
    return PaidCheck(
        _moment(node, "at", zone),
        node.money("paid", of, None),
        node.scaled("earned", point_decimals),
        tuple(_returned(back, of, point_decimals, zone) for back in node.nodes("returned")),
    )


def _returned(node: Node, of: Currency, point_decimals: int, zone: tzinfo) -> Returned:
    node.only("at", "money", "points", "whole")
    return Returned(
        _moment(node, "at", zone), node.money("money", of), node.scaled("points", point_decimals), node.flag("whole")
    )


def _manual(node: Node, zone: tzinfo) -> ManualTier:
    node.only("tier", "since", "until", "reason", "operator")
    return ManualTier(
        node.text("tier", None),
        _moment(node, "since", zone),
        node.moment("until", zone),
        node.text("reason"),
        node.text("operator"),
    )


def _moment(node: Node, field: str, zone: tzinfo) -> datetime:
    found = node.moment(field, zone)
    if found is None:
        raise node.missing(field)
    return found
