"""When a fact happened, for whatever depends on dates: its own clock, corrected and held within bounds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
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
class Place:
    """Where a record stands in what a till has written down; places of one line are in the order of writing."""

    device: UUID
    epoch: int
    branch: int
    seq: int

    @property
    def line(self) -> tuple[UUID, int, int]:
        """Return the unbroken line of records that it is in."""
        return (self.device, self.epoch, self.branch)


@dataclass(frozen=True, slots=True)
class Effective:
    """The instant a fact counts for, milliseconds UTC, and whether the till's clock was far from it.

    `earliest` is the bound below: before it the fact cannot have happened, whatever a clock says.
    """

    at: int
    clock_off: bool
    earliest: int = 0


def effective_at(record: Record, sight: ClockSight | None, bounds: Iterable[int], recorded_at: int) -> Effective:
    """Return when `record` counts as having happened.

    Within the boot that a hello has seen, the monotonic clock tells the time whatever the wall clock said; of other
    boots the wall clock is all there is. Either way it is not before any of `bounds`: the server's time when it
    published the feed that the till had seen, and when the record before it counts. Nor is it after `recorded_at`; a
    bound beyond that was set while the server's own clock was ahead, and says nothing.
    """
    believed = record.occurred_at
    if sight is not None and sight.boot_id == record.boot_id:
        believed = sight.server_time + record.monotonic_ms - sight.monotonic_ms
    earliest = max((one for one in bounds if one <= recorded_at), default=0)
    at = min(max(believed, earliest), recorded_at)
    return Effective(at, abs(at - record.occurred_at) > CLOCK_TOLERANCE_MS, earliest)


def in_turn(
    records: Iterable[tuple[Place, Record]],
    sights: Mapping[UUID, ClockSight],
    published: Mapping[int, int],
    before: Mapping[Place, int],
    recorded_at: int,
) -> dict[UUID, Effective]:
    """Return by id when records count, none of them earlier than what its till wrote down before it.

    Else a till that was tampered with could date sales back at will, and wake points that died long ago. `before` is
    when what stands before a place counts, for places behind one that is not of `records`; `published` is when the
    server reached feed numbers. A record from the server's future tells nothing of those after it: the till's clock
    may have been set right between them.
    """
    made: dict[UUID, Effective] = {}
    line, reached = None, 0
    for place, record in sorted(records, key=lambda one: (*one[0].line, one[0].seq)):
        if place.line != line:
            line, reached = place.line, 0
        reached = max(reached, before.get(place, 0))
        bounds = (reached, published.get(record.cache_feed_seq or 0, 0))
        one = effective_at(record, sights.get(place.device), bounds, recorded_at)
        made[record.id] = one
        if one.at < recorded_at:
            reached = max(reached, one.at)
    return made


def behind_others(places: Iterable[Place]) -> list[Place]:
    """Return those places whose place before is not among them."""
    known = set(places)
    return [one for one in known if Place(*one.line, one.seq - 1) not in known]
