"""The `check` of a journal record: what was sold, to whom and for how much, complete enough to be priced again.

No personal datum is in it: of the birthday only which rules it satisfied, of tags only those that a rule asks for, no
name, no reason typed by a cashier.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from loyalty_desk.domain.basket import Basket, Line
from loyalty_desk.domain.canonical import Json, readable
from loyalty_desk.domain.clock import from_ms, to_ms
from loyalty_desk.domain.fields import MAX_INTEGER, Fields
from loyalty_desk.domain.guest import GuestFacts
from loyalty_desk.domain.pricing import Choices, ManualDiscount, Payment, Quote, QuoteLine, quote
from loyalty_desk.domain.program import Program
from loyalty_desk.domain.quote import NO_CHOICES

_SELDOM = frozenset({"flags", "tax", "charge", "floor", "added_at"})


@dataclass(frozen=True, slots=True)
class ClaimedLine:
    """What the till says of one line: net paid, discounts by rule id, points' share in money and in points, earned."""

    net: int
    discounts: tuple[tuple[str, int], ...]
    points_money: int
    points: int
    earned: int


@dataclass(frozen=True, slots=True)
class Claimed:
    """What the till says came out: minor units and smallest point units, and the program it priced with.

    `own_expiry` are those of the earned points that die by their own days: (rule, points, days).
    """

    program_version: int
    program_hash: str
    gross: int
    discount_total: int
    redeemed_points: int
    redeemed_money: int
    total: int
    earned_points: int
    lines: tuple[ClaimedLine, ...]
    own_expiry: tuple[tuple[str, int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class CheckContents:
    """A record's check read back."""

    basket: Basket
    guest: GuestFacts | None
    choices: Choices
    claimed: Claimed

    def quoted(self, program: Program, at: datetime) -> Quote:
        """Return the check priced again with a program, at the time of the sale (see `priced_at`)."""
        return quote(self.basket, self.guest, program, at, self.choices)


@dataclass(frozen=True, slots=True)
class Drift:
    """One difference between what a till claimed and what pricing again gives; line is None for the whole check."""

    field: str
    claimed: int | str
    priced: int | str
    line: str | None = None


def check_to_payload(basket: Basket, guest: GuestFacts | None, choices: Choices, quoted: Quote) -> dict[str, Json]:
    """Return the canonical `check` object of a record for a quote of that basket and those choices."""
    del guest  # the quote already holds the facts it looked at, and no others belong in a record
    data: dict[str, Json] = {
        # When it was priced: a sale confirmed a minute after happy hour was still priced within it.
        "at": to_ms(quoted.at),
        "currency": basket.currency,
        "zone": zone_name(basket.zone),
        "program_version": quoted.program_version,
        "program_hash": quoted.program_hash,
        "gross": quoted.gross,
        "discount_total": quoted.discount_total,
        "redeemed_points": quoted.redeemed_points,
        "redeemed_money": quoted.redeemed_money,
        "total": quoted.total,
        "earned_points": quoted.earned_points,
        "lines": [_line_payload(line, priced) for line, priced in zip(basket.lines, quoted.lines, strict=True)],
    }
    if quoted.own_expiry:
        data["own_expiry"] = [{"rule": rule, "points": n, "days": days} for rule, n, days in quoted.own_expiry]
    if basket.store:
        data["store"] = basket.store
    if basket.channel != "till":
        data["channel"] = basket.channel
    if quoted.facts is not None:
        data["guest"] = quoted.facts.to_dict()
    chosen = _choices_payload(choices)
    if chosen:
        data["choices"] = chosen
    return data


def check_from_payload(data: Mapping[str, Json]) -> CheckContents:
    """Return what a record's check holds; raises `BadInput` naming the place. Unknown keys are passed over."""
    f = Fields(data, "check")
    lines = f.objects("lines")
    basket = Basket(
        currency=f.text("currency", None),
        lines=tuple(_line(line) for line in lines),
        store=f.text("store"),
        zone=zone_of(f),
        channel=f.text("channel", "till"),
    ).validated()
    claimed = Claimed(
        program_version=f.integer("program_version", None),
        program_hash=f.text("program_hash", None),
        gross=f.integer("gross", None),
        discount_total=f.integer("discount_total", None),
        redeemed_points=f.integer("redeemed_points", None),
        redeemed_money=f.integer("redeemed_money", None),
        total=f.integer("total", None),
        earned_points=f.integer("earned_points", None),
        lines=tuple(_claimed_line(line) for line in lines),
        own_expiry=own_expiry_of(f),
    )
    guest = GuestFacts.from_dict(f.object("guest").data) if data.get("guest") is not None else None
    return CheckContents(basket, guest, _choices(f.object("choices")), claimed)


def own_expiry_of(check: Fields) -> tuple[tuple[str, int, int], ...]:
    """Return (rule, smallest point units, days) of the points in a record's check that die by their own days."""
    return tuple(
        (part.text("rule", None), part.integer("points", None, low=1), part.integer("days", None, low=1))
        for part in check.objects("own_expiry")
    )


def priced_at(check: Mapping[str, Json], occurred_at: int) -> datetime:
    """Return when a record's check was priced: `occurred_at`, milliseconds UTC, where the check does not say."""
    at = check.get("at")
    return from_ms(at if isinstance(at, int) and not isinstance(at, bool) else occurred_at)


def drift(claimed: Claimed, quoted: Quote) -> list[Drift]:
    """Return every difference between what a till claimed and what pricing again gives; empty where they agree."""
    found = [
        Drift(field, getattr(claimed, field), getattr(quoted, field))
        for field in (
            "program_version",
            "program_hash",
            "gross",
            "discount_total",
            "redeemed_points",
            "redeemed_money",
            "total",
            "earned_points",
        )
        if getattr(claimed, field) != getattr(quoted, field)
    ]
    if claimed.own_expiry != quoted.own_expiry:
        found.append(Drift("own_expiry", repr(claimed.own_expiry), repr(quoted.own_expiry)))
    if len(claimed.lines) != len(quoted.lines):
        return [*found, Drift("lines", len(claimed.lines), len(quoted.lines))]
    for mine, theirs in zip(claimed.lines, quoted.lines, strict=True):
        found += [
            Drift(field, getattr(mine, field), getattr(theirs, field), theirs.id)
            for field in ("net", "points_money", "points", "earned")
            if getattr(mine, field) != getattr(theirs, field)
        ]
        if summed(mine.discounts) != summed(theirs.discounts):
            found.append(Drift("discounts", _shown(mine.discounts), _shown(theirs.discounts), theirs.id))
    return found


def summed(discounts: tuple[tuple[str, int], ...]) -> dict[str, int]:
    """Return the amounts by rule, a rule that acted twice as one."""
    amounts: dict[str, int] = {}
    for rule, amount in discounts:
        amounts[rule] = amounts.get(rule, 0) + amount
    return amounts


def zone_name(zone: tzinfo) -> str:
    """Return the IANA name of a zone; UTC for one that has none."""
    return zone.key if isinstance(zone, ZoneInfo) else "UTC"


def zone_of(f: Fields) -> tzinfo:
    """Return the zone that the field `zone` names; raises `BadInput`."""
    name = f.text("zone", "UTC")
    if name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise f.wrong("zone", "time_zone") from None


def _shown(discounts: tuple[tuple[str, int], ...]) -> str:
    return ",".join(f"{rule}={amount}" for rule, amount in sorted(summed(discounts).items()))


def _line_payload(line: Line, priced: QuoteLine) -> dict[str, Json]:
    data: dict[str, Json] = {"quantity_milli": line.quantity_milli, "unit_price": line.unit_price, "net": priced.net}
    optional: dict[str, Json] = {
        "id": line.id,
        "product": line.product,
        "category": line.category,
        "flags": sorted(line.flags),
        "charge": line.charge,
        "floor": line.floor,
        "discounts": [{"rule": rule, "amount": amount} for rule, amount in summed(priced.discounts).items()],
        "points_money": priced.points_money,
        "points": priced.points,
        "earned": priced.earned,
    }
    data |= {key: value for key, value in optional.items() if value}
    if line.tax is not None:
        data["tax"] = line.tax
    if line.added_at is not None:
        data["added_at"] = to_ms(line.added_at)
    return data


def _line(f: Fields) -> Line:
    of = f.data.get
    name, product, category = of("id", ""), of("product", ""), of("category", "")
    quantity, price = of("quantity_milli"), of("unit_price")
    # Nearly every line says no more, and asking for each field by itself takes twice the time.
    if (
        _SELDOM.isdisjoint(f.data)
        and type(name) is str
        and type(product) is str
        and type(category) is str
        and type(quantity) is int
        and type(price) is int
        and -MAX_INTEGER <= quantity <= MAX_INTEGER
        and -MAX_INTEGER <= price <= MAX_INTEGER
    ):
        return Line(name, product, category, quantity, price)
    return Line(
        id=f.text("id"),
        product=f.text("product"),
        category=f.text("category"),
        quantity_milli=f.integer("quantity_milli", None),
        unit_price=f.integer("unit_price", None),
        flags=frozenset(f.texts("flags")),
        tax=f.optional("tax"),
        charge=f.integer("charge"),
        floor=f.integer("floor"),
        added_at=f.moment("added_at"),
    )


def _claimed_line(f: Fields) -> ClaimedLine:
    of = f.data.get
    net, points_money, points, earned = of("net"), of("points_money", 0), of("points", 0), of("earned", 0)
    if (
        type(net) is int
        and type(points_money) is int
        and type(points) is int
        and type(earned) is int
        and min(net, points_money, points, earned) >= -MAX_INTEGER
        and max(net, points_money, points, earned) <= MAX_INTEGER
    ):
        return ClaimedLine(net, _discounts(f) if "discounts" in f.data else (), points_money, points, earned)
    return ClaimedLine(
        net=f.integer("net", None),
        discounts=_discounts(f),
        points_money=f.integer("points_money"),
        points=f.integer("points"),
        earned=f.integer("earned"),
    )


def _discounts(f: Fields) -> tuple[tuple[str, int], ...]:
    given = f.data.get("discounts")
    # Nearly every line with a discount has one.
    if type(given) is list and len(given) == 1 and type(given[0]) is dict:
        rule, amount = given[0].get("rule"), given[0].get("amount")
        if type(rule) is str and type(amount) is int and -MAX_INTEGER <= amount <= MAX_INTEGER:
            return ((rule, amount),)
    return tuple([(d.text("rule", None), d.integer("amount", None)) for d in f.objects("discounts")])


def _choices_payload(choices: Choices) -> dict[str, Json]:
    optional: dict[str, Json] = {
        "points_asked": choices.points_asked,
        "codes": [readable(code) for code in choices.codes],
        "coupons": [readable(code) for code in choices.coupons],
        "rewards": list(choices.rewards),
        "gifts": [{"rule": rule, "product": product} for rule, product in sorted(choices.gifts.items())],
        "declined": sorted(choices.declined),
        "manual": [_manual_payload(manual) for manual in choices.manual_discounts],
        "payments": [{"id": p.id, "kind": p.kind, "amount": p.amount} for p in choices.payments],
        "cap_reason": choices.redemption_cap_reason or "",
        "tier_withheld": choices.tier_withheld,
    }
    data: dict[str, Json] = {key: value for key, value in optional.items() if value}
    if choices.redemption_cap is not None:
        data["cap"] = choices.redemption_cap
    if choices.quotas is not None:
        data["quotas"] = [{"rule": rule, "left": left} for rule, left in sorted(choices.quotas.items())]
    return data


def _manual_payload(manual: ManualDiscount) -> dict[str, Json]:
    optional: dict[str, Json] = {
        "amount": manual.amount,
        "rate_bp": manual.rate_bp,
        "line": manual.line or "",
        "operator": manual.operator,
    }
    return {key: value for key, value in optional.items() if value}


def _choices(f: Fields) -> Choices:
    if not f.data:
        return NO_CHOICES
    return Choices(
        points_asked=f.integer("points_asked"),
        codes=f.texts("codes"),
        coupons=f.texts("coupons"),
        rewards=f.texts("rewards"),
        gifts={gift.text("rule", None): gift.text("product", None) for gift in f.objects("gifts")},
        declined=frozenset(f.texts("declined")),
        manual_discounts=tuple(
            ManualDiscount(
                m.integer("amount"), m.integer("rate_bp"), m.text("line") or None, operator=m.text("operator")
            )
            for m in f.objects("manual")
        ),
        quotas={q.text("rule", None): q.integer("left", None) for q in f.objects("quotas")}
        if f.data.get("quotas") is not None
        else None,
        payments=tuple(Payment(p.text("id"), p.integer("amount"), p.text("kind")) for p in f.objects("payments")),
        redemption_cap=f.optional("cap"),
        redemption_cap_reason=f.text("cap_reason") or None,
        tier_withheld=f.flag("tier_withheld"),
    )
