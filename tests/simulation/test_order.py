"""The order in which facts arrive, and what clocks say of them, move no balance (INV-18, INV-19)."""

from __future__ import annotations

from random import Random
from typing import Any
from uuid import UUID

import pytest

from loyalty_desk.domain.record import SealedRecord
from loyalty_desk.wire.v1 import codec
from loyalty_desk.wire.v1.sync import PushedRecord, PushRequest
from tests.simulation.faults import Fault, Plan
from tests.simulation.keys import private_key, signatures
from tests.simulation.memory_ledger import Device, Tables
from tests.simulation.sim_server import SimServer
from tests.simulation.world import NETWORK, PROGRAM, START_MS, World

ORDERS = 40


def _balances(tables: Tables) -> dict[Any, int]:
    return {account.key: account.posted for account in tables.accounts.values() if account.posted}


def _no_finding(rule: str, text: str) -> None:
    raise AssertionError(f"{rule}: {text}")


def _played(seed: int, plan: Plan) -> World:
    world = World(seed, plan)
    try:
        world.play()
        world.settle()
    finally:
        world.server.close()
    return world


def _posted_anew(world: World, random: Random) -> Tables:
    """Return what a new server holds after all journals were pushed in some order of batches."""
    key = private_key(bytes(32), real=False)
    server = SimServer(NETWORK, random, lambda: world.now_ms, key, key, _no_finding)
    devices = {one.identity.device: Device(one.identity.store, one.engine_key.public_key()) for one in world.tills}
    server.set_up({"version": 1}, PROGRAM, devices)
    for number, (guest, handle) in enumerate(world.guests):
        server.register(guest, handle, f"{1_000_000_000 + number}")
    lines: dict[tuple[UUID, int], list[SealedRecord]] = {}
    for till in world.tills:
        for (epoch, _), record in sorted(till.disk.journal.records.items(), key=lambda one: one[0]):
            lines.setdefault((till.identity.device, epoch), []).append(record)
    life = server.tables.life
    assert life is not None
    while lines:
        place = random.choice(list(lines))
        count = random.randint(1, 4)
        batch, rest = lines[place][:count], lines[place][count:]
        request = PushRequest(
            NETWORK,
            place[0],
            life,
            place[1],
            batch[0].seq,
            [PushedRecord(one.seq, one.id, one.prev, one.hash, one.payload) for one in batch],
            batch[-1].sig,
        )
        server.serve("push", place[0], codec.encode(request))
        if random.random() < 0.2:
            server.serve("push", place[0], codec.encode(request))
        lines[place] = rest
        if not rest:
            del lines[place]
    server.close()
    return server.tables


@pytest.mark.parametrize("seed", range(6))
def test_every_order_of_delivery_comes_to_the_same_balances(seed: int) -> None:
    plan = Plan(tills=4, guests=2, steps=60, trouble=0.2, faults=frozenset({Fault.LOST_ANSWER, Fault.CLOCK}))
    with signatures(real=False):
        world = _played(seed, plan)
        expected = _balances(world.server.tables)
        assert expected
        for order in range(ORDERS):
            tables = _posted_anew(world, Random(order))
            assert _balances(tables) == expected
            assert set(tables.txs) == set(world.server.tables.txs)


@pytest.mark.parametrize("seed", range(6))
def test_wrong_clocks_change_effective_times_and_flags_alone(seed: int) -> None:
    """The same sales in the same order, once with true clocks and once with every clock somewhere else."""
    plan = Plan(tills=3, guests=2, steps=1, trouble=0, faults=frozenset())
    ended = []
    with signatures(real=False):
        for error_ms in (0, 40 * 365 * 86_400_000):
            world = World(seed, plan)
            # Nobody sells in between by the world's own dice: what a till asks for by its clock would throw them too.
            world.calm = True
            random = Random(seed)
            for till in world.tills:
                till.clock.offset_ms = -error_ms if random.random() < 0.5 else error_ms // 8
            for till in world.tills:
                till.sync()
            for _ in range(40):
                world.now_ms += 60_000
                till = random.choice(world.tills)
                if random.random() < 0.7:
                    till.sell(till.card(random.choice(world.handles)), 10_000, random.randrange(50), 0)
                else:
                    till.sync()
            world.settle()
            world.server.close()
            assert not world.findings
            ended.append((world, [tx.seq for tx in world.server.tables.txs.values()], _balances(world.server.tables)))
    (true, order, balances), (_, wrong_order, wrong_balances) = ended
    assert (wrong_order, wrong_balances) == (order, balances)
    assert true.now_ms > START_MS
    assert not any(kind == "CLOCK" for kind, _ in true.server.tables.exceptions)
    assert any(str(kind) == "CLOCK" for kind, _ in ended[1][0].server.tables.exceptions)
