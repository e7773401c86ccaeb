"""The process that prices sold checks again, beside the workers: `python -m server.pricer`, started by `server.serve`.

Pricing holds Python for milliseconds at a time, and a worker that prices lets tills wait for their answers. Here it has
the processor when nobody else wants it. What waits is a table, so nothing is lost with the process.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import subprocess
import sys
import threading
import zoneinfo
from collections.abc import Iterator

from loyalty_desk.rubbish import look_seldom
from server.kit.ground import ground, running
from server.kit.logging import configure
from server.kit.process import die_with_parent, dying_with_parent
from server.ledger.repricing import Repricer
from server.ledger.shelf import ProgramShelf
from server.settings import PARENT, Settings

_LOG = logging.getLogger(__name__)
_POLITE = 10
_CONNECTIONS = 2
_LOOK_S = 0.5
_AGAIN_S = 1.0
_STOP_S = 10.0


@contextlib.contextmanager
def beside() -> Iterator[None]:
    """Keep the process running while the block lasts, with this process's environment; one that dies begins again."""
    stopping = threading.Event()
    # Linux ends it with the thread that started it: this one lives as long as the block.
    guard = threading.Thread(target=_keep, args=(stopping,), name="pricer-guard", daemon=True)
    guard.start()
    try:
        yield
    finally:
        stopping.set()
        guard.join(2 * _STOP_S)


def _keep(stopping: threading.Event) -> None:
    while not stopping.is_set():
        process = subprocess.Popen(
            [sys.executable, "-m", "server.pricer"],
            env=os.environ | {PARENT: str(os.getpid())},
            preexec_fn=dying_with_parent(signal.SIGTERM),  # noqa: PLW1509 - it only asks the kernel
        )
        while process.poll() is None and not stopping.wait(_LOOK_S):
            pass
        if process.poll() is None:
            _end(process)
        else:
            _LOG.warning("the process that prices again has ended with %s", process.returncode)
            stopping.wait(_AGAIN_S)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


async def _work(settings: Settings) -> None:
    with running(settings, role="command") as base:
        async with ground(settings, base) as opened:
            await Repricer(opened.db, ProgramShelf(), look_every_s=_LOOK_S).run()


def main() -> None:
    """Price until told to end."""
    if PARENT in os.environ:
        die_with_parent(signal.SIGTERM)
        if os.environ[PARENT] != str(os.getppid()):
            sys.exit("the server that started this process has ended")
    # Ctrl-C reaches the whole group; the server says when to end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    zoneinfo.reset_tzpath(to=())  # a process of its own: see `server.cli`
    if hasattr(os, "nice"):
        os.nice(_POLITE)
    settings = Settings(pool_size=_CONNECTIONS)
    configure(dev=settings.dev)
    look_seldom()
    asyncio.run(_work(settings))


if __name__ == "__main__":
    main()
