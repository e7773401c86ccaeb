import time
from collections.abc import Callable, Iterator

import cv2
import numpy as np
import pytest
import segno
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from loyalty_desk.scanning.decoding import (
    LIVE_BUDGET_MS,
    THOROUGH_BUDGET_MS,
    CascadeDecoder,
    Reading,
    cpu_clock,
    text_of,
)
from loyalty_desk.scanning.zbar import Zbar, ZbarAbsent, ZbarReading, load_zbar

CARD = "LD104HMASW9NF6YY54"
Draw = Callable[..., NDArray[np.uint8]]

AWKWARD = [
    b"LD104HMASW9NF6YY54",
    b"0",
    b"\x00",
    b"\x00\x01\x02\xff\xfe\xfd",
    bytes(range(256)),
    "café".encode(),
    "Zürich".encode(),
    "5€".encode(),
    "Привет, гость".encode(),
    "Привет".encode("cp1251"),
    "ﾃﾞｻﾞｲﾝ".encode("shift_jis"),
    "正宗铁观音".encode("gb2312"),
    "emoji 🎁".encode(),
    b"line\r\nline\ttab\x1d\x1e\x04",
    b"\xef\xbb\xbfwith a byte order mark",
]


@pytest.fixture(scope="module")
def decoder() -> CascadeDecoder:
    return CascadeDecoder(THOROUGH_BUDGET_MS)


def _bytes_picture(data: bytes) -> NDArray[np.uint8]:
    code = segno.make_qr(data, mode="byte", error="l", boost_error=False)
    modules = np.array([list(row) for row in code.matrix_iter(border=4)], np.uint8)
    return (255 * (1 - np.kron(modules, np.ones((4, 4), np.uint8)))).astype(np.uint8)


@pytest.mark.parametrize("data", AWKWARD, ids=repr)
def test_awkward_bytes_come_back_exactly(decoder: CascadeDecoder, data: bytes) -> None:
    assert [reading.data for reading in decoder.decode(_bytes_picture(data))] == [data]


@given(st.binary(min_size=1, max_size=120))
@example(b"\\")
@example("日本".encode("shift_jis"))
@settings(max_examples=60)
def test_any_bytes_come_back_exactly(data: bytes) -> None:
    assert [reading.data for reading in CascadeDecoder().decode(_bytes_picture(data))] == [data]


def test_text_is_utf_8_else_the_likelier_charset() -> None:
    assert text_of("Привет".encode(), "not asked") == "Привет"
    assert text_of("ﾃﾞｻﾞ".encode("shift_jis"), "ﾃﾞｻﾞ") == "ﾃﾞｻﾞ"
    assert text_of("ﾃﾞｻﾞ".encode("shift_jis")) == "ﾃﾞｻﾞ"
    assert text_of(b"caf\xe9") == "café"
    assert text_of(b"\xff\xfe\x00") == "ÿþ\x00"


def test_corners_are_where_the_code_is(decoder: CascadeDecoder, code_picture: Draw) -> None:
    frame = code_picture(CARD, module=6, frame=(1280, 720))
    (reading,) = decoder.decode(frame)
    side = 21 * 6
    expected = [(640 - side / 2, 360 - side / 2), (640 + side / 2, 360 + side / 2)]
    assert reading.corners[0] == pytest.approx(expected[0], abs=6)
    assert reading.corners[2] == pytest.approx(expected[1], abs=6)
    assert reading.step == "first look"


def test_corners_of_a_large_frame_are_in_its_own_pixels(decoder: CascadeDecoder, code_picture: Draw) -> None:
    (reading,) = decoder.decode(code_picture(CARD, module=20, frame=(3000, 2000)))
    assert reading.corners[0] == pytest.approx((1500 - 210, 1000 - 210), abs=20)


def test_a_small_code_in_a_large_photograph_is_read_in_its_own_pixels(
    decoder: CascadeDecoder, code_picture: Draw
) -> None:
    """Twelve megapixels fitted to a screen leave 1.3 pixels to each of the 41 modules a side."""
    frame = code_picture("LD4" + "0123456789ABCDEF" * 12, module=4, frame=(4000, 3000))
    (reading,) = decoder.decode(frame)
    assert reading.step.startswith("full size")
    assert reading.corners[0] == pytest.approx((2000 - 82, 1500 - 82), abs=6)
    assert reading.corners[2] == pytest.approx((2000 + 82, 1500 + 82), abs=6)


def test_colour_and_gray_read_alike(decoder: CascadeDecoder, code_picture: Draw) -> None:
    gray = code_picture(CARD, frame=(640, 480))
    assert decoder.decode(cv2.cvtColor(gray, cv2.COLOR_GRAY2BGR))[0].data == CARD.encode()


