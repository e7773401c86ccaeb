import random
import threading
from collections.abc import Callable

import pytest

from loyalty_desk.services.sync import SyncOutcome
from loyalty_desk.services.sync_loop import IDLE_S, MOST_S, SyncLoop

DONE = SyncOutcome(online=True, done=True)
SILENT = SyncOutcome(online=False, done=False, error="server_silent")


class ScriptedEngine:
    """Answers by a list, then by its last entry; an exception in it is raised."""

    def __init__(self, *outcomes: SyncOutcome | Exception) -> None:
        self.outcomes = list(outcomes)
        self.steps = 0
        self.stepped = threading.Semaphore(0)

    def step(self, stopping: Callable[[], bool] = lambda: False) -> SyncOutcome:
        outcome = self.outcomes[min(self.steps, len(self.outcomes) - 1)]
        self.steps += 1
        self.stepped.release()
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


class Highest(random.Random):
    """The longest of every jitter."""

    def random(self) -> float:
        return 1.0


def running(loop: SyncLoop) -> threading.Thread:
    thread = threading.Thread(target=loop.run)
    thread.start()
    return thread


def test_patience_doubles_up_to_five_minutes_and_ends_with_success() -> None:
    loop = SyncLoop(ScriptedEngine(DONE), Highest())
    assert [loop.delay(SILENT) for _ in range(11)] == [1, 2, 4, 8, 16, 32, 64, 128, 256, MOST_S, MOST_S]
    assert loop.delay(DONE) == IDLE_S
    assert loop.delay(SILENT) == 1


def test_whoever_gets_on_a_little_each_time_is_not_made_more_and_more_patient() -> None:
    loop = SyncLoop(ScriptedEngine(DONE), Highest())
    busy = SyncOutcome(online=True, done=False, pushed=500, error="server_busy", retry_after=2)
    assert [loop.delay(busy) for _ in range(20)] == [2] * 20
    assert [loop.delay(SILENT) for _ in range(3)] == [2, 4, 8]


def test_rows_that_are_pulled_anew_each_time_are_no_reason_to_hurry() -> None:
    loop = SyncLoop(ScriptedEngine(DONE), Highest())
    rebuilt = SyncOutcome(online=True, done=False, pulled=5_000, error="cache_differs")
    assert [loop.delay(rebuilt) for _ in range(4)] == [1, 2, 4, 8]


def test_jitter_is_full() -> None:
    loop = SyncLoop(ScriptedEngine(DONE), random.Random(3))
    waits = [loop.delay(SILENT) for _ in range(300)]
    assert min(waits[20:]) < 15
    assert max(waits) > 285
    assert all(0 <= wait <= MOST_S for wait in waits)


def test_the_server_wish_is_the_least() -> None:
    loop = SyncLoop(ScriptedEngine(DONE), Highest())
    assert loop.delay(SyncOutcome(online=True, done=False, error="server_busy", retry_after=40)) == 40


def test_a_sale_wakes_it_and_stop_ends_it() -> None:
    heard: list[SyncOutcome] = []
    engine = ScriptedEngine(DONE)
    loop = SyncLoop(engine, Highest(), heard.append)
    thread = running(loop)
    for _ in range(3):
        assert engine.stepped.acquire(timeout=10)
        loop.wake()
    loop.stop()
    thread.join(10)
    assert not thread.is_alive()
    assert set(heard) == {DONE}


def test_a_fault_of_ours_does_not_end_the_thread(expect_log) -> None:
    expect_log("a fault of ours")
    engine = ScriptedEngine(ValueError("broken"), DONE)
    heard: list[SyncOutcome] = []
    loop = SyncLoop(engine, Highest(), heard.append)
    thread = running(loop)
    assert engine.stepped.acquire(timeout=10)
    loop.wake()
    assert engine.stepped.acquire(timeout=10)
    loop.stop()
    thread.join(10)
    assert (heard[0].error, heard[0].done) == ("sync_fault", False)


@pytest.mark.parametrize("early", [True, False])
def test_a_stopped_loop_does_not_begin(early: bool) -> None:
    engine = ScriptedEngine(DONE)
    loop = SyncLoop(engine, Highest())
    if early:
        loop.stop()
    thread = running(loop)
    loop.stop()
    thread.join(10)
    assert not thread.is_alive()
    assert engine.steps <= (0 if early else 1)


def test_a_listener_that_fails_does_not_end_the_thread(expect_log) -> None:
    expect_log("what listens to sync failed")
    engine = ScriptedEngine(DONE)

    def listen(outcome: SyncOutcome) -> None:
        raise OSError("no space left")

    loop = SyncLoop(engine, Highest(), listen)
    thread = running(loop)
    for _ in range(3):
        assert engine.stepped.acquire(timeout=10)
        loop.wake()
    loop.stop()
    thread.join(10)
    assert not thread.is_alive()


def test_a_server_that_asks_for_a_day_is_asked_again_within_five_minutes() -> None:
    loop = SyncLoop(ScriptedEngine(DONE), Highest())
    assert loop.delay(SyncOutcome(online=True, done=False, error="server_busy", retry_after=10**12)) == MOST_S
