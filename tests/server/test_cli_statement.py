"""What `statement` prints: movements, and under them what a manager wrote beside them."""

import pytest

from tests.server.commands import Commands
from tests.server.ledger.test_words import give
from tests.server.world import World

pytestmark = pytest.mark.postgres


async def guest_with_words(world: World) -> str:
    till, (guest,) = await world.till(), await world.guests()
    give(till, guest.id, "Суп был холодный")
    till.sale(guest.id, earned=3, redeemed=8)
    await world.push(till)
    return str(guest.id)


def test_a_manager_reads_why_points_were_given(commands: Commands) -> None:
    guest = commands.live(guest_with_words)
    lines = commands.run("statement", "--guest", guest)[0].splitlines()
    assert [line.strip() for line in lines if "Суп" in line] == ["Суп был холодный"]
    assert "adjust" in lines[0]
    assert "Суп" in lines[1]
    moved = commands.json("statement", "--guest", guest)["movements"]
    assert [(one["amount"], one["words"]) for one in moved] == [(10, "Суп был холодный"), (-5, "")]
    assert [(one["added"], one["taken"], one["balance"]) for one in moved] == [(10, 0, 10), (3, 8, 5)]
    # What a sale earned and what paid for it stand apart, at the store's time.
    assert lines[2].split()[2:7] == ["MSK", "sale", "+3", "−8", "5"]
    assert moved[1]["at"].endswith("+03:00")
