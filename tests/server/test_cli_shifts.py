"""What `shifts` prints for a person: amounts as they are written, one shift or many."""

from uuid import uuid4

import pytest

from loyalty_desk.domain.contents import ShiftCloseContents
from loyalty_desk.domain.record import RecordKind
from loyalty_desk.domain.shift_totals import ShiftTotals, Sums
from tests.server.test_cli_operations import Commands, commands
from tests.server.world import World

__all__ = ["commands"]
pytestmark = pytest.mark.postgres


async def closed(world: World) -> None:
    till = await world.till()
    sums = Sums(sales=1, gross=560_300, money=560_300, returned=5, points_earned=8)
    check = ShiftCloseContents(uuid4(), 1, ShiftTotals(sums, {"anna": sums}, "A-1", "A-1")).to_check()
    till.write(RecordKind.SHIFT_CLOSE, check=check)
    await world.push(till)


def test_a_person_reads_amounts_and_a_program_minor_units(commands: Commands) -> None:
    assert commands.run("shifts")[0].strip() == "0 shifts"
    commands.live(closed)
    said = commands.run("shifts")[0]
    assert "#1  1 sale  5,603.00 RUB  returned 0.05  points +8 -0\n1 shift\n" in said
    (found,) = commands.json("shifts")["shifts"]
    assert found["totals"]["money"] == 560_300
