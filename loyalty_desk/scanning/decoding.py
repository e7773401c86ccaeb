"""From a frame to the bytes of the QR codes in it.

zxing-cpp looks at the whole frame first: about 1 ms, and enough for nearly every frame of a sale. What it cannot read
is tried again, region by region, by the steps of `cascade.py` inside a budget of CPU time. Only QR codes are looked
for: Micro QR has no error correction in its smallest form and produced wrong texts.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol

from loyalty_desk.scanning.cascade import STEPS, Binarizer, Engine, Step, Target
from loyalty_desk.scanning.opencv import load_cv2
from loyalty_desk.scanning.regions import Region, candidates
from loyalty_desk.scanning.zbar import Zbar, ZbarAbsent, load_zbar

if TYPE_CHECKING:
    from numpy.typing import NDArray

Corners = tuple[tuple[float, float], ...]
"""Four points around a code, in pixels of the frame; the first is the code's own top left where that is known."""

LIVE_BUDGET_MS = 15.0
THOROUGH_BUDGET_MS = 28.0
_LONGEST_SIDE = 1280
_MOST_PIXELS = 1_300_000
_REGIONS = (Target.FIRST, Target.SECOND, Target.THIRD)
_CHEAPEST_LOOK_NS = 0.9

# GetThreadTimes moves in steps of 15.6 ms on Windows, which is the whole budget.
cpu_clock: Callable[[], float] = time.perf_counter if sys.platform == "win32" else time.thread_time


@dataclass(frozen=True, slots=True)
class Reading:
    """One code read from a frame. `data` is exact; `step` names the look that read it."""

    data: bytes
    text: str
    corners: Corners
    step: str


class Decoder(Protocol):
    """Reads frames, one at a time, in one thread."""

    def decode(self, frame: NDArray[Any]) -> list[Reading]:
        """Return the codes read in `frame` (uint8, gray or BGR), without repeats; usually none or one."""


def warm_up(decoder: Decoder) -> None:
    """Load the decoder's libraries and touch what a hard frame needs: the first use of all that takes 0.5 s."""
    import numpy as np

    numbers = np.arange(160 * 160, dtype=np.uint32) * np.uint32(2654435761)
    decoder.decode((numbers >> np.uint32(24)).astype(np.uint8).reshape(160, 160))


@dataclass(frozen=True, slots=True)
class _Look:
    """What zxing-cpp saw in one picture: readings and the corners of codes it found but could not read."""

    readings: list[tuple[bytes, str, Corners]]
    failed: list[Corners]


@cache
def _zxing() -> Any:
    import zxingcpp

    return zxingcpp


@cache
def _binarizers() -> dict[Binarizer, Any]:
    return {name: getattr(_zxing().Binarizer, name.value) for name in Binarizer}


def text_of(data: bytes, guess: str = "") -> str:
    """Return the text of a code's bytes: UTF-8 where they are valid UTF-8, else `guess`, else Shift-JIS or ISO 8859-1.

    `guess` is zxing-cpp's: the charset a code declares, else the likelier one. Never fails: any byte is ISO 8859-1.
    """
    for charset in ("utf-8",) if guess else ("utf-8", "shift_jis"):
        try:
            return data.decode(charset)
        except UnicodeDecodeError:
            continue
    return guess or data.decode("latin-1")


def _look(gray: NDArray[Any], binarizer: Binarizer = Binarizer.LOCAL) -> _Look:
    zxing = _zxing()
    readings: list[tuple[bytes, str, Corners]] = []
    failed: list[Corners] = []
    for code in zxing.read_barcodes(
        gray,
        formats=zxing.BarcodeFormat.QRCodeModel2,
        text_mode=zxing.TextMode.Plain,
        binarizer=_binarizers()[binarizer],
        return_errors=True,
    ):
        where = code.position
        corners = tuple(
            (float(p.x), float(p.y)) for p in (where.top_left, where.top_right, where.bottom_right, where.bottom_left)
        )
        if not code.valid:
            failed.append(corners)
        elif code.bytes:
            readings.append((code.bytes, text_of(code.bytes, code.text), corners))
    return _Look(readings, failed)


def _gray(frame: NDArray[Any]) -> NDArray[Any]:
    if frame.ndim == 2:
        return frame
    cv2 = load_cv2()
    return cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY)  # type: ignore[no-any-return]


def _resized(gray: NDArray[Any], scale: float) -> NDArray[Any]:
    if scale == 1:
        return gray
    cv2 = load_cv2()
    size = (max(1, round(gray.shape[1] * scale)), max(1, round(gray.shape[0] * scale)))
    return cv2.resize(gray, size, interpolation=cv2.INTER_CUBIC if scale > 1 else cv2.INTER_AREA)  # type: ignore[no-any-return]


