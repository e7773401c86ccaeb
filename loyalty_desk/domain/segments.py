"""Groups of guests by what they did: the automatic ones, and own ones by saved filter."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from loyalty_desk.domain.errors import BadInput
from loyalty_desk.domain.fields import Fields
from loyalty_desk.domain.guest import GuestFacts

NEW, ONE_TIME, REGULAR, VIP = "new", "one_time", "regular", "vip"
AUTOMATIC = (NEW, ONE_TIME, REGULAR, VIP)
_NUMBERS = ("visits", "spend", "points", "earned", "days_since_first_visit", "days_since_last_visit", "birthday_month")
_SETS = ("tier", "tags", "segments")


@dataclass(frozen=True, slots=True)
class SegmentThresholds:
    """From how many visits a guest is a regular, from how many and what spend (minor units) a vip."""

    regular_visits: int = 5
    vip_visits: int = 10
    vip_spend: int = 1_000_000

    @classmethod
    def from_fields(cls, f: Fields) -> SegmentThresholds:
        """Return the thresholds of an object; raises `BadInput` naming the field."""
        return cls(
            f.integer("regular_visits", 5, low=1), f.integer("vip_visits", 10, low=1), f.integer("vip_spend", 1_000_000)
        )


DEFAULT_THRESHOLDS = SegmentThresholds()


def automatic_segments(guest: GuestFacts, thresholds: SegmentThresholds = DEFAULT_THRESHOLDS) -> frozenset[str]:
    """Return every automatic segment that a guest meets; a vip is a regular too.

    Visits are those of all time where known, spend is what the facts carry, in minor units.
    """
    visits = guest.paid_visits
    found = {
        NEW: visits == 0,
        ONE_TIME: visits == 1,
        REGULAR: visits >= thresholds.regular_visits,
        VIP: visits >= thresholds.vip_visits and guest.spend >= thresholds.vip_spend,
    }
    return frozenset(name for name, holds in found.items() if holds)


@dataclass(frozen=True, slots=True)
class Clause:
    """One line of a filter: a number between `low` and `high` (inclusive, None: open), or any of `values`."""

    field: str
    low: int | None = None
    high: int | None = None
    values: frozenset[str] = frozenset()
    negated: bool = False

    def holds(self, guest: GuestFacts, last_visit: datetime | None, at: datetime | None) -> bool:
        """Return whether a guest meets the clause at `at`; an unknown number meets none, negated or not.

        The automatic segments are those that the facts name.
        """
        if self.field in _SETS:
            return self.values.isdisjoint(_texts(guest, self.field)) == self.negated
        number = _number(guest, self.field, last_visit, at)
        if number is None:
            return False
        within = (self.low is None or self.low <= number) and (self.high is None or number <= self.high)
        return within != self.negated


@dataclass(frozen=True, slots=True)
class SavedFilter:
    """An own segment: guests who meet every clause."""

    code: str
    clauses: tuple[Clause, ...]

    @classmethod
    def from_fields(cls, f: Fields) -> SavedFilter:
        """Return the filter of `{code, all: [{field, min, max, any, not}]}`; raises `BadInput` naming the field."""
        code = f.text("code", None)
        if not code or code in AUTOMATIC:
            raise f.wrong("code", "own_code")
        clauses = tuple(_clause(c) for c in f.objects("all"))
        if not clauses:
            raise f.wrong("all", "list_of_objects")
        return cls(code, clauses)

    def holds(self, guest: GuestFacts, last_visit: datetime | None, at: datetime | None) -> bool:
        """Return whether a guest is in the segment at `at`."""
        return all(clause.holds(guest, last_visit, at) for clause in self.clauses)


@dataclass(frozen=True, slots=True)
class Segmentation:
    """How a program groups guests: the thresholds of the automatic segments, and its own by saved filter."""

    thresholds: SegmentThresholds = DEFAULT_THRESHOLDS
    own: tuple[SavedFilter, ...] = ()

    @classmethod
    def from_fields(cls, f: Fields, *, tolerant: bool = False) -> Segmentation:
        """Return the segments of `{regular_visits, vip_visits, vip_spend, own: [filter]}`.

        Raises `BadInput` naming the field; `tolerant` leaves out own segments that cannot be read here, as a newer
        version's.
        """
        own = []
        for one in f.objects("own"):
            try:
                own.append(SavedFilter.from_fields(one))
            except BadInput:
                if not tolerant:
                    raise
        return cls(SegmentThresholds.from_fields(f), tuple(own))

    def of(self, guest: GuestFacts, last_visit: datetime | None, at: datetime | None) -> frozenset[str]:
        """Return all segments of a guest at `at`: those that the facts name, the automatic and the own ones."""
        known = replace(guest, segments=guest.segments | automatic_segments(guest, self.thresholds))
        return known.segments | {saved.code for saved in self.own if saved.holds(known, last_visit, at)}


def _clause(f: Fields) -> Clause:
    name = f.text("field", None, one_of=(*_NUMBERS, *_SETS))
    if name in _SETS:
        return Clause(name, values=frozenset(f.texts("any", needed=True)), negated=f.flag("not"))
    low, high = f.optional("min"), f.optional("max")
    if low is None and high is None:
        raise f.wrong("min", "integer")
    return Clause(name, low, high, negated=f.flag("not"))


def _texts(guest: GuestFacts, name: str) -> frozenset[str]:
    if name == "tier":
        return frozenset({guest.tier})
    return guest.tags if name == "tags" else guest.segments


def _number(guest: GuestFacts, name: str, last_visit: datetime | None, at: datetime | None) -> int | None:
    match name:
        case "visits":
            return guest.paid_visits
        case "spend":
            return guest.spend
        case "points":
            return guest.points
        case "earned":
            return guest.earned
        case "birthday_month":
            return guest.birthday.month if guest.birthday else None
        case _:
            since = guest.first_visit if name == "days_since_first_visit" else last_visit
            return (at - since).days if since and at else None
