"""Logging in: a right password, a limit on wrong ones, and tokens that end when they should."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import psycopg
import pytest

from loyalty_desk.domain.errors import Refused
from server.kit.ground import Ground
from server.networks.service import MadeNetwork
from server.staff import logins, service, sessions, tokens

pytestmark = [pytest.mark.anyio, pytest.mark.postgres]
NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
PASSWORD = "correct horse battery"


async def olga(ground: Ground, made: MadeNetwork) -> UUID:
    who = uuid4()
    async with ground.db.begin(made.network.id) as connection:
        await service.put(connection, made.network.id, service.Member(who, "Olga", "owner"))
        await logins.set_login(connection, made.network.id, who, "olga@cafe", PASSWORD, NOW)
    return who


async def test_a_session_goes_on_by_its_secret_once_and_ends(ground: Ground, made: MadeNetwork) -> None:
    who, network = await olga(ground, made), made.network.id
    first = await sessions.log_in(ground, network, " Olga@CAFE ", PASSWORD, "10.0.0.1", NOW)
    access = await sessions.who_may(ground, first.access, NOW)
    assert (access.staff, access.role, access.network) == (who, "owner", network)
    later = NOW + timedelta(minutes=16)
    with pytest.raises(Refused, match="session_over"):
        await sessions.who_may(ground, first.access, later)
    second = await sessions.go_on(ground, network, first.refresh, later)
    assert (await sessions.who_may(ground, second.access, later)).session == access.session
    with pytest.raises(Refused, match="session_over"):
        await sessions.go_on(ground, network, first.refresh, later)
    with pytest.raises(Refused, match="session_over"):
        await sessions.who_may(ground, second.access, later)
    third = await sessions.log_in(ground, network, "olga@cafe", PASSWORD, "10.0.0.1", later)
    await sessions.log_out(ground, await sessions.who_may(ground, third.access, later), later)
    for refresh in (second.refresh, third.refresh, "x", f"{uuid4()}.x"):
        with pytest.raises(Refused, match="session_over"):
            await sessions.go_on(ground, network, refresh, later)


async def test_five_wrong_passwords_lock_account_and_device_for_ten_minutes(
    ground: Ground, made: MadeNetwork, admin: psycopg.Connection
) -> None:
    await olga(ground, made)
    network = made.network.id
    for number in range(5):
        with pytest.raises(Refused, match="login_wrong"):
            await sessions.log_in(ground, network, "olga@cafe", f"guess {number}", f"10.0.0.{number}", NOW)
    with pytest.raises(Refused, match="too_many"):
        await sessions.log_in(ground, network, "olga@cafe", PASSWORD, "10.0.0.9", NOW)
    for number in range(5):
        with pytest.raises(Refused, match="login_wrong"):
            await sessions.log_in(ground, network, f"nobody{number}", PASSWORD, "10.0.1.1", NOW)
    with pytest.raises(Refused, match="too_many"):
        await sessions.log_in(ground, network, "nobody9", PASSWORD, "10.0.1.1", NOW)
    later = NOW + timedelta(minutes=10)
    assert (await sessions.log_in(ground, network, "olga@cafe", PASSWORD, "10.0.0.9", later)).role == "owner"
    stored = str(admin.execute("select * from staff_session").fetchall())
    assert PASSWORD not in stored


async def test_a_new_password_and_a_changed_role_end_what_was_open(
    ground: Ground, made: MadeNetwork, admin: psycopg.Connection
) -> None:
    who, network = await olga(ground, made), made.network.id
    session = await sessions.log_in(ground, network, "olga@cafe", PASSWORD, "here", NOW)
    admin.execute("update staff set role = 'cashier'")
    with pytest.raises(Refused, match="session_over"):
        await sessions.who_may(ground, session.access, NOW)
    admin.execute("update staff set role = 'owner'")
    async with ground.db.begin(network) as connection:
        await logins.set_login(connection, network, who, "olga@cafe", "another long password", NOW)
    with pytest.raises(Refused, match="session_over"):
        await sessions.who_may(ground, session.access, NOW)


def test_a_token_is_ours_unchanged_and_in_time() -> None:
    key, access = bytes(32), tokens.Access(uuid4(), uuid4(), uuid4(), "owner", int(NOW.timestamp()) + 60)
    token = tokens.sign(key, access)
    assert tokens.read(key, token, NOW) == access
    assert tokens.read(key, token, NOW + timedelta(minutes=1)) is None
    assert tokens.read(b"\x01" * 32, token, NOW) is None
    head, claims, signature = token.split(".")
    none = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0"
    for changed in (
        "",
        ".",
        "..",
        "é",
        token + "A",
        f"{none}.{claims}.",
        f"{none}.{claims}.{signature}",
        f"{head}.{claims}",
    ):
        assert tokens.read(key, changed, NOW) is None
    for place in range(len(token) - 1):
        other = "A" if token[place] != "A" else "B"
        assert tokens.read(key, token[:place] + other + token[place + 1 :], NOW) is None
