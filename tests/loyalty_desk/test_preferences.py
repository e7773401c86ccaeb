from __future__ import annotations

from pathlib import Path

import pytest

from loyalty_desk import preferences
from loyalty_desk.preferences import Preferences


def test_what_was_kept_comes_back(tmp_path: Path) -> None:
    kept = Preferences("ru", "dark", sounds=False, camera="2", serial="/dev/ttyUSB0")
    preferences.save(tmp_path, kept)
    assert preferences.load(tmp_path) == kept


def test_what_an_earlier_version_kept_is_read(tmp_path: Path) -> None:
    (tmp_path / "window.json").write_text('{"language": "ru", "theme": "dark"}')
    assert preferences.load(tmp_path) == Preferences("ru", "dark")


@pytest.mark.parametrize(
    "damaged",
    ["", "{", "[]", "7", '{"language": 5}', '{"language": "xx", "theme": "pink", "camera": "../x", "serial": 5}'],
)
def test_a_damaged_file_is_as_good_as_none(tmp_path: Path, damaged: str) -> None:
    (tmp_path / "window.json").write_text(damaged)
    assert preferences.load(tmp_path) == Preferences()


def test_a_folder_that_is_not_there_forgets(tmp_path: Path) -> None:
    preferences.save(tmp_path / "absent", Preferences("ru", "dark"))
    assert preferences.load(tmp_path / "absent") == Preferences()
