from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from loyalty_desk.scanning.decoding import CascadeDecoder
from loyalty_desk.scanning.frames import FrameStream
from loyalty_desk.scanning.props import code_picture as draw_code
from loyalty_desk.scanning.simulated import HEIGHT, WIDTH, SimulatedWebcam

CARD = "LD104HMASW9NF6YY54"
PHONE = "LD4" + "0123456789ABCDEFGHJKMNPQRSTVWXYZ" * 6


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def webcam() -> Callable[..., SimulatedWebcam]:
    def make(text: str | None = None, seed: int = 1) -> SimulatedWebcam:
        clock = Clock()
        return SimulatedWebcam(text, seed=seed, clock=clock, sleep=clock.sleep)

    return make


def read(stream: FrameStream) -> NDArray[np.uint8]:
    frame = stream.read()
    assert frame is not None
    return frame


def test_frames_are_those_of_a_webcam(webcam: Callable[..., SimulatedWebcam]) -> None:
    stream = webcam().open()
    first, second = read(stream), read(stream)
    assert (first.shape, first.dtype) == ((HEIGHT, WIDTH, 3), np.uint8)
    assert (first != second).any(), "a sensor is never still"
    assert first is not second


def test_the_same_seed_and_texts_give_the_same_pixels(webcam: Callable[..., SimulatedWebcam]) -> None:
    def film(seed: int) -> list[NDArray[np.uint8]]:
        source = webcam(CARD, seed)
        stream = source.open()
        frames = [read(stream) for _ in range(6)]
        source.show(PHONE)
        frames += [read(stream) for _ in range(14)]
        return [frame for number, frame in enumerate(frames) if number in {0, 5, 6, 12, 19}]

    once, again, other = film(3), film(3), film(4)
    assert all(np.array_equal(a, b) for a, b in zip(once, again, strict=True))
    assert not np.array_equal(once[0], other[0])


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("text", [CARD, PHONE, "LD2" + "A" * 21, "1000000016"])
def test_a_code_is_read_within_a_second_of_appearing_and_most_of_the_time_after(
    webcam: Callable[..., SimulatedWebcam], seed: int, text: str
) -> None:
    source = webcam(seed=seed)
    stream, decoder = source.open(), CascadeDecoder()
    read(stream)
    source.show(text)
    read_in = [[r.text for r in decoder.decode(read(stream))] == [text] for _ in range(60)]
    assert any(read_in[:30])
    assert sum(read_in[30:]) >= 24


def test_one_code_after_another_and_none_in_between(webcam: Callable[..., SimulatedWebcam]) -> None:
    source = webcam()
    stream, decoder = source.open(), CascadeDecoder()
    seen: list[str] = []
    for text in (CARD, PHONE, None, CARD):
        source.show(text)
        for number in range(45):
            frame = read(stream)
            readings = decoder.decode(frame) if number % 3 == 0 else []
            seen += [r.text for r in readings if seen[-1:] != [r.text]]
            if text is None and number > 15:
                assert readings == []
    assert seen == [CARD, PHONE, CARD]


def test_quick_changes_and_odd_texts_are_drawn_too(webcam: Callable[..., SimulatedWebcam]) -> None:
    source = webcam()
    stream = source.open()
    for text in ("A", None, CARD, PHONE, "A", "б" * 300, "x" * 1500, None, "LD1 \n"):
        source.show(text)
        for _ in range(3):
            assert read(stream).shape == (HEIGHT, WIDTH, 3)


def test_two_streams_do_not_disturb_each_other(webcam: Callable[..., SimulatedWebcam]) -> None:
    source = webcam(CARD)
    one, two = source.open(), source.open()
    assert np.array_equal(read(one), read(two))


def test_the_code_has_its_margin_of_four_modules() -> None:
    picture = draw_code(CARD, 290)
    module = picture.shape[0] // 29
    assert (picture[: 4 * module] == 255).all()
    assert (picture[4 * module, 4 * module : 11 * module] == 0).all()


def test_a_view_is_empty_only_once_the_hand_has_gone() -> None:
    webcam = SimulatedWebcam(fps=10, clock=lambda: 0.0, sleep=lambda _: None)
    stream = webcam.open()
    stream.read()
    assert webcam.is_empty
    webcam.show("LD1")
    assert not webcam.is_empty
    for _ in range(20):
        stream.read()
    assert not webcam.is_empty
    webcam.show(None)
    stream.read()
    assert not webcam.is_empty, "it is leaving"
    for _ in range(20):
        stream.read()
    assert webcam.is_empty
