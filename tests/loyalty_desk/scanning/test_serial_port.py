"""Framing by tables; the worker on a real pseudo terminal and on ports that break in every way known."""

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loyalty_desk.scanning.serial_port import (
    LONGEST_LINE,
    LineFramer,
    SerialSettings,
    SerialState,
    SerialStatus,
    SerialWorker,
    find_device,
)
from loyalty_desk.services.ports.scan import Scan, ScanSource

CARD = b"LD104HMASW9NF6YY54"
DEADLINE = 20.0


@pytest.mark.parametrize(
    ("received", "lines"),
    [
        (b"A\r", [b"A"]),
        (b"A\n", [b"A"]),
        (b"A\r\n", [b"A"]),
        (b"\x02A\x03", [b"A"]),
        (b'\x02"]Q1LOY1-ABC"\x03\r\n', [b'"]Q1LOY1-ABC"']),
        (b"A\r\nB\r\n", [b"A", b"B"]),
        (b"A\rB\nC\r\n\r\n\r\n", [b"A", b"B", b"C"]),
        (b"\x00\x00A\r", [b"A"]),
        (b"half\x02A\x03", [b"A"]),
        (b"\r\n\r\n", []),
        (b"\x03\x02\x03", []),
        (b"no ending", []),
        (b"01\x1d02\r", [b"01\x1d02"]),
        (b"\xd0\x9f\r", [b"\xd0\x9f"]),
        (b"x" * (LONGEST_LINE + 1) + b"\rA\r", [b"A"]),
        (b"x" * (LONGEST_LINE * 20) + b"\x02A\x03", [b"A"]),
        (b"x" * LONGEST_LINE + b"\r", [b"x" * LONGEST_LINE]),
    ],
)
def test_lines(received: bytes, lines: list[bytes]) -> None:
    assert list(LineFramer().feed(received)) == lines


@given(st.binary(max_size=200), st.integers(1, 7))
def test_it_does_not_matter_how_bytes_arrive(received: bytes, size: int) -> None:
    whole, parts = LineFramer(50), LineFramer(50)
    pieces = [received[i : i + size] for i in range(0, len(received), size)]
    assert list(whole.feed(received)) == [line for piece in pieces for line in parts.feed(piece)]
    assert list(whole.end()) == list(parts.end())


def test_silence_ends_a_line_once() -> None:
    framer = LineFramer()
    assert list(framer.feed(CARD)) == []
    assert list(framer.end()) == [CARD]
    assert list(framer.end()) == []


class Plugged:
    """A worker in its thread, and what it emitted."""

    def __init__(self, worker: SerialWorker) -> None:
        self.scans: list[Scan] = []
        self.states: list[SerialStatus] = []
        self.stop = threading.Event()
        self.thread = threading.Thread(
            target=worker.run, args=(self.stop, self.scans.append, self.states.append), daemon=True
        )
        self.thread.start()

    def until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + DEADLINE
        while not condition():
            assert time.monotonic() < deadline, (self.scans, self.states)
            threading.Event().wait(0.01)

    def until_state(self, state: SerialState, times: int = 1) -> None:
        self.until(lambda: [status.state for status in self.states].count(state) >= times)

    def until_scans(self, count: int) -> list[bytes]:
        self.until(lambda: len(self.scans) >= count)
        return [scan.data for scan in self.scans]

    def end(self) -> None:
        self.stop.set()
        self.thread.join(DEADLINE)
        assert not self.thread.is_alive()


@pytest.fixture
def plug() -> Iterator[Callable[[SerialWorker], Plugged]]:
    plugged: list[Plugged] = []

    def start(worker: SerialWorker) -> Plugged:
        plugged.append(Plugged(worker))
        return plugged[-1]

    yield start
    for each in plugged:
        each.end()


class Terminal:
    """A pseudo terminal: the worker's end by name, the scanner's end to write to."""

    def __init__(self) -> None:
        import tty

        self.scanner, self._till = os.openpty()
        tty.setraw(self._till)
        self.name = os.ttyname(self._till)

    def send(self, data: bytes) -> None:
        os.write(self.scanner, data)

    def unplug(self) -> None:
        for end in (self.scanner, self._till):
            os.close(end)


if sys.platform != "win32":

    @pytest.fixture
    def terminal() -> Iterator[Terminal]:
        terminal = Terminal()
        yield terminal
        try:
            terminal.unplug()
        except OSError:
            assert terminal  # the test has unplugged it

    def test_a_code_on_a_real_terminal_in_pieces(terminal: Terminal, plug: Callable[[SerialWorker], Plugged]) -> None:
        plugged = plug(SerialWorker(SerialSettings(terminal.name)))
        plugged.until_state(SerialState.RUNNING)
        terminal.send(CARD[:5])
        terminal.send(CARD[5:] + b"\r")
        assert plugged.until_scans(1) == [CARD]
        terminal.send(b"\n1000000016\r\n123456\r\n")
        assert plugged.until_scans(3) == [CARD, b"1000000016", b"123456"]
        assert {scan.source for scan in plugged.scans} == {ScanSource.SERIAL}

    def test_a_scanner_without_an_ending(terminal: Terminal, plug: Callable[[SerialWorker], Plugged]) -> None:
        plugged = plug(SerialWorker(SerialSettings(terminal.name)))
        plugged.until_state(SerialState.RUNNING)
        terminal.send(CARD)
        assert plugged.until_scans(1) == [CARD]

    def test_unplugged_in_the_middle_of_a_code_and_plugged_in_elsewhere(
        terminal: Terminal, plug: Callable[[SerialWorker], Plugged], expect_log: Callable[[str], None]
    ) -> None:
        expect_log("is lost")
        from loyalty_desk.scanning.serial_port import open_port

        where = [terminal.name]
        worker = SerialWorker(
            SerialSettings(terminal.name),
            open_with=lambda _: open_port(SerialSettings(where[0])),
            backoff=(0.02, 0.05),
        )
        plugged = plug(worker)
        plugged.until_state(SerialState.RUNNING)
        terminal.send(b"HALF A CODE")
        terminal.unplug()
        plugged.until_state(SerialState.LOST)
        other = Terminal()
        where[0] = other.name
        plugged.until_state(SerialState.RUNNING, times=2)
        other.send(CARD + b"\r")
        assert plugged.until_scans(1)[-1] == CARD
        plugged.end()
        other.unplug()

    def test_the_port_is_ours_alone(terminal: Terminal, plug: Callable[[SerialWorker], Plugged]) -> None:
        plug(SerialWorker(SerialSettings(terminal.name))).until_state(SerialState.RUNNING)
        second = plug(SerialWorker(SerialSettings(terminal.name)))
        second.until_state(SerialState.LOST)
        assert "does not open" in second.states[-1].detail


