"""What is done for a till's journal behind the counter's back: read whole once, copied and pruned once a day."""

from __future__ import annotations

import logging
import threading
import time

import apsw

from loyalty_desk.domain.errors import Refused
from loyalty_desk.paths import TillPaths
from loyalty_desk.services.trusted_clock import TrustedClock
from loyalty_desk.store.journal import SqliteJournal
from loyalty_desk.store.journal_care import care_for, copy_of
from loyalty_desk.store.reserve import Reserve

_LOG = logging.getLogger(__name__)
CARE_EVERY_S = 3_600.0
REGAIN_EVERY_S, REGAIN_AT_LEAST_EVERY_S = 5.0, 60.0


class JournalWatch:
    """Two threads of an open journal, started at once; `close` before the journal is closed."""

    def __init__(self, journal: SqliteJournal, paths: TillPaths, clock: TrustedClock) -> None:
        self._journal = journal
        self._paths = paths
        self._clock = clock
        self._ended = threading.Event()
        self._checking = threading.Thread(target=self._check, name="check", daemon=True)
        self._caring = threading.Thread(target=self._care, name="care", daemon=True)
        self._checking.start()
        self._caring.start()

    def wait_until_checked(self) -> None:
        """Wait until the whole journal has been read; redemption waits for it."""
        self._checking.join()

    def close(self) -> None:
        """End both threads; the check is waited for."""
        self._ended.set()
        self._checking.join()
        self._caring.join()

    def _check(self) -> None:
        """Read the whole journal and take the reserve."""
        if not self._journal.check_whole():
            # Telling it also replaces the file: from here on the till sells into a sound one.
            self._journal.notify("journal_damaged", {}, self._clock.now_ms())
            self._journal.check_whole()
        if not Reserve(self._paths.reserve).hold():
            self._journal.notify("disk_nearly_full", {}, self._clock.now_ms())

    def _care(self) -> None:
        """Copy and prune the journal once a day while the till runs, never before its check has ended.

        Where the disk refused a record it is asked again, at first every few seconds: selling goes on once there is
        room.
        """
        self._checking.join()
        due, pause = 0.0, REGAIN_EVERY_S
        while not self._ended.wait(0):
            if self._journal.usable():
                pause = REGAIN_EVERY_S
            elif self._journal.regain():
                _LOG.warning("the journal takes records again")
            else:
                # A disk that is gone rather than full leaves a line in the log each time.
                pause = min(2 * pause, REGAIN_AT_LEAST_EVERY_S)
            if time.monotonic() < due:
                self._ended.wait(pause)
                continue
            due = time.monotonic() + CARE_EVERY_S
            self._copy()

    def _copy(self) -> None:
        today = self._clock.now().date()
        if not self._journal.usable() or copy_of(self._paths.backups, today).exists():
            return
        try:
            care_for(self._journal, self._paths.backups, today, self._clock.now_ms())
        except (Refused, apsw.Error):
            _LOG.exception("the journal's care was broken off; it is done again in an hour")
