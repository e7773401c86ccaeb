import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from loyalty_desk import cli


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


@pytest.mark.parametrize(
    ("line", "english", "russian"),
    [
        ("till sale --bogus 1", "There is no option --bogus: loyalty-desk till sale --help names them all.", "Ключа"),
        ("till sale --points x", "--points cannot be this: loyalty-desk till sale --help says what it is.", "--points"),
        ("till override", "code is missing: loyalty-desk till override --help says what it is.", "Не хватает code"),
        ("till adjust LD1X 5 --reason other", "--manager is missing: loyalty-desk till adjust --help", "Не хватает"),
        ("till salle", "This cannot be understood: loyalty-desk till --help says what there is.", "Команда"),
        ("till sale --points -1", "--points cannot be this", "--points"),
        ("till sale --amount", "There is no option", "Ключа"),
        ("till leave", "This till does not belong to a network yet.", "Эта касса"),
    ],
)
def test_what_cannot_be_read_is_one_sentence_in_the_language_asked_for(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    line: str,
    english: str,
    russian: str,
) -> None:
    monkeypatch.setenv("LOYALTY_TILL_DIR", str(tmp_path))
    monkeypatch.setattr("loyalty_desk.log_file.hush", lambda: None)
    for language, beginning in (("en", english), ("ru", russian)):
        monkeypatch.setattr(sys, "argv", ["loyalty-desk", *line.split(), "--lang", language])
        if line.endswith("--amount"):
            monkeypatch.setattr(sys, "argv", ["loyalty-desk", "--lang", language, *line.split()])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        shown = capsys.readouterr()
        assert (ended.value.code, shown.out, shown.err.count("\n")) == (2, "", 1)
        assert shown.err.startswith(beginning), shown.err


def test_help_and_no_arguments_are_no_mistake(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for line, code in ((["till", "--help"], 0), (["till"], 2), (["till", "shift"], 2)):
        monkeypatch.setattr(sys, "argv", ["loyalty-desk", *line])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        shown = capsys.readouterr()
        assert ended.value.code == code
        assert "loyalty-desk till" in shown.out + shown.err


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere there is always a display")
@pytest.mark.parametrize(("arguments", "word"), [(["run", "--lang", "ru"], "экрана"), ([], "screen")])
def test_the_window_without_a_display_is_one_sentence(tmp_path: Path, arguments: list[str], word: str) -> None:
    shown = till(tmp_path, *arguments, DISPLAY="", WAYLAND_DISPLAY="", QT_QPA_PLATFORM="")
    assert (shown.returncode, shown.stdout, shown.stderr.count("\n")) == (2, "", 1)
    assert word in shown.stderr
