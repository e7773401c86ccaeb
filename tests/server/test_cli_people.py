"""`staff pin | remove | list --all`: who has a new PIN, and who has left."""

from uuid import uuid4

import psycopg
import pytest
from argon2 import PasswordHasher

from loyalty_desk.domain.errors import Refused
from loyalty_desk.wire.v1.sync import FeedTable
from server.kit.feed import Change
from server.staff import service, sessions
from tests.server.commands import Commands
from tests.server.world import World

pytestmark = pytest.mark.postgres
PASSWORD = "a long enough password"


def pins(admin: psycopg.Connection) -> dict[str, str | None]:
    return {str(name): pin for name, pin in admin.execute("select name, pin_hash from staff")}


def test_whoever_forgot_the_pin_gets_a_new_one_and_nobody_is_added_by_a_slip(
    commands: Commands, admin: psycopg.Connection
) -> None:
    assert commands.run("staff", "add", "Anna", typed="4711\n")[0] == "Anna: cashier, with a PIN.\n"
    assert commands.run("staff", "add", "Anna", typed="4712\n")[0] == "Anna: cashier, with a new PIN.\n"
    made = commands.json("staff", "pin", " Anna ", typed="4713\n")
    assert (made["name"], made["role"]) == ("Anna", "cashier")
    kept = pins(admin)["Anna"]
    assert kept is not None
    assert PasswordHasher().verify(kept, "4713")
    assert commands.run("staff", "pin", made["id"], typed="4714\n")[0] == "Anna: cashier, with a new PIN.\n"
    for wrong in ("Ana", str(uuid4()), "", "x" * 300):
        assert commands.refused("staff", "pin", wrong, typed="4711\n").startswith("Nobody who works here is called")
    assert "4 to 8 digits" in commands.refused("staff", "pin", "Anna", typed="\n")
    assert [*pins(admin)] == ["Anna"]


def test_who_leaves_has_no_pin_no_login_and_no_session_and_stays_named(
    commands: Commands, admin: psycopg.Connection
) -> None:
    commands.run("staff", "add", "Anna", typed="4711\n")
    boris = commands.json("create-manager", "Boris", "--login", "boris", typed=f"{PASSWORD}\n")["id"]
    commands.run("staff", "pin", "Boris", typed="471100\n")

    async def told(world: World) -> dict[str, str | None]:
        """Return the names that a till has after its next pull."""
        pulled = (await world.pull(await world.till())).rows
        return {row.key: None if row.row is None else str(row.row["name"]) for row in pulled if row.table == "staff"}

    async def logged_in(world: World) -> sessions.Session:
        now = world.clock.now()
        return await sessions.log_in(world.ground, world.network, "boris", PASSWORD, "here", now)

    assert commands.live(told)[boris] == "Boris"
    session = commands.live(logged_in)
    # Nobody answers the question: nothing happens.
    out, asked = commands.run("staff", "remove", "Boris", code=1)
    assert (out.strip(), "Boris, manager" in asked) == ("", True)
    assert commands.json("staff", "remove", "Boris", "--yes") == {"id": boris, "name": "Boris", "role": "manager"}

    async def over(world: World) -> list[str]:
        said = []
        for work in (
            sessions.who_may(world.ground, session.access, world.clock.now()),
            sessions.go_on(world.ground, world.network, session.refresh, world.clock.now()),
            sessions.log_in(world.ground, world.network, "boris", PASSWORD, "here", world.clock.now()),
        ):
            with pytest.raises(Refused) as refused:
                await work
            said.append(refused.value.code)
        return said

    assert commands.live(over) == ["session_over", "session_over", "login_wrong"]
    assert commands.live(told)[boris] is None
    assert pins(admin)["Boris"] is None
    assert [one["name"] for one in commands.json("staff", "list")["staff"]] == ["Anna"]
    everybody = commands.json("staff", "list", "--all")["staff"]
    assert [(one["name"], one["left"]) for one in everybody] == [("Anna", False), ("Boris", True)]
    assert commands.run("staff", "list", "--all")[0].splitlines()[1].endswith("manager  Boris (has left)")
    for again in ("Boris", boris):
        assert commands.refused("staff", "remove", again, "--yes") == (
            f"Nobody who works here is called {again}. List them with: loyalty-server staff list"
        )
    # The login is free again, and whoever comes back is somebody new to the tills.
    made = commands.json("create-manager", "Boris", "--login", "boris", typed=f"{PASSWORD}\n")
    assert made["id"] != boris


def test_of_two_with_one_name_the_id_says_who(commands: Commands) -> None:
    async def namesakes(world: World) -> None:
        async with world.ground.db.begin(world.network) as connection:
            for role in ("cashier", "manager"):
                await service.put(connection, world.network, service.Member(uuid4(), "Olga", role))

    commands.live(namesakes)
    first, second = (one["id"] for one in commands.json("staff", "list")["staff"])
    for command in (("pin", "Olga"), ("remove", "Olga", "--yes")):
        said = commands.refused("staff", *command, typed="4711\n")
        assert said.startswith("Several people are called Olga. Say by the id whom you mean: ")
        assert first in said
        assert f"{second} (" in said
    commands.run("staff", "remove", first, "--yes")
    assert [one["id"] for one in commands.json("staff", "list")["staff"]] == [second]


def test_the_feed_takes_away_who_left(commands: Commands) -> None:
    async def gone(world: World) -> Change:
        who = uuid4()
        async with world.ground.db.begin(world.network) as connection:
            await service.put(connection, world.network, service.Member(who, "Anna", "cashier"), "4711")
            return await service.remove(connection, world.network, who, world.clock.now())

    change = commands.live(gone)
    assert (change.table, change.row) == (FeedTable.STAFF, None)
