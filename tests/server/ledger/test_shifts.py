"""Shifts, overrides and outcomes of holds move no points; what a shift came to is shown as its till closed it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from uuid import UUID, uuid4

import psycopg
import pytest

from loyalty_desk.domain.canonical import Json
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


async def test_a_shift_is_shown_as_it_was_closed(
    world: World, admin: psycopg.Connection, expect_log: Callable[[str], None]
) -> None:
    expect_log("totals of the shift .* cannot be read")
    till, shift = await world.till(), uuid4()
    sums = Sums(sales=2, gross=900, money=850, returned=100, points_earned=8)
    totals = ShiftTotals(sums, {"anna": sums}, "A-1", "A-2")
    till.write(RecordKind.SHIFT_OPEN, check=ShiftOpenContents(shift, 3).to_check())
    till.write(RecordKind.SHIFT_CLOSE, check=ShiftCloseContents(shift, 3, totals).to_check())
    # Posted before such records were read.
    old = till.write(RecordKind.SHIFT_CLOSE, check=ShiftCloseContents(uuid4(), 4, totals).to_check())
    assert said(await world.push(till)) == ["posted"] * 3
    spoilt = old.payload.replace(b'"number":4', b'"number":0')
    await asyncio.to_thread(admin.execute, "set session_replication_role = replica")
    await asyncio.to_thread(admin.execute, "update ledger_tx set payload = %s where id = %s", (spoilt, old.id))
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


@pytest.mark.parametrize(
    ("kind", "check"),
    [
        (RecordKind.SHIFT_OPEN, None),
        (RecordKind.SHIFT_OPEN, {"shift": "none", "number": 1}),
        (RecordKind.SHIFT_CLOSE, {"shift": str(UUID(int=1)), "number": 1, "totals": {"sales": "many"}}),
        (RecordKind.OVERRIDE, {"decision": "of a later version", "approved_by": "anna"}),
        (RecordKind.HOLD_RESULT, {"hold": str(UUID(int=1)), "amount": 0, "outcome": "pending"}),
    ],
)
async def test_what_cannot_be_read_is_set_aside(
    world: World, kind: RecordKind, check: Mapping[str, Json] | None
) -> None:
    till, (guest,) = await world.till(), await world.guests()
    named = None if kind in (RecordKind.SHIFT_OPEN, RecordKind.SHIFT_CLOSE) else guest.id
    till.write(kind, guest_id=named, check=check)
    till.sale(guest.id, earned=3)
    assert said(await world.push(till)) == ["BAD_SCHEMA", "posted"]
    assert await world.balance(guest.id) == 3
    assert await findings(world) == []


@pytest.mark.parametrize("kind", [RecordKind.OVERRIDE, RecordKind.HOLD_RESULT, RecordKind.SHIFT_OPEN])
async def test_what_must_not_move_points_is_set_aside_where_it_does(world: World, kind: RecordKind) -> None:
    till, (guest,) = await world.till(), await world.guests()
    check = {
        RecordKind.OVERRIDE: OverrideContents(Overridden.TIER_DISCOUNT, "anna").to_check(),
        RecordKind.HOLD_RESULT: HoldResultContents(uuid4(), 30, HoldOutcome.PENDING).to_check(),
        RecordKind.SHIFT_OPEN: ShiftOpenContents(uuid4(), 1).to_check(),
    }[kind]
    till.write(kind, guest_id=guest.id, check=check, points_earned=50)
    assert said(await world.push(till)) == ["BAD_SCHEMA"]
    assert await balances(world) == {}