def _fitted(gray: NDArray[Any], shrink: float) -> NDArray[Any]:
    """Shrink a large picture; halving is ten times faster than any other ratio, so it comes first."""
    if shrink == 1:
        return gray
    cv2 = load_cv2()
    size = (max(1, round(gray.shape[1] * shrink)), max(1, round(gray.shape[0] * shrink)))
    while min(gray.shape) > 1 and max(gray.shape) > 2 * max(size):
        gray = cv2.resize(gray, (gray.shape[1] // 2, gray.shape[0] // 2), interpolation=cv2.INTER_AREA)
    return cv2.resize(gray, size, interpolation=cv2.INTER_LINEAR)  # type: ignore[no-any-return]


class CascadeDecoder:
    """The till's decoder. `budget_ms` bounds the CPU time of one frame; the first look is always made.

    One instance belongs to one thread: a decoder that hangs is left behind with its thread.
    """

    def __init__(
        self,
        budget_ms: float = LIVE_BUDGET_MS,
        *,
        steps: Sequence[Step] = STEPS,
        clock: Callable[[], float] = cpu_clock,
        zbar: Zbar | ZbarAbsent | None = None,
    ) -> None:
        self._budget = budget_ms / 1000
        self._steps = steps
        self._clock = clock
        self.zbar = load_zbar() if zbar is None else zbar

    def decode(self, frame: NDArray[Any]) -> list[Reading]:
        if frame.size == 0:
            return []
        started = self._clock()
        shrink = min(1.0, _LONGEST_SIDE / max(frame.shape[:2]))
        gray = _fitted(_gray(frame), shrink)
        if shrink < 1:
            # Fitting a photograph of 12 megapixels takes 5 ms: the budget is for the reading.
            started = self._clock()
        first = _look(gray)
        if first.readings:
            return _readings(first.readings, "first look", 1 / shrink)
        look_ns = max(_CHEAPEST_LOOK_NS, (self._clock() - started) * 1e9 / gray.size)
        regions = dict(zip(_REGIONS, candidates(gray, first.failed), strict=False)) if self._steps else {}
        if shrink < 1:
            found = _look_closer(frame, regions, 1 / shrink)
            if found:
                return found
        return self._try_steps(gray, regions, 1 / shrink, look_ns, started + self._budget)

    def _try_steps(
        self, gray: NDArray[Any], regions: dict[Target, Region], ratio: float, look_ns: float, deadline: float
    ) -> list[Reading]:
        """Take the steps that the time left allows. The frame is `ratio` times as large as `gray`."""
        whole = Region(0, 0, gray.shape[1], gray.shape[0])
        for step in self._steps:
            for target in step.targets:
                region = whole if target is Target.WHOLE else regions.get(target)
                if region is None:
                    continue
                pixels = region.area * step.scale**2
                expected = pixels * look_ns * step.cost * 1e-9
                if pixels > _MOST_PIXELS or self._clock() + expected > deadline:
                    continue
                found = self._take(step, _part(gray, region))
                if found:
                    name = f"{step.name} of {target.value}"
                    return _readings(found, name, ratio / step.scale, region.left * ratio, region.top * ratio)
        return []

    def _take(self, step: Step, picture: NDArray[Any]) -> list[tuple[bytes, str, Corners]]:
        changed = step.change(_resized(picture, step.scale))
        if step.engine is Engine.ZXING:
            return _look(changed, step.binarizer).readings
        if isinstance(self.zbar, ZbarAbsent):
            return []
        return [(code.data, text_of(code.data), code.points) for code in self.zbar.read(changed)]


def _part(frame: NDArray[Any], region: Region, ratio: float = 1.0) -> NDArray[Any]:
    """Return the region of a frame that is `ratio` times as large as the one it was found in."""
    top, bottom = round(region.top * ratio), round((region.top + region.height) * ratio)
    left, right = round(region.left * ratio), round((region.left + region.width) * ratio)
    return frame[top:bottom, left:right]


def _look_closer(frame: NDArray[Any], regions: dict[Target, Region], ratio: float) -> list[Reading]:
    """Look at the regions in the pixels of the frame, `ratio` times as many a side as they were found in."""
    for target, region in regions.items():
        if region.area * ratio**2 <= _MOST_PIXELS:
            found = _look(_gray(_part(frame, region, ratio))).readings
            if found:
                return _readings(found, f"full size of {target.value}", 1, region.left * ratio, region.top * ratio)
    return []


def _readings(
    found: Sequence[tuple[bytes, str, Corners]], step: str, ratio: float, left: float = 0, top: float = 0
) -> list[Reading]:
    """Move corners from a step's picture to the frame and drop repeats of the same bytes."""
    unique: dict[bytes, Reading] = {}
    for data, text, corners in found:
        moved = tuple((x * ratio + left, y * ratio + top) for x, y in corners)
        unique.setdefault(data, Reading(data, text, moved, step))
    return list(unique.values())
