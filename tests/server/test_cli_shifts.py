"""What `shifts` prints for a person: amounts as they are written, one shift or many."""

from uuid import uuid4

import pytest

from loyalty_desk.domain.contents import ShiftCloseContents
from loyalty_desk.domain.record import RecordKind
from loyalty_desk.domain.shift_totals import ShiftTotals, Sums
from tests.server.commands import Commands
from tests.server.world import World

pytestmark = pytest.mark.postgres


async def closed(world: World) -> None:
    till = await world.till()
    sums = Sums(
        sales=1, gross=570_300, points_money=10_000, money=560_300, returned=5, exchanges=1, exchange_money=2_000,
        exchange_returned=700, points_earned=8, points_back=3, points_reversed=2, points_follow=1,
    )  # fmt: skip
    check = ShiftCloseContents(uuid4(), 1, ShiftTotals(sums, {"anna": sums}, "A-1", "A-1")).to_check()
    till.write(RecordKind.SHIFT_CLOSE, check=check)
    await world.push(till)


def test_a_person_reads_amounts_and_a_program_minor_units(commands: Commands) -> None:
    assert commands.run("shifts")[0].strip() == "0 shifts"
    commands.live(closed)
    said = commands.run("shifts")[0]
    money = "5,603.00 RUB  returned 0.05  1 exchange 20.00 for 7.00  paid with points 100.00"
    points = "+8 −0, 3 given back, 2 taken back, 1 return to follow"
    assert f"#1  1 sale  {money}  left 5,615.95  points {points}\n1 shift\n" in said
    (found,) = commands.json("shifts")["shifts"]
    assert found["totals"]["money"] == 560_300
