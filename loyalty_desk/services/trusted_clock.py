"""How far the till's clock may be trusted, and what time it most likely is."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from uuid import UUID

import msgspec

from loyalty_desk.domain.canonical import Json
from loyalty_desk.domain.clock import from_ms, to_ms
from loyalty_desk.domain.record import ClockConfidence
from loyalty_desk.services.ports.journal import Journal
from loyalty_desk.services.ports.machine import BootClock

JUMP_MS = 5 * 60 * 1_000
FAIR_MS = 7 * 24 * 60 * 60 * 1_000
KEEP_EVERY_MS = 60 * 60 * 1_000
KEEP_FROM_MS = 2_000
FIRST_YEAR, LAST_YEAR = 2026, 2099
_KEY = "clock"


class _Anchor(msgspec.Struct, frozen=True):
    """What a hello told: the server's time at one moment of one boot, and by how much this clock differed then."""

    server_time: int
    offset: int
    boot_id: UUID
    monotonic_ms: int


class TrustedClock:
    """The machine's clock beside what the server last said, kept in the journal, so that a restart knows it."""

    def __init__(self, clock: BootClock, journal: Journal) -> None:
        self._clock = clock
        self._journal = journal
        self._anchor: _Anchor | None = None

    @property
    def boot_id(self) -> UUID:
        """Return the id of this boot of the machine."""
        return self._clock.boot_id

    def now(self) -> datetime:
        """Return the till's own wall time, as records carry it."""
        return self._clock.now()

    def now_ms(self) -> int:
        """Return the till's own wall time in milliseconds UTC."""
        return to_ms(self._clock.now())

    def monotonic_ms(self) -> int:
        """Return milliseconds that never run backwards within one boot."""
        return self._clock.monotonic_ms()

    def corrected(self) -> datetime:
        """Return the time as the server would say it, as well as this till knows."""
        anchor = self._known()
        if anchor is None:
            return self._clock.now()
        if anchor.boot_id == self._clock.boot_id:
            return from_ms(anchor.server_time + self._clock.monotonic_ms() - anchor.monotonic_ms)
        return from_ms(max(self.now_ms() + anchor.offset, anchor.server_time))

    def is_known(self) -> bool:
        """Return whether a server has ever told the time to this journal; until then confidence says nothing."""
        return self._known() is not None

    def confidence(self) -> ClockConfidence:
        """Return GOOD (synced this boot), FAIR (synced within 7 days) or BAD."""
        anchor, now = self._known(), self.now_ms()
        last = self._journal.last_at()
        if anchor is None or not FIRST_YEAR <= self._clock.now().astimezone(UTC).year <= LAST_YEAR:
            return ClockConfidence.BAD
        if now + anchor.offset < anchor.server_time or (last is not None and now < last - JUMP_MS):
            return ClockConfidence.BAD
        if anchor.boot_id == self._clock.boot_id:
            expected = anchor.server_time + self._clock.monotonic_ms() - anchor.monotonic_ms
            jumped = abs(now + anchor.offset - expected) > JUMP_MS
            return ClockConfidence.BAD if jumped else ClockConfidence.GOOD
        return ClockConfidence.FAIR if now + anchor.offset - anchor.server_time < FAIR_MS else ClockConfidence.BAD

    def learn(self, server_time: int, asked_ms: int, answered_ms: int) -> None:
        """Keep what a verified hello said; both moments are this boot's monotonic time."""
        at = server_time + (answered_ms - asked_ms) // 2
        before = self._known()
        anchor = _Anchor(at, at - self.now_ms(), self._clock.boot_id, answered_ms)
        self._anchor = anchor
        # A durable write at every hello would stand in the way of sales: only what a restart would miss is kept.
        if (
            before is None
            or before.boot_id != anchor.boot_id
            or abs(before.offset - anchor.offset) > KEEP_FROM_MS
            or at - self._kept_at() > KEEP_EVERY_MS
        ):
            value: Mapping[str, Json] = {
                "server_time": anchor.server_time,
                "offset": anchor.offset,
                "boot_id": str(anchor.boot_id),
                "monotonic_ms": anchor.monotonic_ms,
            }
            self._journal.put(_KEY, value)

    def elapsed_ms(self, at: int, boot_id: UUID | None, monotonic_ms: int | None) -> int | None:
        """Return milliseconds since a moment noted before; None where the clock has run backwards since."""
        if boot_id == self._clock.boot_id and monotonic_ms is not None:
            return self._clock.monotonic_ms() - monotonic_ms
        passed = self.now_ms() - at
        return passed if passed >= 0 else None

    def _kept_at(self) -> int:
        value = self._journal.get(_KEY)
        at = value.get("server_time") if isinstance(value, Mapping) else None
        return at if isinstance(at, int) else 0

    def _known(self) -> _Anchor | None:
        if self._anchor is not None:
            return self._anchor
        value = self._journal.get(_KEY)
        if not isinstance(value, Mapping):
            return None
        server_time, offset, boot, monotonic = (
            value.get(name) for name in ("server_time", "offset", "boot_id", "monotonic_ms")
        )
        if not (isinstance(server_time, int) and isinstance(offset, int) and isinstance(monotonic, int)):
            return None
        return _Anchor(server_time, offset, UUID(str(boot)), monotonic)
