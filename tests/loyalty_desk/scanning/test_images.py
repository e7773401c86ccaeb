from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from loyalty_desk.scanning.images import UnreadableImageError, decode_image, read_image

Draw = Callable[..., NDArray[np.uint8]]
GRAY = np.arange(0, 240, dtype=np.uint8).reshape(12, 20)


def encoded(suffix: str, pixels: NDArray[np.generic]) -> bytes:
    good, content = cv2.imencode(suffix, pixels)
    assert good
    return content.tobytes()


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tiff", ".pgm", ".webp", ".jpg"])
def test_formats(suffix: str) -> None:
    pixels = decode_image(encoded(suffix, GRAY), "picture")
    assert pixels.dtype == np.uint8
    assert pixels.shape[:2] == (12, 20)


def test_sixteen_bits_become_eight() -> None:
    pixels = decode_image(encoded(".png", GRAY.astype(np.uint16) << 8), "picture")
    assert np.array_equal(pixels, GRAY)


def test_light_of_any_range_becomes_eight_bits() -> None:
    pixels = decode_image(encoded(".tiff", GRAY.astype(np.float32) * 7 - 3), "picture")
    assert (int(pixels.min()), int(pixels.max())) == (0, 255)


def test_transparent_means_white() -> None:
    """Else a code saved as black on nothing would be black on black."""
    picture = np.zeros((2, 2, 4), np.uint8)
    picture[0, 0, 3] = 255
    pixels = decode_image(encoded(".png", picture), "picture")
    assert pixels[0, 0].tolist() == [0, 0, 0]
    assert pixels[1, 1].tolist() == [255, 255, 255]


def test_any_name_is_opened(tmp_path: Path) -> None:
    path = tmp_path / "гость 🎁.png"
    path.write_bytes(encoded(".png", GRAY))
    assert read_image(path).shape == (12, 20)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty"),
        (b"just some text\n" * 50, "is not a picture"),
        (b"\x89PNG\r\n\x1a\n", "is not a picture"),
        (encoded(".png", GRAY)[:40], "is not a picture"),
        (b"\xff\xd8\xff\xe0" + bytes(500), "is not a picture"),
        (b"P5 100000 100000 255\n", "is not a picture"),
        (b"P5 -1 5 255\n", "is not a picture"),
    ],
)
def test_what_is_no_picture_gets_a_sentence_with_its_name(content: bytes, says: str) -> None:
    with pytest.raises(UnreadableImageError, match=rf"x\.png {says}"):
        decode_image(content, "x.png")


def test_a_bomb_is_refused() -> None:
    """A gigapixel PNG of a few hundred bytes."""
    import struct
    import zlib

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", 40_000, 40_000, 8, 0, 0, 0, 0)
    bomb = (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    )
    with pytest.raises(UnreadableImageError, match="too large"):
        decode_image(bomb, "bomb.png")


def test_absent_and_forbidden_files_get_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(UnreadableImageError, match="There is no file"):
        read_image(tmp_path / "absent.png")
    with pytest.raises(UnreadableImageError, match="cannot be opened"):
        read_image(tmp_path)


@given(st.data())
@settings(max_examples=150)
def test_damaged_files_are_read_or_refused(data: st.DataObject) -> None:
    content = bytearray(encoded(data.draw(st.sampled_from([".png", ".jpg", ".webp", ".bmp", ".tiff"])), GRAY))
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(content)))
    try:
        assert decode_image(bytes(content[:cut]), "x").dtype == np.uint8
    except UnreadableImageError as error:
        assert str(error).startswith("x is")
