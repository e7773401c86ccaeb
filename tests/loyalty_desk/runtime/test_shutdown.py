from __future__ import annotations

import os
import signal
from collections.abc import Callable

import pytest

from loyalty_desk.runtime.shutdown import Phase, Shutdown, SignalWatch


def test_phases_run_in_order_and_once(qapp) -> None:
    ran: list[str] = []
    shutdown = Shutdown([Phase(name, lambda name=name: ran.append(name)) for name in ("scanners", "sync", "db")])
    shutdown.run_phases()
    shutdown.run_phases()
    assert ran == ["scanners", "sync", "db"]
    assert shutdown.over


def test_a_phase_that_fails_or_leaves_something_does_not_stop_the_end(qapp, expect_log: Callable[[str], None]) -> None:
    expect_log("scanners failed")
    expect_log("sync left behind")
    ran: list[str] = []
    shutdown = Shutdown(
        [
            Phase("scanners", lambda: 1 // 0),
            Phase("sync", lambda: ["sync"]),
            Phase("db", lambda: ran.append("db")),
        ]
    )
    shutdown.run_phases()
    assert ran == ["db"]


def test_asking_in_a_handler_ends_only_after_the_handler(qtbot) -> None:
    ran: list[str] = []
    # Not Qt's own quit: it would end every later event loop of this process at once.
    shutdown = Shutdown([Phase("db", lambda: ran.append("db"))], leave=lambda: ran.append("left"))
    shutdown.ask()
    shutdown.ask()
    assert ran == []
    qtbot.waitUntil(lambda: ran == ["db", "left"], timeout=30_000)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_asks_on_the_main_thread(qtbot, number: signal.Signals) -> None:
    asked: list[int] = []
    before = signal.getsignal(number)
    watch = SignalWatch(lambda: asked.append(1))
    try:
        os.kill(os.getpid(), number)
        qtbot.waitUntil(lambda: asked == [1], timeout=30_000)
    finally:
        watch.close()
    assert signal.getsignal(number) is before
