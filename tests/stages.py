"""A shop of a test's own: a server with its database and a till that has joined; real processes in a passing folder."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from loyalty_desk.demo.stage import Stage


@contextmanager
def opened_stage() -> Iterator[Stage]:
    """Prepare the demo's shop on a free port, and take all of it away at the end."""
    folder = Path(tempfile.mkdtemp(prefix="ld-stage-"))
    # The database's own user passes through it.
    folder.chmod(0o711)
    made = Stage(folder, say=lambda _: None, port=0)
    try:
        made.prepare()
        yield made
    finally:
        made.close()
        shutil.rmtree(folder, ignore_errors=True)
