from __future__ import annotations

import threading

from loyalty_desk.runtime.workers import Worker, stop_all


def test_a_worker_runs_until_told_to_stop() -> None:
    running = threading.Event()

    def run(stop: threading.Event) -> None:
        running.set()
        stop.wait(10)

    worker = Worker("camera", run)
    worker.start()
    worker.start()
    assert running.wait(5)
    assert worker.alive
    assert stop_all([worker], 5) == []
    assert not worker.alive


def test_a_worker_that_waits_elsewhere_is_woken() -> None:
    bell = threading.Event()
    worker = Worker("sync", lambda _: bell.wait(30), bell.set)
    worker.start()
    assert stop_all([worker], 5) == []


def test_one_that_does_not_end_is_named_and_does_not_hold_up_the_rest() -> None:
    release = threading.Event()
    stuck = Worker("stuck", lambda _: release.wait(30))
    good = Worker("good", lambda stop: stop.wait(30))
    for worker in (stuck, good):
        worker.start()
    assert stop_all([stuck, good], 0.2) == ["stuck"]
    release.set()
    assert stuck.join(5)
    assert not good.alive


def test_one_that_never_started_is_no_trouble() -> None:
    assert stop_all([Worker("idle", lambda _: None)], 1) == []
