"""One till process per data folder.

The lock is on the folder itself as well as on the file in it: a file can be deleted, and whoever makes it anew would
hold a lock of his own beside the first.
"""

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
        self._folder = -1
        try:
            _take(self._handle)
            self._folder = _take_folder(path.parent)
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
        for handle in (self._folder, self._handle):
            if handle >= 0:
                os.close(handle)
        self._folder = self._handle = -1


if sys.platform == "win32":  # pragma: no cover - not tried on Windows here
    import msvcrt

    _FAR = 1 << 30

    def _take(handle: int) -> None:
        # A byte far behind the text: a locked byte cannot be read by the process that wants to name the holder.
        os.lseek(handle, _FAR, os.SEEK_SET)
        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        os.lseek(handle, 0, os.SEEK_SET)

    def _take_folder(folder: Path) -> int:
        del folder  # Windows deletes no file that is open
        return -1
else:
    import errno
    import fcntl

    def _take(handle: int) -> None:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _take_folder(folder: Path) -> int:
        """Return the locked handle of a folder, -1 where none can be (NFS); raises `OSError` if taken."""
        handle = os.open(folder, os.O_RDONLY)
        try:
            _take(handle)
        except OSError as error:
            os.close(handle)
            if error.errno in (errno.EAGAIN, errno.EACCES):
                raise
            return -1
        return handle
