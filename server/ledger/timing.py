"""When a fact happened, for whatever depends on dates: its own clock, corrected and held within bounds (section 7)."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from loyalty_desk.domain.record import Record

CLOCK_TOLERANCE_MS = 10 * 60 * 1000


@dataclass(frozen=True, slots=True)
class ClockSight:
    """What a hello showed: at `server_time` (milliseconds UTC) the till's boot `boot_id` stood at `monotonic_ms`."""

    boot_id: UUID
    monotonic_ms: int
    server_time: int


@dataclass(frozen=True, slots=True)
class Effective:
    """The instant a fact counts for, milliseconds UTC, and whether the till's clock was far from it."""

    at: int
    clock_off: bool


def effective_at(record: Record, sight: ClockSight | None, not_before: int, recorded_at: int) -> Effective:
    """Return when `record` counts as having happened.

    Within the boot that a hello has seen, the monotonic clock tells the time whatever the wall clock said; of other
    boots the wall clock is all there is. Either way it is not before `not_before`, the server's time when it
    published the feed that the till had seen, nor after `recorded_at`.
    """
    believed = record.occurred_at
    if sight is not None and sight.boot_id == record.boot_id:
        believed = sight.server_time + record.monotonic_ms - sight.monotonic_ms
    at = min(max(believed, not_before), recorded_at)
    return Effective(at, abs(at - record.occurred_at) > CLOCK_TOLERANCE_MS)
