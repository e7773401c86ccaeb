"""`reserve.bin`: room on the disk that the till gives up so that the sale under way can still be recorded."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path

RESERVE_BYTES = 64 * 1024 * 1024
_CHUNK = 1024 * 1024


class Reserve:
    """A file of `size` bytes that really occupies the disk."""

    def __init__(self, path: Path, size: int = RESERVE_BYTES) -> None:
        self._path = path
        self._size = size

    def is_held(self) -> bool:
        """Return whether the room is kept."""
        try:
            return self._path.stat().st_size == self._size
        except FileNotFoundError:
            return False

    def hold(self) -> bool:
        """Take the room, a partly written file is removed again; return whether it is held."""
        if self.is_held():
            return True
        try:
            # Asked for every few seconds while a disk is full: what cannot fit is not even begun.
            if shutil.disk_usage(self._path.parent).free < self._size:
                return False
            with self._path.open("wb") as file:
                self._path.chmod(0o600)
                if hasattr(os, "posix_fallocate"):
                    os.posix_fallocate(file.fileno(), 0, self._size)
                else:
                    for _ in range(0, self._size, _CHUNK):
                        file.write(bytes(_CHUNK))
                file.flush()
                os.fsync(file.fileno())
        except OSError:
            with contextlib.suppress(OSError):
                self._path.unlink()
            return False
        return True

    def release(self) -> bool:
        """Give the room up; return whether there was any."""
        if not self.is_held():
            return False
        self._path.unlink()
        return True
