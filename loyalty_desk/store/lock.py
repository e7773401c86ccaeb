"""One till process per data folder."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path

from loyalty_desk.domain.errors import Refused


class ProcessLock:
    """Held from construction to `release`; the system frees it when the process dies, however it dies."""

    def __init__(self, path: Path) -> None:
        """Take the lock; raises `Refused` `till_already_open` (`pid` where known) or `data_folder_readonly`."""
        try:
            self._handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        except PermissionError as error:
            raise Refused("data_folder_readonly", path=str(path.parent)) from error
        except OSError as error:
            raise Refused("data_folder_unusable", path=str(path.parent), why=error.strerror or "") from error
        try:
            _take(self._handle)
        except OSError as error:
            holder = os.read(self._handle, 20).decode(errors="replace").strip()
            os.close(self._handle)
            raise Refused("till_already_open", path=str(path.parent), pid=holder) from error
        # A full disk has no room for the name of the holder; the lock needs none.
        with contextlib.suppress(OSError):
            os.ftruncate(self._handle, 0)
            os.write(self._handle, f"{os.getpid()}\n".encode())

    def release(self) -> None:
        """Let the next process in."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1


if sys.platform == "win32":  # pragma: no cover - not tried on Windows here
    import msvcrt

    _FAR = 1 << 30

    def _take(handle: int) -> None:
        # A byte far behind the text: a locked byte cannot be read by the process that wants to name the holder.
        os.lseek(handle, _FAR, os.SEEK_SET)
        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        os.lseek(handle, 0, os.SEEK_SET)
else:
    import fcntl

    def _take(handle: int) -> None:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
