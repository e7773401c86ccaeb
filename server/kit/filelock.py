"""A lock on a file that the operating system frees when its holder dies, however it dies."""

from __future__ import annotations

import os
import sys
import weakref
from pathlib import Path
from typing import IO


class FileLock:
    """Exclusive or shared, never waiting. Windows knows only exclusive here (that branch has not been run)."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: IO[bytes] | None = None
        if sys.platform != "win32":
            _MADE.add(self)

    def take(self, *, shared: bool = False) -> bool:
        """Return whether the lock is ours now; a lock already held changes to the kind asked for."""
        held = self._file
        if held is None:
            held = os.fdopen(os.open(self._path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600), "r+b")
        try:
            _lock(held, shared=shared)
        except OSError:
            if self._file is None:
                held.close()
            return False
        self._file = held
        return True

    def write(self, text: str) -> None:
        """Say who holds it, for people and for the next one who asks."""
        if self._file is None:
            raise RuntimeError("the lock is not held")
        self._file.seek(0)
        self._file.truncate()
        self._file.write(text.encode())
        self._file.flush()

    def read(self) -> str:
        """Return what its holder wrote, empty where nobody did."""
        try:
            return self._path.read_text(errors="replace")
        except OSError:
            return ""

    def release(self) -> None:
        """Let go of it."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def forget(self) -> None:
        """Close it in a process that was forked: who holds the lock is the parent, and it ends with the parent."""
        if self._file is not None:
            self._file.close()
            self._file = None


# A fork shares its parent's locks: a worker that outlived the server would hold them for ever.
_MADE: weakref.WeakSet[FileLock] = weakref.WeakSet()


def _forget_all() -> None:
    for one in list(_MADE):
        one.forget()


if sys.platform != "win32":
    os.register_at_fork(after_in_child=_forget_all)


def _lock(file: IO[bytes], *, shared: bool) -> None:
    if sys.platform == "win32":
        import msvcrt

        file.seek(0)
        if not shared:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
