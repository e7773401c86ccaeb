"""Which store bears what a till accepted: one of the network, whatever the till says."""

from __future__ import annotations

from dataclasses import replace
from uuid import uuid4

import pytest

from loyalty_desk.domain.guest_code import CodeKind
from loyalty_desk.domain.record import Credential, RecordKind
from server.networks.repository import insert_stores
from server.networks.service import NewStore, create_network
from tests.server.world import World

pytestmark = [pytest.mark.anyio, pytest.mark.postgres]
UNPROVED = Credential(CodeKind.LD4, 5)


async def test_a_till_charges_no_store_that_the_network_has_not(world: World) -> None:
    till, (guest,) = await world.till(), await world.guests()
    other = await create_network(world.ground, "Other", "shop", "RUB", "Europe/Moscow", [NewStore("Theirs")])
    second = uuid4()
    async with world.ground.db.begin(world.network) as connection:
        await insert_stores(connection, world.network, [replace(world.made.stores[0], id=second, name="Second")])
    for store in (other.stores[0].id, uuid4(), second, till.store):
        till.store = store
        till.sale(guest.id, earned=1)
        # Nothing proves this one: the store that took it is charged.
        till.write(RecordKind.SALE, points_redeemed=5, money_total=1, guest_id=guest.id, credential=UNPROVED)
    answer = await world.push(till)
    assert [one.reason for one in answer.results] == [None] + ["BAD_SCHEMA"] * 4 + [None] * 4
    assert {one for (one,) in await world.sql("select detail from quarantine")} == {"its store is none of this network"}
    charged = await world.sql("select store_id from account where kind = 'offline_loss'")
    assert {one for (one,) in charged} == {second, world.made.stores[0].id}
    assert await world.balance(guest.id) == 2
