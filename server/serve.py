"""The running server: database, schema, workers; everything it started ends with it."""

from __future__ import annotations

import asyncio
import http.client
import os
import socket
import sys
import threading
import time

from granian import Granian
from granian.constants import Interfaces, Loops

from loyalty_desk.domain.errors import Refused
from server import pricer
from server.cli_ground import checked_ground
from server.cli_terminal import Terminal
from server.kit import schema
from server.kit.embedded import APP
from server.kit.ground import Base, running
from server.settings import PARENT, Settings, environment

_READY_SECONDS = 60.0
_STOP_SECONDS = 30


def serve(settings: Settings, terminal: Terminal) -> None:
    """Serve until SIGTERM or Ctrl-C; returns when the last request is answered and PostgreSQL has stopped.

    Raises `Refused` `port_taken` and `server_running`, and what `running` and `upgrade` raise.
    """
    _require_free(settings)
    with running(settings, role="server", say=terminal.say) as base:
        if base.embedded is not None:
            base.embedded.supervise()
        upgrade(base)
        asyncio.run(_check(settings, base))
        os.environ.update(environment(settings) | {PARENT: str(os.getpid())})
        threading.Thread(target=_tell_when_ready, args=(settings, terminal), daemon=True).start()
        with pricer.beside():
            Granian(
                "server.worker:app",
                address=settings.host,
                port=settings.port,
                interface=Interfaces.ASGI,
                workers=settings.workers,
                loop=Loops.auto if sys.platform == "win32" else Loops.uvloop,
                log_enabled=settings.dev,
                respawn_failed_workers=True,
                workers_kill_timeout=_STOP_SECONDS,
            ).serve()


def upgrade(base: Base) -> None:
    """Bring the schema up to date; raises `Refused` `owner_missing` where that needs a role nobody has named."""
    if base.owner is None:
        raise Refused("owner_missing")
    schema.upgrade(base.owner, base.app.username or APP)


async def _check(settings: Settings, base: Base) -> None:
    """Find out here, in a sentence, what would end every worker."""
    async with checked_ground(settings, base):
        pass


def _require_free(settings: Settings) -> None:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            raise Refused("port_taken", host=settings.host, port=settings.port) from error


def _tell_when_ready(settings: Settings, terminal: Terminal) -> None:
    deadline = time.monotonic() + _READY_SECONDS
    while time.monotonic() < deadline:
        connection = http.client.HTTPConnection(settings.host, settings.port, timeout=2)
        try:
            connection.request("GET", "/readyz")
            if connection.getresponse().status == http.client.OK:
                terminal.line(f"Loyalty Desk serves {settings.address}  (stop with Ctrl-C)")
                terminal.result(event="ready", address=settings.address, process=os.getpid())
                return
        except (OSError, http.client.HTTPException):
            pass
        finally:
            connection.close()
        time.sleep(0.05)
    terminal.say(f"The server has not answered at {settings.address} for {_READY_SECONDS:.0f} s.")
