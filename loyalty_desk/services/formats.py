"""Money, points, dates and times as people of each language write them, without Babel (0.1 s before the first paint).

The tests hold these against Babel's own answers.
"""

from __future__ import annotations

from datetime import date, datetime, tzinfo

from loyalty_desk.domain.money import Currency

NBSP = "\u00a0"
MINUS = "\u2212"
_GROUP = {"ru": NBSP, "en": ","}
_DECIMAL = {"ru": ",", "en": "."}
_SIGNS = {"RUB": "₽", "USD": "$", "EUR": "€", "GBP": "£", "KZT": "₸", "BYN": "Br", "UAH": "₴", "JPY": "¥", "TRY": "₺"}
_MONTHS = {
    "ru": ["янв.", "февр.", "мар.", "апр.", "мая", "июн.", "июл.", "авг.", "сент.", "окт.", "нояб.", "дек."],
    "en": ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"],
}


def number(units: int, decimals: int, language: str) -> str:
    """Return an integer of 10^-decimals as a decimal number: (124000, 2) is `1 240,00` in Russian."""
    sign = MINUS if units < 0 else ""
    whole, fraction = divmod(abs(units), 10**decimals)
    grouped = f"{whole:,}".replace(",", _GROUP[language])
    return f"{sign}{grouped}{_DECIMAL[language]}{fraction:0{decimals}d}" if decimals else f"{sign}{grouped}"


def money(minor: int, of: Currency, language: str, *, sign: bool = False) -> str:
    """Return an amount of minor units; with `sign` the currency's sign follows, as it stands on a Russian price tag."""
    shown = number(minor, of.decimals, language)
    return f"{shown}{NBSP}{_SIGNS.get(of.code, of.code)}" if sign else shown


def bare_money(minor: int, of: Currency, language: str) -> str:
    """Return an amount as it is keyed into another program: no grouping, the language's decimal mark."""
    return money(minor, of, language).replace(_GROUP[language], "")


def points(units: int, decimals: int, language: str) -> str:
    """Return points; decimals that are all zero are left out, for a guest counts whole points."""
    unit = 10**decimals
    return number(units // unit, 0, language) if units % unit == 0 else number(units, decimals, language)


def plural_of(units: int, decimals: int, language: str) -> int:
    """Return the integer whose plural form fits the points: a Russian fraction takes the form of two (1,5 балла)."""
    whole, rest = divmod(abs(units), 10**decimals)
    return 2 if rest else whole if language == "ru" or whole else 0


def quantity(milli: int, language: str) -> str:
    """Return thousandths of a piece or a kilogram, whole ones without decimals: 345 is `0,345` in Russian."""
    return number(milli // 1000, 0, language) if milli % 1000 == 0 else number(milli, 3, language).rstrip("0")


def percent(basis_points: int, language: str) -> str:
    """Return a rate: 1050 bp is `10,5 %` in Russian and `10.5%` in English."""
    whole, rest = divmod(abs(basis_points), 100)
    shown = str(whole) if rest == 0 else f"{whole}{_DECIMAL[language]}{rest:02d}".rstrip("0")
    return f"{shown}{NBSP}%" if language == "ru" else f"{shown}%"


def time_of_day(moment: datetime, zone: tzinfo) -> str:
    """Return hours and minutes in the store's zone, 24 hours in both languages as on every till."""
    return f"{moment.astimezone(zone):%H:%M}"


def day_and_time(moment: datetime, zone: tzinfo, language: str, now: datetime | None = None) -> str:
    """Return `14:05` today, else with the day before it: `2 мар., 14:05`, `Mar 2, 14:05`; of another year with it."""
    local = moment.astimezone(zone)
    today = None if now is None else now.astimezone(zone).date()
    if today == local.date():
        return f"{local:%H:%M}"
    year = "" if today is None or today.year == local.year else f"{local.year}"
    month = _MONTHS[language][local.month - 1]
    day_of_it = f"{local.day} {month} {year}" if language == "ru" else f"{month} {local.day}, {year}"
    return f"{day_of_it.rstrip(' ,')}, {local:%H:%M}".replace(" ", NBSP)


def day(moment: datetime, zone: tzinfo, language: str) -> str:
    """Return the day without its year: `2 мар.`, `Mar 2`."""
    return day_and_time(moment, zone, language).rpartition(",")[0]


def whole_day(on: date, language: str) -> str:
    """Return a day with its year, as it stands on papers: `02.03.2026`, `Mar 2, 2026`."""
    if language == "ru":
        return f"{on:%d.%m.%Y}"
    return f"{_MONTHS[language][on.month - 1]} {on.day}, {on.year}".replace(" ", NBSP)


def whole_moment(moment: datetime, zone: tzinfo, language: str) -> str:
    """Return a day with its year and the time, whatever day it is: `02.03.2026, 14:05`, `Mar 2, 2026, 14:05`."""
    local = moment.astimezone(zone)
    return f"{whole_day(local, language)},{NBSP}{local:%H:%M}"
