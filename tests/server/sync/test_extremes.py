"""Numbers at the ends of 64 bits in every request of a till: a refusal or an answer, never a fault of ours."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from loyalty_desk.wire.v1.sync import Acked, Block, Head, Hole, ReconcileRequest
from tests.server.fake_till import FakeTill
from tests.server.world import SYNC, World

pytestmark = [pytest.mark.anyio, pytest.mark.postgres]

ENDS = (-(1 << 63), -1, 0, 1, (1 << 31), (1 << 53) + 1, (1 << 63) - 256, (1 << 63) - 1, 1 << 63)


def requests(till: FakeTill, end: int) -> list[tuple[str, Any]]:
    """Return every message with the number in each of its places."""
    life, digest = till.incarnation, bytes(32)
    hellos: list[dict[str, Any]] = [
        {"monotonic_ms": end},
        {"cursor": end, "incarnation": None},
        {"epochs": [Head(end, 1, digest)]},
        {"epochs": [Head(1, end, digest)]},
        {"acked": [Acked(end, 1)]},
        {"acked": [Acked(1, end)]},
    ]
    pushes: list[dict[str, Any]] = [
        {"epoch": end},
        {"from_seq": end},
        {"from_seq": end, "records": []},
        {"records": [], "holes": [Hole(end, end, "x")]},
        {"records": [], "from_seq": (1 << 63) - 1, "holes": [Hole(1, end, "x")]},
    ]
    blocks = [
        ReconcileRequest(till.network, till.device, life, epoch, [Block(first, count, bytes(16))])
        for epoch, first, count in ((end, 1, 1), (1, end, 1), (1, end, 256), (1, 1, end))
    ]
    return [
        *(("hello", till.hello(**one)) for one in hellos),
        *(("push", till.push(**one)) for one in pushes),
        *(("reconcile", one) for one in blocks),
    ]


@pytest.mark.parametrize("end", ENDS)
async def test_no_number_in_a_request_is_a_fault_of_the_server(world: World, end: int) -> None:
    till = await world.till()
    till.sale()
    await world.push(till)
    for path, message in requests(till, end):
        response = await world.post(till, path, message)
        assert response.status_code < 500, (path, message, response.content)
    for cursor, limit in itertools.product((f"{till.incarnation}.{end}.1", f"{till.incarnation}.0.{end}"), (1, end)):
        target = f"{SYNC}/pull?cursor={cursor}&limit={limit}"
        response = await world.client.get(target, headers=till.headers("GET", target))
        assert response.status_code < 500, (target, response.content)


async def test_a_record_at_the_last_number_is_stored_behind_a_hole_and_the_next_push_is_refused(world: World) -> None:
    till, most = await world.till(), (1 << 63) - 1
    await world.push(till)
    sale = till.sale()
    far = till.push([sale], from_seq=most, holes=[Hole(2, most - 1, "x")])
    assert (await world.post(till, "push", far)).status_code == 400  # the record says another number
