"""Frames as Qt's images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from PySide6.QtGui import QImage

if TYPE_CHECKING:
    from numpy.typing import NDArray


def to_image(frame: NDArray[Any]) -> QImage:
    """Return an image of its own of a contiguous BGR uint8 frame, height by width by 3."""
    height, width = frame.shape[:2]
    # Without a copy the image would look at memory that numpy frees with the frame.
    return QImage(frame.data, width, height, frame.strides[0], QImage.Format.Format_BGR888).copy()
