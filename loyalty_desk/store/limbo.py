"""The record whose commit neither succeeded nor failed, remembered beside the journal: the next start asks the disk.

The journal itself cannot keep it, being what failed. Where this file cannot be written either, only the running
process knows.
"""

from __future__ import annotations

import logging
import os
from contextlib import suppress
from pathlib import Path
from uuid import UUID

_LOG = logging.getLogger(__name__)


def remember(journal: Path, record: UUID) -> None:
    """Keep a record's id durably, as far as the disk lets it."""
    try:
        handle = os.open(note(journal), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            os.write(handle, str(record).encode())
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError:
        _LOG.exception("the record in doubt could not be noted beside the journal")


def remembered(journal: Path) -> UUID | None:
    """Return the id that an earlier run kept, None where there is none or it cannot be read."""
    try:
        return UUID(note(journal).read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None


def forget(journal: Path) -> None:
    """Put the question away: it is answered."""
    with suppress(OSError):
        note(journal).unlink(missing_ok=True)


def note(journal: Path) -> Path:
    """Return the file in which it is kept."""
    return journal.with_name(f"{journal.name}.limbo")
