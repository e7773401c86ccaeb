"""What names a guest finds the one row by its key: with row-level security not every condition may use an index."""

from __future__ import annotations

import re
from uuid import uuid4

import psycopg
import pytest

from server.guests import service as guests
from server.guests import shown
from server.guests.service import NewGuest
from server.holds import repository as holds
from server.kit.ground import Ground
from server.networks.service import MadeNetwork
from tests.server.plans import note_plans

pytestmark = [pytest.mark.anyio, pytest.mark.postgres]
_COMPARED = re.compile(r"Filter: .*\bguest_id = \(?(COALESCE|CASE)")


async def test_no_guest_is_looked_for_among_all(
    ground: Ground, made: MadeNetwork, admin: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = made.network.id
    async with ground.db.begin(network) as connection:
        people = [NewGuest(name=f"Guest {number}") for number in range(300)]
        [guest, *_] = await guests.register(connection, network, ground.vault, people)
    admin.execute("analyze")
    async with ground.db.begin(network) as connection:
        plans = await note_plans(connection, monkeypatch)
        assert await shown.survivor(connection, network, guest.id) == guest.id
        [found] = await holds.before(connection, network, [holds.Asked(uuid4(), uuid4(), guest.id)])
        assert found.guest == guest.id
    assert len(plans) == 2
    assert [line.strip() for plan in plans for line in plan.splitlines() if _COMPARED.search(line)] == []
