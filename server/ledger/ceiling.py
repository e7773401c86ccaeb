"""How many points one guest may be given in a day before a manager looks (section 6, settlement).

Pricing again cannot see an invented check, and a till with its own key can invent them: what it mints above the cap is
posted, so nothing is lost, and lies in a held lot, so nothing of it can be spent.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from loyalty_desk.domain.clock import from_ms, to_ms
from server.ledger.posting import Fact
from server.ledger.returns import SALES

POINTS_A_DAY = 5_000
# A till may be offline so long. Facts that claim to be older share one day: days can be invented as checks can.
OLDEST = timedelta(days=7)


class Ceiling:
    """What each guest may still be given, day by day of the program's zone, while a batch is planned.

    `point_unit` are the smallest units of a point; `granted` is what was given before, of held points none.
    """

    def __init__(self, zone: str, point_unit: int, now: datetime, granted: Mapping[tuple[UUID, date], int]) -> None:
        self._zone = ZoneInfo(zone)
        self._limit = POINTS_A_DAY * point_unit
        self._oldest = to_ms(now - OLDEST)
        self._granted = dict(granted)

    def held(self, fact: Fact) -> int:
        """Count a fact's earning and return how much of it has to be held."""
        earned = fact.record.points_earned
        if fact.guest is None or not earned or fact.record.kind not in SALES:
            return 0
        key = (fact.guest, from_ms(max(fact.effective_at, self._oldest)).astimezone(self._zone).date())
        given = self._granted.get(key, 0)
        free = min(earned, max(0, self._limit - given))
        self._granted[key] = given + free
        return earned - free


def earners(facts: Iterable[Fact]) -> set[UUID]:
    """Return the guests whom sales give points."""
    return {
        fact.guest
        for fact in facts
        if fact.guest is not None and fact.record.points_earned and fact.record.kind in SALES
    }
