"""What `statement` prints: movements, where each was made, and under them what a manager wrote beside them."""

from uuid import UUID

import pytest

from loyalty_desk.domain.record import RecordKind
from tests.server.commands import Commands
from tests.server.ledger.returns import give_back, whole
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
    assert "adjust" in lines[1]
    assert "Суп" in lines[2]
    moved = commands.json("statement", "--guest", guest)["movements"]
    assert [(one["amount"], one["words"]) for one in moved] == [(10, "Суп был холодный"), (-5, "")]
    assert [(one["added"], one["taken"], one["balance"]) for one in moved] == [(10, 0, 10), (3, 8, 5)]
    # What a sale earned and what paid for it stand apart, at the store's time.
    assert lines[3].split()[2:7] == ["MSK", "sale", "+3", "−8", "5"]
    assert moved[1]["at"].endswith("+03:00")


def test_a_movement_is_named_as_the_guest_can_name_it(commands: Commands) -> None:
    async def sold(world: World) -> tuple[str, UUID]:
        till, (guest,) = await world.till(), await world.guests()
        sale = till.write(RecordKind.SALE, guest_id=guest.id, points_earned=30, money_total=10_000, receipt_no="7-12")
        give_back(till, sale.id, guest.id, whole(30, 0), RecordKind.VOID)
        give(till, guest.id, "")
        await world.push(till)
        return str(guest.id), sale.id

    guest, sale = commands.live(sold)
    head, bought, back, given, balance = commands.run("statement", "--guest", guest)[0].splitlines()
    assert head.split() == ["when", "what", "added", "taken", "balance", "store", "receipt"]
    # What came back is told of by the receipt of its sale.
    assert [one.split()[-2:] for one in (bought, back)] == [["First", "7-12"]] * 2
    assert given.endswith(" First")
    for column in ("added", "taken", "balance"):
        end = head.index(column) + len(column)
        assert head[end] == bought[end] == back[end] == " "
    assert bought.index("First") == given.index("First") == head.index("store")
    assert bought.index("7-12") == head.index("receipt")
    assert str(sale) not in head + bought + back + given + balance
    moved = commands.json("statement", "--guest", guest)["movements"]
    assert [(one["store"], one["receipt"]) for one in moved] == [("First", "7-12"), ("First", "7-12"), ("First", "")]
    assert moved[0]["tx"] == str(sale)


def test_where_nothing_has_moved_it_says_so(commands: Commands) -> None:
    async def new(world: World) -> str:
        return str((await world.guests())[0].id)

    guest = commands.live(new)
    assert commands.run("statement", "--guest", guest)[0].splitlines() == [
        "Nothing has moved yet.",
        "balance 0, to spend now 0, owed 0",
    ]
    assert commands.json("statement", "--guest", guest)["movements"] == []
