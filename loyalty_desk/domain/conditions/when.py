"""When: dates, weekdays and hours in the store's zone, and the guest's birthday."""

# ruff: noqa: ARG002 - all conditions answer the same question, few need all of it

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime

from loyalty_desk.domain.conditions.base import NO_GUEST, Chooser, Condition, Reason
from loyalty_desk.domain.fields import Fields, minutes
from loyalty_desk.domain.tally import Tally

MONDAY, SUNDAY = 1, 7


class DateWindow(Condition):
    """`date`: from the beginning of `from` up to the end of `to`, either may be absent, in the store's zone."""

    __slots__ = ("first", "last")

    def __init__(self, f: Fields) -> None:
        self.first, self.last = f.day("from"), f.day("to")
        if self.first is None and self.last is None:
            raise f.wrong("from", "date")

    def holds(self, tally: Tally, positions: Sequence[int]) -> bool:
        """Return whether the day of the quote lies in the window."""
        day = tally.local.date()
        return (self.first is None or self.first <= day) and (self.last is None or day <= self.last)

    def why(self, tally: Tally, positions: Sequence[int]) -> Reason:
        """Return that it has not begun, or is over."""
        if self.first is not None and tally.local.date() < self.first:
            return Reason("not_yet", {"from": self.first.isoformat()})
        return Reason("no_longer", {"to": self.last.isoformat() if self.last else ""})


class Weekdays(Condition):
    """`weekdays`: `days` from 1 (Monday) to 7 (Sunday), of the store's calendar."""

    __slots__ = ("days",)

    def __init__(self, f: Fields) -> None:
        self.days = frozenset(f.integers("days", low=MONDAY, high=SUNDAY))
        if not self.days:
            raise f.wrong("days", "list_of_integers")

    def holds(self, tally: Tally, positions: Sequence[int]) -> bool:
        """Return whether today is one of the days."""
        return tally.local.isoweekday() in self.days

    def why(self, tally: Tally, positions: Sequence[int]) -> Reason:
        """Return the days."""
        return Reason("other_weekday", {"days": sorted(self.days), "today": tally.local.isoweekday()})


class Hours(Chooser):
    """`hours`: `from` inclusive `to` exclusive, `"08:30"`; crosses midnight where `to` is not later.

    `days` are those of the start. A line counts by the time it was added, a line without one by the quote's.
    """

    __slots__ = ("begin", "days", "end", "reason")

    def __init__(self, f: Fields) -> None:
        self.begin, self.end = f.clock("from"), f.clock("to")
        self.days = frozenset(f.integers("days", low=MONDAY, high=SUNDAY))
        self.reason = Reason("other_hours", {"from": self.begin, "to": self.end, "days": sorted(self.days)})

    def covers(self, local: datetime) -> bool:
        """Return whether a local time lies in the hours."""
        minute = minutes(local.time())
        if self.begin < self.end:
            return self.begin <= minute < self.end and self._on(local.isoweekday())
        if minute >= self.begin:
            return self._on(local.isoweekday())
        return minute < self.end and self._on((local.isoweekday() - 2) % SUNDAY + 1)

    def _on(self, weekday: int) -> bool:
        return not self.days or weekday in self.days

    def picks(self, tally: Tally, i: int) -> bool:
        """Return whether the line was added within the hours."""
        added = tally.lines[i].added_at
        return self.covers(tally.local if added is None else added.astimezone(tally.basket.zone))

    def picks_any(self, tally: Tally) -> bool:
        """Return whether any line was added within the hours."""
        if any(line.added_at for line in tally.lines):
            return any(self.picks(tally, i) for i in tally.all)
        return bool(tally.lines) and self.covers(tally.local)

    def why(self, tally: Tally, positions: Sequence[int]) -> Reason:
        """Return the hours."""
        return self.reason


class Birthday(Condition):
    """`birthday`: from `before` days before to `after` days after, once a calendar year.

    29 February is the 28th in a common year.
    """

    __slots__ = ("after", "before", "rule")

    def __init__(self, f: Fields) -> None:
        self.before = f.integer("before", 0, low=0, high=180)
        self.after = f.integer("after", 0, low=0, high=180)
        self.rule = f.owner

    def narrow(self, other: Birthday) -> None:
        """Hold from now on only where the other holds too."""
        self.before, self.after = min(self.before, other.before), min(self.after, other.after)

    def holds(self, tally: Tally, positions: Sequence[int]) -> bool:
        """Return whether the day of the quote is near enough."""
        guest = tally.guest
        if guest is None or self._used(tally):
            return False
        if guest.birthday_rules is not None:
            return self.rule in guest.birthday_rules
        return guest.birthday is not None and self.near(guest.birthday, tally.local.date())

    def _used(self, tally: Tally) -> bool:
        guest = tally.guest
        return guest is not None and guest.uses.get((self.rule, period_of(tally.local, "year")), 0) > 0

    def near(self, birthday: date, day: date) -> bool:
        """Return whether `day` lies within the days around any year's birthday."""
        return any(
            -self.before <= (day - in_year(birthday, year)).days <= self.after
            for year in (day.year - 1, day.year, day.year + 1)
            if date.min.year <= year <= date.max.year
        )

    def why(self, tally: Tally, positions: Sequence[int]) -> Reason:
        """Return that there is no guest, no birthday known, or it is another day."""
        if tally.guest is None:
            return NO_GUEST
        if tally.guest.birthday is None and tally.guest.birthday_rules is None:
            return Reason("birthday_unknown")
        if self._used(tally):
            return Reason("birthday_used")
        return Reason("not_birthday", {"before": self.before, "after": self.after})


def in_year(birthday: date, year: int) -> date:
    """Return the birthday in a year; 29 February is the 28th where there is none."""
    try:
        return birthday.replace(year=year)
    except ValueError:
        return date(year, 2, 28)


def period_of(local: datetime, period: str) -> str:
    """Return the key of the calendar period that a local time lies in, as `GuestFacts.uses` names it."""
    day = local.date()
    match period:
        case "day":
            return f"day:{day.isoformat()}"
        case "week":
            year, week, _ = day.isocalendar()
            return f"week:{year}-w{week:02d}"
        case "month":
            return f"month:{day:%Y-%m}"
        case "year":
            return f"year:{day.year}"
        case _:
            return ""
