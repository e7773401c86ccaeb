"""The till's log: faults with their tracebacks go to a file beside the journal, never beside a sentence on a screen."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator
from logging.handlers import RotatingFileHandler
from pathlib import Path

NAME = "till.log"
MOST_BYTES = 1_000_000
KEPT = 3
_FORMAT = "%(asctime)s %(levelname)s %(threadName)s %(name)s: %(message)s"


def hush() -> None:
    """Let nothing be written to standard error that nobody there can act on; files may still be added."""
    logging.getLogger().addHandler(logging.NullHandler())


class _QuietFile(RotatingFileHandler):
    """A log that a full disk takes no more of must not put its own traceback on the screen."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's own name
        """Lose the line."""


@contextlib.contextmanager
def logged_in(folder: Path) -> Iterator[None]:
    """Write what happens meanwhile to the folder's log; a folder that takes none is said elsewhere."""
    root, path = logging.getLogger(), folder / NAME
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600))
        handler = _QuietFile(path, maxBytes=MOST_BYTES, backupCount=KEPT, encoding="utf-8", delay=True)
    except OSError:
        yield
        return
    handler.setFormatter(logging.Formatter(_FORMAT))
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)
        handler.close()
