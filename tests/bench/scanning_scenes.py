"""Frames of codes on phone screens as a bad camera sees them: 18 distortions at 3 levels, by seed.

Light is linear until the end, noise and JPEG come last, as in a camera. Codes are versions 2 to 8 at any level of error
correction, so harder than the till's own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import segno
from numpy.typing import NDArray

WIDTH, HEIGHT = 1280, 720
KINDS = (
    "clean",
    "small",
    "tilt",
    "rotation",
    "defocus",
    "motion",
    "low light",
    "over-exposed",
    "glare",
    "moiré",
    "banding",
    "inverted",
    "cropped",
    "quiet zone",
    "cracked",
    "low contrast",
    "dots and logo",
    "night bar",
)
MUST_ALL_READ = ("clean", "rotation", "inverted", "moiré", "low contrast", "over-exposed")
_CHARACTERS = {2: 20, 3: 30, 4: 45, 5: 60, 6: 80, 7: 95, 8: 115}
_ALPHABET = list("0123456789ABCDEFGHJKMNPQRSTVWXYZ")
_CELL = 12
_FINE = 3

Light = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Scene:
    """One gray frame and the text in it."""

    kind: str
    level: int
    text: str
    frame: NDArray[np.uint8]


def scene(kind: str, level: int, seed: int) -> Scene:
    """Draw the scene of one distortion (`level` 0 to 2) and seed; always the same pixels."""
    rng = np.random.default_rng([KINDS.index(kind), level, seed])
    text, modules = _code(rng)
    pixels = {"clean": (6.0, 4.0, 3.0), "small": (2.5, 2.0, 1.6)}.get(kind, (float(rng.uniform(3.6, 5.5)),) * 3)[level]
    picture = _screen(kind, level, modules, rng)
    middle = np.array([WIDTH / 2, HEIGHT / 2]) + rng.uniform(-90, 90, 2)
    quad = _placed(kind, level, picture.shape[0] / _CELL * pixels, rng) + middle
    light = _photographed(kind, level, picture, quad, modules.shape[0], rng)
    light = _optics(kind, level, light, quad, pixels, rng)
    return Scene(kind, level, text, _sensor(kind, level, light, rng))


def _code(rng: np.random.Generator) -> tuple[str, NDArray[np.uint8]]:
    version, error = int(rng.integers(2, 9)), "LMQH"[int(rng.integers(0, 4))]
    for length in range(_CHARACTERS[version], 4, -3):
        text = "LD" + "".join(rng.choice(_ALPHABET, length))
        try:
            code = segno.make(text, error=error, version=version, mode="alphanumeric", boost_error=False, micro=False)
        except segno.DataOverflowError:
            continue
        return text, np.array([list(row) for row in code.matrix_iter(border=4)], np.uint8)
    raise AssertionError(version, error)


def _screen(kind: str, level: int, modules: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """The code as it is drawn, `_CELL` pixels a module."""
    count = modules.shape[0]
    picture = np.kron(255 * (1 - modules), np.ones((_CELL, _CELL), np.uint8)).astype(np.uint8)
    if kind == "inverted":
        return 255 - picture
    if kind == "quiet zone":
        cut = int((4 - (1, 0.5, 0)[level]) * _CELL)
        return np.ascontiguousarray(picture[cut:-cut, cut:-cut])
    if kind == "dots and logo":
        last = count - 8 - 7
        for y, x in np.argwhere(modules[4:-4, 4:-4] > 0):
            if ((x < 7 or x >= last) and y < 7) or (x < 7 and y >= last):
                continue
            left, top = (int(x) + 4) * _CELL, (int(y) + 4) * _CELL
            picture[top : top + _CELL, left : left + _CELL] = 255
            cv2.circle(picture, (left + _CELL // 2, top + _CELL // 2), int(_CELL * 0.42), 0, -1)
        half = int((count - 8) * _CELL * math.sqrt((0.08, 0.12, 0.16)[level])) // 2
        centre = count * _CELL // 2
        corner = (centre - half, centre - half), (centre + half, centre + half)
        cv2.rectangle(picture, *corner, int(rng.integers(60, 220)), -1)
    if kind == "cracked":
        side = picture.shape[0]
        for _ in range((3, 6, 10)[level]):
            point = rng.integers(0, side, 2)
            for _ in range(4):
                following = np.clip(point + rng.integers(-side // 3, side // 3, 2), 0, side - 1)
                ends = tuple(map(int, point)), tuple(map(int, following))
                cv2.line(picture, *ends, int(rng.integers(150, 255)), int(rng.integers(2, 6)))
                point = following
    return picture


def _placed(kind: str, level: int, side: float, rng: np.random.Generator) -> NDArray[Any]:
    """Corners around the origin, turned and tilted as a hand holds a phone."""
    turn = rng.uniform(0, 2 * math.pi) if kind == "rotation" else math.radians(rng.uniform(-8, 8))
    tilt = math.radians((35, 50, 60)[level] if kind == "tilt" else rng.uniform(0, 15))
    towards = rng.uniform(0, 2 * math.pi)
    quad = np.array([[-0.5, -0.5], [0.5, -0.5], [0.5, 0.5], [-0.5, 0.5]]) * side
    quad = quad @ np.array([[math.cos(turn), math.sin(turn)], [-math.sin(turn), math.cos(turn)]])
    axis = np.array([math.cos(towards), math.sin(towards)])
    along = quad @ axis
    quad = quad - np.outer(along, axis) + np.outer(along * math.cos(tilt), axis)
    focal = 1100.0
    return quad * (focal / (focal + along * math.sin(tilt)))[:, None]  # type: ignore[no-any-return]


def _photographed(
    kind: str, level: int, picture: NDArray[np.uint8], quad: NDArray[Any], count: int, rng: np.random.Generator
) -> Light:
    """The screen in front of something dim, as linear light."""
    fine = (WIDTH * _FINE, HEIGHT * _FINE)
    side = picture.shape[0]
    source = np.array([[0, 0], [side, 0], [side, side], [0, side]], np.float32)
    matrix = cv2.getPerspectiveTransform(source, (quad * _FINE).astype(np.float32))
    large = cv2.warpPerspective(picture, matrix, fine)
    cover = cv2.warpPerspective(np.full_like(picture, 255), matrix, fine).astype(np.float32) / 255
    if kind == "cropped":
        corner = int(rng.integers(0, 4))
        here, after, before = quad[corner], quad[(corner + 1) % 4], quad[corner - 1]
        reach = math.sqrt(2 * (0.06, 0.10, 0.15)[level]) * (count - 8) / count + 4 / count
        cut = np.array([here, here + (after - here) * reach, here + (before - here) * reach]) * _FINE
        cv2.fillPoly(large, [cut.astype(np.int32)], 90)
    patches = rng.uniform(0.6, 1.4, (6, 10)).astype(np.float32)
    behind = cv2.resize(patches, fine, interpolation=cv2.INTER_CUBIC) * rng.uniform(20, 120)
    if kind == "quiet zone":
        behind = np.full_like(behind, 20)
    screen = (large.astype(np.float32) / 255) ** 2.2 * 0.85 + 0.02
    room = (np.clip(behind, 0, 255) / 255) ** 2.2
    light = cv2.resize(screen * cover + room * (1 - cover), (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
    if kind == "low contrast":
        inside = cv2.resize(cover, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA) > 0.5
        light = np.where(inside, 0.4 + (light - 0.4) * (0.35, 0.2, 0.12)[level], light)
    return light  # type: ignore[no-any-return]


def _optics(kind: str, level: int, light: Light, quad: NDArray[Any], pixels: float, rng: np.random.Generator) -> Light:
    down, across = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    night = kind == "night bar"
    if kind == "glare" or night:
        area = abs(float(cv2.contourArea(quad.astype(np.float32))))
        share = (0.03, 0.06, 0.10)[level] * (0.5 if night else 1)
        spot = quad.mean(axis=0) + rng.uniform(-0.3, 0.3, 2) * math.sqrt(area)
        distance = (across - spot[0]) ** 2 + (down - spot[1]) ** 2
        light = light + 3 * np.exp(-((distance / (share * area / math.pi)) ** 2))
    if kind == "defocus" or night:
        radius = (0.5, 0.75, 1.0)[level] * pixels * (0.6 if night else 1)
        half = math.ceil(radius)
        y, x = np.mgrid[-half : half + 1, -half : half + 1]
        disc = np.clip(radius + 0.5 - np.hypot(x, y), 0, 1).astype(np.float32)
        light = cv2.filter2D(light, -1, disc / disc.sum())
    if kind == "motion" or night:
        length = (1, 1.5, 2)[level] * pixels * (0.5 if night else 1)
        angle = rng.uniform(0, math.pi)
        size = (int(length) + 3) | 1
        line = np.zeros((size * 8, size * 8), np.float32)
        step = np.array([math.cos(angle), math.sin(angle)]) * length * 4
        middle = np.array([size * 4, size * 4])
        cv2.line(line, tuple((middle - step).astype(int).tolist()), tuple((middle + step).astype(int).tolist()), 1, 8)
        line = cv2.resize(line, (size, size), interpolation=cv2.INTER_AREA)
        light = cv2.filter2D(light, -1, line / line.sum())
    if kind == "over-exposed":
        light = light * (2, 3.5, 6)[level]
    if kind == "moiré":
        period, angle = rng.uniform(2.2, 5), rng.uniform(0, math.pi)
        wave = np.sin(2 * math.pi * (across * math.cos(angle) + down * math.sin(angle)) / period)
        light = light * (1 - (0.15, 0.3, 0.45)[level] * (0.5 + 0.5 * wave))
    if kind == "banding":
        dark = np.sin(2 * math.pi * down / rng.uniform(60, 220)) > 0
        light = light * (1 - (0.4, 0.6, 0.8)[level] * dark)
    if kind == "low light":
        light = light * 0.25
    return light * 0.4 if night else light


def _sensor(kind: str, level: int, light: Light, rng: np.random.Generator) -> NDArray[np.uint8]:
    noise = {"low light": (7.0, 15.0, 24.0)[level], "night bar": 10.0}.get(kind, 2.0)
    gray = 255 * np.clip(light, 0, 1) ** (1 / 2.2) + rng.normal(0, noise, light.shape)
    jpeg = cv2.imencode(".jpg", np.clip(gray, 0, 255).astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, 85])[1]
    return cv2.imdecode(jpeg, cv2.IMREAD_GRAYSCALE)  # type: ignore[no-any-return]
