"""A network cable that can be pulled: what the tills of one store reach the server through.

It forwards bytes on 127.0.0.1 and nothing else. Pulled, it refuses connections and breaks those that are open, as a
router does that has lost its power; the server and the tills beside it notice nothing.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from contextlib import suppress
from typing import Self, cast

_CHUNK = 65_536
_READY_SECONDS = 10
_RESET = struct.pack("ii", 1, 0)


class Cable:
    """Runs in a thread of its own between `port`, where tills connect, and the server's `upstream`."""

    def __init__(self, port: int, upstream: int) -> None:
        self._port = port
        self._upstream = upstream
        self._plugged = True
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._problem: OSError | None = None
        self._stop = asyncio.Event()
        self._open: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=self._run, name="cable", daemon=True)

    @property
    def address(self) -> str:
        """Return where a till finds the server behind this."""
        return f"http://127.0.0.1:{self._port}"

    def pull(self) -> None:
        """Cut the store off."""
        self._plugged = False
        self._loop.call_soon_threadsafe(self._break)

    def plug(self) -> None:
        """Join the store to the network again."""
        self._plugged = True

    def __enter__(self) -> Self:
        self._thread.start()
        if not self._ready.wait(_READY_SECONDS):
            raise TimeoutError("the demo's cable did not come up")
        if self._problem is not None:
            raise self._problem
        return self

    def __exit__(self, *_: object) -> None:
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(_READY_SECONDS)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._serve())
        except OSError as error:
            self._problem = error
        finally:
            self._ready.set()
            self._loop.close()

    async def _serve(self) -> None:
        server = await asyncio.start_server(self._carry, "127.0.0.1", self._port)
        self._ready.set()
        await self._stop.wait()
        server.close()
        ending = list(self._open)
        self._break()
        await asyncio.gather(*ending, return_exceptions=True)
        await server.wait_closed()

    def _break(self) -> None:
        for connection in self._open:
            connection.cancel()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = cast("asyncio.Task[None]", asyncio.current_task())
        self._open.add(task)
        # A reset and no orderly end: a till must not take a broken line for an empty answer.
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        try:
            if self._plugged:
                await self._both_ways(reader, writer)
        except (OSError, asyncio.CancelledError):
            # Nobody awaits a connection, and whoever is on it learns of the end by the reset.
            pass
        finally:
            self._open.discard(task)
            writer.transport.abort()

    async def _both_ways(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", self._upstream)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(_pump(reader, back))
                group.create_task(_pump(there, writer))
        except* OSError:
            pass
        finally:
            back.transport.abort()
            with suppress(OSError):
                await back.wait_closed()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(_CHUNK):
        writer.write(data)
        await writer.drain()
    # Either end that stops ends both: HTTP connections are not used half closed.
    raise ConnectionResetError
