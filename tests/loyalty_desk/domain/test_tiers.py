"""Tiers: at once upwards, with a month's notice downwards, never for spending points."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loyalty_desk.domain.guest import GuestFacts
from loyalty_desk.domain.program import Program
from loyalty_desk.domain.tiers import (
    ManualTier,
    PaidCheck,
    Returned,
    Standing,
    higher,
    reached,
    standing,
    tier_with_check,
    window_start,
)

MOSCOW = ZoneInfo("Europe/Moscow")
LADDER = [
    {"code": "BRONZE", "threshold": 0},
    {"code": "SILVER", "threshold": 10_000},
    {"code": "GOLD", "threshold": 20_000},
]


def program(window: str = "rolling_12_months", base: str = "spend", tiers=LADDER) -> Program:
    return Program.from_dict(
        {"version": 1, "currency": "RUB", "tiers": tiers, "window": window, "tier_base": base, "zone": "Europe/Moscow"}
    )


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=MOSCOW).astimezone(UTC)


def stands(checks: list[PaidCheck], moment: str, *, of: Program | None = None, manual=()) -> Standing:
    return standing(of or program(), checks, at(moment), MOSCOW, manual=manual)


def story(found: Standing) -> list[tuple[str, str, str]]:
    return [(f"{change.at.astimezone(MOSCOW):%Y-%m-%d}", change.after, change.cause) for change in found.history]


def test_nobody_knows_a_guest_without_checks():
    assert stands([], "2026-03-01") == Standing("BRONZE", "BRONZE", 0, next_tier="SILVER", missing=10_000)
    assert stands([], "2026-03-01", of=program(tiers=[])).tier == ""
    assert stands([], "2026-03-01", of=program(tiers=LADDER[1:])).tier == ""


def test_a_threshold_is_inclusive_and_lifts_from_the_next_check_on():
    checks = [PaidCheck(at("2026-02-01T12:00"), 9_999), PaidCheck(at("2026-02-02T12:00"), 1)]
    assert stands(checks, "2026-02-02T12:00").tier == "BRONZE"
    found = stands(checks, "2026-02-02T12:01")
    assert (found.tier, found.measured, found.next_tier, found.missing) == ("SILVER", 10_000, "GOLD", 10_000)
    assert story(found) == [("2026-02-02", "SILVER", "reached")]


def test_a_guest_falls_after_a_monthly_evaluation_and_thirty_days():
    checks = [PaidCheck(at("2025-01-15T12:00"), 20_000)]
    assert stands(checks, "2026-01-15T12:00").tier == "GOLD"
    noticed = stands(checks, "2026-02-15")
    assert (noticed.tier, noticed.falls_to, noticed.falls_at) == ("GOLD", "BRONZE", at("2026-03-04"))
    assert stands(checks, "2026-03-03T23:59").tier == "GOLD"
    fallen = stands(checks, "2026-03-04")
    assert (fallen.tier, fallen.falls_at) == ("BRONZE", None)
    assert story(fallen) == [("2025-01-15", "GOLD", "reached"), ("2026-03-04", "BRONZE", "fell")]


def test_a_check_within_the_grace_keeps_the_tier_or_softens_the_fall():
    old = PaidCheck(at("2025-01-15T12:00"), 20_000)
    kept = stands([old, PaidCheck(at("2026-02-10T12:00"), 20_000)], "2026-06-01")
    assert (kept.tier, kept.falls_at, len(kept.history)) == ("GOLD", None, 1)
    softened = stands([old, PaidCheck(at("2026-02-10T12:00"), 10_000)], "2026-06-01")
    assert story(softened)[-1] == ("2026-03-04", "SILVER", "fell")


def test_a_refund_lowers_the_sum_and_the_tier_falls_only_at_the_evaluation():
    check = PaidCheck(at("2026-02-10T12:00"), 10_000, returned=(Returned(at("2026-02-11"), 5_000),))
    before = stands([check], "2026-02-28")
    assert (before.tier, before.measured, before.falls_at) == ("SILVER", 5_000, None)
    assert stands([check], "2026-03-01").falls_at == at("2026-04-01")
    assert stands([check], "2026-04-01").tier == "BRONZE"


def test_a_return_counts_against_its_check_even_where_the_check_has_left_the_window():
    checks = [
        PaidCheck(at("2025-01-10T12:00"), 5_000, returned=(Returned(at("2026-01-20"), 5_000),)),
        PaidCheck(at("2026-01-11T12:00"), 9_000),
    ]
    assert stands(checks, "2026-01-21").measured == 9_000


def test_a_calendar_year_holds_to_the_end_of_the_next():
    checks = [PaidCheck(at("2024-12-31T23:00"), 20_000)]
    yearly = program("calendar_year")
    assert stands(checks, "2025-12-31T23:59", of=yearly).tier == "GOLD"
    noticed = stands(checks, "2026-01-01T00:00", of=yearly)
    assert (noticed.tier, noticed.measured, noticed.falls_at) == ("GOLD", 0, at("2026-02-01"))
    assert stands(checks, "2026-02-01", of=yearly).tier == "BRONZE"


def test_lifetime_never_falls_unless_refunded():
    checks = [PaidCheck(at("2010-01-01T12:00"), 20_000)]
    assert stands(checks, "2026-01-01", of=program("lifetime")).tier == "GOLD"


def test_visits_are_checks_not_fully_voided():
    ladder = [{"code": "A", "threshold": 0}, {"code": "B", "threshold": 2}]
    checks = [
        PaidCheck(at("2026-01-01T12:00"), 1, returned=(Returned(at("2026-01-02"), 1, is_whole=True),)),
        PaidCheck(at("2026-01-03T12:00"), 100, returned=(Returned(at("2026-01-04"), 50),)),
        PaidCheck(at("2026-01-05T12:00"), 1),
    ]
    found = stands(checks, "2026-01-06", of=program(base="visits", tiers=ladder))
    assert (found.measured, found.tier) == (2, "B")
    assert stands(checks[:2], "2026-01-06", of=program(base="visits", tiers=ladder)).measured == 1


def test_points_earned_count_whatever_was_spent():
    ladder = [{"code": "A", "threshold": 0}, {"code": "B", "threshold": 100}]
    checks = [PaidCheck(at("2026-01-01T12:00"), 1, earned=100)]
    assert stands(checks, "2026-01-06", of=program(base="earned", tiers=ladder)).tier == "B"


def test_a_manual_tier_is_a_floor_up_to_its_date():
    given = ManualTier("SILVER", at("2026-01-01"), at("2026-02-01"), "a regular of the old shop", "Anna")
    checks = [PaidCheck(at("2026-01-15T12:00"), 20_000, returned=(Returned(at("2026-01-16"), 20_000),))]
    assert stands([], "2026-01-10", manual=[given]).until == at("2026-02-01")
    found = stands(checks, "2026-05-01", manual=[given])
    assert story(found) == [
        ("2026-01-01", "SILVER", "manual"),
        ("2026-01-15", "GOLD", "reached"),
        ("2026-03-04", "BRONZE", "fell"),
    ]
    assert story(stands([], "2026-02-01", manual=[given])) == [
        ("2026-01-01", "SILVER", "manual"),
        ("2026-02-01", "BRONZE", "manual_ended"),
    ]
    for_good = ManualTier("GOLD", at("2026-01-01"))
    assert stands(checks, "2030-01-01", manual=[for_good]).tier == "GOLD"


def test_the_rolling_window_is_half_open_and_clamps():
    assert window_start("rolling_12_months", at("2024-02-29T10:00"), MOSCOW) == at("2023-02-28T10:00")
    check = PaidCheck(at("2025-02-01T12:00"), 10_000)
    assert stands([check], "2026-02-01T12:00").measured == 10_000
    assert stands([check], "2026-02-01T12:01").measured == 0


@pytest.mark.parametrize(
    ("before", "now", "tier"),
    [(0, 15_000, "SILVER"), (4_000, 500, "BRONZE"), (18_000, 3_000, "GOLD"), (22_000, 5_000, "GOLD")],
)
def test_the_current_check_may_count(before, now, tier):
    assert tier_with_check(program(), GuestFacts(spend=before), now) == tier


def test_a_check_never_costs_a_guest_the_tier_it_was_begun_with():
    assert tier_with_check(program(), GuestFacts(spend=0, tier="GOLD"), 100) == "GOLD"
    assert tier_with_check(program(base="visits"), GuestFacts(visits=9_999), 1) == "SILVER"
    assert tier_with_check(program(base="earned"), GuestFacts(earned=9_990), 1, earned=10) == "SILVER"


def test_an_unknown_tier_is_below_all():
    assert higher(program(), "PLATINUM", "BRONZE") == "BRONZE"
    assert reached(program(), -1) == ""


RETURN = st.none() | st.tuples(st.integers(1, 200), st.integers(0, 15_000))
CHECKS = st.lists(st.tuples(st.integers(0, 900), st.integers(0, 15_000), RETURN), max_size=12)


@given(CHECKS, st.sampled_from(["rolling_12_months", "calendar_year", "lifetime"]), st.integers(1, 400))
def test_the_tier_is_never_below_what_is_deserved_and_history_is_one_chain(rows, window, later):
    begin = at("2024-01-01")
    checks = []
    for day, net, back in rows:
        when = begin + timedelta(days=day, hours=9)
        returned = () if back is None else (Returned(when + timedelta(days=back[0]), min(net, back[1])),)
        checks.append(PaidCheck(when, net, returned=returned))
    of = program(window)
    moment = begin + timedelta(days=900 + later)
    found = standing(of, checks, moment, MOSCOW)
    assert higher(of, found.automatic, reached(of, found.measured)) == found.automatic
    assert [c.before for c in found.history] == ["BRONZE", *(c.after for c in found.history)][:-1] or not found.history
    assert [c.at for c in found.history] == sorted(c.at for c in found.history)
    assert (found.history[-1].after if found.history else "BRONZE") == found.tier
    # Nothing that happens later can change what was.
    later_check = PaidCheck(moment + timedelta(days=1), 50_000)
    assert standing(of, [*checks, later_check], moment, MOSCOW) == found


def test_ten_thousand_checks_are_replayed():
    begin = at("2020-01-01")
    checks = [PaidCheck(begin + timedelta(hours=5 * n), 10) for n in range(10_000)]
    found = standing(program(), checks, begin + timedelta(days=3000), MOSCOW)
    assert story(found)[0] == ("2020-07-27", "SILVER", "reached")
