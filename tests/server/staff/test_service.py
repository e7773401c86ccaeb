"""Staff: PINs are hashed, tills are told names and roles."""

from uuid import uuid4

import psycopg
import pytest
from argon2 import PasswordHasher

from loyalty_desk.domain.errors import BadInput
from server.kit.ground import Ground
from server.networks.service import MadeNetwork
from server.staff import service
from server.staff.service import Member

pytestmark = [pytest.mark.anyio, pytest.mark.postgres]


async def test_a_pin_is_kept_as_a_hash_and_goes_to_the_tills_so(
    ground: Ground, made: MadeNetwork, admin: psycopg.Connection
) -> None:
    network, member = made.network.id, Member(uuid4(), "Анна", "cashier", (made.stores[0].id,))
    async with ground.db.begin(network) as connection:
        change = await service.put(connection, network, member, "4711")
        assert await service.members(connection, network) == [member]
    stored = admin.execute("select pin_hash from staff").fetchone()
    assert stored is not None
    assert stored[0].startswith("$argon2id$")
    assert "4711" not in stored[0]
    assert PasswordHasher().verify(stored[0], "4711")
    # The tills must ask for it while the server is away.
    assert change.row == {"name": "Анна", "role": "cashier", "stores": [str(made.stores[0].id)], "pin": stored[0]}


async def test_a_change_without_a_pin_keeps_it_and_who_left_has_none(
    ground: Ground, made: MadeNetwork, admin: psycopg.Connection
) -> None:
    network, who = made.network.id, uuid4()
    async with ground.db.begin(network) as connection:
        await service.put(connection, network, Member(who, "A", "cashier"), "1234")
        await service.put(connection, network, Member(who, "B", "manager"))
        feed = await service.feed_rows(connection, network, [str(who)])
        assert PasswordHasher().verify(str(feed[str(who)]["pin"]), "1234")
    admin.execute("update staff set state = 'left'")
    async with ground.db.begin(network) as connection:
        assert await service.feed_rows(connection, network, [str(who)]) == {}


@pytest.mark.parametrize(
    ("member", "pin", "code"),
    [
        (Member(uuid4(), "", "cashier"), None, "staff_name"),
        (Member(uuid4(), "A", "boss"), None, "staff_role"),
        (Member(uuid4(), "A", "cashier"), "123", "pin_malformed"),
        (Member(uuid4(), "A", "cashier"), "12a4", "pin_malformed"),
        (Member(uuid4(), "A", "cashier"), "١٢٣٤", "pin_malformed"),
    ],
)
async def test_bad_input(ground: Ground, made: MadeNetwork, member: Member, pin: str | None, code: str) -> None:
    with pytest.raises(BadInput, match=code):
        async with ground.db.begin(made.network.id) as connection:
            await service.put(connection, made.network.id, member, pin)
