"""The line of the product with real processes, and the same with the till killed at the worst moment."""

import signal

import pytest

from loyalty_desk.demo.line import Line, facts
from loyalty_desk.demo.stage import Stage

pytestmark = pytest.mark.e2e


def test_a_sale_online_three_offline_and_all_posted_once(line: Line):
    assert "ok" in line.play()
    transcript = (line.story.folder / "transcript.txt").read_text(encoding="utf-8")
    assert "Refused" in transcript
    pictures = sorted(path.name for path in line.story.folder.glob("*.png"))
    assert len(pictures) == line.story.pictures >= 10


def test_a_till_killed_right_after_the_commit_has_sold_exactly_once(line: Line, stage: Stage):
    guest = line.guests[-1]
    before = line.ledger_points(guest)
    sales = stage.sales()
    line.till.start()
    line.wait_posted()
    line.scan(guest)
    line.enter_amount("1500")
    line.till.do("die_after_commit")
    with pytest.raises(Exception, match="till"):
        line.confirm(guest)
    assert line.till.wait_for_death() == -signal.SIGKILL

    line.till.start()
    line.wait_posted()
    moved = line.ledger_points(guest) - before
    assert moved > 0
    assert stage.sales() == sales + 1
    line.both_sides_agree(guest, before + moved)
    line.till.stop()
    assert "ok" in stage.verify()


def test_a_sale_confirmed_by_two_enters_is_one_sale(line: Line, stage: Stage):
    guest = line.guests[-2]
    sales = stage.sales()
    line.till.start()
    line.wait_posted()
    line.scan(guest)
    line.enter_amount("300")
    line.till.do("key", key="Enter")
    line.till.do("key", key="Enter")
    line.till.do("key", key="Enter")
    line.wait(lambda now: facts(now)["guest"] is None, "the next sale")
    line.wait_posted()
    line.till.stop()
    assert stage.sales() == sales + 1
