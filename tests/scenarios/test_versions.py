"""Scenario 51: programs of other ages. An older till is served, what a newer one adds is kept, nothing is dropped."""

from __future__ import annotations

import json
from typing import Any
from unittest import mock

import msgspec
import pytest

from loyalty_desk.domain.errors import Refused
from loyalty_desk.domain.record import BadRecord, Record
from loyalty_desk.wire.v1.sync import HelloAnswer, PullAnswer, PushAnswer, PushRequest, Status
from server.ledger import intake
from server.ledger.release import Released
from tests.scenarios.test_database import _resealed
from tests.server.conftest import anyio_backend, base, cluster, database_name, ground, made, settings
from tests.server.fake_till import FakeTill
from tests.server.ledger.conftest import world
from tests.server.ledger.test_release import let_go, row_of
from tests.server.world import World, read

__all__ = ["anyio_backend", "base", "cluster", "database_name", "ground", "made", "settings", "world"]
pytestmark = [pytest.mark.anyio, pytest.mark.postgres]

# What the first program sent: every field that has been added since is left out.
_FIRST_HELLO = ("network", "device", "nonce", "boot_id", "monotonic_ms", "app", "epochs")
_FIRST_PUSH = ("network", "device", "incarnation", "epoch", "from_seq", "records", "head_sig")
_FIRST_RECORD = ("seq", "id", "prev", "hash", "payload")


def _plain(message: msgspec.Struct) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.to_builtins(message, builtin_types=(bytes,))
    return found


def _only(fields: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {name: fields[name] for name in names}


def _with(till: FakeTill, push: PushRequest, place: int, **fields: object) -> PushRequest:
    """Return the push in which one record says more, as a later program would write it."""
    whole = json.loads(push.records[place].payload) | fields
    payload = json.dumps(whole, separators=(",", ":"), sort_keys=True).encode()
    return _resealed(till, push, place, payload)


async def test_a_till_of_the_first_program_is_served(world: World) -> None:
    till, (guest,) = await world.till(), await world.guests()
    till.sale(guest.id, earned=5)
    answer = read(HelloAnswer, await world.post(till, "hello", _only(_plain(till.hello()), _FIRST_HELLO)))
    assert (answer.keyset, answer.incarnation) == (None, till.incarnation)
    push = _only(_plain(till.push()), _FIRST_PUSH)
    push["records"] = [_only(one, _FIRST_RECORD) for one in push["records"]]
    results = read(PushAnswer, await world.post(till, "push", push)).results
    assert [one.status for one in results] == [Status.POSTED, Status.POSTED]
    assert await world.balance(guest.id) == 5
    assert read(PullAnswer, await world.get_page(till)).rows


async def test_what_a_later_till_adds_is_kept_to_the_byte_and_stops_nothing(world: World) -> None:
    till, (guest,) = await world.till(), await world.guests()
    for _ in range(3):
        till.sale(guest.id, earned=5)
    push = _with(till, till.push(), 2, mood="sunny", parking={"minutes": 30})
    body = _plain(push) | {"weather": "rain"}
    body["records"] = [one | {"colour": 3} for one in body["records"]]
    results = read(PushAnswer, await world.post(till, "push", body)).results
    assert {one.status for one in results} == {Status.POSTED}
    assert await world.balance(guest.id) == 15
    kept = await world.sql("select payload from ledger_tx where seq = 3 and origin = 'till'")
    assert bytes(kept[0][0]) == push.records[2].payload
    assert b'"mood":"sunny"' in push.records[2].payload
    hello = _plain(till.hello()) | {"wishes": ["more"]}
    assert (await world.post(till, "hello", hello)).status_code == 200
    await world.require_sound()


async def test_a_record_that_only_the_next_server_can_read_is_posted_after_the_upgrade(world: World) -> None:
    """The server of today plays the upgraded one; before, it reads no record of more than 100.00."""
    till, (guest,) = await world.till(), await world.guests()
    for total in (10_000, 20_000, 10_000):
        till.sale(guest.id, earned=5, total=total)
    real = intake.read_record

    def of_yesterday(payload: bytes) -> Record:
        record = real(payload)
        if (record.money_total or 0) > 10_000:
            raise BadRecord("kind")
        return record

    with mock.patch.object(intake, "read_record", of_yesterday):
        results = (await world.push(till)).results
        assert [one.reason for one in results] == [None, None, "BAD_SCHEMA", None]
        assert await world.balance(guest.id) == 10
        number = await row_of(world, till, 3)
        with pytest.raises(Refused, match="quarantine_kept"):
            await let_go(world, number, "Not yet")
        assert await world.sql("select state, raw from quarantine") == [("open", till.of_epoch[2].payload)]
    assert await let_go(world, number, "The server was upgraded") == Released(1, 0, 0)
    assert await world.balance(guest.id) == 15
    assert {one.status for one in (await world.push(till)).results} == {Status.DUPLICATE}
    await world.require_sound()


@pytest.mark.parametrize("later", [{"kind": "telepathy"}, {"v": 2}])
async def test_a_kind_or_major_of_nobody_is_kept_and_said(world: World, later: dict[str, object]) -> None:
    till, (guest,) = await world.till(), await world.guests()
    for _ in range(2):
        till.sale(guest.id, earned=5)
    push = _with(till, till.push(), 1, **later)
    assert [one.reason for one in (await world.push(till, push)).results] == [None, "BAD_SCHEMA", None]
    assert await world.balance(guest.id) == 5
    with pytest.raises(Refused, match="quarantine_kept"):
        await let_go(world, await row_of(world, till, 2))
    assert await world.sql("select state, raw from quarantine") == [("open", push.records[1].payload)]
