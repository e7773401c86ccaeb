"""A load generator of some microseconds a request: prepared bytes, kept connections, nothing parsed but the length.

A full client costs more than the server that is measured, and both share the machine.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

_END = b"\r\n\r\n"
_LENGTH = b"content-length:"


@dataclass(frozen=True, slots=True)
class Measured:
    """What came of a run: answers a second, milliseconds at the middle and at the hundredth slowest."""

    rate: float
    p50_ms: float
    p99_ms: float


def request(method: str, target: str, headers: Mapping[str, str], body: bytes = b"") -> bytes:
    """Return a request as it goes over the line."""
    head = [f"{method} {target} HTTP/1.1", "Host: bench", f"Content-Length: {len(body)}"]
    head += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join(head).encode() + _END + body


class Connection:
    """One kept connection; one request at a time. `head` is that of the last answer."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self.head = b""

    @classmethod
    async def to(cls, port: int) -> Connection:
        """Connect to this machine."""
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    async def send(self, raw: bytes) -> tuple[int, bytes]:
        """Send a request and return the status and the body."""
        self._writer.write(raw)
        self.head = head = await self._reader.readuntil(_END)
        at = head.lower().find(_LENGTH) + len(_LENGTH)
        length = int(head[at : head.index(b"\r\n", at)]) if at >= len(_LENGTH) else 0
        return int(head[9:12]), await self._reader.readexactly(length)

    def close(self) -> None:
        """Hang up."""
        self._writer.close()


async def measure(port: int, requests: Sequence[bytes], connections: int, rate: float | None = None) -> Measured:
    """Send all requests over so many connections: as fast as answers come, or begun `rate` times a second.

    A request that has to wait for a free connection is late from the moment it was due. Anything but 200 raises.
    """
    open_now = [await Connection.to(port) for _ in range(connections)]
    waiting = iter(enumerate(requests))
    took: list[float] = []
    started = time.perf_counter()

    async def one(connection: Connection) -> None:
        for number, raw in waiting:
            due = time.perf_counter() if rate is None else started + number / rate
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            status, body = await connection.send(raw)
            took.append(time.perf_counter() - due)
            if status != 200:
                raise RuntimeError(f"{status}: {body[:300]!r}")

    try:
        await asyncio.gather(*(one(connection) for connection in open_now))
    finally:
        for connection in open_now:
            connection.close()
    took.sort()
    whole = time.perf_counter() - started
    return Measured(len(took) / whole, 1e3 * took[len(took) // 2], 1e3 * took[len(took) * 99 // 100])
