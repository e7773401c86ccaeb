"""Facts about other processes, and dying together with a parent."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

_PR_SET_PDEATHSIG = 1


def die_with_parent(number: int = signal.SIGTERM) -> None:
    """Ask Linux to send this process `number` when the thread that started it ends. Elsewhere nothing happens."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, number)


def dying_with_parent(number: int) -> Callable[[], None] | None:
    """Return a `preexec_fn` that does so, closing the gap in which the parent died before it ran; None off Linux."""
    if sys.platform != "linux":
        return None
    prctl, parent = ctypes.CDLL(None).prctl, os.getpid()

    def between_fork_and_exec() -> None:
        prctl(_PR_SET_PDEATHSIG, number)
        if os.getppid() != parent:
            os._exit(1)

    return between_fork_and_exec


def command_line(pid: int) -> list[str] | None:
    """Return the arguments of a living process, None where there is none. A zombie has none.

    Off Linux by psutil (that branch has not been run on Windows or macOS). A process that may not be read counts as
    alive with no arguments known.
    """
    if sys.platform == "linux":
        try:
            raw = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            return None
        return [part.decode(errors="replace") for part in raw.split(b"\0") if part] or None
    import psutil

    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else process.cmdline()
    except psutil.NoSuchProcess:
        return None
    except psutil.AccessDenied:
        return []
