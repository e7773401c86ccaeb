"""When points die and when they come alive: a program's policy, as instants."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo

from loyalty_desk.domain.days import MONTHS, day_of, end_of, last_of_month, months_later, start_of
from loyalty_desk.domain.fields import Fields
from loyalty_desk.domain.program import Program, Settings

NEVER, DAYS, INACTIVITY = "never", "days", "inactivity"
KINDS = (NEVER, DAYS, "months", "end_of_month", "end_of_quarter", "end_of_year", INACTIVITY)
_PERIOD_MONTHS = {"end_of_month": 1, "end_of_quarter": 3, "end_of_year": MONTHS}
MAX_COUNT = 36_500


@dataclass(frozen=True, slots=True)
class ExpiryPolicy:
    """`kind` and its `count`: days (`days`, `inactivity`), months (`months`), or whole periods beyond the current one.

    `inactivity` counts from the guest's last paid check, all others from the day the points were earned.
    """

    kind: str = NEVER
    count: int = 0

    @classmethod
    def from_fields(cls, f: Fields) -> ExpiryPolicy:
        """Return the policy of a program's `expiry` object; raises `BadInput` naming the field."""
        kind = f.text("type", NEVER, one_of=KINDS)
        if kind in (DAYS, INACTIVITY):
            return cls(kind, f.integer("days", None, low=1, high=MAX_COUNT))
        if kind == "months":
            return cls(kind, f.integer("months", None, low=1, high=MAX_COUNT // 30))
        return cls(kind, f.integer("periods", 0, low=0, high=MAX_COUNT // 365))

    @classmethod
    def of(cls, program: Program) -> ExpiryPolicy:
        """Return the policy of a program."""
        return cls.from_fields(program.expiry)

    @property
    def restarts(self) -> bool:
        """Return whether each paid check gives all points their whole life again."""
        return self.kind == INACTIVITY

    def expires_at(self, earned_at: datetime, zone: tzinfo) -> datetime | None:
        """Return the first instant (UTC) at which points of `earned_at` are dead, None for never.

        N days end with that day: points of 1 March for 1 day live through 2 March, in the network's `zone`.
        """
        if self.kind == NEVER:
            return None
        return end_of(self._last_day(day_of(earned_at, zone)), zone)

    def _last_day(self, day: date) -> date:
        if self.kind in (DAYS, INACTIVITY):
            return day + timedelta(days=self.count)
        if self.kind == "months":
            return months_later(day, self.count)
        length = _PERIOD_MONTHS[self.kind]
        first_month = (day.month - 1) // length * length + 1
        last = months_later(date(day.year, first_month, 1), length * (self.count + 1) - 1)
        return last_of_month(last.year, last.month)


def usable_at(settings: Settings, earned_at: datetime, zone: tzinfo) -> datetime | None:
    """Return from when points can be spent: the beginning of the Nth day after, None for from the next check on."""
    if settings.points_usable != "after_days" or settings.points_usable_days == 0:
        return None
    return start_of(day_of(earned_at, zone) + timedelta(days=settings.points_usable_days), zone)
