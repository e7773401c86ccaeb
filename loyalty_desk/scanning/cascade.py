"""The order in which an unread frame is tried again: which part of it, what is done to the pixels, who looks.

Chosen on 55 hard photographs and 486 generated scenes. A step stands where it does for what it read and the steps
before it did not, per millisecond, with a weight left on codes already read, so that the order is not fitted to
single photographs. `tests/bench/bench_scanning.py` says what each step reads.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import TYPE_CHECKING, Any

from loyalty_desk.scanning.opencv import load_cv2

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Target(StrEnum):
    """Which part of the frame: the regions of `regions.candidates` in their order, or all of it."""

    FIRST = "region 1"
    SECOND = "region 2"
    THIRD = "region 3"
    WHOLE = "whole frame"


class Binarizer(StrEnum):
    """How zxing-cpp turns gray into black and white; the values are its own names."""

    LOCAL = "LocalAverage"
    GLOBAL = "GlobalHistogram"
    FIXED = "FixedThreshold"


class Engine(StrEnum):
    """Who looks."""

    ZXING = "zxing"
    ZBAR = "zbar"


@dataclass(frozen=True, slots=True)
class Step:
    """One more try. `scale` 2 doubles the side before `change` is applied.

    `cost` is the CPU of the step as a multiple of a plain look at as many pixels: it keeps the budget, no more.
    """

    name: str
    targets: tuple[Target, ...]
    change: Callable[[NDArray[Any]], NDArray[Any]]
    scale: float = 1.0
    binarizer: Binarizer = Binarizer.LOCAL
    cost: float = 1.5
    engine: Engine = Engine.ZXING


def as_it_is(gray: NDArray[Any]) -> NDArray[Any]:
    return gray


def adaptive(block: int) -> Callable[[NDArray[Any]], NDArray[Any]]:
    """Black where darker than its surroundings of `block` pixels: for light that changes across the code."""

    def change(gray: NDArray[Any]) -> NDArray[Any]:
        cv2 = load_cv2()
        return cv2.adaptiveThreshold(gray, 255, cv2.ADAPTIVE_THRESH_MEAN_C, cv2.THRESH_BINARY, block, 5)  # type: ignore[no-any-return]

    return change


@cache
def _gamma_table(power: float) -> NDArray[Any]:
    import numpy as np

    return (255 * (np.arange(256) / 255.0) ** power).astype(np.uint8)


def gamma(power: float) -> Callable[[NDArray[Any]], NDArray[Any]]:
    """Above 1 for over-exposed and washed-out codes, below 1 for dark ones."""
    return lambda gray: load_cv2().LUT(gray, _gamma_table(power))


def unsharp(gray: NDArray[Any]) -> NDArray[Any]:
    """Strengthen edges: for a lens out of focus and a moving hand."""
    cv2 = load_cv2()
    return cv2.addWeighted(gray, 3.5, cv2.GaussianBlur(gray, (0, 0), 2), -2.5, 0)  # type: ignore[no-any-return]


def clahe(gray: NDArray[Any]) -> NDArray[Any]:
    """Equalise contrast tile by tile: for glare and shadows."""
    return load_cv2().createCLAHE(3.0, (8, 8)).apply(gray)  # type: ignore[no-any-return]


def soften(gray: NDArray[Any]) -> NDArray[Any]:
    """Average away noise, dots in place of squares, and the grid of a screen."""
    return load_cv2().GaussianBlur(gray, (0, 0), 1.5)  # type: ignore[no-any-return]


def median(gray: NDArray[Any]) -> NDArray[Any]:
    """Take away specks and thin cracks."""
    return load_cv2().medianBlur(gray, 3)  # type: ignore[no-any-return]


_TWO = (Target.FIRST, Target.SECOND)
_ALL = (Target.FIRST, Target.SECOND, Target.THIRD)
_ONE = (Target.FIRST,)
_WHOLE = (Target.WHOLE,)

STEPS: tuple[Step, ...] = (
    Step("adaptive threshold", _ALL, adaptive(31), binarizer=Binarizer.FIXED, cost=2),
    Step("softened, one threshold", _TWO, soften, binarizer=Binarizer.GLOBAL, cost=2),
    Step("brightened, one threshold", _TWO, gamma(0.4), binarizer=Binarizer.GLOBAL),
    Step("half size, sharpened", _TWO, unsharp, scale=0.5, cost=4),
    Step("darkened, one threshold", _TWO, gamma(3), binarizer=Binarizer.GLOBAL),
    Step("sharpened", _ALL, unsharp, cost=3),
    Step("darkened", _WHOLE, gamma(3)),
    Step("half size", _ONE, as_it_is, scale=0.5, cost=16, engine=Engine.ZBAR),
    Step("half size, equalised", _ONE, clahe, scale=0.5, cost=6),
    Step("half size, equalised, one threshold", _ONE, clahe, scale=0.5, binarizer=Binarizer.GLOBAL, cost=6),
    Step("one threshold", _TWO, as_it_is, binarizer=Binarizer.GLOBAL),
    Step("brightened, one threshold", _WHOLE, gamma(0.4), binarizer=Binarizer.GLOBAL),
    Step("double size", _TWO, as_it_is, scale=2, cost=1.5),
    Step("half size", _ONE, as_it_is, scale=0.5, cost=2),
    Step("double size, one threshold", _TWO, as_it_is, scale=2, binarizer=Binarizer.GLOBAL),
    Step("half size, sharpened", _WHOLE, unsharp, scale=0.5, cost=4),
    Step("double size, equalised", _TWO, clahe, scale=2, cost=5),
    Step("as it is", _ONE, as_it_is, cost=10, engine=Engine.ZBAR),
    Step("double size, equalised", _WHOLE, clahe, scale=2, cost=5),
    Step("double size, softened", _ONE, soften, scale=2, cost=2),
    Step("double size, darkened", _ONE, gamma(3), scale=2),
    Step("adaptive threshold", _WHOLE, adaptive(31), binarizer=Binarizer.FIXED, cost=2),
    Step("double size", (Target.SECOND,), as_it_is, scale=2, cost=10, engine=Engine.ZBAR),
    Step("triple size, median, one threshold", _ONE, median, scale=3, binarizer=Binarizer.GLOBAL),
    Step("half size, equalised, one threshold", _WHOLE, clahe, scale=0.5, binarizer=Binarizer.GLOBAL, cost=6),
    Step("triple size, softened", _ONE, soften, scale=3, cost=2),
    Step("double size", _ONE, as_it_is, scale=2, cost=10, engine=Engine.ZBAR),
)
