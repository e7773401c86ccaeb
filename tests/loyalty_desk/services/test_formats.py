from __future__ import annotations

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest
from babel.dates import format_date, format_time
from babel.numbers import format_decimal, format_percent
from hypothesis import given
from hypothesis import strategies as st

from loyalty_desk.domain.money import currency
from loyalty_desk.services import formats
from loyalty_desk.services.wording import Words

MOSCOW = ZoneInfo("Europe/Moscow")


def babel_number(units: int, decimals: int, language: str) -> str:
    from decimal import Decimal

    pattern = "#,##0" + ("." + "0" * decimals if decimals else "")
    shown = format_decimal(Decimal(units).scaleb(-decimals), format=pattern, locale=language)
    return shown.replace("-", "\u2212")


@given(st.integers(-(10**12), 10**12), st.sampled_from([0, 2, 3]), st.sampled_from(["ru", "en"]))
def test_numbers_are_written_as_babel_writes_them(units: int, decimals: int, language: str) -> None:
    assert formats.number(units, decimals, language) == babel_number(units, decimals, language)


@given(st.integers(0, 10_000), st.sampled_from(["ru", "en"]))
def test_percents_are_written_as_babel_writes_them(rate_bp: int, language: str) -> None:
    from decimal import Decimal

    expected = format_percent(Decimal(rate_bp) / 10_000, format="#,##0.##\u00a0%" if language == "ru" else "#,##0.##%",
                              locale=language)  # fmt: skip
    assert formats.percent(rate_bp, language) == expected


@given(st.integers(1_577_836_800, 2_051_222_400), st.sampled_from(["ru", "en"]))
def test_days_and_times_are_written_as_babel_writes_them(seconds: int, language: str) -> None:
    moment = datetime.fromtimestamp(seconds, UTC)
    local = moment.astimezone(MOSCOW)
    assert formats.time_of_day(moment, MOSCOW) == format_time(local, "HH:mm", locale=language)
    day = format_date(local, "d MMM" if language == "ru" else "MMM d", locale=language)
    assert formats.day(moment, MOSCOW, language).replace("\u00a0", " ") == day


def test_today_needs_no_day() -> None:
    now = datetime(2026, 3, 2, 21, 30, tzinfo=UTC)
    assert formats.day_and_time(datetime(2026, 3, 2, 21, 5, tzinfo=UTC), MOSCOW, "ru", now) == "00:05"
    assert formats.day_and_time(datetime(2026, 3, 2, 20, 5, tzinfo=UTC), MOSCOW, "ru", now) == "2\u00a0мар.,\u00a023:05"
    assert formats.day_and_time(datetime(2026, 3, 2, 20, 5, tzinfo=UTC), MOSCOW, "en", now) == "Mar\u00a02,\u00a023:05"


def test_a_moment_of_another_year_says_which() -> None:
    now = datetime(2026, 3, 2, 21, 30, tzinfo=UTC)
    last_year = datetime(2025, 12, 31, 20, 59, tzinfo=UTC)
    assert formats.day_and_time(last_year, MOSCOW, "ru", now) == "31\u00a0дек.\u00a02025,\u00a023:59"
    assert formats.day_and_time(last_year, MOSCOW, "en", now) == "Dec\u00a031,\u00a02025,\u00a023:59"
    # In the store the year had already changed.
    assert formats.day_and_time(datetime(2025, 12, 31, 21, tzinfo=UTC), MOSCOW, "ru", now) == "1\u00a0янв.,\u00a000:00"


@given(st.dates(date(1990, 1, 1), date(2090, 12, 31)))
def test_days_on_papers_are_written_as_babel_writes_them(on: date) -> None:
    assert formats.whole_day(on, "ru") == format_date(on, "dd.MM.yyyy", locale="ru")
    assert formats.whole_day(on, "en").replace("\u00a0", " ") == format_date(on, "MMM d, yyyy", locale="en")


def test_a_day_of_a_record_is_read_by_people() -> None:
    assert Words("ru").day("2026-11-21") == "21.11.2026"
    assert Words("en").day("2026-11-21") == "Nov\u00a021,\u00a02026"
    assert Words("ru").day("some day") == "some day"
    late = datetime(2026, 11, 21, 21, 5, tzinfo=UTC)
    assert Words("ru", zone=MOSCOW).whole_moment(late) == "22.11.2026,\u00a000:05"
    assert Words("en", zone=MOSCOW).whole_moment(late) == "Nov\u00a022,\u00a02026,\u00a000:05"


def test_money_with_its_sign_and_without_grouping() -> None:
    rub = currency("RUB")
    assert formats.money(124_000, rub, "ru", sign=True) == "1\u00a0240,00\u00a0₽"
    assert formats.money(124_000, rub, "en") == "1,240.00"
    assert formats.bare_money(124_000, rub, "ru") == "1240,00"
    assert formats.bare_money(124_000, rub, "en") == "1240.00"
    assert formats.money(1240, currency("JPY"), "en", sign=True) == "1,240\u00a0¥"


@pytest.mark.parametrize(
    ("units", "decimals", "shown"),
    [(0, 0, "0 баллов"), (1, 0, "1 балл"), (2, 0, "2 балла"), (5, 0, "5 баллов"), (11, 0, "11 баллов"),
     (21, 0, "21 балл"), (111, 0, "111 баллов"), (1137, 0, "1 137 баллов"), (150, 2, "1,50 балла"),
     (100, 2, "1 балл"), (-3, 0, "\u22123 балла")],
)  # fmt: skip
def test_russian_points_take_the_right_form(units: int, decimals: int, shown: str) -> None:
    assert Words("ru", point_decimals=decimals).points(units).replace("\u00a0", " ") == shown


@pytest.mark.parametrize(
    ("units", "decimals", "shown"), [(0, 0, "0 points"), (1, 0, "1 point"), (150, 2, "1.50 points")]
)
def test_english_points(units: int, decimals: int, shown: str) -> None:
    assert Words("en", point_decimals=decimals).points(units).replace("\u00a0", " ") == shown


@pytest.mark.parametrize(
    ("milli", "ru", "en"),
    [(1000, "1", "1"), (345, "0,345", "0.345"), (1500, "1,5", "1.5"), (1_234_000, "1\u00a0234", "1,234")],
)
def test_a_quantity_has_no_decimals_that_say_nothing(milli: int, ru: str, en: str) -> None:
    assert (formats.quantity(milli, "ru"), formats.quantity(milli, "en")) == (ru, en)
