# ruff: noqa: F401, F811 - the fixture `line` is imported
from __future__ import annotations

from pathlib import Path
from uuid import UUID

import pytest

from loyalty_desk.services.ports.server import ServerSaid
from loyalty_desk.wire.v1.errors import ErrorCode
from loyalty_desk.wire.v1.sync import PullAnswer, PushRequest
from tests.loyalty_desk.services.test_sync import Line, line, make_engine, make_line
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
