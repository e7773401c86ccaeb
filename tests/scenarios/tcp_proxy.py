"""A TCP proxy on 127.0.0.1 that cuts, slows, slices, breaks off and answers in the server's place, as told."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from dataclasses import dataclass
from random import Random
from typing import Self

_CHUNK = 65_536


@dataclass(frozen=True)
class Toxics:
    """What happens to every connection. Bytes are counted anew for each, requests and answers apart.

    A cut at 0 lets not a byte through. `instead` is sent in place of the server, which hears nothing.
    """

    cut_request_at: int | None = None
    cut_answer_at: int | None = None
    latency_s: float = 0
    bytes_per_s: int | None = None
    slice_bytes: int | None = None
    break_chance: float = 0
    instead: bytes | None = None


class _Cut(Exception):
    """This connection ends now."""


class TcpProxy:
    """Runs in a thread of its own; `toxics` holds for connections opened after it is set."""

    def __init__(self, upstream: int, seed: int = 1) -> None:
        self.toxics = Toxics()
        self.port = 0
        self.connections = 0
        self._upstream = upstream
        self._random = Random(seed)
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=self._run, name="tcp-proxy")

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)
        assert not self._thread.is_alive()

    @property
    def address(self) -> str:
        """Return where a till finds the server behind this."""
        return f"http://127.0.0.1:{self.port}"

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        self._stop = asyncio.Event()
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await server.wait_closed()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        try:
            await self._connection(self.toxics, reader, writer)
        except (_Cut, OSError, asyncio.CancelledError):
            # Cancelled: the proxy ends, and asyncio would report the handler as failed.
            pass
        finally:
            self._tasks.discard(task)
            # A reset, as from a box that has lost its power: not an orderly end of the stream.
            writer.transport.abort()

    async def _connection(self, toxics: Toxics, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if toxics.instead is not None:
            await reader.read(_CHUNK)
            writer.write(toxics.instead)
            await writer.drain()
            writer.write_eof()
            await reader.read(_CHUNK)
            return
        there, back = await asyncio.open_connection("127.0.0.1", self._upstream)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pump(reader, back, toxics, toxics.cut_request_at))
                group.create_task(self._pump(there, writer, toxics, toxics.cut_answer_at))
        except* (_Cut, OSError):
            pass
        finally:
            back.transport.abort()
            with suppress(OSError):
                await back.wait_closed()

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, toxics: Toxics, cut_at: int | None
    ) -> None:
        passed = 0
        while data := await reader.read(toxics.slice_bytes or _CHUNK):
            if self._random.random() < toxics.break_chance:
                raise _Cut
            if toxics.latency_s:
                await asyncio.sleep(toxics.latency_s)
            if toxics.bytes_per_s:
                await asyncio.sleep(len(data) / toxics.bytes_per_s)
            if cut_at is not None and passed + len(data) > cut_at:
                writer.write(data[: cut_at - passed])
                with suppress(OSError):
                    await writer.drain()
                raise _Cut
            writer.write(data)
            await writer.drain()
            passed += len(data)
        raise _Cut
