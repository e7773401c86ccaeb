"""Segments: automatic ones by visits and spend, own ones by saved filter."""

from datetime import UTC, date, datetime, timedelta

import pytest

from loyalty_desk.domain.compiled import compile_program
from loyalty_desk.domain.errors import BadInput
from loyalty_desk.domain.fields import Fields
from loyalty_desk.domain.guest import GuestFacts
from loyalty_desk.domain.program import Program
from loyalty_desk.domain.segments import SavedFilter, Segmentation, SegmentThresholds, automatic_segments

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("visits", "spend", "segments"),
    [
        (0, 0, {"new"}),
        (1, 0, {"one_time"}),
        (4, 9_999_999, set()),
        (5, 0, {"regular"}),
        (10, 999_999, {"regular"}),
        (10, 1_000_000, {"regular", "vip"}),
        (9, 1_000_000, {"regular"}),
    ],
)
def test_automatic_segments(visits, spend, segments):
    assert automatic_segments(GuestFacts(visits=visits, spend=spend)) == segments


def test_thresholds_can_be_set_and_visits_of_all_time_count():
    thresholds = SegmentThresholds.from_fields(Fields({"regular_visits": 2, "vip_visits": 3, "vip_spend": 0}, "p"))
    assert automatic_segments(GuestFacts(visits=0, visits_ever=3), thresholds) == {"regular", "vip"}
    assert SegmentThresholds.from_fields(Fields({}, "p")) == SegmentThresholds()


def saved(*clauses) -> SavedFilter:
    return SavedFilter.from_fields(Fields({"code": "mine", "all": list(clauses)}, "segment mine"))


@pytest.mark.parametrize(
    ("clause", "holds"),
    [
        ({"field": "visits", "min": 3}, True),
        ({"field": "visits", "min": 3, "max": 3}, True),
        ({"field": "visits", "max": 2}, False),
        ({"field": "visits", "max": 2, "not": True}, True),
        ({"field": "spend", "min": 5_000}, True),
        ({"field": "points", "min": 1}, False),
        ({"field": "earned", "max": 0}, True),
        ({"field": "days_since_last_visit", "min": 60}, True),
        ({"field": "days_since_last_visit", "min": 61}, False),
        ({"field": "days_since_first_visit", "max": 10}, False),
        ({"field": "birthday_month", "min": 3, "max": 3}, True),
        ({"field": "tier", "any": ["GOLD", "SILVER"]}, True),
        ({"field": "tags", "any": ["staff"], "not": True}, True),
        ({"field": "tags", "any": ["nuts"]}, True),
        ({"field": "segments", "any": ["one_time"]}, False),
    ],
)
def test_clauses(clause, holds):
    guest = GuestFacts(
        visits=3, spend=5_000, tier="GOLD", tags=frozenset({"nuts"}), birthday=date(1990, 3, 8),
        first_visit=NOW - timedelta(days=100),
    )  # fmt: skip
    found = Segmentation(own=(saved(clause),)).of(guest, NOW - timedelta(days=60), NOW)
    assert found == ({"mine"} if holds else frozenset())


def test_a_program_sets_thresholds_and_segments_of_its_own_that_build_on_them():
    gold = {
        "code": "gold regulars",
        "all": [{"field": "segments", "any": ["regular"]}, {"field": "tier", "any": ["GOLD"]}],
    }
    data = {"version": 1, "currency": "RUB", "segments": {"regular_visits": 2, "own": [gold]}}
    segmentation = Program.from_dict(data).segmentation
    guest = GuestFacts(visits=2, tier="GOLD", segments=frozenset({"by hand"}))
    assert segmentation.of(guest, None, NOW) == {"regular", "gold regulars", "by hand"}
    assert Program.from_dict({"version": 1, "currency": "RUB"}).segmentation.of(guest, None, NOW) == {"by hand"}


def test_a_segment_of_a_newer_version_is_left_out_and_told_where_a_program_is_published():
    newer = {"code": "loud", "all": [{"field": "shoe_size", "min": 44}]}
    data = {
        "version": 1,
        "currency": "RUB",
        "segments": {"own": [newer, {"code": "any", "all": [{"field": "visits", "min": 0}]}]},
    }
    program = Program.from_dict(data)
    assert program.segmentation.of(GuestFacts(visits=2), None, NOW) == {"any"}
    assert program.to_dict() == data
    compile_program(program, tolerant=True)
    with pytest.raises(BadInput) as told:
        compile_program(program)
    assert told.value.facts["field"] == "field"


def test_what_is_not_known_meets_no_clause_and_all_must_hold():
    unknown = {"field": "days_since_last_visit", "min": 1}
    assert not saved(unknown).holds(GuestFacts(), None, NOW)
    assert not saved(unknown | {"not": True}).holds(GuestFacts(), None, NOW)
    assert not saved({"field": "visits", "max": 0}, unknown).holds(GuestFacts(), None, NOW)


@pytest.mark.parametrize(
    ("data", "field"),
    [
        ({"all": [{"field": "visits", "min": 1}]}, "code"),
        ({"code": "vip", "all": [{"field": "visits", "min": 1}]}, "code"),
        ({"code": "x"}, "all"),
        ({"code": "x", "all": [{"field": "height", "min": 1}]}, "field"),
        ({"code": "x", "all": [{"field": "visits"}]}, "min"),
        ({"code": "x", "all": [{"field": "tags"}]}, "any"),
    ],
)
def test_a_wrong_filter_names_its_field(data, field):
    with pytest.raises(BadInput) as wrong:
        SavedFilter.from_fields(Fields(data, "segment x"))
    assert wrong.value.facts["field"] == field
