"""Guests: sealed at rest, found by code, number and phone, and served with their names opened."""

from datetime import date
from uuid import UUID, uuid4

import psycopg
import pytest

from loyalty_desk.domain.errors import BadInput
from loyalty_desk.domain.guest_code import CodeKind, GuestCode, is_member_number, ld1, parse
from loyalty_desk.domain.record import handle_text
from loyalty_desk.wire.v1 import rows
from loyalty_desk.wire.v1.sync import FeedTable
from server.guests import service
from server.guests.service import NewGuest, Person, Registered
from server.kit.crypto import CannotOpen, Vault
from server.kit.ground import Ground
from server.networks.service import MadeNetwork

pytestmark = [pytest.mark.anyio, pytest.mark.postgres]
ANNA = NewGuest(
    name="  Анна   Иванова ", phone="8 (916) 123-45-67", birthday=date(1990, 2, 28), tier="GOLD", spend=1_000, visits=3
)


async def register(ground: Ground, network: UUID, *new: NewGuest) -> list[Registered]:
    async with ground.db.begin(network) as connection:
        return await service.register(connection, network, ground.vault, new)


async def test_a_guest_is_found_by_card_number_and_phone(ground: Ground, made: MadeNetwork) -> None:
    network = made.network.id
    (anna,) = await register(ground, network, ANNA)
    assert is_member_number(anna.member_no)
    async with ground.db.begin(network) as connection:
        for code in (
            parse(ld1(anna.handles[0])),
            parse(anna.member_no),
            GuestCode(CodeKind.PHONE, digits="9161234567"),
        ):
            assert await service.find(connection, network, ground.vault, code) == anna.id
        for code in (
            GuestCode(CodeKind.LD1, handle=1),
            parse("1000000016"),
            GuestCode(CodeKind.SHORT, digits="123456"),
        ):
            assert await service.find(connection, network, ground.vault, code) is None
        person = await service.person(connection, network, ground.vault, anna.id)
    assert person == Person("Анна Иванова", "+79161234567", date(1990, 2, 28), anna.member_no)


@pytest.mark.parametrize(
    ("new", "tier"),
    [
        (NewGuest(name="New"), "BRONZE"),
        (NewGuest(name="Of a list", spend=1_500_000), "SILVER"),
        (NewGuest(name="Given one", tier="VIP"), "VIP"),
    ],
)
async def test_the_first_check_has_the_tier_the_program_gives(
    ground: Ground, made: MadeNetwork, new: NewGuest, tier: str
) -> None:
    (guest,) = await register(ground, made.network.id, new)
    async with ground.db.begin(made.network.id) as connection:
        found = await service.feed_rows(connection, made.network.id, ground.vault, FeedTable.GUEST, [str(guest.id)])
    assert rows.read(rows.GuestRow, found[str(guest.id)]).tier == tier


async def test_a_phone_that_two_share_names_nobody(ground: Ground, made: MadeNetwork) -> None:
    await register(ground, made.network.id, ANNA, NewGuest(phone="+79161234567"))
    async with ground.db.begin(made.network.id) as connection:
        code = GuestCode(CodeKind.PHONE, digits="9161234567")
        assert await service.find(connection, made.network.id, ground.vault, code) is None


async def test_nothing_personal_stands_in_the_database_and_another_master_key_opens_nothing(
    ground: Ground, made: MadeNetwork, admin: psycopg.Connection
) -> None:
    (anna,) = await register(ground, made.network.id, ANNA)
    stored = admin.execute(
        "select name_sealed, phone_sealed, birthday_sealed, phone_hash, to_jsonb(g)::text from guest g"
    ).fetchone()
    assert stored is not None
    for column in stored[:4]:
        for secret in ("Анна", "Иванова", "9161234567", "1990"):
            assert secret.encode() not in column
    for secret in ("Анна", "916123", "1990-02"):
        assert secret not in stored[4]
    async with ground.db.begin(made.network.id) as connection:
        with pytest.raises(CannotOpen):
            await service.person(connection, made.network.id, Vault(bytes([7] * 32)), anna.id)


async def test_the_feeds_row_has_the_name_and_no_phone(ground: Ground, made: MadeNetwork) -> None:
    (anna,) = await register(ground, made.network.id, ANNA)
    async with ground.db.begin(made.network.id) as connection:
        changes = await service.changes(connection, made.network.id, ground.vault, [anna.id], anna.handles)
    guest, card = changes
    assert guest.row is not None
    row = rows.read(rows.GuestRow, guest.row)
    assert (row.name, row.tier, row.spend, row.visits) == ("Анна Иванова", "GOLD", 1_000, 3)
    assert (row.member_no, row.birthday, row.phone_last4) == (anna.member_no, "1990-02-28", "4567")
    assert "9161234567" not in str(guest.row)
    assert card.key == handle_text(anna.handles[0])
    assert card.row == {"guest": str(anna.id), "kind": "card"}


async def test_an_erased_guest_has_no_name_and_a_deleted_one_no_row(
    ground: Ground, made: MadeNetwork, admin: psycopg.Connection
) -> None:
    one, two = await register(ground, made.network.id, ANNA, NewGuest(name="Пётр"))
    admin.execute("delete from guest_key where guest_id = %s", (one.id,))
    admin.execute("update guest_state set deleted = true where guest_id = %s", (two.id,))
    async with ground.db.begin(made.network.id) as connection:
        found = await service.feed_rows(
            connection, made.network.id, ground.vault, FeedTable.GUEST, [str(one.id), str(two.id)]
        )
        assert await service.person(connection, made.network.id, ground.vault, one.id) is None
    assert found.keys() == {str(one.id)}
    assert "name" not in found[str(one.id)]


async def test_member_numbers_are_drawn_until_they_are_free(ground: Ground, made: MadeNetwork) -> None:
    drawn = iter([5, 1, 5, 5, 2, 6, 3, 7, 8, 9, 10])
    async with ground.db.begin(made.network.id) as connection:
        (first,) = await service.register(
            connection, made.network.id, ground.vault, [NewGuest()], random_below=lambda _: next(drawn)
        )
    async with ground.db.begin(made.network.id) as connection:
        others = await service.register(
            connection, made.network.id, ground.vault, [NewGuest(handles=(7,)), NewGuest(handles=(8,))],
            random_below=lambda _: next(drawn),
        )  # fmt: skip
    assert len({first.member_no, *(one.member_no for one in others)}) == 3


@pytest.mark.parametrize(
    ("guest", "code"),
    [
        (NewGuest(name="x" * 101), "guest_name"),
        (NewGuest(name="a\x00b"), "guest_name"),
        (NewGuest(name="a\u202eb"), "guest_name"),
        (NewGuest(phone="12"), "phone_malformed"),
        (NewGuest(phone="call me"), "phone_malformed"),
    ],
)
async def test_bad_input_registers_nobody(ground: Ground, made: MadeNetwork, guest: NewGuest, code: str) -> None:
    with pytest.raises(BadInput) as caught:
        await register(ground, made.network.id, NewGuest(id=(good := uuid4())), guest)
    assert caught.value.code == code
    async with ground.db.begin(made.network.id) as connection:
        assert await service.existing(connection, made.network.id, [good]) == set()
