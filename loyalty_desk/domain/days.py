"""Calendar arithmetic in a given time zone: months that clamp, and the instants at which days end."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, tzinfo

MONTHS = 12


def months_later(day: date, months: int) -> date:
    """Return the day so many months later (earlier where negative), clamped: 31 January + 1 = 28 February."""
    year, month = divmod(day.year * MONTHS + day.month - 1 + months, MONTHS)
    return date(year, month + 1, min(day.day, last_of_month(year, month + 1).day))


def last_of_month(year: int, month: int) -> date:
    """Return the last day of a month."""
    following = date(year + month // MONTHS, month % MONTHS + 1, 1)
    return following - timedelta(days=1)


def day_of(moment: datetime, zone: tzinfo) -> date:
    """Return the calendar day of a moment in a zone; refuses a naive moment."""
    if moment.tzinfo is None:
        raise ValueError("a naive time has no place here")
    return moment.astimezone(zone).date()


def start_of(day: date, zone: tzinfo) -> datetime:
    """Return the instant at which a day begins in a zone, in UTC."""
    return datetime.combine(day, time(), zone).astimezone(UTC)


def end_of(day: date, zone: tzinfo) -> datetime:
    """Return the instant at which a day is over in a zone (the next midnight), in UTC."""
    return start_of(day + timedelta(days=1), zone)
