import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest


def till(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "LOYALTY_TILL_DIR": str(folder), "LOYALTY_KEYRING": "file", "LANG": "C", **environment}
    return subprocess.run(
        [sys.executable, "-m", "loyalty_desk.cli", *arguments], env=env, capture_output=True, text=True, check=False
    )


def test_a_till_that_has_joined_nothing_says_so(tmp_path: Path) -> None:
    shown = till(tmp_path, "till", "status", "--json")
    assert (shown.returncode, json.loads(shown.stdout)["enrolled"]) == (0, False)
    for command in (["sync"], ["sale", "--amount", "5"]):
        refused = till(tmp_path, "till", *command)
        assert (refused.returncode, refused.stderr) == (2, "This till does not belong to a network yet.\n")


@pytest.mark.parametrize("language", ["ru", "en"])
def test_a_pairing_text_that_is_none_is_one_sentence(tmp_path: Path, language: str) -> None:
    refused = till(tmp_path, "till", "enrol", "LDP1 nonsense", "--lang", language)
    assert refused.returncode == 2
    assert refused.stdout == ""
    assert refused.stderr.count("\n") == 1
    assert "Traceback" not in refused.stderr
    assert "LDP1" in refused.stderr
    assert ("код" in refused.stderr) == (language == "ru")


def test_the_folder_is_for_this_user_alone(tmp_path: Path) -> None:
    till(tmp_path / "new" / "till", "till", "status")
    assert stat.S_IMODE((tmp_path / "new" / "till").stat().st_mode) == 0o700


def test_the_window_is_not_imported_for_a_command(tmp_path: Path) -> None:
    code = (
        "import sys; sys.argv = ['x', 'till', 'status']; from loyalty_desk.cli import main\n"
        "try: main()\nexcept SystemExit: pass\n"
        "print(sorted({'PySide6', 'cv2', 'httpx2', 'keyring', 'babel'} & set(sys.modules)))"
    )
    env = {**os.environ, "LOYALTY_TILL_DIR": str(tmp_path), "LOYALTY_KEYRING": "file"}
    found = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    assert found.stdout.splitlines()[-1] == "[]"


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere there is always a display")
@pytest.mark.parametrize(("arguments", "word"), [(["run", "--lang", "ru"], "экрана"), ([], "screen")])
def test_the_window_without_a_display_is_one_sentence(tmp_path: Path, arguments: list[str], word: str) -> None:
    shown = till(tmp_path, *arguments, DISPLAY="", WAYLAND_DISPLAY="", QT_QPA_PLATFORM="")
    assert (shown.returncode, shown.stdout, shown.stderr.count("\n")) == (2, "", 1)
    assert word in shown.stderr
