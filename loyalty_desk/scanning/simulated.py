"""A webcam that is not there: a guest at the counter shows a card or a phone, as a camera on the till would see it.

For the demo and the end-to-end tests. No files and no network; the same seed, texts and frame numbers give the same
pixels.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from loyalty_desk.scanning.frames import FrameStream, Pacer
from loyalty_desk.scanning.opencv import load_cv2
from loyalty_desk.scanning.props import Prop, draw_counter, draw_prop

if TYPE_CHECKING:
    from numpy.typing import NDArray

WIDTH, HEIGHT = 1280, 720
_ARRIVES = 0.4
_LEAVES = 0.35
_FOCUSES = 0.45
_NOISE = 3.0
_NOISE_MARGIN = 64
_PROPS_KEPT = 4


@dataclass(frozen=True, slots=True)
class _Shown:
    """What the hand holds, and since which time in seconds of the stream; `before` is leaving."""

    text: str | None
    since: float
    before: str | None


@dataclass(frozen=True, slots=True)
class _Pose:
    """Where the prop is: middle in pixels, turns in radians, size as a factor."""

    x: float
    y: float
    roll: float
    yaw: float
    pitch: float
    size: float


class SimulatedWebcam:
    """A `FrameSource` of 1280 by 720 BGR frames at `fps`. `show` may be called from any thread at any time."""

    may_stand_still = False

    def __init__(
        self,
        text: str | None = None,
        *,
        seed: int = 1,
        fps: float = 30.0,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._seed = seed
        self._fps = fps
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        self._wanted = text
        self._is_empty = True

    @property
    def name(self) -> str:
        return "simulated webcam"

    def present(self) -> bool:
        return True

    def show(self, text: str | None) -> None:
        """Hold `text` as a QR code before the camera from the next frame on; None takes the hand away."""
        with self._lock:
            self._wanted = text
            # Neither while a hand comes nor while it goes: only a frame says so again.
            self._is_empty = False

    @property
    def is_empty(self) -> bool:
        """Return whether the last frame had nobody's hand in it any more."""
        with self._lock:
            return self._is_empty

    def drawn(self, text: str | None, *, is_empty: bool) -> None:
        """Hear what the frame was that has just been drawn for `text`."""
        with self._lock:
            self._is_empty = is_empty and text == self._wanted

    @property
    def wanted(self) -> str | None:
        """What is to be shown now."""
        with self._lock:
            return self._wanted

    def open(self) -> FrameStream:
        return _SimulatedStream(self, Scene(self._seed), self._fps, Pacer(self._fps, self._clock, self._sleep))


class _SimulatedStream:
    def __init__(self, webcam: SimulatedWebcam, scene: Scene, fps: float, pacer: Pacer) -> None:
        self._webcam = webcam
        self._scene = scene
        self._fps = fps
        self._pacer = pacer
        self._number = 0
        self._shown = _Shown(None, -10.0, None)

    def read(self) -> NDArray[Any] | None:
        self._pacer.wait()
        at = self._number / self._fps
        wanted = self._webcam.wanted
        if wanted != self._shown.text:
            self._shown = _Shown(wanted, at, self._shown.text)
        frame = self._scene.frame(self._number, at, self._shown)
        gone = self._shown.before is None or at - self._shown.since >= _LEAVES
        self._webcam.drawn(wanted, is_empty=wanted is None and gone)
        self._number += 1
        return frame

    def close(self) -> None:
        pass  # nothing is held


