"""How many points one check and one day may give a guest before a manager looks.

A till with its own key can claim any points of any check, and pricing again cannot see an invented one. What is above
the program's highest rate on what was paid, or above the profile's cap of a day, is posted, so nothing is lost. It lies
in a held lot, so nothing of it can be spent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from loyalty_desk.domain.basket import MILLI
from loyalty_desk.domain.clock import from_ms, to_ms
from loyalty_desk.domain.program import Program
from loyalty_desk.domain.record import Record
from server.ledger.posting import Fact
from server.ledger.returns import SALES

# A till may be offline so long. Facts that claim to be older share one day: days can be invented as checks can.
OLDEST = timedelta(days=7)


class Ceiling:
    """What each guest may still be given, day by day of the program's zone, while a batch is planned.

    `limit_of` gives the smallest point units a day that hold for a record, `program_of` the program it was priced with,
    None for one that is not known. `granted` is what was given before, of held points none.
    """

    def __init__(
        self,
        zone: str,
        limit_of: Callable[[Record], int],
        now: datetime,
        granted: Mapping[tuple[UUID, date], int],
        program_of: Callable[[Record], Program | None],
    ) -> None:
        self._zone = ZoneInfo(zone)
        self._limit_of = limit_of
        self._oldest = to_ms(now - OLDEST)
        self._granted = dict(granted)
        self._program_of = program_of

    def held(self, fact: Fact) -> int:
        """Count a fact's earning and return how much of it has to be held."""
        earned = fact.record.points_earned
        if fact.guest is None or not earned or fact.record.kind not in SALES:
            return 0
        key = (fact.guest, from_ms(max(fact.effective_at, self._oldest)).astimezone(self._zone).date())
        given = self._granted.get(key, 0)
        free = min(self._earnable(fact.record), max(0, self._limit_of(fact.record) - given))
        self._granted[key] = given + free
        return earned - free

    def _earnable(self, record: Record) -> int:
        """Return what of a check's points its program can have given; all where the program gives none to any check."""
        program = self._program_of(record)
        bound = None if program is None else program.earning_bound
        if program is None or bound is None or not bound.gives:
            return record.points_earned
        return min(record.points_earned, bound.most(_base(record, program), _units(record)))


def _base(record: Record, program: Program) -> int:
    """Return the money of a check that may have earned, minor units; what was paid with points where that counts."""
    paid = record.money_total or 0
    if program.settings.earning_base != "before_redemption":
        return paid
    gross = (record.check or {}).get("gross")
    return max(paid, gross) if isinstance(gross, int) else paid


def _units(record: Record) -> int:
    lines = (record.check or {}).get("lines")
    found = 0
    for line in lines if isinstance(lines, list | tuple) else ():
        quantity = line.get("quantity_milli") if isinstance(line, dict) else None
        if isinstance(quantity, int) and quantity > 0:
            found += -(-quantity // MILLI)
    return found


def earners(facts: Iterable[Fact]) -> set[UUID]:
    """Return the guests whom sales give points."""
    return {
        fact.guest
        for fact in facts
        if fact.guest is not None and fact.record.points_earned and fact.record.kind in SALES
    }
