"""What a program gives outside a check: `bonuses: {birthday: {points, days_before, lives_days}}`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

from loyalty_desk.domain.fields import Fields
from loyalty_desk.domain.program import Program

_MOST_DAYS = 366


@dataclass(frozen=True, slots=True)
class BirthdayBonus:
    """`points` smallest units, `days_before` the day, living `lives_days` from then (None: as the program's points)."""

    points: int
    days_before: int = 0
    lives_days: int | None = None

    def birthday_of(self, birthday: date, today: date) -> date | None:
        """Return the birthday whose bonus is due on `today`, None where none is; 29 February is 28 in other years.

        A bonus stays due through the day itself, so that a job which could not run for a day loses nobody's.
        """
        for year in (today.year, today.year + 1):
            day = _in_year(birthday, year)
            if day - timedelta(days=self.days_before) <= today <= day + timedelta(days=1):
                return day
        return None


def birthday_bonus(program: Program) -> BirthdayBonus | None:
    """Return the program's birthday bonus, None where it names none; raises `BadInput` naming the field."""
    bonuses = Fields(program.data, "program").object("bonuses")
    if bonuses.data.get("birthday") is None:
        return None
    f = bonuses.object("birthday")
    return BirthdayBonus(
        f.integer("points", None, low=1, high=1_000_000_000),
        f.integer("days_before", 0, low=0, high=_MOST_DAYS),
        None if f.data.get("lives_days") is None else f.integer("lives_days", None, low=1, high=3_650),
    )


def _in_year(birthday: date, year: int) -> date:
    try:
        return birthday.replace(year=year)
    except ValueError:
        return date(year, 2, 28)
