"""The cable of the demo's second store: it carries, breaks what is under way, and carries again."""

import socket
import threading
from collections.abc import Iterator

import pytest

from loyalty_desk.demo.cable import Cable


@pytest.fixture
def echo() -> Iterator[int]:
    """Return the port of a server that gives back what it gets."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.1)
        ended = threading.Event()

        def answer(one: socket.socket) -> None:
            with one:
                try:
                    while data := one.recv(1000):
                        one.sendall(data)
                except OSError:
                    return

        def serve() -> None:
            while not ended.is_set():
                try:
                    one, _ = server.accept()
                except TimeoutError:
                    continue
                threading.Thread(target=answer, args=(one,), daemon=True).start()

        thread = threading.Thread(target=serve)
        thread.start()
        yield server.getsockname()[1]
        ended.set()
        thread.join()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def call(port: int) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=5) as line:
        line.sendall(b"hello")
        return line.recv(100)


def test_pulled_it_breaks_what_is_open_and_refuses_and_plugged_it_carries_again(echo: int):
    port = free_port()
    with Cable(port, echo) as cable:
        assert cable.address == f"http://127.0.0.1:{port}"
        assert call(port) == b"hello"
        with socket.create_connection(("127.0.0.1", port), timeout=5) as under_way:
            under_way.sendall(b"one")
            assert under_way.recv(100) == b"one"
            cable.pull()
            with pytest.raises(ConnectionError):
                under_way.recv(100)
        with pytest.raises(ConnectionError):
            call(port)
        cable.plug()
        assert call(port) == b"hello"


def test_a_server_that_is_not_there_is_a_broken_connection():
    port = free_port()
    with Cable(port, free_port()), pytest.raises(ConnectionError):
        call(port)


def test_a_port_that_is_taken_is_said(echo: int):
    with pytest.raises(OSError, match="address"), Cable(echo, echo):
        pass
