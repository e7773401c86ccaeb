from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from loyalty_desk.domain.clock import to_ms
from loyalty_desk.domain.record import ClockConfidence
from loyalty_desk.services.trusted_clock import TrustedClock
from tests.loyalty_desk.till_parts import Parts, make_parts, sale

GOOD, FAIR, BAD = ClockConfidence.GOOD, ClockConfidence.FAIR, ClockConfidence.BAD


@pytest.fixture
def parts(tmp_path: Path):
    made = make_parts(tmp_path)
    yield made
    made.journal.close()


def hear(parts: Parts, *, ahead_ms: int = 0) -> None:
    """Have a hello answered by a server whose clock is ahead."""
    now = parts.trusted.monotonic_ms()
    parts.trusted.learn(parts.trusted.now_ms() + ahead_ms, now, now)


def test_nobody_has_said_the_time_yet(parts: Parts) -> None:
    assert parts.trusted.confidence() is BAD
    assert parts.trusted.corrected() == parts.clock.now()


def test_synced_in_this_boot_is_good_for_as_long_as_it_runs(parts: Parts) -> None:
    hear(parts)
    assert parts.trusted.confidence() is GOOD
    parts.clock.advance(days=40)
    assert parts.trusted.confidence() is GOOD


def test_after_a_reboot_it_is_fair_for_a_week(parts: Parts) -> None:
    hear(parts)
    parts.clock.advance(days=6)
    parts.clock.reboot()
    again = TrustedClock(parts.clock, parts.journal)
    assert again.confidence() is FAIR
    parts.clock.advance(days=1, seconds=1)
    assert again.confidence() is BAD


@pytest.mark.parametrize("seconds", [-301, 301, -40 * 365 * 86_400, 10 * 365 * 86_400])
def test_a_jump_against_the_monotonic_clock_is_bad(parts: Parts, seconds: int) -> None:
    hear(parts)
    parts.clock.clock.at += timedelta(seconds=seconds)
    assert parts.trusted.confidence() is BAD
    parts.clock.clock.at -= timedelta(seconds=seconds)
    assert parts.trusted.confidence() is GOOD


def test_a_clock_set_back_over_a_reboot_is_bad(parts: Parts) -> None:
    hear(parts)
    parts.clock.reboot()
    parts.clock.clock.at -= timedelta(minutes=1)
    assert TrustedClock(parts.clock, parts.journal).confidence() is BAD


def test_a_clock_before_the_last_record_is_bad(parts: Parts) -> None:
    parts.clock.advance(days=2)
    parts.recorder.record(sale())
    parts.clock.clock.at -= timedelta(minutes=6)
    hear(parts)
    assert parts.trusted.confidence() is BAD


def test_the_server_time_corrects_the_business_day(parts: Parts) -> None:
    parts.clock.clock.at = datetime(2026, 3, 2, 21, 30, tzinfo=UTC)
    assert parts.recorder.business_day().isoformat() == "2026-03-03"
    hear(parts, ahead_ms=-3_600_000)
    assert parts.recorder.business_day().isoformat() == "2026-03-02"
    assert parts.trusted.corrected() == datetime(2026, 3, 2, 20, 30, tzinfo=UTC)


def test_half_of_the_way_there_and_back_is_added(parts: Parts) -> None:
    parts.trusted.learn(to_ms(parts.clock.now()), 1_000, 1_800)
    assert parts.trusted.corrected() == parts.clock.now() + timedelta(milliseconds=400 + 1_000 - 1_800)


def test_the_journal_is_written_only_when_a_restart_would_miss_it(parts: Parts) -> None:
    hear(parts)
    kept = parts.journal.get("clock")
    parts.clock.advance(seconds=30)
    hear(parts)
    assert parts.journal.get("clock") == kept
    hear(parts, ahead_ms=5_000)
    assert parts.journal.get("clock") != kept
    kept = parts.journal.get("clock")
    parts.clock.advance(seconds=3_700)
    hear(parts, ahead_ms=5_000)
    assert parts.journal.get("clock") != kept


def test_age_is_counted_by_the_clock_that_cannot_be_set(parts: Parts) -> None:
    at, boot, monotonic = parts.trusted.now_ms(), parts.clock.boot_id, parts.trusted.monotonic_ms()
    parts.clock.advance(seconds=60)
    parts.clock.clock.at -= timedelta(days=1)
    assert parts.trusted.elapsed_ms(at, boot, monotonic) == 60_000
    parts.clock.reboot()
    assert parts.trusted.elapsed_ms(at, boot, monotonic) is None
    parts.clock.clock.at += timedelta(days=1)
    assert parts.trusted.elapsed_ms(at, boot, monotonic) == 60_000
