"""Where in a frame a code that was not read may be: failed sightings first, then blobs dense with edges."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from loyalty_desk.scanning.opencv import load_cv2

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_REGIONS = 3
_SMALLEST_SIDE = 24
_SHRINK = 4


@dataclass(frozen=True, slots=True)
class Region:
    """An upright rectangle of a frame, in its pixels."""

    left: int
    top: int
    width: int
    height: int

    @property
    def area(self) -> int:
        return self.width * self.height

    def overlap(self, other: Region) -> float:
        """Shared area as a part of the smaller rectangle."""
        width = min(self.left + self.width, other.left + other.width) - max(self.left, other.left)
        height = min(self.top + self.height, other.top + other.height) - max(self.top, other.top)
        if width <= 0 or height <= 0:
            return 0.0
        return width * height / min(self.area, other.area)


def around(points: Sequence[tuple[float, float]], margin: float, frame_width: int, frame_height: int) -> Region | None:
    """Return the rectangle around `points`, grown by `margin` of its longer side and cut to the frame."""
    xs = [x for x, _ in points]
    ys = [y for _, y in points]
    grow = margin * max(max(xs) - min(xs), max(ys) - min(ys)) + 4
    left, top = max(0, int(min(xs) - grow)), max(0, int(min(ys) - grow))
    right, bottom = min(frame_width, int(max(xs) + grow)), min(frame_height, int(max(ys) + grow))
    if right - left < _SMALLEST_SIDE or bottom - top < _SMALLEST_SIDE:
        return None
    return Region(left, top, right - left, bottom - top)


def edge_dense(gray: NDArray[Any], most: int) -> list[Region]:
    """Return up to `most` rectangles where edges of both directions are dense, densest first.

    A QR code has as many horizontal as vertical edges; shelves, text lines and table edges mostly have one kind.
    """
    cv2 = load_cv2()
    height, width = gray.shape
    small = cv2.resize(gray, (max(1, width // _SHRINK), max(1, height // _SHRINK)), interpolation=cv2.INTER_AREA)
    if min(small.shape) < 8:
        return []
    across = cv2.convertScaleAbs(cv2.Sobel(small, cv2.CV_16S, 1, 0, ksize=1))
    down = cv2.convertScaleAbs(cv2.Sobel(small, cv2.CV_16S, 0, 1, ksize=1))
    window = max(5, min(small.shape) // 20) | 1
    both = cv2.min(cv2.blur(across, (window, window)), cv2.blur(down, (window, window)))
    strongest = int(both.max())
    if strongest < 3:
        return []
    _, mask = cv2.threshold(both, max(2, strongest * 2 // 5), 255, cv2.THRESH_BINARY)
    _, _, boxes, _ = cv2.connectedComponentsWithStats(mask)
    scored: list[tuple[float, Region]] = []
    for x, y, w, h, area in boxes[1:].tolist():
        if max(w, h) * _SHRINK < _SMALLEST_SIDE or max(w, h) > 4 * min(w, h):
            continue
        weight = float(both[y : y + h, x : x + w].mean()) * area * (min(w, h) / max(w, h))
        corners = [(x * _SHRINK, y * _SHRINK), ((x + w) * _SHRINK, (y + h) * _SHRINK)]
        region = around(corners, 0.12, width, height)
        if region is not None:
            scored.append((weight, region))
    scored.sort(key=lambda pair: -pair[0])
    return [region for _, region in scored[:most]]


def candidates(gray: NDArray[Any], failed: Sequence[Sequence[tuple[float, float]]]) -> list[Region]:
    """Regions worth a second look, best first, without near-duplicates: at most `MOST_REGIONS`."""
    height, width = gray.shape
    found = [region for corners in failed if (region := around(corners, 0.25, width, height)) is not None]
    found.extend(edge_dense(gray, 2))
    kept: list[Region] = []
    for region in found:
        if all(region.overlap(other) < 0.8 or other.area > 3 * region.area for other in kept):
            kept.append(region)
    return kept[:MOST_REGIONS]
