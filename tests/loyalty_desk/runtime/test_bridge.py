from __future__ import annotations

import threading

import pytest

from loyalty_desk.runtime.bridge import MainThreadBridge
from loyalty_desk.runtime.executors import DbTaskRunner


class Ear:
    """Hears on some thread."""

    def __init__(self) -> None:
        self.heard: list[tuple[object, int]] = []

    def hear(self, what: object) -> None:
        self.heard.append((what, threading.get_ident()))


def test_what_other_threads_post_runs_on_the_main_thread_in_order(qtbot) -> None:
    bridge, ear = MainThreadBridge(), Ear()
    threads = [
        threading.Thread(target=lambda start=start: [bridge.post(ear.hear, start + i) for i in range(100)])
        for start in (0, 1000)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ear.heard == []
    qtbot.waitUntil(lambda: len(ear.heard) == 200, timeout=30_000)
    assert {ident for _, ident in ear.heard} == {threading.get_ident()}
    said = [what for what, _ in ear.heard]
    assert [what for what in said if what < 1000] == list(range(100))


def test_money_of_any_size_crosses_whole(qtbot) -> None:
    bridge, ear = MainThreadBridge(), Ear()
    bridge.into(ear.hear)(9_999_999_999)
    qtbot.waitUntil(lambda: bool(ear.heard), timeout=30_000)
    assert ear.heard[0][0] == 9_999_999_999


def test_a_closed_bridge_lets_everything_fall(qtbot, qapp) -> None:
    bridge, ear = MainThreadBridge(), Ear()
    bridge.post(ear.hear, 1)
    bridge.close()
    qapp.processEvents()
    assert ear.heard == []


def test_posting_to_a_deleted_bridge_says_so(qapp) -> None:
    import shiboken6

    bridge, ear = MainThreadBridge(), Ear()
    shiboken6.delete(bridge)
    assert bridge.post(ear.hear, 1) is False


@pytest.fixture
def runner(qapp):
    made = DbTaskRunner(MainThreadBridge())
    yield made
    made.close()


def test_work_runs_on_the_db_thread_and_answers_here(qtbot, runner: DbTaskRunner) -> None:
    ear = Ear()
    names: list[str] = []

    def work() -> int:
        names.append(threading.current_thread().name)
        return 7

    runner.run(work, ear.hear, ear.hear)
    qtbot.waitUntil(lambda: bool(ear.heard), timeout=30_000)
    assert ear.heard == [(7, threading.get_ident())]
    assert names[0].startswith("db")


def test_what_fails_there_is_told_here(qtbot, runner: DbTaskRunner) -> None:
    ear, good = Ear(), Ear()
    runner.run(lambda: 1 // 0, good.hear, ear.hear)
    qtbot.waitUntil(lambda: bool(ear.heard), timeout=30_000)
    assert isinstance(ear.heard[0][0], ZeroDivisionError)
    assert good.heard == []


def test_answers_keep_the_order_of_questions(qtbot, runner: DbTaskRunner) -> None:
    ear = Ear()
    for number in range(50):
        runner.run(lambda number=number: number, ear.hear, ear.hear)
    qtbot.waitUntil(lambda: len(ear.heard) == 50, timeout=30_000)
    assert [what for what, _ in ear.heard] == list(range(50))


def test_later_can_be_taken_back(qtbot, runner: DbTaskRunner) -> None:
    fired: list[str] = []
    cancel = runner.later(0.01, lambda: fired.append("cancelled"))
    runner.later(0.02, lambda: fired.append("kept"))
    cancel()
    cancel()
    qtbot.waitUntil(lambda: bool(fired), timeout=30_000)
    assert fired == ["kept"]


def test_closing_finishes_what_was_begun(qapp) -> None:
    runner = DbTaskRunner(MainThreadBridge())
    begun, finished = threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        finished.set()

    runner.run(work, lambda _: None, lambda _: None)
    runner.close()
    assert finished.is_set()
