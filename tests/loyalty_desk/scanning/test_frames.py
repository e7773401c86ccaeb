from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from loyalty_desk.scanning.frames import (
    EndOfFramesError,
    FrameSource,
    FrameStream,
    Pacer,
    Pictures,
    SourceUnavailableError,
    VideoFile,
)
from loyalty_desk.scanning.live_camera import LiveCamera
from loyalty_desk.scanning.simulated import SimulatedWebcam

Draw = Callable[..., NDArray[np.uint8]]


class Clock:
    """Time that passes only in sleep."""

    def __init__(self) -> None:
        self.now = 50.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def frames_of(stream: FrameStream, most: int = 1000) -> list[NDArray[np.uint8] | None]:
    frames = []
    try:
        while len(frames) < most:
            frames.append(stream.read())
    except EndOfFramesError:
        return frames
    finally:
        stream.close()
    return frames


def test_turns_come_at_the_rate() -> None:
    clock = Clock()
    pacer = Pacer(10, clock, clock.sleep)
    for _ in range(31):
        pacer.wait()
    assert clock.now == pytest.approx(53.0)


def test_who_comes_late_gets_no_burst() -> None:
    clock = Clock()
    pacer = Pacer(10, clock, clock.sleep)
    pacer.wait()
    clock.now += 5
    for _ in range(11):
        pacer.wait()
    assert 55.9 <= clock.now <= 56.0


@pytest.fixture
def film(tmp_path: Path, code_picture: Draw) -> Path:
    path = tmp_path / "film.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 25, (320, 240))
    for text in ("ONE", "TWO", "THREE"):
        writer.write(cv2.cvtColor(code_picture(text, module=4, frame=(320, 240)), cv2.COLOR_GRAY2BGR))
    writer.release()
    return path


def test_a_video_gives_its_frames_and_ends(film: Path) -> None:
    source: FrameSource = VideoFile(film, fps=None)
    assert source.present()
    assert source.name == "film.avi"
    frames = frames_of(source.open())
    assert [frame.shape for frame in frames if frame is not None] == [(240, 320, 3)] * 3


def test_a_video_can_go_round(film: Path) -> None:
    frames = frames_of(VideoFile(film, fps=None, loop=True).open(), most=8)
    assert len(frames) == 8
    assert np.array_equal(frames[0], frames[3])


@pytest.mark.parametrize("content", [None, b"", b"text", b"RIFF\x00\x00\x00\x00AVI " + bytes(200)])
def test_what_is_no_video_gets_a_sentence(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "x.avi"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SourceUnavailableError, match=r"x\.avi"):
        VideoFile(path).open()


def test_a_name_of_digits_is_a_file_and_no_camera(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "0").write_bytes(b"no video")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SourceUnavailableError, match="not a video"):
        VideoFile(Path("0")).open()


def test_a_folder_gives_its_pictures_by_name_and_each_for_its_time(tmp_path: Path) -> None:
    for name, level in (("b.png", 20), ("a.PNG", 10), ("c.txt", 0)):
        content = cv2.imencode(".png", np.full((4, 4), level, np.uint8))[1].tobytes()
        (tmp_path / name).write_bytes(content)
    assert [int(f[0, 0]) for f in frames_of(Pictures(tmp_path, fps=None).open()) if f is not None] == [10, 20]
    slow = Pictures(tmp_path, fps=1000, seconds_each=0.003).open()
    assert [int(f[0, 0]) for f in frames_of(slow) if f is not None] == [10] * 3 + [20] * 3
    assert len(frames_of(Pictures(tmp_path, fps=None, loop=True).open(), most=9)) == 9


