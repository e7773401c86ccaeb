"""OpenCV, loaded late and with the settings that must be in the environment before its first import."""

from __future__ import annotations

import os
from functools import cache
from types import ModuleType

_SETTINGS = {
    # Without it Media Foundation takes 4 to 20 s to open a camera on Windows (opencv/opencv#17687, #26495).
    "OPENCV_VIDEOIO_MSMF_ENABLE_HW_TRANSFORMS": "0",
    # A damaged file or an absent camera is told in our own words; OpenCV's lines would only repeat it on stderr.
    "OPENCV_LOG_LEVEL": "ERROR",
    "OPENCV_FFMPEG_LOGLEVEL": "-8",
    # A 60 kB PNG can claim a gigapixel; the largest sensors of phones have 200 million.
    "OPENCV_IO_MAX_IMAGE_PIXELS": str(1 << 28),
}


@cache
def load_cv2() -> ModuleType:
    """Import cv2 (0.2 to 0.4 s the first time) and keep it to one thread: the window needs the other core."""
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)
    import cv2

    cv2.setNumThreads(1)
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    return cv2
