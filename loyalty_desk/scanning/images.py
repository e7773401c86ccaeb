"""Pictures from files: any name on any system, any depth, transparent ones on white."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from loyalty_desk.scanning.opencv import load_cv2

if TYPE_CHECKING:
    from numpy.typing import NDArray

IMAGE_SUFFIXES = frozenset(
    {
        ".avif",
        ".bmp",
        ".dib",
        ".gif",
        ".jp2",
        ".jpe",
        ".jpeg",
        ".jpg",
        ".pbm",
        ".pgm",
        ".png",
        ".ppm",
        ".tif",
        ".tiff",
        ".webp",
    }
)
VIDEO_SUFFIXES = frozenset(
    {".avi", ".m4v", ".mjpeg", ".mjpg", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".webm", ".wmv"}
)
MOST_BYTES = 256 << 20


class UnreadableImageError(Exception):
    """This file is not a picture that can be read; the text is one sentence for a person."""


def read_image(path: Path) -> NDArray[Any]:
    """Return the picture as uint8, height by width (gray) or by 3 (BGR). Raises `UnreadableImageError`.

    `cv2.imread` cannot open names outside the ANSI code page on Windows, so the bytes are read here.
    """
    try:
        if path.stat().st_size > MOST_BYTES:
            raise UnreadableImageError(f"{path} is too large for a picture ({path.stat().st_size >> 20} MB).")
        content = path.read_bytes()
    except FileNotFoundError:
        raise UnreadableImageError(f"There is no file {path}.") from None
    except OSError as error:
        raise UnreadableImageError(f"{path} cannot be opened: {error.strerror or error}.") from error
    return decode_image(content, str(path))


def decode_image(content: bytes, name: str) -> NDArray[Any]:
    """Return the picture in `content`; `name` is only for the sentence of `UnreadableImageError`."""
    import numpy as np

    cv2 = load_cv2()
    if not content:
        raise UnreadableImageError(f"{name} is empty.")
    try:
        pixels = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise UnreadableImageError(f"{name} is not a picture that can be read, or it is too large.") from error
    if pixels is None:
        raise UnreadableImageError(f"{name} is not a picture that can be read.")
    return _as_bytes(pixels)


def _as_bytes(pixels: NDArray[Any]) -> NDArray[Any]:
    """Bring any depth and number of channels to 8 bits of gray or BGR."""
    import numpy as np

    if pixels.dtype == np.uint16:
        pixels = (pixels >> 8).astype(np.uint8)
    elif pixels.dtype != np.uint8:
        # Floating pictures (EXR, HDR, TIFF) hold light of any range: stretch what is there.
        finite = np.nan_to_num(pixels.astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0)
        span = float(finite.max() - finite.min()) or 1.0
        pixels = ((finite - finite.min()) * (255.0 / span)).astype(np.uint8)
    if pixels.ndim == 2:
        return pixels
    if pixels.shape[2] == 1:
        return pixels[:, :, 0]
    if pixels.shape[2] == 4:
        # Black modules on a transparent ground would be black on black.
        opacity = pixels[:, :, 3:4].astype(np.uint16)
        return ((pixels[:, :, :3] * opacity + 255 * (255 - opacity)) // 255).astype(np.uint8)
    if pixels.shape[2] == 2:
        return np.ascontiguousarray(pixels[:, :, 0])
    return np.ascontiguousarray(pixels[:, :, :3])
