"""What support and a manager ask of a till in its window: its journal proved and carried away, its network left."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from loyalty_desk.till import Till
from loyalty_desk.ui.counter.ports import Left


class TillCare:
    """`Care` of a till; `stop_sync` ends the thread that uses it, `close` ends the program."""

    def __init__(self, till: Till, stop_sync: Callable[[], object], close: Callable[[], None]) -> None:
        self._till = till
        self._stop_sync = stop_sync
        self._close = close

    def is_sound(self) -> bool:
        """Prove the journal record by record; db thread."""
        return self._till.prove().bad is None

    def sync_now(self) -> None:
        """Wake the sync."""
        self._till.wake_sync()

    def export(self) -> tuple[Path, int]:
        """Write the journal into a new file beside it; db thread."""
        path = self._file()
        return path, self._till.export(path)

    def leave(self) -> Left:
        """Take the till off its network; what waits is written into a file first. Db thread."""
        status = self._till.status()
        export = self._file() if status is not None and status.waiting else None
        return Left(self._till.leave(export, closing=self._stop_sync), export)

    def close_window(self) -> None:
        """End the program."""
        self._close()

    def _file(self) -> Path:
        return self._till.paths.folder / f"journal-{datetime.now(UTC):%Y%m%d-%H%M%S}.ldx"
