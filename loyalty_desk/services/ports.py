"""What the till's services ask of the world: protocols and the plain values that cross them.

Adapters (`store`, `remote`, `scanning`, `peripherals`) import this module and nothing else of `services`.
"""

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
