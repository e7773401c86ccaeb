"""Words in one language, for window and command line: translated sentences, money, points and times ready to show."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, tzinfo

from loyalty_desk.domain.money import Currency, currency
from loyalty_desk.language import catalogue
from loyalty_desk.services import formats


class Words:
    """What a presenter speaks with. `zone` is the store's; `point_decimals` and the currency are the program's."""

    def __init__(
        self, language: str, *, of: Currency | None = None, point_decimals: int = 0, zone: tzinfo = UTC
    ) -> None:
        self.language = language
        self.currency = of or currency("RUB")
        self.point_decimals = point_decimals
        self.zone = zone
        translations = catalogue("till", language)
        self.gettext = translations.gettext
        self.ngettext = translations.ngettext
        self.pgettext = translations.pgettext

    def money(self, minor: int, *, sign: bool = False) -> str:
        """Return an amount of minor units of the till's currency."""
        return formats.money(minor, self.currency, self.language, sign=sign)

    def bare_money(self, minor: int) -> str:
        """Return an amount to be keyed in elsewhere, without grouping."""
        return formats.bare_money(minor, self.currency, self.language)

    def number(self, count: int) -> str:
        """Return a count, grouped as this language does."""
        return formats.number(count, 0, self.language)

    def quantity(self, milli: int) -> str:
        """Return how much of a line, given in thousandths."""
        return formats.quantity(milli, self.language)

    def number_of_points(self, units: int) -> str:
        """Return the bare number of points, units being the program's smallest."""
        return formats.points(units, self.point_decimals, self.language)

    def points(self, units: int) -> str:
        """Return `37 points` with the right plural."""
        n = formats.plural_of(units, self.point_decimals, self.language)
        return self.ngettext("{n} point", "{n} points", n).format(n=self.number_of_points(units)).replace(" ", "\u00a0")

    def percent(self, basis_points: int) -> str:
        """Return a rate in percent."""
        return formats.percent(basis_points, self.language)

    def time(self, moment: datetime) -> str:
        """Return the time of day in the store."""
        return formats.time_of_day(moment, self.zone)

    def moment(self, moment: datetime, now: datetime) -> str:
        """Return the time, with the day where it is not today's, and the year where it is not this year's."""
        return formats.day_and_time(moment, self.zone, self.language, now)

    def day(self, on: date | str) -> str:
        """Return a day with its year, given as such or as records keep one; a text that is no day stays as it is."""
        try:
            found = date.fromisoformat(on) if isinstance(on, str) else on
        except ValueError:
            return str(on)
        return formats.whole_day(found, self.language)

    def whole_moment(self, moment: datetime) -> str:
        """Return a day with its year and the time in the store: for what is read long after, or printed."""
        return formats.whole_moment(moment, self.zone, self.language)

    def day_or_time(self, moment: datetime, now: datetime) -> str:
        """Return the time today, else the day alone: for where there is little room."""
        if moment.astimezone(self.zone).date() == now.astimezone(self.zone).date():
            return self.time(moment)
        return formats.day(moment, self.zone, self.language)

    def name_of(self, names: Mapping[str, str], otherwise: str) -> str:
        """Return a name of the program (of a rule, a tier) in this language, else in any it has."""
        return names.get(self.language) or next(iter(names.values()), "") or otherwise
