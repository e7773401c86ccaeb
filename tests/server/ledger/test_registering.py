"""Guests whom tills register: known to all, with what waited for them, and no right over anybody else's points."""

from __future__ import annotations

import pytest

from loyalty_desk.domain.canonical import Json
from loyalty_desk.domain.private_fields import GuestFields, Private
from loyalty_desk.domain.record import ExceptionKind, RecordKind, handle_text
from loyalty_desk.wire.v1.rows import ProfileRow
from server.guests import service
from server.ledger.posting import flag_bits
from tests.server.ledger.returns import PHONE, balances, findings, give_back, raised, register, said, whole
from tests.server.world import World

pytestmark = [pytest.mark.anyio, pytest.mark.postgres]
CARD = 0x1234_5678_9ABC_DEF0
TAKEN = flag_bits([ExceptionKind.PHONE_TAKEN])


async def test_a_guest_registered_at_a_till_is_known_to_all(world: World) -> None:
    one, two = await world.till(), await world.till()
    guest, sealed = register(one, card=CARD)
    one.sale(guest, earned=30)
    assert said(await world.push(one)) == ["posted", "posted"]
    two.sale(handle=CARD, earned=5)
    assert said(await world.push(two)) == ["posted"]
    assert await world.balance(guest) == 35
    rows = {(row.table, row.key): row.row for row in (await world.pull(two)).rows}
    shown = rows["guest", str(guest)]
    assert shown is not None
    assert (shown["name"], shown["phone_last4"], shown["points"]) == ("Anna", "4567", 35)
    assert ("credential", handle_text(CARD)) in rows
    stored = await world.sql("select encode(payload, 'escape') from ledger_tx where id = $1", sealed.id)
    assert "Anna" not in stored[0][0]
    assert (await world.sql("select more_sealed is not null from guest where id = $1", guest))[0][0]
    assert await findings(world) == []
    # The same push again registers nobody a second time.
    assert said(await world.push(one)) == ["duplicate", "duplicate"]
    assert len(await world.sql("select 1 from guest where source = 'till'")) == 1


async def test_a_phone_that_another_guest_has_gives_no_right_over_their_points(world: World) -> None:
    till, (owner,) = await world.till(), await world.guests(phone=PHONE)
    till.sale(owner.id, earned=500)
    guest, sealed = register(till, "Impostor", card=CARD)
    till.sale(guest, earned=10)
    answer = await world.push(till)
    assert [one.flags for one in answer.results] == [0, 0, TAKEN, 0]
    assert (await world.balance(owner.id), await world.balance(guest)) == (500, 10)
    assert await raised(world, "PHONE_TAKEN") == [(sealed.id, {"phone_of": str(owner.id)})]
    async with world.ground.db.begin(world.network) as connection:
        found = await service.feed_rows(
            connection, world.network, world.ground.vault, service.FeedTable.GUEST, [str(guest)]
        )
        person = await service.person(connection, world.network, world.ground.vault, guest)
    # Found by card alone, spending nothing offline; the person who merges the two sees what was said.
    assert (found[str(guest)].get("phone_hash"), found[str(guest)]["offline_limit"]) == (None, 0)
    assert person is not None
    assert (person.name, person.phone) == ("Impostor", PHONE)


async def test_a_card_that_belongs_to_somebody_stays_theirs(world: World) -> None:
    till, (owner,) = await world.till(), await world.guests()
    guest, sealed = register(till, phone="", card=owner.handles[0])
    till.sale(handle=owner.handles[0], earned=7)
    await world.push(till)
    assert (await world.balance(owner.id), await world.balance(guest)) == (7, 0)
    assert await raised(world, "PHONE_TAKEN") == [(sealed.id, {"card_of": str(owner.id)})]


@pytest.mark.parametrize(
    ("private", "why"), [(None, "missing"), (b"{}", "unreadable"), (b"other", "unreadable"), (b"salted", "another")]
)
async def test_a_guest_without_fields_of_their_own_has_points_all_the_same(
    world: World, private: bytes | None, why: str
) -> None:
    till = await world.till()
    if private == b"salted":
        private = Private(bytes(16), GuestFields(name="Somebody")).to_bytes()
    guest, sealed = register(till, private=private or b"")
    if private is None:
        del till.privates[sealed.id]
    till.sale(guest, earned=9)
    assert said(await world.push(till)) == ["posted_flagged", "posted"]
    assert await world.balance(guest) == 9
    assert await raised(world, "EVIDENCE") == [(sealed.id, {"private": why})]
    async with world.ground.db.begin(world.network) as connection:
        person = await service.person(connection, world.network, world.ground.vault, guest)
    assert person is not None
    assert (person.name, person.phone) == ("", "")


async def test_what_waited_in_suspense_moves_when_the_guest_is_registered(world: World) -> None:
    one, two = await world.till(), await world.till()
    guest, _ = register(one, card=CARD)
    two.sale(guest, earned=40)
    paid = two.sale(guest, earned=3, redeemed=25)
    two.sale(handle=CARD, earned=2)
    two.sale(handle=CARD + 1, earned=100)
    give_back(two, paid.id, guest, whole(3, 25))
    assert said(await world.push(two)) == ["posted_flagged"] * 5
    assert await balances(world) == {"suspense": 142, "promo_cost": -142}
    assert said(await world.push(one)) == ["posted"]
    assert await world.balance(guest) == 42
    assert await balances(world) == {"guest": 42, "suspense": 100, "promo_cost": -142}
    states = await world.sql("select state, count(*) from exception where kind = 'UNKNOWN_GUEST' group by 1 order by 1")
    assert states == [("open", 1), ("resolved", 4)]
    assert await world.sql("select points, spend from guest_state where guest_id = $1", guest) == [(42, 20_000)]
    assert await findings(world) == []
    # A later return of what waited takes from the guest who has it now.
    give_back(two, two.of_epoch[1].id, guest, whole(40, 0))
    assert said(await world.push(two))[-1] == "posted"
    assert await world.balance(guest) == 2
    assert await findings(world) == []


async def test_a_registration_that_cannot_be_read_is_set_aside(world: World) -> None:
    till = await world.till()
    till.write(RecordKind.REGISTER)
    till.write(RecordKind.REGISTER, guest_id=till.new_id(), check={"digest": "short"})
    assert said(await world.push(till)) == ["BAD_SCHEMA", "BAD_SCHEMA"]


async def test_points_with_days_of_their_own_keep_them_while_they_wait(world: World) -> None:
    one, two, late = await world.till(), await world.till(), await world.till()
    guest, _ = register(one, card=CARD)
    cap = ProfileRow().granted_points
    check: dict[str, Json] = {"own_expiry": [{"rule": "bonus", "points": 20, "days": 5}]}
    two.sale(guest, earned=50, check=check)
    two.sale(guest, earned=cap, check=check)
    await world.push(two)
    await world.push(one)
    lots = (
        "select amount, state, own_expiry, (expires_at - earned_at) <= interval '6 days' as soon from lot"
        " order by state, amount"
    )
    # Above the cap of the day 50 wait for a manager, of the points that live as the program says.
    assert await world.sql(lots) == [
        (50, "held", False, None),
        (20, "open", True, True),
        (20, "open", True, True),
        (30, "open", False, None),
        (cap - 70, "open", False, None),
    ]
    late.sale(guest, earned=20, check=check)
    await world.push(late)
    held = "select amount, own_expiry from lot where state = 'held' order by amount"
    assert await world.sql(held) == [(20, True), (50, False)]
    assert await findings(world) == []