class FakePort:
    """Gives what a test has put there; raises what a test has put there."""

    def __init__(self, *script: bytes | Exception) -> None:
        self.script = list(script)
        self.closed_by: list[str] = []

    @property
    def in_waiting(self) -> int:
        return 0

    def read(self, size: int) -> bytes:
        if not self.script:
            threading.Event().wait(0.005)
            return b""
        step = self.script.pop(0)
        if isinstance(step, Exception):
            raise step
        return step

    def close(self) -> None:
        self.closed_by.append(threading.current_thread().name)


@pytest.mark.parametrize(
    "fault",
    [OSError(5, "Input/output error"), TypeError("'NoneType' object cannot be interpreted"), ValueError("closed")],
    ids=lambda e: type(e).__name__,
)
def test_whatever_unplugging_raises_the_port_is_closed_and_opened_again(
    fault: Exception, plug: Callable[[SerialWorker], Plugged], expect_log: Callable[[str], None]
) -> None:
    expect_log("is lost")
    ports = [FakePort(b"A\r", fault), FakePort(b"B\r")]
    opened: list[FakePort] = []

    def open_with(settings: SerialSettings) -> FakePort:
        opened.append(ports[len(opened)])
        return opened[-1]

    plugged = plug(SerialWorker(SerialSettings("COM3"), open_with=open_with, backoff=(0.01,)))
    assert plugged.until_scans(2) == [b"A", b"B"]
    assert ports[0].closed_by == [plugged.thread.name]
    assert [status.state for status in plugged.states][:3] == [
        SerialState.STARTING,
        SerialState.RUNNING,
        SerialState.LOST,
    ]


def test_an_absent_scanner_is_awaited(plug: Callable[[SerialWorker], Plugged]) -> None:
    attempts: list[int] = []

    def open_with(settings: SerialSettings) -> FakePort:
        attempts.append(1)
        if len(attempts) < 4:
            raise FileNotFoundError(2, "could not open port COM3")
        return FakePort(CARD + b"\r\n")

    plugged = plug(SerialWorker(SerialSettings("COM3"), open_with=open_with, backoff=(0.01, 0.02)))
    assert plugged.until_scans(1) == [CARD]
    assert len(attempts) == 4


def test_a_trigger_that_bounces_is_one_scan(plug: Callable[[SerialWorker], Plugged]) -> None:
    port = FakePort(b"A\rA\r", b"A\r\n", b"B\rA\rC\r")
    plugged = plug(SerialWorker(SerialSettings("COM3"), open_with=lambda _: port, rearm_after=60))
    assert plugged.until_scans(3) == [b"A", b"B", b"C"]


def test_stopping_while_waiting_to_open_again_is_quick(plug: Callable[[SerialWorker], Plugged]) -> None:
    def absent(settings: SerialSettings) -> FakePort:
        raise FileNotFoundError(2, "no port")

    plugged = plug(SerialWorker(SerialSettings("COM3"), open_with=absent, backoff=(600.0,)))
    plugged.until_state(SerialState.LOST)
    started = time.monotonic()
    plugged.end()
    assert time.monotonic() - started < 10
    assert plugged.states[-1].state is SerialState.STOPPED


def _usb(device: str, vid: int, pid: int, serial_number: str | None) -> SimpleNamespace:
    return SimpleNamespace(device=device, vid=vid, pid=pid, serial_number=serial_number)


@pytest.mark.parametrize(
    ("plugged_in", "found"),
    [
        ([], "COM3"),
        ([_usb("COM3", 1, 2, "X")], "COM3"),
        ([_usb("COM7", 1, 2, "X")], "COM7"),
        ([_usb("COM3", 9, 9, "Z"), _usb("COM8", 1, 2, "X")], "COM8"),
        ([_usb("COM4", 1, 2, "Y")], "COM3"),
        ([_usb("COM4", 1, 2, "Y"), _usb("COM5", 1, 2, "X")], "COM5"),
    ],
)
def test_a_scanner_that_comes_back_under_another_name_is_found(plugged_in: list[object], found: str) -> None:
    settings = SerialSettings("COM3", vid=1, pid=2, serial_number="X")
    assert find_device(settings, lambda: plugged_in) == found


def test_without_a_usb_identity_the_name_is_kept() -> None:
    def never() -> list[object]:
        raise AssertionError

    assert find_device(SerialSettings("/dev/ttyS0"), never) == "/dev/ttyS0"
