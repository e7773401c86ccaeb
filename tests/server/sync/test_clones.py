"""Two machines that write one journal are told from one that was put back, by when its lines grew and out of what."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise

import pytest

from server.sync.clones import Line, grow_in_turns


def line(name: str, parent: str | None, came: tuple[int, int] | None, branch: int = 0) -> Line:
    """Return a line whose head is named as it is; `came` are the minutes of its first and last record."""
    began, ended = (None, None) if came is None else (datetime(2030, 1, 1, 12, one, tzinfo=UTC) for one in came)
    return Line(ord(name[0]), branch, None if parent is None else parent.encode(), name.encode(), began, ended)


def test_nothing_and_one_line_are_one_machine() -> None:
    assert not grow_in_turns([])
    assert not grow_in_turns([line("a", None, (1, 9))])


def test_a_till_that_is_put_back_leaves_its_old_line_where_it_was() -> None:
    assert not grow_in_turns([line("a", None, (1, 3)), line("b", "earlier a", (4, 9))])
    assert not grow_in_turns([line("a", None, (1, 4)), line("b", "earlier a", (4, 9))])


def test_two_lines_that_grow_in_turns_are_two_machines() -> None:
    assert grow_in_turns([line("a", None, (1, 5)), line("b", "earlier a", (4, 9))])
    assert grow_in_turns([line("b", "earlier a", (4, 9)), line("a", None, (1, 5))])
    assert grow_in_turns([line("a", None, (1, 9)), line("b", None, (4, 4))])


def test_of_two_lines_that_begin_at_one_moment_one_may_have_ended_there() -> None:
    for branch, name in ((0, "b"), (1, "ab")):
        lines = [line("a", None, (1, 1)), line(name, "earlier a", (1, 5), branch)]
        assert not grow_in_turns(lines)
        assert not grow_in_turns(lines[::-1])
        lines = [line("a", None, (1, 5)), line(name, "earlier a", (1, 5), branch)]
        assert grow_in_turns(lines)
        assert grow_in_turns(lines[::-1])


def test_a_journal_that_came_in_any_order_is_one_and_a_second_machine_is_found_in_it() -> None:
    names = [chr(ord("a") + number) for number in range(20)]
    chain = [line(name, parent or None, (20 - at, 40)) for at, (parent, name) in enumerate(pairwise(["", *names]))]
    assert not grow_in_turns(chain)
    assert not grow_in_turns([line("z", "an earlier t", (41, 50)), *chain])
    for parent in names[:-1]:
        assert grow_in_turns([*chain, line("z", parent, (30, 35))])
    assert not grow_in_turns([*chain, line("z", names[-1], (30, 35))])


def test_very_many_lines_take_no_time_to_speak_of_and_no_deep_call() -> None:
    chain = [replace(line("a", None, (1, 9)), epoch=n, parent=b"%d" % n, head=b"%d" % (n + 1)) for n in range(20_000)]
    assert not grow_in_turns(chain)
    assert grow_in_turns([*chain, line("z", "7", (2, 3))])


@pytest.mark.parametrize("newer", ["a", "b"])
def test_a_line_that_has_grown_out_of_the_end_of_another_is_its_journal_whichever_came_first(newer: str) -> None:
    """Seed 774533: a server that was put back got the old line behind the new one."""
    came = {"a": (1, 5), "b": (1, 5), newer: (4, 9)}
    assert not grow_in_turns([line("a", None, came["a"]), line("b", "a", came["b"])])


def test_a_line_that_goes_on_behind_where_another_has_grown_out_of_it_is_a_machine_of_its_own() -> None:
    assert grow_in_turns([line("a and on", None, (4, 4)), line("b", "a", (1, 9))])
    # Seed 77: a third has grown out of the end of a branch, and the line it parted from goes on.
    assert grow_in_turns([line("a", None, (1, 7)), line("ab", "earlier a", (5, 5), 1), line("b", "ab", (5, 6))])


def test_a_line_has_grown_out_of_all_before_it_also_of_those_that_tell_no_time() -> None:
    first, last = line("a", None, (4, 4)), line("c", "b", (1, 9))
    assert not grow_in_turns([first, line("b", "a", None), last])
    assert grow_in_turns([first, line("b", "earlier a", None), last])
    assert grow_in_turns([first, last])


def test_heads_that_name_one_another_come_to_an_end() -> None:
    """No honest till makes such, and no chain has them; a record whose hash is wrong keeps the one it claims."""
    assert grow_in_turns([line("a", "b", None), line("b", "a", None), line("c", "a", (1, 5)), line("d", "b", (4, 9))])


def test_what_tells_no_time_makes_no_turns() -> None:
    assert not grow_in_turns([line("a", None, None), line("b", None, (1, 9)), line("c", None, None)])


def test_a_line_without_records_hides_nothing_behind_it() -> None:
    lines = [line("a", None, (4, 9)), line("c", "a", (1, 5)), line("a", "a", None, branch=1)]
    assert not grow_in_turns(lines)
    assert not grow_in_turns(lines[::-1])