class Scene:
    """Draws frames. A frame depends only on the seed, its number and what is shown since when."""

    def __init__(self, seed: int) -> None:
        import numpy as np

        self._seed = seed
        rng = np.random.default_rng([seed, 0])
        self._counter = draw_counter(rng, WIDTH, HEIGHT)
        grain = rng.normal(0, _NOISE, (HEIGHT + _NOISE_MARGIN, WIDTH + _NOISE_MARGIN, 3))
        # A sensor's noise is coarser in colour than in light, and MJPG smooths both.
        self._grain = load_cv2().GaussianBlur(grain, (0, 0), 0.6).astype(np.int16)
        # Light falls from the left: 240 is as drawn.
        ramp = np.linspace(255, 212, WIDTH)[None, :, None]
        self._light = np.broadcast_to(ramp, (HEIGHT, WIDTH, 3)).astype(np.uint8)
        self._phases = rng.uniform(0, 2 * math.pi, 12)
        self._props: dict[str, Prop] = {}

    def frame(self, number: int, at: float, shown: _Shown) -> NDArray[Any]:
        """Return frame `number` at `at` seconds."""
        import numpy as np

        cv2 = load_cv2()
        frame = self._counter.copy()
        age = at - shown.since
        if shown.before is not None and age < _LEAVES:
            self._paint(frame, shown.before, self._pose(at, 1 - age / _LEAVES), blur=1.2, speed=age / _LEAVES)
        elif shown.text is not None:
            arriving = min(1.0, (age - (_LEAVES if shown.before else 0)) / _ARRIVES)
            if arriving > 0:
                soft = max(0.0, 1 - max(0.0, age - _ARRIVES) / _FOCUSES)
                self._paint(frame, shown.text, self._pose(at, arriving), blur=0.6 + 2 * soft, speed=1 - arriving)
        light = 1 + 0.015 * math.sin(2 * math.pi * 0.31 * at + self._phases[0])
        rng = np.random.default_rng([self._seed, 1, number])
        left, top = rng.integers(0, _NOISE_MARGIN, 2)
        grain = self._grain[top : top + HEIGHT, left : left + WIDTH]
        lit = cv2.convertScaleAbs(frame, alpha=light)
        return cv2.add(lit, grain, dtype=cv2.CV_8U)  # type: ignore[no-any-return]

    def _pose(self, at: float, arrived: float) -> _Pose:
        """Where a hand that is never quite still holds the prop; below the picture where `arrived` is 0."""

        def sway(index: int, hertz: float) -> float:
            slow = math.sin(2 * math.pi * hertz * at + self._phases[index])
            return 0.75 * slow + 0.25 * math.sin(2 * math.pi * 3.1 * hertz * at + self._phases[index + 1])

        eased = 1 - (1 - arrived) ** 2
        return _Pose(
            x=WIDTH * 0.52 + 34 * sway(1, 0.23) + 160 * (1 - eased),
            y=HEIGHT * 0.48 + 18 * sway(2, 0.31) + 640 * (1 - eased),
            roll=math.radians(6 * sway(3, 0.19) + 14 * (1 - eased)),
            yaw=math.radians(15 * sway(4, 0.17)),
            pitch=math.radians(10 * sway(5, 0.21) - 6),
            size=1 + 0.06 * sway(6, 0.13),
        )

    def _paint(self, frame: NDArray[Any], text: str, pose: _Pose, *, blur: float, speed: float) -> None:
        """Put the prop into `frame`, out of focus by `blur` pixels and smeared while it moves."""
        import numpy as np

        cv2 = load_cv2()
        prop = self._props.pop(text, None) or draw_prop(text, self._seed)
        self._props[text] = prop
        while len(self._props) > _PROPS_KEPT:
            del self._props[next(iter(self._props))]
        corners = _project(prop, pose)
        left, top = np.floor(corners.min(axis=0)).astype(int) - 8
        right, bottom = np.ceil(corners.max(axis=0)).astype(int) + 8
        left, top, right, bottom = max(0, left), max(0, top), min(WIDTH, right), min(HEIGHT, bottom)
        if right - left < 2 or bottom - top < 2:
            return
        height, width = prop.picture.shape[:2]
        texture = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
        matrix = cv2.getPerspectiveTransform(texture, (corners - [left, top]).astype(np.float32))
        layer = cv2.warpPerspective(
            prop.picture, matrix, (int(right - left), int(bottom - top)), flags=cv2.INTER_LINEAR
        )
        if blur > 0.3:
            layer = cv2.GaussianBlur(layer, (0, 0), blur)
        smear = int(26 * speed) | 1
        if smear > 1:
            layer = cv2.blur(layer, (1, smear))
        part = frame[top:bottom, left:right]
        cover = cv2.extractChannel(layer, 3)
        behind = cv2.multiply(part, cv2.merge([cv2.bitwise_not(cover)] * 3), scale=1 / 255)
        light = self._light[: bottom - top, left:right]
        part[:] = cv2.add(behind, cv2.multiply(cv2.cvtColor(layer, cv2.COLOR_BGRA2BGR), light, scale=1 / 240))


def _project(prop: Prop, pose: _Pose) -> NDArray[Any]:
    """Corners of the prop's picture in the frame, as a camera with a 60 degree lens sees them."""
    import numpy as np

    height, width = prop.picture.shape[:2]
    focal = WIDTH / (2 * math.tan(math.radians(30)))
    middle_x, middle_y = prop.middle
    flat = np.array([[0, 0, 0], [width, 0, 0], [width, height, 0], [0, height, 0]], float) - [middle_x, middle_y, 0]
    flat *= pose.size * prop.scale
    roll = np.array(
        [[math.cos(pose.roll), -math.sin(pose.roll), 0], [math.sin(pose.roll), math.cos(pose.roll), 0], [0, 0, 1]]
    )
    yaw = np.array(
        [[math.cos(pose.yaw), 0, math.sin(pose.yaw)], [0, 1, 0], [-math.sin(pose.yaw), 0, math.cos(pose.yaw)]]
    )
    pitch = np.array(
        [[1, 0, 0], [0, math.cos(pose.pitch), -math.sin(pose.pitch)], [0, math.sin(pose.pitch), math.cos(pose.pitch)]]
    )
    turned = flat @ (pitch @ yaw @ roll).T
    depth = focal / (focal + turned[:, 2])
    corners: NDArray[Any] = turned[:, :2] * depth[:, None] + [pose.x, pose.y]
    return corners
