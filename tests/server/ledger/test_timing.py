"""When a fact counts as having happened, whatever the till's clock said."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

import pytest

from loyalty_desk.domain.record import Record
from server.ledger.timing import ClockSight, Effective, effective_at
from tests.server.fake_till import T0, FakeTill

HOUR = 3_600_000
YEAR = 365 * 24 * HOUR


@pytest.fixture
def record() -> Record:
    till = FakeTill(UUID(int=1), UUID(int=2))
    till.open_epoch()
    return Record.from_payload(till.sale().payload)


def test_an_honest_clock_is_believed(record: Record) -> None:
    assert effective_at(record, None, T0 - HOUR, T0 + HOUR) == Effective(record.occurred_at, False)


@pytest.mark.parametrize(("shift", "expected"), [(10 * YEAR, T0 + HOUR), (-40 * YEAR, T0 - HOUR)])
def test_years_off_are_clamped_and_flagged(record: Record, shift: int, expected: int) -> None:
    wrong = replace(record, occurred_at=record.occurred_at + shift)
    assert effective_at(wrong, None, T0 - HOUR, T0 + HOUR) == Effective(expected, True)


def test_the_monotonic_clock_of_the_same_boot_tells_the_time(record: Record) -> None:
    wrong = replace(record, occurred_at=5)
    sight = ClockSight(record.boot_id, record.monotonic_ms + 60_000, T0 + HOUR)
    assert effective_at(wrong, sight, 0, T0 + 2 * HOUR) == Effective(T0 + HOUR - 60_000, True)
    other = replace(sight, boot_id=UUID(int=5))
    assert effective_at(wrong, other, 0, T0 + 2 * HOUR).at == 5
