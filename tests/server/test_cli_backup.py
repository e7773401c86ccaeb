"""A backup is proved by being restored: real processes, a real file, what was known and what was to be forgotten."""

import hashlib
from pathlib import Path

import pytest

from tests.server.commands import Commands
from tests.server.test_cli import Place, finish, place

__all__ = ["place"]
pytestmark = pytest.mark.postgres


def test_a_restore_brings_back_the_day_before_under_a_new_life_and_erases_again(place: Place) -> None:
    demo = place.json("demo-data", "--guests", "20")
    kept, gone = demo["samples"][0], demo["samples"][1]
    server = place.serve()
    file = place.folder / "monday.backup"
    assert place.json("backup", str(file))["bytes"] == file.stat().st_size > 10_000
    assert file.stat().st_mode & 0o077 == 0
    assert "There is a file" in place.run("backup", str(file), code=1).stderr
    assert "A server is already running" in place.run("restore", str(file), "--yes", code=1).stderr
    server.terminate()
    finish(server)
    place.json("guests", "erase", gone["id"], "--yes")
    place.json("create-network", "Added on Tuesday")
    assert len(place.json("networks")["networks"]) == 2

    restored = place.json("restore", str(file), "--yes")
    assert restored["erased"] == 1
    assert [one["network"] for one in place.json("networks")["networks"]] == [demo["network"]]
    assert place.json("statement", "--guest", kept["ld1"])["points"] == kept["points"]
    assert "Nobody in this network" in place.run("statement", "--guest", gone["ld1"], code=1).stderr
    assert "verify: ok" in place.run("verify").stdout
    place.serve()
    assert place.call("/readyz")[0] == 200


def test_what_is_no_backup_changes_nothing(place: Place, tmp_path: Path) -> None:
    demo = place.json("demo-data", "--guests", "20")
    good, cut, other = (tmp_path / name for name in ("good", "cut", "other"))
    place.json("backup", str(good))
    cut.write_bytes(good.read_bytes()[:-2_000])
    other.write_text("hello")
    for file in (cut, other):
        assert "Nothing has been changed" in place.run("restore", str(file), "--yes", code=1).stderr
    assert (
        "cannot be read (No such file or directory)"
        in place.run("restore", str(tmp_path / "none"), "--yes", code=1).stderr
    )
    assert [one["network"] for one in place.json("networks")["networks"]] == [demo["network"]]
    assert "verify: ok" in place.run("verify").stdout


def test_a_backup_is_looked_at_before_anybody_is_asked(commands: Commands, tmp_path: Path) -> None:
    cut, whole = tmp_path / "cut", tmp_path / "whole"
    cut.write_bytes(b"PGDMP")
    whole.write_bytes(b"PGDMP" + b"LDBK1" + hashlib.sha256(b"PGDMP").digest())
    none = str(tmp_path / "none")
    assert commands.refused("restore", none) == f"The file {none} cannot be read (No such file or directory)."
    assert commands.refused("restore", str(tmp_path)).startswith(f"The file {tmp_path} cannot be read")
    assert commands.refused("restore", str(cut)).startswith(f"The file {cut} is no backup")
    asked = commands.run("restore", str(whole), code=1, typed="n\n")[1]
    assert asked.startswith(f"Put {whole} in the place of the present database? [y/N]")