def test_two_codes_in_a_frame_are_two_readings_and_the_same_code_twice_is_one(
    decoder: CascadeDecoder, code_picture: Draw
) -> None:
    left, right = code_picture("LEFT", module=6), code_picture("RIGHT", module=6)
    assert {r.text for r in decoder.decode(np.hstack([left, right]))} == {"LEFT", "RIGHT"}
    assert [r.text for r in decoder.decode(np.hstack([left, left]))] == ["LEFT"]


def test_micro_qr_is_not_looked_for(decoder: CascadeDecoder) -> None:
    modules = np.array([list(row) for row in segno.make_micro("12").matrix_iter(border=4)], np.uint8)
    assert decoder.decode((255 * (1 - np.kron(modules, np.ones((9, 9), np.uint8)))).astype(np.uint8)) == []


@pytest.mark.parametrize(
    "distort",
    [
        pytest.param(lambda g: 255 - g, id="inverted"),
        pytest.param(lambda g: np.rot90(g, 3), id="on its side"),
        pytest.param(lambda g: cv2.warpAffine(g, cv2.getRotationMatrix2D((640, 360), 33, 1), (1280, 720)), id="turned"),
        pytest.param(lambda g: (128 + (g.astype(float) - 128) * 0.12).astype(np.uint8), id="low contrast"),
        pytest.param(lambda g: np.clip(g.astype(float) * 0.5 + 150, 0, 255).astype(np.uint8), id="over-exposed"),
        pytest.param(lambda g: (g * 0.1).astype(np.uint8), id="dark"),
        pytest.param(lambda g: cv2.resize(g, None, fx=0.37, fy=0.37, interpolation=cv2.INTER_AREA), id="small"),
        pytest.param(lambda g: cv2.GaussianBlur(g, (0, 0), 2.4), id="out of focus"),
        pytest.param(lambda g: cv2.blur(g, (8, 1)), id="moved"),
        pytest.param(
            lambda g: np.clip(g * 0.3 + np.random.default_rng(1).normal(0, 22, g.shape), 0, 255).astype(np.uint8),
            id="night",
        ),
        pytest.param(lambda g: (g * np.linspace(0.08, 1, g.shape[1])).astype(np.uint8), id="shadow"),
    ],
)
def test_live_decoder_reads_a_distorted_card(distort: Callable[..., NDArray[np.uint8]], code_picture: Draw) -> None:
    frame = np.ascontiguousarray(distort(code_picture(CARD, module=5, frame=(1280, 720))))
    assert [reading.text for reading in CascadeDecoder(LIVE_BUDGET_MS).decode(frame)] == [CARD]


def test_the_cascade_reads_what_a_first_look_cannot(code_picture: Draw) -> None:
    frame = cv2.GaussianBlur(code_picture("LD4" + "0123456789ABCDEF" * 12, module=4, frame=(1280, 720)), (0, 0), 2.4)
    assert CascadeDecoder(steps=()).decode(frame) == []
    (reading,) = CascadeDecoder(THOROUGH_BUDGET_MS).decode(frame)
    assert reading.text == "LD4" + "0123456789ABCDEF" * 12
    assert reading.step != "first look"
    # Steps look at scaled parts of the frame: the corners must still be the frame's.
    assert reading.corners[0] == pytest.approx((640 - 41 * 2, 360 - 41 * 2), abs=12)


