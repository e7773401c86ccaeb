import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from loyalty_desk.scanning.scan_files import scan_command, scan_paths

CARD = "LD104HMASW9NF6YY54"
Draw = Callable[..., NDArray[np.uint8]]


@pytest.fixture
def folder(tmp_path: Path, code_picture: Draw) -> Path:
    """Pictures of four formats, a video, a note, a folder below."""

    def save(name: str, pixels: NDArray[np.uint8]) -> None:
        (tmp_path / name).write_bytes(cv2.imencode(Path(name).suffix, pixels)[1].tobytes())

    save("a card.png", code_picture(CARD, frame=(400, 300)))
    save("b.webp", code_picture("Привет"))
    save("c.jpg", np.full((90, 120), 127, np.uint8))
    save("гость.png", np.hstack([code_picture("LEFT", module=6), code_picture("RIGHT", module=6)]))
    (tmp_path / "notes.txt").write_text("not a picture")
    (tmp_path / "deeper").mkdir()
    writer = cv2.VideoWriter(str(tmp_path / "film.avi"), cv2.VideoWriter_fourcc(*"MJPG"), 25, (320, 240))
    for text in ("ONE", "ONE", "TWO", "ONE"):
        writer.write(cv2.cvtColor(code_picture(text, module=4, frame=(320, 240)), cv2.COLOR_GRAY2BGR))
    writer.release()
    return tmp_path


def test_every_file_of_a_folder_in_order(folder: Path) -> None:
    results = list(scan_paths([folder]))
    assert [(Path(r.file).name, sorted(r.texts), r.problem) for r in results] == [
        ("a card.png", [CARD], None),
        ("b.webp", ["Привет"], None),
        ("c.jpg", [], None),
        ("film.avi", ["ONE", "TWO"], None),
        ("гость.png", ["LEFT", "RIGHT"], None),
    ]
    assert all(result.ms >= 0 for result in results)


def test_json_is_one_object_a_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert scan_command([folder / "a card.png", folder / "b.webp", folder / "c.jpg"], as_json=True) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [set(row) for row in rows] == [{"file", "texts", "ms"}] * 3
    assert [row["texts"] for row in rows] == [[CARD], ["Привет"], []]
    assert rows[0]["file"] == str(folder / "a card.png")


def test_for_people_it_is_a_line_a_file(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert scan_command([folder / "a card.png", folder / "c.jpg"]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert f'a card.png: "{CARD}" (' in first
    assert "c.jpg: no code (" in second


def test_a_bad_file_gets_a_sentence_and_the_others_are_read(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "empty.png").write_bytes(b"")
    (folder / "cut.png").write_bytes((folder / "a card.png").read_bytes()[:30])
    (folder / "cut.avi").write_bytes((folder / "film.avi").read_bytes()[:200])
    paths = [
        folder / "empty.png",
        folder / "notes.txt",
        folder / "absent.png",
        folder / "cut.png",
        folder / "cut.avi",
        folder / "absent.mp4",
        folder / "deeper",
        folder / "a card.png",
    ]
    assert scan_command(paths, as_json=True) == 1
    captured = capsys.readouterr()
    assert [json.loads(line)["texts"] for line in captured.out.splitlines()] == [[CARD]]
    sentences = captured.err.splitlines()
    assert len(sentences) == 7
    assert all(str(path) in sentence for path, sentence in zip(paths, sentences, strict=False))
    assert all(sentence.endswith(".") for sentence in sentences)


def test_bytes_that_are_no_utf_8_are_whole_texts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import segno

    for number, data in enumerate([b"\x00\xff\xfe", "ﾃﾞｻﾞｲﾝ".encode("shift_jis")]):
        code = segno.make_qr(data, mode="byte")
        modules = np.array([list(row) for row in code.matrix_iter(border=4)], np.uint8)
        pixels = (255 * (1 - np.kron(modules, np.ones((5, 5), np.uint8)))).astype(np.uint8)
        (tmp_path / f"{number}.png").write_bytes(cv2.imencode(".png", pixels)[1].tobytes())
    assert scan_command([tmp_path], as_json=True) == 0
    first, second = (json.loads(line)["texts"] for line in capsys.readouterr().out.splitlines())
    assert len(first) == 1
    assert second == ["ﾃﾞｻﾞｲﾝ"]


PROGRAM = (
    "import sys; from pathlib import Path; from loyalty_desk.scanning.scan_files import scan_command;"
    "sys.exit(scan_command([Path(p) for p in sys.argv[1:]], as_json=True))"
)


@pytest.mark.parametrize("encoding", ["utf-8", "cp1251", "ascii"])
def test_any_terminal_gets_valid_json(folder: Path, encoding: str, code_picture: Draw) -> None:
    (folder / "gift.png").write_bytes(cv2.imencode(".png", code_picture("🎁 ﾃﾞ"))[1].tobytes())
    names = [str(folder / "гость.png"), str(folder / "gift.png")]
    if sys.platform == "linux":
        names.append(os.fsdecode(os.fsencode(folder) + b"/\xff.png"))
        Path(names[-1]).write_bytes((folder / "a card.png").read_bytes())
    answer = subprocess.run(
        [sys.executable, "-c", PROGRAM, *names],
        capture_output=True,
        check=True,
        timeout=60,
        env={**os.environ, "PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"},
    )
    rows = [json.loads(line) for line in answer.stdout.decode(encoding).splitlines()]
    assert [row["file"] for row in rows] == names
    assert rows[1]["texts"] == ["🎁 ﾃﾞ"]


def test_a_reader_that_goes_away_is_no_traceback(folder: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *[str(folder)] * 5], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr is not None
    with process.stderr:
        assert process.stderr.read() == b""
    assert process.wait(60) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no permission bits to take away")
def test_a_forbidden_file_is_said(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if os.geteuid() == 0:
        # Root may read everything: a folder in place of the file cannot be read by anybody.
        (folder / "locked.png").mkdir()
        (folder / "locked.png" / "x.png").write_bytes(b"")
        assert scan_command([folder / "locked.png"]) == 1
    else:
        (folder / "a card.png").chmod(0)
        assert scan_command([folder / "a card.png"]) == 1
    assert capsys.readouterr().err


def test_importing_scanners_loads_nothing_heavy() -> None:
    """The window is painted before cv2 and numpy are loaded; `scan --help` needs neither."""
    program = (
        "import sys\n"
        "from loyalty_desk.scanning import camera, decoding, frames, keyboard_wedge, live_camera, preview\n"
        "from loyalty_desk.scanning import scan_files, serial_port, simulated, supervision\n"
        "print([m for m in ('cv2', 'numpy', 'zxingcpp', 'pyzbar', 'serial', 'segno') if m in sys.modules])"
    )
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert answer.stdout.strip() == "[]"
