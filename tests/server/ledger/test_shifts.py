"""Shifts, overrides and outcomes of holds move no points; what a shift came to is shown as its till closed it."""

from __future__ import annotations

from collections.abc import Callable
from uuid import uuid4

import pytest

from loyalty_desk.domain.contents import (
    HoldOutcome,
    HoldResultContents,
    Overridden,
    OverrideContents,
    ShiftCloseContents,
    ShiftOpenContents,
)
from loyalty_desk.domain.record import RecordKind
from loyalty_desk.domain.shift_totals import ShiftTotals, Sums
from server.ledger.shifts import closed_shifts
from tests.server.ledger.returns import balances, findings, said
from tests.server.world import World

pytestmark = [pytest.mark.anyio, pytest.mark.postgres]


async def test_a_shift_is_shown_as_it_was_closed(world: World, expect_log: Callable[[str], None]) -> None:
    expect_log("totals of the shift .* cannot be read")
    till, shift = await world.till(), uuid4()
    sums = Sums(sales=2, gross=900, money=850, returned=100, points_earned=8)
    totals = ShiftTotals(sums, {"anna": sums}, "A-1", "A-2")
    till.write(RecordKind.SHIFT_OPEN, check=ShiftOpenContents(shift, 3).to_check())
    till.write(RecordKind.SHIFT_CLOSE, check=ShiftCloseContents(shift, 3, totals).to_check())
    till.write(RecordKind.SHIFT_CLOSE, check={"shift": "none"})
    assert said(await world.push(till)) == ["posted"] * 3
    async with world.ground.db.begin(world.network) as connection:
        (found,) = await closed_shifts(connection, world.network)
        assert await closed_shifts(connection, world.network, uuid4()) == []
    assert (found.id, found.number, found.totals, found.day) == (shift, 3, totals, "2026-03-02")
    assert found.currency == "RUB"
    assert found.opened_at is not None
    assert found.opened_at < found.closed_at


async def test_what_moves_no_points_is_posted_without_entries(world: World) -> None:
    till, (guest,) = await world.till(), await world.guests()
    till.write(
        RecordKind.OVERRIDE,
        guest_id=guest.id,
        check=OverrideContents(Overridden.UPPER_CONSECUTIVE, "anna").to_check(),
    )
    for outcome in HoldOutcome:
        check = HoldResultContents(uuid4(), 30, outcome).to_check()
        till.write(RecordKind.HOLD_RESULT, guest_id=guest.id, check=check)
    assert said(await world.push(till)) == ["posted"] * (1 + len(HoldOutcome))
    assert await balances(world) == {}
    assert await findings(world) == []
