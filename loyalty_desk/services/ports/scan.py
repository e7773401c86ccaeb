"""What any scanner hands over."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class ScanSource(StrEnum):
    """Where a scan came from."""

    CAMERA = "camera"
    SERIAL = "serial"
    KEYBOARD = "keyboard"


@dataclass(frozen=True, slots=True)
class Scan:
    """One code read once by any scanner. `data` holds the exact bytes; nothing has been interpreted yet."""

    data: bytes
    source: ScanSource
