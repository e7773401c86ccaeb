"""How many points a till may give by hand before a manager looks: so many each time, so many a day."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from uuid import UUID
from zoneinfo import ZoneInfo

from loyalty_desk.domain.clock import from_ms, to_ms
from loyalty_desk.domain.record import Record, RecordKind
from server.ledger.ceiling import OLDEST
from server.ledger.posting import Fact

POINTS_EACH, POINTS_A_TILL_DAY = 500, 5_000
BY_HAND = frozenset({RecordKind.ADJUST, RecordKind.TRANSFER})


class ByHand:
    """What each till may still give, day by day of the program's zone, while a batch is planned.

    `point_unit` are the smallest units of a point; `given` is what tills gave before, of held points none.
    """

    def __init__(self, zone: str, point_unit: int, now: datetime, given: Mapping[tuple[UUID, date], int]) -> None:
        self._zone = ZoneInfo(zone)
        self._each, self._a_day = POINTS_EACH * point_unit, POINTS_A_TILL_DAY * point_unit
        self._oldest = to_ms(now - OLDEST)
        self._given = dict(given)

    def held(self, fact: Fact) -> int:
        """Count what a fact gives somebody by hand and return how much of it has to be held."""
        amount = credit_of(fact.record)
        if not amount or fact.guest is None:
            return 0
        day = from_ms(max(fact.effective_at, self._oldest)).astimezone(self._zone).date()
        given = self._given.get((fact.record.device, day), 0)
        free = min(amount, self._each, max(0, self._a_day - given))
        self._given[fact.record.device, day] = given + free
        return amount - free


def credit_of(record: Record) -> int:
    """Return the points that a record gives somebody by hand, smallest units."""
    if record.kind is RecordKind.ADJUST:
        return record.points_earned
    return record.points_redeemed if record.kind is RecordKind.TRANSFER else 0


def givers(facts: Iterable[Fact]) -> set[UUID]:
    """Return the tills at which points are given by hand."""
    return {fact.record.device for fact in facts if credit_of(fact.record)}
