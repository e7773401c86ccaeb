"""`store list | show`: which limits hold in a store, and which held before."""

import psycopg
import pytest

from tests.server.commands import Commands
from tests.server.world import World

pytestmark = pytest.mark.postgres
NOBODY = "00000000-0000-4000-8000-000000000000"


def test_the_limits_of_a_store_and_those_before_are_shown(commands: Commands, admin: psycopg.Connection) -> None:
    (store,) = commands.json("store", "list")["stores"]
    assert (store["name"], store["zone"], store["profile"]) == ("First", "Europe/Moscow", "default")
    assert commands.run("store", "list")[0].endswith("First\n1 store\n")

    async def lowered(world: World) -> None:
        await world.limit(floor_points=300, mode="deny")
        await world.limit(floor_points=1_200)

    commands.live(lowered)
    found = commands.json("store", "show")
    assert found["store"] == store["id"]
    assert (found["limits"]["floor_points"], found["limits"]["mode"]) == (1_200, "deny")
    assert [one["limits"]["floor_points"] for one in found["past"]] == [300, 500]
    lines = commands.run("store", "show", store["id"])[0].splitlines()
    assert lines[0] == "First, Europe/Moscow, profile default"
    assert next(line.split() for line in lines if "floor_points " in line) == ["floor_points", "1,200"]
    assert lines[-2].endswith(" MSK: floor_points 300, then 1,200")
    assert lines[-1].endswith(" MSK: mode floor, then deny; floor_points 500, then 300")
    assert "There is no store" in commands.refused("store", "show", NOBODY)
