"""A day of the second store with real processes: cut off, overdrawn, back, and the same on both sides."""

import pytest

from loyalty_desk.demo.day import Day
from loyalty_desk.demo.stage import DemoGuest, Stage

pytestmark = pytest.mark.e2e


def test_two_tills_cut_off_overdraw_within_the_bound_and_both_sides_agree(stage: Stage, guests: list[DemoGuest]):
    told: list[str] = []
    statement = Day(stage, guests, say=told.append, short=True).play()
    assert statement.differs() == []
    assert any("OVERDRAFT" in one for one in statement.exceptions)
    text = "\n".join(told)
    # A cashier reads what was refused in their own language, and the manager's notice comes without being asked for.
    assert "Баллы не списать" in text
    # Whichever till comes back second is told of the overdraft.
    assert "more points were used than there were" in text or "списано больше баллов, чем было" in text
    assert "Z-отчёт" in text
    assert "Z report" in text
    assert statement.verified.startswith("verify: ok")
