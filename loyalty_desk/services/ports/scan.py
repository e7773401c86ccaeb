"""What any scanner hands over."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class ScanSource(StrEnum):
    """Where a scan came from."""

    CAMERA = "camera"
    SERIAL = "serial"
    KEYBOARD = "keyboard"


class Scan(msgspec.Struct, frozen=True):
    """One code read once by any scanner. `data` holds the exact bytes; nothing has been interpreted yet."""

    data: bytes
    source: ScanSource
