"""What a manager writes beside points given by hand: read in the statement, sealed at rest, gone with the guest."""

from __future__ import annotations

from uuid import UUID

import pytest

from loyalty_desk.domain.contents import AdjustContents, AdjustReason, TransferContents
from loyalty_desk.domain.private_fields import GuestFields, Private
from loyalty_desk.domain.record import RecordKind, SealedRecord
from server.guests import leaving
from server.jobs.bench import Bench
from server.jobs.nightly import run_jobs
from server.ledger.shelf import ProgramShelf
from server.ledger.statement import statement
from tests.server.fake_till import FakeTill
from tests.server.ledger.returns import findings, raised, register, said
from tests.server.world import World

pytestmark = [pytest.mark.anyio, pytest.mark.postgres]
SAID = "Soup was cold, Anna asked to make it up"


def give(till: FakeTill, guest: UUID, text: str, *, private: bytes | None = None) -> SealedRecord:
    """Give 10 points with words beside them, or with other bytes there."""
    fields = Private(bytes(16), GuestFields(comment=text))
    check = AdjustContents(AdjustReason.COMPENSATION, "anna", fields.digest).to_check()
    sealed = till.write(RecordKind.ADJUST, guest_id=guest, check=check, points_earned=10)
    till.privates[sealed.id] = fields.to_bytes() if private is None else private
    return sealed


def move(till: FakeTill, guest: UUID, to: UUID, text: str) -> SealedRecord:
    """Move 4 points with words beside them."""
    fields = Private(bytes(16), GuestFields(comment=text))
    check = TransferContents(to, AdjustReason.FAMILY, "anna", fields.digest).to_check()
    sealed = till.write(RecordKind.TRANSFER, guest_id=guest, check=check, points_redeemed=4)
    till.privates[sealed.id] = fields.to_bytes()
    return sealed


async def told(world: World, guest: UUID) -> list[tuple[int, str]]:
    """Return the amounts and words of a guest's statement."""
    async with world.ground.db.snapshot(world.network) as connection:
        found = await statement(connection, world.network, world.ground.vault, guest)
    return [(one.amount, one.words) for one in found.movements]


async def test_words_are_in_the_statement_and_sealed_in_the_database(world: World) -> None:
    till, (guest,) = await world.till(), await world.guests()
    give(till, guest.id, SAID)
    till.sale(guest.id, earned=3)
    assert said(await world.push(till)) == ["posted", "posted"]
    assert await told(world, guest.id) == [(10, SAID), (3, "")]
    stored = await world.sql("select sealed from words")
    assert len(stored) == 1
    assert b"Soup" not in bytes(stored[0][0])
    assert await findings(world) == []


async def test_words_of_what_waited_are_kept_once(world: World) -> None:
    one, two = await world.till(), await world.till()
    giver, _ = register(one, phone="+79161234561")
    one.sale(giver, earned=50)
    to, _ = register(one, phone="+79161234562")
    give(two, giver, "before anybody knew them")
    move(two, giver, to, "mother and son")
    assert said(await world.push(two)) == ["posted_flagged", "WAITING_DEP"]
    await world.push(one)
    assert sorted(await told(world, giver)) == [(-4, "mother and son"), (10, "before anybody knew them"), (50, "")]
    assert await told(world, to) == [(4, "mother and son")]
    assert await world.sql("select state, private_sealed from quarantine") == [("replayed", None)]
    assert await findings(world) == []


async def test_words_are_erased_with_either_guest_and_do_not_come_back(world: World) -> None:
    till, (giver, to, other) = await world.till(), await world.guests(3)
    give(till, giver.id, "about the giver")
    move(till, giver.id, to.id, "about both")
    give(till, other.id, "about the other")
    await world.push(till)
    await leaving.erase(world.ground, world.network, to.id)
    assert await told(world, giver.id) == [(10, "about the giver"), (-4, "")]
    give(till, to.id, "sent after that")
    assert said(await world.push(till))[-1] == "posted"
    assert await told(world, to.id) == [(4, ""), (10, "")]
    assert await told(world, other.id) == [(10, "about the other")]
    assert (await world.sql("select count(*) from words")) == [(2,)]


@pytest.mark.parametrize(("private", "why"), [(b"{}", "unreadable"), (b"another", "another"), (b"", "missing")])
async def test_words_that_the_record_was_not_made_with_are_not_believed(world: World, private: bytes, why: str) -> None:
    till, (guest,) = await world.till(), await world.guests()
    if why == "another":
        private = Private(bytes(16), GuestFields(comment="Take all the points you like")).to_bytes()
    made = give(till, guest.id, SAID, private=private)
    if why == "missing":
        del till.privates[made.id]
    assert said(await world.push(till)) == ["posted_flagged"]
    assert await raised(world, "EVIDENCE") == [(made.id, {"private": why})]
    assert await told(world, guest.id) == [(10, "")]


async def test_words_lead_no_terminal(world: World) -> None:
    till, (guest,) = await world.till(), await world.guests()
    give(till, guest.id, "cold\x1b[2J soup\nhello" + "x" * 2_000)
    await world.push(till)
    ((_, words),) = await told(world, guest.id)
    assert words.startswith("cold [2J soup hellox")
    assert len(words) == 1_000


async def test_words_of_what_waits_are_erased_too_and_the_record_is_posted_without_them(world: World) -> None:
    one, two, (giver, other) = await world.till(), await world.till(), await world.guests(2)
    to, _ = register(one, phone="+79161234562")
    for guest in (giver, other):
        two.sale(guest.id, earned=50)
        move(two, guest.id, to, "about a guest")
    assert said(await world.push(two)) == ["posted", "WAITING_DEP", "posted", "WAITING_DEP"]
    await leaving.erase(world.ground, world.network, giver.id)
    kept = "select convert_from(raw, 'UTF8') like $1, private_sealed is not null from quarantine order by 1"
    assert await world.sql(kept, f"%{giver.id}%") == [(False, True), (True, False)]
    # What comes after the erasure is forgotten by the next jobs.
    move(two, giver.id, to, "late, about a guest")
    await world.push(two)
    assert sorted(await world.sql(kept, f"%{giver.id}%")) == [(False, True), (True, False), (True, True)]
    await run_jobs(Bench(world.ground.db, world.ground.vault, ProgramShelf()), world.network, world.clock.now())
    assert sorted(await world.sql(kept, f"%{giver.id}%")) == [(False, True), (True, False), (True, False)]
    await world.push(one)
    assert sorted(await told(world, to)) == [(4, ""), (4, ""), (4, "about a guest")]
    assert await findings(world) == []
