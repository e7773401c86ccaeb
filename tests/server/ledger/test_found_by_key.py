"""What belongs to a posting is found by its key: with row-level security not every condition may use an index."""

from __future__ import annotations

import re
from typing import Any

import psycopg
import pytest

from loyalty_desk.domain.errors import Refused
from server.ledger import repository, sales, write_off
from server.ledger.register_store import PostgresRegisters
from tests.server.plans import note_plans
from tests.server.world import World

pytestmark = [pytest.mark.anyio, pytest.mark.postgres]
SALES = 300
_COMPARED = re.compile(r"(Join )?Filter: .*(natural_key = |guest_id = \(?(COALESCE|CASE)|tx_id = \(?(COALESCE|CASE))")
_WHOLE = re.compile(r"Scan (using \w+ )?on (ledger_tx|guest_state|entry)\b.*rows=(\d+)")


async def test_neither_ledger_nor_guests_are_gone_through(
    world: World, admin: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    till = await world.till()
    guests = await world.guests(SALES)
    for guest in guests:
        till.sale(guest.id, earned=10)
    await world.push(till)
    admin.execute("analyze")
    asked = [row[0] for row in admin.execute("select id from ledger_tx where kind = 'sale' limit 3").fetchall()]
    network = world.network
    async with world.ground.db.begin(network) as connection:
        plans = await note_plans(connection, monkeypatch)
        assert set(await repository.originals(connection, network, asked)) == set(asked)
        await repository.given_by_hand(connection, network, [till.device], "UTC", world.clock.now())
        with pytest.raises(Refused, match="not_a_sale"):  # these bring no lines
            await sales.find_sale(connection, network, sale=asked[0], store=till.store)
        await write_off._overdrafts(connection, network, [guests[0].id])
        registers = PostgresRegisters(connection, network, world.ground.vault, _nobody, _nobody)
        await registers.suspended([guests[0].id], [1], 10)
    lines = [line.strip() for plan in plans for line in plan.splitlines()]
    assert len(plans) >= 7
    assert [line for line in lines if _COMPARED.search(line)] == []
    assert [line for line in lines if (scan := _WHOLE.search(line)) and int(scan[3]) >= SALES] == []


async def _nobody(*_: object) -> Any:
    raise AssertionError("nobody is admitted here")
