"""Serial and USB-COM scanners: lines in, scans out, whatever the cable does.

The thread that calls `SerialWorker.run` opens, reads and closes the port; closing it from another thread races
(pyserial#713). Unplugging shows as SerialException, OSError or TypeError, depending on system and moment.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from loyalty_desk.scanning.debounce import SERIAL_REARM_SECONDS, Debounce
from loyalty_desk.services.ports.scan import Scan, ScanSource

_log = logging.getLogger(__name__)

READ_TIMEOUT = 0.2
"""Seconds; also the silence after which a scanner without a suffix is taken to be done."""
LONGEST_LINE = 4096
_BACKOFF = (0.5, 1.0, 2.0, 4.0)
_STX, _ETX, _CR, _LF = 0x02, 0x03, 0x0D, 0x0A


class SerialState(StrEnum):
    """What the badge of the serial scanner shows."""

    STARTING = "starting"
    RUNNING = "running"
    LOST = "lost"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class SerialStatus:
    """A change of state. `detail` is a sentence in English for the log and the diagnostics page."""

    state: SerialState
    detail: str = ""


@dataclass(frozen=True, slots=True)
class SerialSettings:
    """How to open the port. USB-COM scanners ignore the rate; RS-232 ones mostly use 9600 8N1.

    `vid`, `pid` and `serial_number` name the device behind the port, which may come back under another name.
    """

    port: str
    baudrate: int = 9600
    bytesize: int = 8
    parity: str = "N"
    stopbits: float = 1
    vid: int | None = None
    pid: int | None = None
    serial_number: str | None = None


class Port(Protocol):
    """The part of `serial.Serial` that is used."""

    @property
    def in_waiting(self) -> int:
        """Bytes that have arrived."""

    def read(self, size: int) -> bytes:
        """Wait up to the port's timeout for up to `size` bytes."""

    def close(self) -> None:
        """Give the port back."""


class LineFramer:
    """Cuts a stream of bytes into scans: ended by CR, LF, CRLF or ETX, or by silence; STX starts afresh.

    NUL bytes, which some scanners send when they wake, are dropped. A line over `longest` is noise: it is dropped up to
    its end, so that half of it is never taken for a code.
    """

    def __init__(self, longest: int = LONGEST_LINE) -> None:
        self._longest = longest
        self._line = bytearray()
        self._overflown = False

    def feed(self, received: bytes) -> Iterator[bytes]:
        """Take what was received and give every line that it ends, without its ending."""
        for byte in received:
            if byte in {_CR, _LF, _ETX}:
                yield from self.end()
            elif byte == _STX:
                self._reset()
            elif byte and not self._overflown:
                self._line.append(byte)
                if len(self._line) > self._longest:
                    self._line.clear()
                    self._overflown = True

    def end(self) -> Iterator[bytes]:
        """Give what is held: the line ended, or nothing more came."""
        line = bytes(self._line)
        self._reset()
        if line:
            yield line

    def _reset(self) -> None:
        self._line.clear()
        self._overflown = False


def open_port(settings: SerialSettings) -> Port:
    """Open the port for this program alone. Raises `serial.SerialException`, OSError or ValueError."""
    import serial  # type: ignore[import-untyped]

    return serial.Serial(  # type: ignore[no-any-return]
        find_device(settings),
        settings.baudrate,
        bytesize=settings.bytesize,
        parity=settings.parity,
        stopbits=settings.stopbits,
        timeout=READ_TIMEOUT,
        exclusive=True,
    )


def _plugged_in() -> list[Any]:
    from serial.tools.list_ports import comports  # type: ignore[import-untyped]

    return list(comports())


def plugged_in() -> list[tuple[str, str]]:
    """Return the ports that something is plugged into: the name to open it by, and what it says that it is."""
    return [(str(one.device), f"{one.device}  {one.description or ''}".strip()) for one in _plugged_in()]


def find_device(settings: SerialSettings, ports: Callable[[], list[Any]] = _plugged_in) -> str:
    """Return the name under which the device is plugged in now; the configured name where that cannot be told."""
    if settings.vid is None:
        return settings.port
    names = [
        str(found.device)
        for found in ports()
        if (found.vid, found.pid) == (settings.vid, settings.pid)
        and settings.serial_number in {None, found.serial_number}
    ]
    return settings.port if not names or settings.port in names else names[0]


class SerialWorker:
    """Reads scans from one serial scanner until it is told to stop, opening it again for ever."""

    def __init__(
        self,
        settings: SerialSettings,
        *,
        open_with: Callable[[SerialSettings], Port] = open_port,
        rearm_after: float = SERIAL_REARM_SECONDS,
        clock: Callable[[], float] = time.monotonic,
        backoff: tuple[float, ...] = _BACKOFF,
    ) -> None:
        self._settings = settings
        self._open = open_with
        self._debounce = Debounce(rearm_after, clock)
        self._clock = clock
        self._backoff = backoff
        self._status: SerialStatus | None = None

    def run(
        self, stop: threading.Event, emit_scan: Callable[[Scan], None], emit_state: Callable[[SerialStatus], None]
    ) -> None:
        """Work until `stop` is set; every emit happens in the calling thread. Raises nothing that a cable does."""
        losses = 0
        while not stop.is_set():
            self._tell(emit_state, SerialState.STARTING, self._settings.port)
            try:
                port = self._open(self._settings)
            except (OSError, TypeError, ValueError) as error:
                _log.info("serial scanner %s does not open: %s", self._settings.port, error)
                self._tell(emit_state, SerialState.LOST, f"{self._settings.port} does not open: {error}")
            else:
                self._tell(emit_state, SerialState.RUNNING, self._settings.port)
                opened = self._clock()
                lost = self._read_until_lost(port, stop, emit_scan)
                if lost is None:
                    break
                if self._clock() - opened > self._backoff[-1]:
                    losses = 0
                self._tell(emit_state, SerialState.LOST, lost)
            stop.wait(self._backoff[min(losses, len(self._backoff) - 1)])
            losses += 1
        self._tell(emit_state, SerialState.STOPPED)

    def _read_until_lost(self, port: Port, stop: threading.Event, emit_scan: Callable[[Scan], None]) -> str | None:
        """Return why the port is lost, or None when told to stop."""
        framer = LineFramer()
        try:
            while not stop.is_set():
                received = port.read(max(1, min(port.in_waiting, LONGEST_LINE)))
                self._emit(framer.feed(received) if received else framer.end(), emit_scan)
        except (OSError, TypeError, ValueError) as error:
            _log.warning("serial scanner %s is lost: %s", self._settings.port, error)
            return f"{self._settings.port} is lost: {error}"
        finally:
            self._close(port)
        return None

    def _emit(self, lines: Iterator[bytes], emit_scan: Callable[[Scan], None]) -> None:
        for line in lines:
            # Triggers bounce: scanners send one code twice within a blink.
            if self._debounce.first_sight(line):
                emit_scan(Scan(line, ScanSource.SERIAL))

    def _close(self, port: Port) -> None:
        try:
            port.close()
        except (OSError, TypeError) as error:
            _log.info("serial scanner %s does not close: %s", self._settings.port, error)

    def _tell(self, emit_state: Callable[[SerialStatus], None], state: SerialState, detail: str = "") -> None:
        status = SerialStatus(state, detail)
        if status != self._status:
            self._status = status
            emit_state(status)
