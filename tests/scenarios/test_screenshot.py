"""Scenario 48: a picture of a rotating code, shown a second time: to the same till, to another, with and without a net.

What the same till refuses is in `services/test_guests.py`; this is what the server says to tills that ask it.
"""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.server.asking import guest_with, hold, hold_of
from tests.server.conftest import anyio_backend, base, cluster, database_name, ground, made, settings
from tests.server.ledger.conftest import world
from tests.server.ledger.test_guards import REPLAY, flags, redeem, set_clock, shown_by
from tests.server.world import World

__all__ = ["anyio_backend", "base", "cluster", "database_name", "ground", "made", "settings", "world"]
pytestmark = [pytest.mark.anyio, pytest.mark.postgres]


async def test_a_code_that_paid_at_one_till_pays_at_no_other_that_asks(world: World) -> None:
    one, other = await world.till(), await world.till()
    guest = await guest_with(world, one, 1_000)
    (code, later) = await shown_by(world, guest, 2)
    shown = code.to_bytes()
    first = hold_of(one, guest, 100, "ld4", evidence=shown)
    assert (await hold(world, one, first)).outcome == "pending"
    for till in (one, other):
        again = await hold(world, till, hold_of(till, guest, 100, "ld4", evidence=shown))
        assert (again.outcome, again.reason, again.available) == ("refused", "code_invalid", 900)
    # The lost answer of the first is not another showing.
    assert (await hold(world, one, first)).outcome == "exists"
    world.clock.at += timedelta(seconds=30)
    assert (await hold(world, other, hold_of(other, guest, 100, "ld4", evidence=later.to_bytes()))).outcome == "pending"


async def test_a_code_shown_to_two_tills_without_a_net_pays_twice_within_the_floor_and_is_told_of(world: World) -> None:
    one, other, third = await world.till(), await world.till(), await world.till()
    guest = await guest_with(world, one, 1_000)
    set_clock(world, other, third)
    (code,) = await shown_by(world, guest)
    for till in (other, third):
        redeem(till, guest, 300, code)  # 30 % of the receipt, below 500: what the floor allows
    assert (await flags(world, other))[-1] == 0
    assert (await flags(world, third))[-1] == REPLAY
    assert await world.balance(guest) == 400
    # The net is back: whoever asks now is told that it has paid.
    answer = await hold(world, third, hold_of(third, guest, 1, "ld4", evidence=code.to_bytes()))
    assert (answer.outcome, answer.reason) == ("refused", "code_invalid")
