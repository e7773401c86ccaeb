"""When a fact counts as having happened, whatever the till's clock said."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from loyalty_desk.domain.record import Record
from server.ledger.timing import ClockSight, Effective, Place, behind_others, effective_at, in_turn
from tests.server.fake_till import T0, FakeTill

HOUR = 3_600_000
YEAR = 365 * 24 * HOUR


@pytest.fixture
def record() -> Record:
    till = FakeTill(UUID(int=1), UUID(int=2))
    till.open_epoch()
    return Record.from_payload(till.sale().payload)


def test_an_honest_clock_is_believed(record: Record) -> None:
    assert effective_at(record, None, [T0 - HOUR], T0 + HOUR) == Effective(record.occurred_at, False, T0 - HOUR)


@pytest.mark.parametrize(("shift", "expected"), [(10 * YEAR, T0 + HOUR), (-40 * YEAR, T0 - HOUR)])
def test_years_off_are_clamped_and_flagged(record: Record, shift: int, expected: int) -> None:
    wrong = replace(record, occurred_at=record.occurred_at + shift)
    assert effective_at(wrong, None, [T0 - HOUR], T0 + HOUR) == Effective(expected, True, T0 - HOUR)


def test_the_monotonic_clock_of_the_same_boot_tells_the_time(record: Record) -> None:
    wrong = replace(record, occurred_at=5)
    sight = ClockSight(record.boot_id, record.monotonic_ms + 60_000, T0 + HOUR)
    assert effective_at(wrong, sight, [0], T0 + 2 * HOUR) == Effective(T0 + HOUR - 60_000, True)
    other = replace(sight, boot_id=UUID(int=5))
    assert effective_at(wrong, other, [0], T0 + 2 * HOUR).at == 5


DEVICE = UUID(int=9)


def line_of(record: Record, *moments: int, epoch: int = 1, first: int = 1) -> list[tuple[Place, Record]]:
    return [
        (
            Place(DEVICE, epoch, 0, number),
            replace(record, id=UUID(int=epoch << 64 | number), epoch=epoch, seq=number, occurred_at=moment),
        )
        for number, moment in enumerate(moments, start=first)
    ]


def counted(records: list[tuple[Place, Record]], **known: Any) -> list[int]:
    at = in_turn(records, {}, known.get("published", {}), known.get("before", {}), T0)
    return [at[record.id].at for _, record in records]


def test_no_record_counts_before_the_one_written_before_it(record: Record) -> None:
    told = [T0 - 9 * HOUR, T0 - YEAR, T0 - 8 * HOUR, T0 - 9 * HOUR]
    assert counted(line_of(record, *told)) == [T0 - 9 * HOUR, T0 - 9 * HOUR, T0 - 8 * HOUR, T0 - 8 * HOUR]
    # The lines of a till do not bound each other, in whatever order they are given.
    records = [*line_of(record, T0 - YEAR, epoch=2), *line_of(record, *told[:2])]
    assert counted(records[::-1]) == [T0 - 9 * HOUR, T0 - 9 * HOUR, T0 - YEAR]
    made = in_turn(line_of(record, *told), {}, {}, {}, T0)
    assert [one.clock_off for one in made.values()] == [False, True, False, True]
    assert [one.earliest for one in made.values()] == [0, T0 - 9 * HOUR, T0 - 9 * HOUR, T0 - 8 * HOUR]


def test_what_was_stored_before_bounds_what_stands_behind_it(record: Record) -> None:
    records = line_of(record, T0 - YEAR, T0 - YEAR, first=7)
    assert counted(records, before={records[0][0]: T0 - HOUR}) == [T0 - HOUR, T0 - HOUR]
    assert counted(records[::2] + records[1:], before={records[1][0]: T0 - HOUR}) == [T0 - YEAR, T0 - HOUR]


def test_a_record_of_the_future_does_not_bring_those_after_it_forward(record: Record) -> None:
    assert counted(line_of(record, T0 - 9 * HOUR, T0 + YEAR, T0 - 8 * HOUR)) == [T0 - 9 * HOUR, T0, T0 - 8 * HOUR]


def test_what_the_server_wrote_while_its_clock_was_ahead_bounds_nothing(record: Record) -> None:
    told = line_of(replace(record, cache_feed_seq=5), T0 - HOUR)
    assert counted(told, published={5: T0 + YEAR}) == [T0 - HOUR]
    assert counted(told, before={told[0][0]: T0 + YEAR}) == [T0 - HOUR]
    assert counted(told, published={5: T0 + YEAR}, before={told[0][0]: T0 - 60_000}) == [T0 - 60_000]


def test_only_what_stands_behind_nothing_is_asked_for(record: Record) -> None:
    places = [place for place, _ in (*line_of(record, 1, 2, 3), *line_of(record, 1, 2, first=6))]
    assert sorted(place.seq for place in behind_others(places)) == [1, 6]
