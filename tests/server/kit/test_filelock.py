"""A lock that ends with its holder, whoever was forked from it meanwhile."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

from server.kit.filelock import FileLock

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")


def test_a_lock_is_held_against_others_and_free_after_release(tmp_path: Path) -> None:
    mine, other = FileLock(tmp_path / "lock"), FileLock(tmp_path / "lock")
    assert mine.take()
    assert not other.take()
    mine.release()
    assert other.take()
    other.release()


@pytest.mark.filterwarnings("ignore:This process.*multi-threaded:DeprecationWarning")
def test_a_forked_child_that_outlives_the_holder_does_not_keep_the_lock(tmp_path: Path) -> None:
    mine, other = FileLock(tmp_path / "lock"), FileLock(tmp_path / "lock")
    assert mine.take()
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writer, b"x")
        signal.pause()
        os._exit(0)
    try:
        os.read(reader, 1)
        assert not other.take()  # the child's copy is closed, the parent's counts
        mine.release()
        assert other.take()
        other.release()
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(reader)
        os.close(writer)
