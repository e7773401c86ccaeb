"""Whether anybody reads what a command says: a full disk or a printer out of paper takes nothing."""

from __future__ import annotations

import os
import sys


def takes_nothing() -> bool:
    """Return whether standard output cannot be written to; nothing more is written there then, at the end neither."""
    if sys.__stdout__ is None:
        return False  # closed from the beginning: its number may be another file's by now
    try:
        os.write(sys.stdout.fileno(), b"\n")
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return True
    return False
