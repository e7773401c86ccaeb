"""Pulling: pages, cuts between them, and caches that cannot follow the feed."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

import pytest

from loyalty_desk.domain.canonical import bytes_to_text
from loyalty_desk.services.ports.server import ServerSaid
from loyalty_desk.services.sync import SyncOutcome
from loyalty_desk.wire.v1.errors import ErrorCode
from loyalty_desk.wire.v1.sync import PullAnswer, PushRequest
from tests.loyalty_desk.services.sync_line import Line, make_engine, make_line
from tests.loyalty_desk.till_parts import ANNA_ROW, CARD, GUEST


def rename(line: Line, count: int, first: int = 100) -> None:
    for number in range(first, first + count):
        line.ledger.put("guest", str(UUID(int=number)), {"name": f"Guest {number}"})


def test_a_pull_of_many_pages_never_shows_a_balance_between_them(line: Line) -> None:
    """An own sale's guest whose row somebody else's sale has moved to a later page."""
    line.step()
    line.counter.sell(CARD, 1_000)
    shown = {line.points()}
    # Between the push and the pull another till sells to the same guest, far behind in the feed.
    pushed = line.ledger._push

    def push_and_more(request: PushRequest) -> object:
        answer = pushed(request)
        rename(line, 6)
        row = dict(line.ledger.rows["guest", str(GUEST)][1])
        line.ledger.put("guest", str(GUEST), row | {"name": "Anna K"})
        return answer

    line.ledger._push = push_and_more  # type: ignore[method-assign]
    line.ledger.page_rows = 2
    apply = line.counter.cache.apply

    def apply_and_look(page: PullAnswer, **onto: object) -> None:
        shown.add(line.points())
        apply(page, **onto)
        shown.add(line.points())

    line.counter.cache.apply = apply_and_look  # type: ignore[method-assign]
    assert line.step().done
    assert line.ledger.calls.count("pull") >= 4
    assert shown == {445}


def test_pages_fetched_before_a_cut_are_not_fetched_again(line: Line) -> None:
    line.step()
    rename(line, 20)
    line.ledger.page_rows = 5
    line.ledger.faults.extend([None, None, None, "cut"])
    line.ledger.calls.clear()
    assert line.step().error == "server_silent"
    assert line.ledger.calls == ["hello", "pull", "pull", "pull"]
    assert line.counter.cache.state().guests == 1
    line.ledger.calls.clear()
    assert line.step().done
    assert line.ledger.calls == ["hello", "pull", "pull"]
    assert line.counter.cache.state().guests == 21


def test_a_page_is_not_put_into_a_cache_made_anew_meanwhile(line: Line) -> None:
    line.step()
    rename(line, 3)
    pull = line.ledger.pull

    def made_anew_meanwhile(cursor: str | None, limit: int) -> PullAnswer:
        page = pull(cursor, limit)
        if cursor is not None:
            line.counter.cache._replace()
        return page

    line.ledger.pull = made_anew_meanwhile  # type: ignore[method-assign]
    assert line.step().done
    assert line.counter.cache.state().guests == 4
    assert "cache_mismatch" not in line.notices()


def test_a_forks_answer_says_from_where_its_effects_are_shown(line: Line) -> None:
    line.step()
    line.counter.sell(CARD, 1_000)
    said = ServerSaid(409, ErrorCode.FORK, "forked", epoch=line.counter.parts.journal.head().epoch, feed_seq=777)
    pushed = line.ledger.push
    faults: list[ServerSaid] = [said]

    def forked(request: PushRequest) -> object:
        answer = pushed(request)
        if faults:
            raise faults.pop()
        return answer

    line.ledger.push = forked  # type: ignore[method-assign]
    seen: list[int] = []
    acknowledge = line.counter.parts.journal.acknowledge

    def noted(epoch: int, upto: int, incarnation: UUID, feed_seq: int) -> None:
        seen.append(feed_seq)
        acknowledge(epoch, upto, incarnation, feed_seq)

    line.counter.parts.journal.acknowledge = noted  # type: ignore[method-assign]
    line.step()
    assert seen[0] == 777


@pytest.mark.parametrize("cursor_only", [False, True])
def test_a_cursor_that_is_too_old_keeps_the_guests_until_the_new_ones_are_here(
    line: Line,
    cursor_only: bool,
) -> None:
    """Scenario 37: 410 for the cursor; from the beginning the server answers, or asks for the snapshot."""
    line.step()
    line.counter.sell(CARD, 1_000)
    pull = line.ledger.pull

    def too_old(cursor: str | None, limit: int) -> PullAnswer:
        assert line.points() == 445
        if cursor is not None or not cursor_only:
            raise ServerSaid(410, ErrorCode.MUST_BOOTSTRAP, "too old")
        return pull(cursor, limit)

    line.ledger.pull = too_old  # type: ignore[method-assign]
    outcome = line.step()
    assert (outcome.pushed, line.waiting()) == (1, 0)
    assert outcome.done == cursor_only
    assert outcome.error == (None if cursor_only else "network_too_large")
    assert line.points() == 445


def test_a_second_engine_begins_where_the_cache_is(tmp_path: Path) -> None:
    line = make_line(tmp_path)
    rename(line, 10)
    assert line.step().done
    line.ledger.put("guest", str(GUEST), dict(ANNA_ROW) | {"points": 7})
    assert make_engine(line.counter, line.ledger).step().pulled == 1
    assert line.points() == 7
    line.counter.parts.journal.close()
    line.counter.cache.close()


def test_pages_come_one_by_one_and_a_cut_resumes(line: Line) -> None:
    for n in range(30):
        line.ledger.put("guest", str(UUID(int=n + 1)), {"name": f"guest {n}", "points": n})
    line.ledger.page_rows = 7
    line.ledger.faults.extend([None, None, None, None, "cut"])
    assert line.step().error == "server_silent"
    state = line.counter.cache.state()
    assert (state.cursor, state.complete) == (14, False)
    assert line.step().done
    assert line.counter.cache.state().guests == 31
    assert line.ledger.calls.count("pull") == 3 + 3


def test_a_cache_that_differs_is_read_again_once_and_then_alarms(line: Line) -> None:
    line.step()
    line.counter.cache._writer.execute("UPDATE state SET digest = zeroblob(16)")
    line.counter.cache._state = line.counter.cache._read_state()
    assert line.step().done
    assert line.counter.cache.state().guests == 1
    line.ledger.wrong_digest = True
    assert line.step().error == "cache_mismatch"
    assert line.notices() == ["cache_mismatch"]


def test_a_cache_that_differs_is_read_again_by_the_next_attempt_where_the_first_was_cut(line: Line) -> None:
    """Seed 901765: a till that had begun to read again and was cut never did so any more, until it was started anew."""
    line.step()
    line.counter.cache._writer.execute("UPDATE state SET digest = zeroblob(16)")
    line.counter.cache._state = line.counter.cache._read_state()
    # The first attempt finds it out, and both are cut when they read from the beginning.
    for answered in (2, 1):
        line.ledger.faults.extend([None] * answered + ["cut"])
        assert line.step().error == "server_silent"
    assert line.step().done
    assert line.notices() == []


def test_a_cache_that_differs_also_when_read_anew_is_read_again_about_once_an_hour(line: Line) -> None:
    """A till that stays on for weeks is not started anew by anybody: it has to come right by itself."""
    line.step()
    line.ledger.wrong_digest = True
    asked: list[str | None] = []
    pull = line.ledger.pull

    def noted(cursor: str | None, limit: int) -> PullAnswer:
        asked.append(cursor)
        return pull(cursor, limit)

    line.ledger.pull = noted  # type: ignore[method-assign]

    def readings() -> int:
        asked.clear()
        assert line.step().error == "cache_mismatch"
        return asked.count(None)

    assert readings() == 1
    # However often it is tried within the first half of the hour, and once within the next hour and a half.
    assert [readings() for _ in range(3)] == [0, 0, 0]
    line.counter.parts.clock.advance(seconds=29 * 60)
    assert readings() == 0
    line.counter.parts.clock.advance(seconds=61 * 60)
    assert [readings() for _ in range(3)] == [1, 0, 0]
    line.counter.parts.clock.advance(seconds=90 * 60)
    line.ledger.wrong_digest = False
    line.counter.cache._writer.execute("UPDATE state SET digest = zeroblob(16)")
    line.counter.cache._state = line.counter.cache._read_state()
    assert line.step().done
    # Right again, it is read anew at once where it should ever differ again.
    line.ledger.wrong_digest = True
    assert readings() == 1


def test_a_feed_that_cannot_be_followed_is_read_from_the_beginning(line: Line) -> None:
    line.step()
    line.ledger.faults.extend([None, ServerSaid(410, "MUST_BOOTSTRAP")])
    assert line.step() == SyncOutcome(online=True, done=True, pulled=5)


def test_a_program_that_is_not_what_it_says_is_not_put_in_force(line: Line) -> None:
    line.step()
    line.ledger.put("program", "current", {"version": 4, "hash": bytes_to_text(bytes(32)), "bytes": "e30"})
    assert line.step().done
    assert line.counter.parts.journal.program().version == 3
    assert line.notices() == ["program_refused"]


def test_redemption_waits_for_a_pull_after_its_push(line: Line) -> None:
    line.step()
    for _ in range(2):
        line.counter.sell(CARD, 1_000, points=10)
    line.ledger.faults.extend([None, None, "cut"])
    line.step()
    assert line.waiting() == 0
    assert line.counter.checkout.identify(CARD).allowance.reason == "upper_consecutive"
    line.step()
    assert line.counter.checkout.identify(CARD).allowance.reason == "code_limit"
