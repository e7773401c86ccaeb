"""Reconcile: only blocks that differ, with what is held of them."""

from __future__ import annotations

import msgspec
import psycopg
import pytest

from loyalty_desk.wire.v1.sync import RECONCILE_BLOCK, Block, ReconcileAnswer
from tests.server.world import World, read, refusal

pytestmark = [pytest.mark.anyio, pytest.mark.postgres]


async def test_equal_blocks_are_silent_and_a_lost_tail_is_named(world: World) -> None:
    till = await world.till()
    for _ in range(599):
        till.sale()
    await world.push(till, till.push(till.journal[:500]))
    answer = await world.reconcile(till)
    assert [(one.first_seq, len(one.ids)) for one in answer.mismatching] == [(257, 244), (513, 0)]
    await world.push(till, till.push(till.journal[500:]))
    assert (await world.reconcile(till)).mismatching == []


async def test_a_block_beyond_64_bits_is_refused_and_one_at_the_edge_is_answered(world: World) -> None:
    till, most = await world.till(), (1 << 63) - 1
    await world.push(till)
    for first, count in ((most, 2), (most - 254, RECONCILE_BLOCK)):
        wrong = msgspec.structs.replace(till.reconcile(), blocks=[Block(first, count, bytes(16))])
        assert refusal(await world.post(till, "reconcile", wrong)) == (400, "BAD_BODY")
    edge = msgspec.structs.replace(till.reconcile(most), blocks=[Block(most, 1, bytes(16))])
    assert [one.ids for one in read(ReconcileAnswer, await world.post(till, "reconcile", edge)).mismatching] == [[]]


async def test_quarantined_records_count_as_held(world: World) -> None:
    till = await world.till()
    for _ in range(3):
        till.sale()
    push = till.push()
    push.records[1] = msgspec.structs.replace(push.records[1], payload=b"{}")
    await world.push(till, push)
    assert (await world.reconcile(till)).mismatching == []


async def test_a_record_the_server_lost_is_sent_again_and_posts(world: World, admin: psycopg.Connection) -> None:
    till = await world.till()
    (guest,) = await world.guests()
    for _ in range(5):
        till.sale(guest.id, earned=1)
    await world.push(till)
    admin.execute("set session_replication_role = replica")
    lost = till.journal[3]
    for table in ("lot", "entry", "ledger_tx"):
        admin.execute(f"delete from {table} where {'id' if table == 'ledger_tx' else 'tx_id'} = %s", (lost.id,))
    (block,) = (await world.reconcile(till)).mismatching
    assert set(block.ids) == {one.id for one in till.journal} - {lost.id}
    answer = await world.push(till, till.push([lost]))
    assert [one.status.value for one in answer.results] == ["posted"]
    assert (await world.reconcile(till)).mismatching == []


async def test_another_life_wants_a_new_hello(world: World) -> None:
    from uuid import uuid4

    till = await world.till()
    till.incarnation = uuid4()
    assert refusal(await world.post(till, "reconcile", till.reconcile())) == (409, "STALE_INCARNATION")
