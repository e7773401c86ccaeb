"""`create-network` and `networks`: a second network is made by intent, and whoever is asked which one reads names."""

import pytest

from tests.server.commands import Commands

pytestmark = pytest.mark.postgres


def names(commands: Commands) -> list[str]:
    return sorted(one["name"] for one in commands.json("networks")["networks"])


def test_a_network_of_the_same_name_is_made_only_where_that_is_meant(commands: Commands) -> None:
    there = commands.json("networks")["networks"][0]["network"]
    for typed in ("Test", "  test "):
        assert commands.refused("create-network", typed) == (
            f"There is a network Test already ({there}). To make another one of that name, add --same-name."
        )
    assert names(commands) == ["Test"]
    made = commands.json("create-network", "Test", "--same-name")
    assert made["network"] != there
    assert made["root_sheet"].startswith("LDSR-")
    assert names(commands) == ["Test", "Test"]
    # A name that no network has needs no word more.
    commands.json("create-network", "Harbour")
    assert "1 to 100 printable letters" in commands.refused("create-network", "", "--same-name")
    assert names(commands) == ["Harbour", "Test", "Test"]


def test_whoever_is_asked_which_network_reads_their_names(commands: Commands) -> None:
    there = commands.json("networks")["networks"][0]["network"]
    other = commands.json("create-network", "Harbour")["network"]
    for command in (("staff", "list"), ("till", "list"), ("store", "show", "--json")):
        said = commands.refused(*command)
        assert said.startswith("There are several networks. Say which with --network: ")
        assert f"{there} (Test)" in said
        assert f"{other} (Harbour)" in said
    assert commands.json("staff", "list", "--network", other)["staff"] == []