class SlowClock:
    """Every reading of it costs: a decoder that measures 4 ms between looks."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 0.004
        return self.now


def test_the_budget_ends_the_cascade() -> None:
    looks: list[int] = []

    class CountingZbar(Zbar):
        def __init__(self) -> None:
            pass

        def read(self, gray: NDArray[np.uint8]) -> list[ZbarReading]:
            looks.append(gray.size)
            return []

    noise = np.random.default_rng(3).integers(0, 255, (400, 400)).astype(np.uint8)
    CascadeDecoder(10_000, zbar=CountingZbar()).decode(noise)
    unlimited = len(looks)
    looks.clear()
    CascadeDecoder(15, clock=SlowClock(), zbar=CountingZbar()).decode(noise)
    assert unlimited > len(looks) == 0


def test_noise_stays_within_the_budget_and_reads_nothing() -> None:
    rng = np.random.default_rng(7)
    decoder = CascadeDecoder(LIVE_BUDGET_MS)
    decoder.decode(np.zeros((64, 64), np.uint8))
    spent = []
    for _ in range(6):
        frame = cv2.GaussianBlur(rng.integers(0, 255, (720, 1280)).astype(np.uint8), (0, 0), 1)
        started = cpu_clock()
        assert decoder.decode(frame) == []
        spent.append(cpu_clock() - started)
    # Ten times the budget: this guards against a cascade without an end, not against a busy machine.
    assert sorted(spent)[2] < 10 * LIVE_BUDGET_MS / 1000


@pytest.mark.parametrize(
    "shape", [(0, 0), (1, 1), (1, 20_000), (20_000, 1), (2, 2), (3, 5), (23, 23), (7, 1280), (24, 24), (0, 5)]
)
@pytest.mark.parametrize("colour", [False, True])
def test_odd_shapes_read_nothing_and_raise_nothing(
    decoder: CascadeDecoder, shape: tuple[int, int], colour: bool
) -> None:
    for fill in (0, 255):
        assert decoder.decode(np.full((*shape, 3) if colour else shape, fill, np.uint8)) == []
    noise = np.random.default_rng(1).integers(0, 255, (*shape, 3) if colour else shape).astype(np.uint8)
    assert decoder.decode(noise) == []


def test_a_part_of_a_frame_can_be_decoded(decoder: CascadeDecoder, code_picture: Draw) -> None:
    """Slices are not contiguous; OpenCV gives such views of a frame."""
    frame = code_picture(CARD, frame=(1280, 720))
    assert decoder.decode(frame[100:-100, 200:-200])[0].text == CARD


def _mutilated() -> Iterator[NDArray[np.uint8]]:
    rng = np.random.default_rng(11)
    code = _bytes_picture(b"LD104HMASW9NF6YY54")
    for _ in range(120):
        picture = code.copy()
        for _ in range(int(rng.integers(1, 12))):
            y, x = rng.integers(0, code.shape[0] - 4, 2)
            h, w = rng.integers(1, 60, 2)
            picture[y : y + h, x : x + w] = rng.integers(0, 256)
        corners = np.array([[0, 0], [115, 0], [115, 115], [0, 115]], np.float32)
        moved = corners + rng.uniform(-70, 70, (4, 2)).astype(np.float32)
        yield cv2.warpPerspective(picture, cv2.getPerspectiveTransform(corners, moved + 80), (300, 300))


def test_mutilated_codes_read_right_or_not_at_all(decoder: CascadeDecoder) -> None:
    started = time.monotonic()
    readings = [reading.data for picture in _mutilated() for reading in decoder.decode(picture)]
    assert set(readings) == {b"LD104HMASW9NF6YY54"}
    assert time.monotonic() - started < 60


def test_zbar_gives_exact_bytes_too(code_picture: Draw) -> None:
    zbar = load_zbar()
    assert isinstance(zbar, Zbar), "this machine has no libzbar: `make` installs it"
    (reading,) = zbar.read(code_picture(CARD))
    assert reading.data == CARD.encode()
    assert len(reading.points) == 4
    for data in AWKWARD:
        assert [r.data for r in zbar.read(_bytes_picture(data))] == [data]


def test_a_zbar_that_changes_bytes_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    from pyzbar import wrapper

    def refuse_binary(scanner: object, symbology: int, setting: int, value: int) -> int:
        return 1 if setting == 4 else 0

    monkeypatch.setattr(wrapper, "zbar_image_scanner_set_config", refuse_binary)
    absent = load_zbar()
    assert isinstance(absent, ZbarAbsent)
    assert "older" in absent.reason


def test_without_libzbar_there_is_a_notice_and_everything_else_works(
    monkeypatch: pytest.MonkeyPatch, code_picture: Draw
) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "pyzbar", None)
    absent = load_zbar()
    assert isinstance(absent, ZbarAbsent)
    assert "zxing-cpp alone" in absent.reason
    decoder = CascadeDecoder()
    assert isinstance(decoder.zbar, ZbarAbsent)
    assert decoder.decode(code_picture(CARD))[0].text == CARD
    assert decoder.decode(np.random.default_rng(2).integers(0, 255, (300, 300)).astype(np.uint8)) == []


def test_windows_does_without_its_old_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "win32")
    absent = load_zbar()
    assert isinstance(absent, ZbarAbsent)
    assert "Windows" in absent.reason


def test_a_reading_of_zbar_is_moved_into_the_frame(code_picture: Draw) -> None:
    class Pointing(Zbar):
        def __init__(self) -> None:
            pass

        def read(self, gray: NDArray[np.uint8]) -> list[ZbarReading]:
            height, width = gray.shape
            return [ZbarReading(b"SEEN", ((0.0, 0.0), (width, 0.0), (width, height), (0.0, height)))]

    # A code whose three finders are broken: dense with edges, so a region, and unreadable.
    frame = code_picture("X" * 60, module=6, frame=(1280, 720))
    rng = np.random.default_rng(5)
    inside = frame[240:480, 520:760]
    inside[:] = np.kron(rng.integers(0, 2, (40, 40)) * 255, np.ones((6, 6))).astype(np.uint8)
    readings: list[Reading] = CascadeDecoder(10_000, zbar=Pointing()).decode(frame)
    (reading,) = readings
    left, top = reading.corners[0]
    right, bottom = reading.corners[2]
    assert 420 < left < 530
    assert 140 < top < 250
    assert 750 < right < 860
    assert 470 < bottom < 580
