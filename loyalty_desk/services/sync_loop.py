"""When to sync: at once after a sale, every half minute when idle, ever more patiently while it fails."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Protocol

from loyalty_desk.services.ports.machine import Random
from loyalty_desk.services.sync import SyncOutcome

IDLE_S = 30.0
FIRST_S = 1.0
MOST_S = 300.0
_LOG = logging.getLogger(__name__)


class Stepper(Protocol):
    """What is repeated: `SyncEngine`."""

    def step(self, stopping: Callable[[], bool] = ...) -> SyncOutcome:
        """Do one attempt."""
        ...


class SyncLoop:
    """The life of the sync thread. `wake` and `stop` are for any thread."""

    def __init__(self, engine: Stepper, random: Random, on_step: Callable[[SyncOutcome], None] | None = None) -> None:
        self._engine = engine
        self._random = random
        self._on_step = on_step
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._failures = 0

    def run(self) -> None:
        """Step until stopped; a fault of ours is logged and tried again later, it never ends the thread."""
        while not self._stop.is_set():
            self._wake.clear()
            try:
                outcome = self._engine.step(self._stop.is_set)
            except Exception:  # noqa: BLE001 - facts wait on this thread; whatever broke, it must come back
                _LOG.exception("sync failed by a fault of ours; it is tried again")
                outcome = SyncOutcome(online=False, done=False, error="sync_fault")
            self._tell(outcome)
            patience = self.delay(outcome)
            if outcome.retry_after is not None:
                # The server asked for time: a new sale does not cut it short.
                self._stop.wait(patience)
            elif not self._stop.is_set():
                self._wake.wait(patience)

    def _tell(self, outcome: SyncOutcome) -> None:
        if self._on_step is None or self._stop.is_set():
            return
        try:
            self._on_step(outcome)
        except Exception:  # noqa: BLE001 - whoever listens may meet a full disk; the facts must go on being sent
            _LOG.exception("what listens to sync failed; sync goes on")

    def delay(self, outcome: SyncOutcome) -> float:
        """Return the seconds to wait after an attempt: full jitter from 1 s, doubling up to 5 min."""
        if outcome.done or outcome.pushed:
            # Ten thousand records go out in twenty pushes, each of which a busy server or a bad link may be the last to
            # let through: who gets on is not kept waiting longer each time. Rows pulled prove nothing: a cache that
            # never agrees is pulled anew each time.
            self._failures = 0
        if outcome.done:
            return IDLE_S
        ceiling = min(MOST_S, FIRST_S * 2.0 ** min(self._failures, 16))
        self._failures += 1
        # A server may ask for patience, within the same bound that we set ourselves.
        return max(self._random.random() * ceiling, min(float(outcome.retry_after or 0), MOST_S))

    def wake(self) -> None:
        """Sync now."""
        self._wake.set()

    def stop(self) -> None:
        """Return from `run` after the request under way."""
        self._stop.set()
        self._wake.set()
