"""Pictures of codes, drawn here: no photograph is needed or kept."""

from collections.abc import Callable

import numpy as np
import pytest
import segno
from numpy.typing import NDArray

Picture = NDArray[np.uint8]


@pytest.fixture(scope="session")
def code_picture() -> Callable[..., Picture]:
    """A QR code as gray pixels, `module` pixels a module, alone or in the middle of a frame of gray 90."""

    def draw(content: str | bytes, module: int = 5, frame: tuple[int, int] | None = None, error: str = "l") -> Picture:
        code = segno.make_qr(content, error=error, boost_error=False)
        modules = np.array([list(row) for row in code.matrix_iter(border=4)], np.uint8)
        picture = (255 * (1 - np.kron(modules, np.ones((module, module), np.uint8)))).astype(np.uint8)
        if frame is None:
            return picture
        width, height = frame
        whole = np.full((height, width), 90, np.uint8)
        side = picture.shape[0]
        top, left = (height - side) // 2, (width - side) // 2
        whole[top : top + side, left : left + side] = picture
        return whole

    return draw