def test_a_frame_belongs_to_whoever_got_it(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(cv2.imencode(".png", np.full((4, 4), 10, np.uint8))[1].tobytes())
    stream = Pictures(tmp_path / "a.png", fps=None, loop=True).open()
    first = stream.read()
    assert first is not None
    first[:] = 99
    second = stream.read()
    assert second is not None
    assert int(second[0, 0]) == 10


def test_a_damaged_picture_among_others_is_a_failed_read(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"")
    (tmp_path / "b.png").write_bytes(cv2.imencode(".png", np.zeros((4, 4), np.uint8))[1].tobytes())
    frames = frames_of(Pictures(tmp_path, fps=None).open())
    assert frames[0] is None
    assert frames[1] is not None


def test_no_pictures_is_said(tmp_path: Path) -> None:
    with pytest.raises(SourceUnavailableError, match="no pictures"):
        Pictures(tmp_path).open()
    with pytest.raises(SourceUnavailableError, match="no picture or folder"):
        Pictures(tmp_path / "absent").open()
    assert not Pictures(tmp_path / "absent").present()


def test_a_camera_that_is_not_there_is_said_once_and_quietly(capfd: pytest.CaptureFixture[str]) -> None:
    camera = LiveCamera(63)
    with pytest.raises(SourceUnavailableError, match="no camera 63"):
        camera.open()
    assert capfd.readouterr().err == ""


class FakeCapture:
    """A capture device that takes `cost` seconds of the clock a frame."""

    def __init__(self, clock: Clock, cost: float | None) -> None:
        self.clock = clock
        self.cost = cost
        self.settings: list[int] = []
        self.released = False

    def isOpened(self) -> bool:
        return self.cost is not None

    def set(self, setting: int, value: float) -> bool:
        self.settings.append(setting)
        return True

    def read(self) -> tuple[bool, NDArray[np.uint8]]:
        assert self.cost is not None
        self.clock.now += self.cost
        return True, np.zeros((2, 2, 3), np.uint8)

    def release(self) -> None:
        self.released = True


@pytest.mark.parametrize(
    ("costs", "opened"),
    [
        ({"CAP_DSHOW": 0.03, "CAP_MSMF": 0.03}, ["CAP_DSHOW"]),
        ({"CAP_DSHOW": 0.5, "CAP_MSMF": 0.03}, ["CAP_DSHOW", "CAP_MSMF"]),
        ({"CAP_DSHOW": 0.2, "CAP_MSMF": 0.5}, ["CAP_DSHOW", "CAP_MSMF", "CAP_DSHOW"]),
        ({"CAP_DSHOW": None, "CAP_MSMF": 0.03}, ["CAP_DSHOW", "CAP_MSMF"]),
    ],
)
def test_the_faster_way_into_a_windows_camera_is_found_and_remembered(
    monkeypatch: pytest.MonkeyPatch, costs: dict[str, float | None], opened: list[str]
) -> None:
    clock = Clock()
    tried: list[tuple[str, FakeCapture]] = []

    def capture(index: int, api: int) -> FakeCapture:
        name = next(name for name in costs if getattr(cv2, name) == api)
        tried.append((name, FakeCapture(clock, costs[name])))
        return tried[-1][1]

    monkeypatch.setattr(cv2, "VideoCapture", capture)
    camera = LiveCamera(0, backends=("CAP_DSHOW", "CAP_MSMF"), clock=clock)
    stream = camera.open()
    assert [name for name, _ in tried] == opened
    assert [capture.released for _, capture in tried] == [True] * (len(tried) - 1) + [False]
    # MJPG before the size, or the size is granted uncompressed and slow.
    settings = tried[-1][1].settings
    assert settings.index(cv2.CAP_PROP_FOURCC) < settings.index(cv2.CAP_PROP_FRAME_WIDTH)
    stream.close()
    tried.clear()
    camera.open().close()
    assert [name for name, _ in tried] == opened[-1:]


def test_sources_open_again_after_closing() -> None:
    webcam = SimulatedWebcam()
    for _ in range(2):
        stream = webcam.open()
        assert stream.read() is not None
        stream.close()
        stream.close()
