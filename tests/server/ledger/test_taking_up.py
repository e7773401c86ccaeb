"""What has waited for a guest, a card or a sale that came by no till is posted when they come."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import pytest

from loyalty_desk.domain.guest_code import ld1
from server.guests import lists
from server.ledger.shelf import ProgramShelf
from server.services import ledger_tools
from tests.server.asking import guest_with
from tests.server.checks.test_checks import card, check, send, token
from tests.server.ledger.returns import balances, findings, give_back, said, whole
from tests.server.world import World

pytestmark = [pytest.mark.anyio, pytest.mark.postgres]
CARD = 0x1234_5678_9ABC_DEF0


def listed(file: Path, text: str) -> list[lists.Line]:
    """Return the guests of a list of this text."""
    file.write_text(text)
    return lists.read(file)


async def take_in(world: World, lines: list[lists.Line]) -> tuple[int, int]:
    """Import a list of guests."""
    tools = ledger_tools(world.ground, ProgramShelf())
    return await lists.take_in(world.ground, tools, world.network, lines, "guests.csv", world.clock.now())


async def test_a_card_of_a_list_brings_the_points_that_waited_for_it(world: World, tmp_path: Path) -> None:
    till = await world.till()
    till.sale(handle=CARD, earned=40)
    paid = till.sale(handle=CARD, earned=3, redeemed=25)
    till.sale(handle=CARD + 1, earned=7)
    give_back(till, paid.id, None, whole(3, 25))
    assert said(await world.push(till)) == ["posted_flagged"] * 4
    lines = listed(tmp_path / "guests.csv", f"name,card,points\nAnna,{ld1(CARD)},100\nBoris,,5\n")
    assert await take_in(world, lines) == (2, 0)
    (guest,) = (await world.sql("select guest_id from credential where handle = $1", CARD.to_bytes(8, "big")))[0]
    assert await world.balance(guest) == 140
    assert await world.sql("select points, spend, visits from guest_state where guest_id = $1", guest) == [
        (140, 10_000, 1)
    ]
    assert (await balances(world))["suspense"] == 7
    assert await findings(world) == []
    assert await take_in(world, lines) == (0, 2)
    till.sale(handle=CARD, earned=1)
    assert said(await world.push(till))[-1] == "posted"
    assert await world.balance(guest) == 141
    assert {row.key: row.row for row in (await world.pull(till)).rows}[str(guest)]["points"] == 141  # type: ignore[index]
    assert await findings(world) == []


async def test_a_check_committed_online_takes_up_the_return_that_waited_for_it(world: World) -> None:
    bearer, till = await token(world), await world.till()
    guest = await guest_with(world, till, 1_000)
    asked = check(world, guest=await card(world, guest), points=60)
    priced = (await send(world, bearer, "quote", asked)).json()["check"]
    earned, total = priced["earned_points"], priced["total"]
    sale = uuid4()
    assert earned > 0
    # The server had the check once, told the till of it, and lost its last minutes.
    give_back(till, sale, guest, whole(earned, 60, total))
    assert said(await world.push(till)) == ["WAITING_DEP"]
    done = await send(world, bearer, "commit", asked | {"id": str(sale), "total": total})
    assert done.status_code == 200
    assert await world.sql("select state from quarantine") == [("replayed",)]
    assert await world.balance(guest) == 1_000
    assert await world.sql("select spend, visits from guest_state where guest_id = $1", guest) == [(0, 0)]
    assert said(await world.push(till)) == ["duplicate"]
    rows = {row.key: row.row for row in (await world.pull(till)).rows}
    assert rows[str(guest)]["points"] == 1_000  # type: ignore[index]
    assert await findings(world) == []
