"""kill -9 of real processes: the server's workers, its PostgreSQL, all of it at once, and the till."""

from __future__ import annotations

import signal
import time
from random import Random

import psutil
import pytest

from tests.scenarios.counts import count
from tests.scenarios.fleet import Fleet, open_fleet, selling, until

pytestmark = pytest.mark.postgres


def kill(processes: list[psutil.Process]) -> int:
    """SIGKILL them all; return how many were hit."""
    hit = 0
    for one in processes:
        try:
            one.send_signal(signal.SIGKILL)
            hit += 1
        except psutil.NoSuchProcess:
            continue
    return hit


def answered(fleet: Fleet) -> int:
    return sum(one.answered for one in fleet.tills)


def progress(fleet: Fleet) -> None:
    """Wait until pushes are answered, whatever has to be started again for it."""
    before = answered(fleet)

    def happened() -> bool:
        fleet.revive()
        return answered(fleet) > before + 1

    until(happened, "pushes to be answered again")


def test_workers_killed_in_the_middle_of_batches_lose_and_double_nothing() -> None:
    random, times = Random(6), count(4, 200)
    with open_fleet(tills=2) as fleet:
        with selling(fleet.tills, threads=2, most=40):
            for _ in range(times):
                progress(fleet)
                time.sleep(random.random() / 20)  # any moment of a batch
                kill(fleet.processes(postgres=False))
        fleet.wait_ready()
        fleet.drain()
        assert fleet.check() > 2 * times


def test_databases_killed_under_load_lose_nothing_that_was_acknowledged() -> None:
    random, times = Random(7), count(2, 50)
    with open_fleet(tills=2) as fleet:
        with selling(fleet.tills, threads=2, most=40):
            for _ in range(times):
                progress(fleet)
                time.sleep(random.random() / 20)
                assert kill(fleet.processes(postgres=True)) > 1
        fleet.wait_ready()
        fleet.drain()
        assert fleet.check() > 2 * times


def test_everything_killed_under_100_tills_loses_and_doubles_nothing() -> None:
    random, times = Random(60), count(1, 10)
    with open_fleet(tills=count(16, 100)) as fleet:
        for _ in range(times):
            with selling(fleet.tills, threads=8, most=10):
                before = answered(fleet)
                until(lambda before=before: answered(fleet) > before + 40, "pushes to be answered")
                time.sleep(random.random() / 20)
                family = fleet.processes(postgres=True) + fleet.processes(postgres=False)
                fleet.server.kill()
                kill(family)
            fleet.server.start()
        fleet.drain()
        assert fleet.check() > len(fleet.tills)
