"""Salvage: another till brings what a lost one can push no more."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from loyalty_desk.domain.record import ExceptionKind, SealedRecord, head_message
from loyalty_desk.wire.v1.salvage import SalvageAnswer, SalvagedRecord, SalvageRequest
from loyalty_desk.wire.v1.sync import Status
from tests.server.fake_till import FakeTill
from tests.server.world import World, read, refusal

pytestmark = [pytest.mark.anyio, pytest.mark.postgres]
SALVAGED = 1 << list(ExceptionKind).index(ExceptionKind.SALVAGED)


def salvage_of(lost: FakeTill, records: Sequence[SealedRecord] | None = None) -> SalvageRequest:
    sent = lost.of_epoch if records is None else records
    found = [SalvagedRecord(one.seq, one.id, one.prev, one.hash, one.sig, one.payload) for one in sent]
    return SalvageRequest(lost.network, lost.device, lost.incarnation, lost.epoch, found)


async def salvage(world: World, bringer: FakeTill, request: SalvageRequest) -> SalvageAnswer:
    return read(SalvageAnswer, await world.post(bringer, "salvage", request, zstd=True))


async def exceptions(world: World, kind: str) -> list[dict[str, object]]:
    return [facts for (facts,) in await world.sql("select facts from exception where kind = $1 order by id", kind)]


async def test_a_lost_tills_sales_are_posted_once_and_flagged(world: World) -> None:
    lost, other = await world.till(), await world.till()
    [anna] = await world.guests(1)
    for _ in range(5):
        lost.sale(anna.id, earned=10)
    await world.push(lost, lost.push(lost.of_epoch[:3]))
    answer = await salvage(world, other, salvage_of(lost))
    assert [one.status for one in answer.results[:3]] == [Status.DUPLICATE] * 3
    assert {one.status for one in answer.results[3:]} == {Status.POSTED_FLAGGED}
    assert all(one.flags & SALVAGED for one in answer.results[3:])
    assert (await world.balance(anna.id), answer.refused) == (50, [])
    assert {one["by"] for one in await exceptions(world, "SALVAGED")} == {str(other.device)}
    again = await salvage(world, other, salvage_of(lost))
    assert {one.status for one in again.results} == {Status.DUPLICATE}
    # The till itself turns up again: nothing is doubled.
    assert {one.status for one in (await world.push(lost)).results} == {Status.DUPLICATE}
    assert await world.balance(anna.id) == 50


async def test_scenario_64_holes_are_named_and_later_records_post(world: World) -> None:
    lost, other = await world.till(), await world.till()
    [anna] = await world.guests(1)
    for _ in range(20):
        lost.sale(anna.id, earned=10)
    await world.push(lost, lost.push(lost.of_epoch[:4]))
    kept = [one for one in lost.of_epoch if one.seq not in {6, 7, 8, 15}]
    answer = await salvage(world, other, salvage_of(lost, kept))
    assert len(answer.results) == len(kept)
    assert {one.status for one in answer.results} == {Status.DUPLICATE, Status.POSTED_FLAGGED}
    assert await world.balance(anna.id) == 10 * (20 - 4)
    holes = await exceptions(world, "HOLE")
    assert {(one["first"], one["last"]) for one in holes if "first" in one} >= {(6, 8), (15, 15)}
    # No gap is final: what turns up on another medium posts too.
    late = await salvage(world, other, salvage_of(lost, [one for one in lost.of_epoch if one.seq in {6, 7, 8, 15}]))
    assert {one.status for one in late.results} == {Status.POSTED_FLAGGED}
    assert await world.balance(anna.id) == 200
    assert {one.status for one in (await world.push(lost)).results} == {Status.DUPLICATE}


async def test_an_epoch_whose_beginning_is_lost_can_be_salvaged(world: World) -> None:
    lost, other = await world.till(), await world.till()
    [anna] = await world.guests(1)
    for _ in range(5):
        lost.sale(anna.id, earned=10)
    answer = await salvage(world, other, salvage_of(lost, lost.of_epoch[3:]))
    assert {one.status for one in answer.results} == {Status.POSTED_FLAGGED}
    assert await world.balance(anna.id) == 30


async def test_a_record_that_the_till_never_signed_is_refused_alone(world: World) -> None:
    lost, other = await world.till(), await world.till()
    [anna] = await world.guests(1)
    for _ in range(4):
        lost.sale(anna.id, earned=10)
    request = salvage_of(lost)
    forged = msgspec.structs.replace(
        request.records[-1],
        sig=other.key.sign(head_message(lost.network, lost.device, lost.epoch, 5, request.records[-1].hash)),
    )
    answer = await salvage(world, other, msgspec.structs.replace(request, records=[*request.records[:-1], forged]))
    assert answer.refused == [5]
    assert await world.balance(anna.id) == 30
    only = msgspec.structs.replace(request, records=[forged])
    assert refusal(await world.post(other, "salvage", only)) == (403, "BAD_SIGNATURE")
    assert await world.balance(anna.id) == 30
    assert await world.sql("select 1 from quarantine") == []


async def test_only_a_till_that_may_act_brings_records_and_only_of_its_network(world: World) -> None:
    lost, other = await world.till(), await world.till()
    revoked, suspended = await world.till("revoked"), await world.till("suspended")
    request = salvage_of(lost)
    assert refusal(await world.post(revoked, "salvage", request))[0] == 403
    assert refusal(await world.post(suspended, "salvage", request))[0] == 403
    nobody = FakeTill(lost.network, lost.store, incarnation=lost.incarnation)
    nobody.open_epoch()
    assert refusal(await world.post(other, "salvage", salvage_of(nobody))) == (404, "NOT_FOUND")
    elsewhere = msgspec.structs.replace(request, network=nobody.device)
    assert refusal(await world.post(other, "salvage", elsewhere)) == (404, "NOT_FOUND")
    token, other.token = other.token, ""
    assert refusal(await world.post(other, "salvage", request))[0] == 401
    other.token = token
    other.key = Ed25519PrivateKey.generate()
    assert refusal(await world.post(other, "salvage", request)) == (403, "BAD_SIGNATURE")


async def test_records_out_of_order_and_of_another_life_are_not_stored(world: World) -> None:
    lost, other = await world.till(), await world.till()
    lost.sale()
    request = salvage_of(lost, lost.of_epoch[::-1])
    assert refusal(await world.post(other, "salvage", request)) == (400, "BAD_BODY")
    stale = msgspec.structs.replace(salvage_of(lost), incarnation=lost.device)
    assert refusal(await world.post(other, "salvage", stale)) == (409, "STALE_INCARNATION")


async def test_a_revoked_tills_records_wait_for_a_manager(world: World) -> None:
    lost, other = await world.till("revoked"), await world.till()
    [anna] = await world.guests(1)
    lost.sale(anna.id, earned=10)
    answer = await salvage(world, other, salvage_of(lost))
    assert {(one.status, one.reason) for one in answer.results} == {(Status.QUARANTINED, "AFTER_REVOCATION")}
    assert await world.balance(anna.id) == 0


async def test_two_branches_of_a_fork_are_both_taken(world: World) -> None:
    lost, other = await world.till(), await world.till()
    [anna] = await world.guests(1)
    lost.sale(anna.id, earned=10)
    await world.push(lost)
    lost.rewind(1)
    lost.sale(anna.id, earned=3)
    lost.sale(anna.id, earned=4)
    answer = await salvage(world, other, salvage_of(lost, lost.of_epoch[1:]))
    assert {one.status for one in answer.results} == {Status.POSTED_FLAGGED}
    assert await world.balance(anna.id) == 17
