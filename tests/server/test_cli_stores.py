"""`store list | show | set-profile`: which limits hold in a store, and which held before."""

import psycopg
import pytest

from loyalty_desk.wire.v1.rows import ProfileRow
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
    assert len({line.index("With") for line in lines if "cvm." in line}) == 1
    assert lines[-2].endswith(" MSK: floor_points 300, then 1200")
    assert lines[-1].endswith(" MSK: mode floor, then deny; floor_points 500, then 300")
    assert "There is no store" in commands.refused("store", "show", NOBODY)


def test_each_limit_is_said_in_words_and_as_it_is_typed(commands: Commands) -> None:
    def limits() -> dict[str, str]:
        shown = commands.run("store", "show")[0].splitlines()[1:]
        return dict(line.split(maxsplit=1) for line in shown if not line.startswith("until "))

    said = limits()
    fields = ProfileRow().__struct_fields__
    assert list(dict.fromkeys(one.partition("=")[0].partition(".")[0] for one in said)) == list(fields)
    assert said["mode=floor"] == "Without the server guests can use points, within all the limits below."
    assert said["floor_share_bp=3000"] == "Without the server points pay up to 30% of a check."
    assert said["cvm.ld1=100"] == "Without the server a card can use up to 100 points a sale."
    assert said["cvm.ld2=0"] == "Without the server a wallet pass can use no points a sale."
    assert said["online_cvm.short=1000000000"] == "With the server a short code can use any number of points a sale."
    assert said["tier_codes=ld2,ld4,short"].endswith(": a wallet pass, a phone's rotating code, a short code.")
    assert said["tier_discount=300000"].startswith("Any other code gives up to 3,000.00 RUB of it a day")
    assert said["floor_points=500"] == "Without the server a sale takes up to 500 points."
    # What is shown can be typed back as it stands, and changes nothing.
    again = [part for one in said for part in ("--limit", one)]
    commands.run("store", "set-profile", "default", *again)
    assert limits() == said
    changed = ("mode=known_balance", "floor_share_bp=1250", "upper_consecutive=1", "tier_codes=")
    commands.run("store", "set-profile", "kiosk", *(part for one in changed for part in ("--limit", one)))
    said = limits()
    assert "the next three limits do not hold" in said["mode=known_balance"]
    assert "up to 12.50% of a check" in said["floor_share_bp=1250"]
    assert said["upper_consecutive=1"].startswith("After 1 sale of a guest ")
    assert said["tier_codes="] == "The tier's discount is given every time to: nothing that is shown."


def test_a_store_gets_another_profile_and_what_held_before_is_shown(commands: Commands) -> None:
    (store,) = commands.json("store", "list")["stores"]
    commands.run("store", "set-profile", "default", "--limit", "floor_points=700")
    made = commands.json("store", "set-profile", "kiosk", "--limit", "floor_points=300", "--limit", "cvm.ld1=50")
    assert (made["store"], made["profile"], made["limits"]["floor_points"]) == (store["id"], "kiosk", 300)
    assert (made["limits"]["cvm"]["ld1"], made["limits"]["upper_consecutive"]) == (50, 2)
    found = commands.json("store", "show")
    assert (found["profile"], found["limits"]["floor_points"]) == ("kiosk", 300)
    assert [one["limits"]["floor_points"] for one in found["past"]] == [700, 500]
    commands.run("store", "set-profile", "kiosk", "--limit", "floor_points=200")
    assert commands.run("store", "set-profile", "default")[0].startswith("First has the profile default now")
    found = commands.json("store", "show")
    assert (found["profile"], found["limits"]["floor_points"]) == ("default", 700)
    # What the profile was before the store had it again never held there.
    assert [one["limits"]["floor_points"] for one in found["past"]] == [200, 300, 700, 500]

    async def fed(world: World) -> list[tuple[object, ...]]:
        return await world.sql("select tbl, key from feed where tbl in ('profile', 'store') order by 1, 2")

    assert commands.live(fed) == [("profile", "default"), ("profile", "kiosk"), ("store", store["id"])]
    assert "default now" in commands.run("store", "set-profile", "default")[0]
    assert commands.json("store", "show") == found


def test_a_profile_or_limit_that_there_is_not_is_refused_in_words(commands: Commands) -> None:
    assert commands.refused("store", "set-profile", "kiosk").startswith(
        "There is no profile kiosk. There are: default. To make one"
    )
    for text in ("floor=1", "cvm=50", "mode.ld1=1", "floor_points.x=1", ""):
        assert "There is no limit" in commands.refused("store", "set-profile", "kiosk", "--limit", text)
    for text in ("floor_points=-1", "floor_points=1.5", "floor_points=", "floor_share_bp=10001", "mode=any",
                 "cvm.ld9=1", "tier_codes=ld4,x", f"margin={10**13}"):  # fmt: skip
        assert "should be" in commands.refused("store", "set-profile", "kiosk", "--limit", text), text
    for name in ("", " ", "a" * 41, "a\nb"):
        assert "1 to 40 printable letters" in commands.refused("store", "set-profile", name, "--limit", "margin=1")
    assert "There is no store" in commands.refused("store", "set-profile", "default", "--store", NOBODY)
    assert commands.json("store", "show")["past"] == []
