"""When points die: days end with their day, months clamp, all in the network's zone."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loyalty_desk.domain.days import end_of, last_of_month, months_later, start_of
from loyalty_desk.domain.errors import BadInput
from loyalty_desk.domain.expiry import ExpiryPolicy, usable_at
from loyalty_desk.domain.fields import Fields
from loyalty_desk.domain.program import Settings

MOSCOW = ZoneInfo("Europe/Moscow")


def expires(kind: str, count: int, earned: datetime) -> str | None:
    end = ExpiryPolicy(kind, count).expires_at(earned, MOSCOW)
    return None if end is None else end.astimezone(MOSCOW).isoformat(" ")


@pytest.mark.parametrize(
    ("kind", "count", "end"),
    [
        ("never", 0, None),
        ("days", 1, "2026-02-02 00:00:00+03:00"),
        ("days", 365, "2027-02-01 00:00:00+03:00"),
        ("inactivity", 90, "2026-05-02 00:00:00+03:00"),
        ("months", 1, "2026-03-01 00:00:00+03:00"),
        ("end_of_month", 0, "2026-02-01 00:00:00+03:00"),
        ("end_of_month", 1, "2026-03-01 00:00:00+03:00"),
        ("end_of_quarter", 0, "2026-04-01 00:00:00+03:00"),
        ("end_of_quarter", 1, "2026-07-01 00:00:00+03:00"),
        ("end_of_year", 0, "2027-01-01 00:00:00+03:00"),
        ("end_of_year", 1, "2028-01-01 00:00:00+03:00"),
    ],
)
def test_policies_from_the_last_of_january(kind, count, end):
    assert expires(kind, count, datetime(2026, 1, 31, 12, tzinfo=UTC)) == end


def test_the_day_is_that_of_the_networks_zone():
    # 21:30 UTC on the 31st is already 1 February in Moscow.
    assert expires("end_of_month", 0, datetime(2026, 1, 31, 21, 30, tzinfo=UTC)) == "2026-03-01 00:00:00+03:00"
    assert expires("days", 1, datetime(2026, 1, 31, 20, 59, tzinfo=UTC)) == "2026-02-02 00:00:00+03:00"


def test_a_day_that_changes_its_clock_still_ends_at_midnight():
    berlin = ZoneInfo("Europe/Berlin")
    assert end_of(date(2026, 3, 29), berlin) - start_of(date(2026, 3, 29), berlin) == (timedelta(hours=23))


@pytest.mark.parametrize(
    ("day", "months", "later"),
    [
        (date(2026, 1, 31), 1, date(2026, 2, 28)),
        (date(2028, 1, 31), 1, date(2028, 2, 29)),
        (date(2026, 12, 31), 2, date(2027, 2, 28)),
        (date(2028, 2, 29), -12, date(2027, 2, 28)),
        (date(2026, 3, 15), -15, date(2024, 12, 15)),
    ],
)
def test_months_clamp(day, months, later):
    assert months_later(day, months) == later


@given(st.dates(date(1970, 1, 1), date(2200, 1, 1)), st.integers(-400, 400))
def test_months_move_the_month_by_as_many(day, months):
    later = months_later(day, months)
    assert (later.year * 12 + later.month) - (day.year * 12 + day.month) == months
    assert later.day == min(day.day, last_of_month(later.year, later.month).day)


@pytest.mark.parametrize(
    ("data", "field"),
    [({"type": "soon"}, "type"), ({"type": "days"}, "days"), ({"type": "days", "days": 0}, "days"),
     ({"type": "months", "months": "3"}, "months"), ({"type": "end_of_year", "periods": -1}, "periods")],
)  # fmt: skip
def test_a_wrong_policy_names_its_field(data, field):
    with pytest.raises(BadInput) as wrong:
        ExpiryPolicy.from_fields(Fields(data, "program.expiry"))
    assert wrong.value.facts["field"] == field


def test_absent_policy_is_never_and_only_inactivity_restarts():
    assert ExpiryPolicy.from_fields(Fields({}, "program.expiry")) == ExpiryPolicy()
    assert ExpiryPolicy.from_fields(Fields({"type": "inactivity", "days": 5}, "program.expiry")).restarts
    assert not ExpiryPolicy("days", 5).restarts


def test_points_come_alive_after_days():
    at = datetime(2026, 1, 31, 12, tzinfo=UTC)
    after = Settings(points_usable="after_days", points_usable_days=2)
    assert usable_at(after, at, MOSCOW) == datetime(2026, 2, 1, 21, tzinfo=UTC)
    assert usable_at(Settings(), at, MOSCOW) is None


def test_a_naive_time_is_refused():
    with pytest.raises(ValueError, match="naive"):
        ExpiryPolicy("days", 1).expires_at(datetime(2026, 1, 1), MOSCOW)  # noqa: DTZ001 - what is refused
