"""The machine's clock; the kernel, the services and the server are given it."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid4

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class SystemClock:
    """Wall time in UTC and monotonic time. Where the system does not name its boots, each process counts as one."""

    def __init__(self) -> None:
        try:
            self.boot_id = UUID(_BOOT_ID.read_text(encoding="ascii").strip())
        except (OSError, ValueError):
            self.boot_id = uuid4()

    def now(self) -> datetime:
        """Return the current time, aware, in UTC."""
        return datetime.now(UTC)

    def monotonic_ms(self) -> int:
        """Return milliseconds that never run backwards within one boot."""
        return time.monotonic_ns() // 1_000_000
