"""What is known of a guest when a check is priced: a frozen snapshot, never a live lookup."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from uuid import UUID

from loyalty_desk.domain.canonical import Json
from loyalty_desk.domain.clock import from_ms, to_ms
from loyalty_desk.domain.fields import Fields

_ABSENT: tuple[Json, ...] = (None, "", 0, False, [])


@dataclass(frozen=True, slots=True)
class Coupon:
    """A coupon of one guest: its code, the rule it opens, until when, and how often it was used or its use voided."""

    code: str
    rule: str
    expires_at: datetime | None = None
    used: int = 0
    voided: int = 0


@dataclass(frozen=True, slots=True)
class GuestFacts:
    """Facts of one guest as of one moment. Points in smallest point units, money in minor units.

    `spend`, `visits` and `earned` are those of the tier window, `visits_ever` of all time (None: the same as `visits`).
    `uses` counts uses by (rule id, period), period "" for all time, else "day:2026-03-02", "week:2026-w10",
    "month:2026-03", "year:2026" of the store's calendar. `expiries` are the next points to expire, soonest first.
    `birthday_rules` stands in for the birthday where only a record is known: the rules that it satisfied.
    """

    guest_id: UUID | None = None
    tier: str = ""
    tier_until: datetime | None = None
    tier_manual: bool = False
    points: int = 0
    expiries: tuple[tuple[datetime, int], ...] = ()
    spend: int = 0
    visits: int = 0
    earned: int = 0
    visits_ever: int | None = None
    first_visit: datetime | None = None
    birthday: date | None = None
    birthday_rules: frozenset[str] | None = None
    segments: frozenset[str] = frozenset()
    tags: frozenset[str] = frozenset()
    uses: Mapping[tuple[str, str], int] = field(default_factory=dict)
    coupons: tuple[Coupon, ...] = ()
    stamps: Mapping[str, int] = field(default_factory=dict)
    referred: bool = False
    as_of: datetime | None = None

    @property
    def paid_visits(self) -> int:
        """Return the paid checks of all time, voided ones left out, as far as they are known."""
        return self.visits if self.visits_ever is None else self.visits_ever

    def to_dict(self) -> dict[str, Json]:
        """Return the canonical object: defaults left out, times in milliseconds, everything unordered sorted."""
        data: dict[str, Json] = {key: value for key, value in self._items().items() if value not in _ABSENT}
        if self.visits_ever is not None:
            data["visits_ever"] = self.visits_ever
        if self.birthday_rules is not None:
            data["birthday_rules"] = sorted(self.birthday_rules)
        return data

    def _items(self) -> dict[str, Json]:
        return {
            "guest_id": str(self.guest_id) if self.guest_id else None,
            "tier": self.tier,
            "tier_until": _ms(self.tier_until),
            "tier_manual": self.tier_manual,
            "points": self.points,
            "expiries": [{"at": to_ms(at), "points": points} for at, points in self.expiries],
            "spend": self.spend,
            "visits": self.visits,
            "earned": self.earned,
            "first_visit": _ms(self.first_visit),
            "birthday": self.birthday.isoformat() if self.birthday else None,
            "segments": sorted(self.segments),
            "tags": sorted(self.tags),
            "uses": [{"rule": r, "period": p, "used": n} for (r, p), n in sorted(self.uses.items()) if n],
            "coupons": [_coupon_dict(c) for c in sorted(self.coupons, key=lambda c: (c.code, c.rule))],
            "stamps": [{"rule": rule, "count": n} for rule, n in sorted(self.stamps.items()) if n],
            "referred": self.referred,
            "as_of": _ms(self.as_of),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Json]) -> GuestFacts:
        """Return the facts of an object; raises `BadInput` naming the field. Unknown keys are passed over."""
        f = Fields(data, "guest")
        rules = f.texts("birthday_rules") if "birthday_rules" in data else None
        return cls(
            guest_id=f.uuid("guest_id"),
            tier=f.text("tier"),
            tier_until=f.moment("tier_until"),
            tier_manual=f.flag("tier_manual"),
            points=f.integer("points"),
            expiries=tuple((from_ms(e.integer("at")), e.integer("points")) for e in f.objects("expiries")),
            spend=f.integer("spend"),
            visits=f.integer("visits"),
            earned=f.integer("earned"),
            visits_ever=f.integer("visits_ever") if "visits_ever" in data else None,
            first_visit=f.moment("first_visit"),
            birthday=f.day("birthday"),
            birthday_rules=frozenset(rules) if rules is not None else None,
            segments=frozenset(f.texts("segments")),
            tags=frozenset(f.texts("tags")),
            uses={(u.text("rule"), u.text("period")): u.integer("used") for u in f.objects("uses")},
            coupons=tuple(
                Coupon(c.text("code"), c.text("rule"), c.moment("expires_at"), c.integer("used"), c.integer("voided"))
                for c in f.objects("coupons")
            ),
            stamps={s.text("rule"): s.integer("count") for s in f.objects("stamps")},
            referred=f.flag("referred"),
            as_of=f.moment("as_of"),
        )


def _coupon_dict(coupon: Coupon) -> dict[str, Json]:
    data: dict[str, Json] = {"code": coupon.code, "rule": coupon.rule}
    if coupon.expires_at is not None:
        data["expires_at"] = to_ms(coupon.expires_at)
    if coupon.used:
        data["used"] = coupon.used
    if coupon.voided:
        data["voided"] = coupon.voided
    return data


def _ms(moment: datetime | None) -> int | None:
    return None if moment is None else to_ms(moment.astimezone(UTC))
