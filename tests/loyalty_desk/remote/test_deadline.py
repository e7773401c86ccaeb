"""A server that keeps a connection alive a byte at a time ends a request no later than its deadline."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from uuid import UUID

import httpx2
import pytest

from loyalty_desk.remote.connection import Connection
from loyalty_desk.services.ports.server import NoAnswer, NotOurServer
from loyalty_desk.wire.v1 import codec
from loyalty_desk.wire.v1.sync import PullAnswer

BODY = codec.encode(PullAnswer(UUID(int=1), [], 7, False))
HEAD = f"HTTP/1.1 200 OK\r\nContent-Type: {codec.CONTENT_TYPE}\r\nContent-Length: {len(BODY)}\r\n\r\n".encode()
PATIENT = httpx2.Timeout(30.0, connect=30.0)
WITHIN_S = 0.4
# Far beyond the deadline, far below what the drip would take: a slow machine must not fail the test.
SOON_S = 8.0


@contextmanager
def listening(serve: Callable[[socket.socket], None]) -> Iterator[int]:
    listener = socket.create_server(("127.0.0.1", 0))
    is_over = threading.Event()

    def accept() -> None:
        while not is_over.is_set():
            with suppress(OSError):
                peer, _ = listener.accept()
                threading.Thread(target=quietly, args=(peer,), daemon=True).start()

    def quietly(peer: socket.socket) -> None:
        with suppress(OSError), peer:
            serve(peer)

    threading.Thread(target=accept, daemon=True).start()
    yield listener.getsockname()[1]
    is_over.set()
    with suppress(OSError):
        listener.shutdown(socket.SHUT_RDWR)
    listener.close()


def drip(peer: socket.socket, data: bytes) -> None:
    for byte in data:
        peer.sendall(bytes([byte]))
        time.sleep(0.1)


def drip_head(peer: socket.socket) -> None:
    peer.recv(65_536)
    drip(peer, HEAD * 10)


def drip_body(peer: socket.socket) -> None:
    peer.recv(65_536)
    peer.sendall(HEAD.replace(str(len(BODY)).encode(), b"100000"))
    drip(peer, b"x" * 1_000)


def drip_handshake(peer: socket.socket) -> None:
    peer.recv(65_536)
    # A TLS record of 16 KB is announced and never comes to its end.
    drip(peer, b"\x16\x03\x03\x40\x00" + bytes(1_000))


def say_nothing(peer: socket.socket) -> None:
    time.sleep(2 * SOON_S)


@pytest.mark.parametrize(
    ("serve", "scheme"),
    [(drip_head, "http"), (drip_body, "http"), (say_nothing, "http"), (drip_handshake, "https")],
)
def test_a_request_ends_at_its_deadline(serve: Callable[[socket.socket], None], scheme: str) -> None:
    with listening(serve) as port:
        connection = Connection(f"{scheme}://127.0.0.1:{port}", bytes(32), timeout=PATIENT)
        began = time.monotonic()
        with pytest.raises(NoAnswer):
            connection.ask("GET", "/x", PullAnswer, within_s=WITHIN_S)
        assert WITHIN_S <= time.monotonic() - began < SOON_S
        connection.close()


def test_the_next_request_after_a_cut_one_is_answered() -> None:
    is_bad = threading.Event()
    is_bad.set()

    def serve(peer: socket.socket) -> None:
        if is_bad.is_set():
            drip_body(peer)
            return
        peer.recv(65_536)
        peer.sendall(HEAD + BODY)

    with listening(serve) as port:
        connection = Connection(f"http://127.0.0.1:{port}", bytes(32), timeout=PATIENT)
        with pytest.raises(NoAnswer):
            connection.ask("GET", "/x", PullAnswer, within_s=WITHIN_S)
        is_bad.clear()
        found = connection.ask("GET", "/x", PullAnswer, within_s=SOON_S)
        assert found is not None
        assert found.next == 7
        connection.close()


def test_silence_behind_the_pinned_key_is_silence_and_not_a_strangers_key(
    certificate: tuple[ssl.SSLContext, bytes],
) -> None:
    context, pin = certificate

    def serve(peer: socket.socket) -> None:
        with suppress(ssl.SSLError), context.wrap_socket(peer, server_side=True) as secured:
            secured.recv(65_536)
            time.sleep(SOON_S)

    with listening(serve) as port:
        connection = Connection(f"https://127.0.0.1:{port}", pin, timeout=httpx2.Timeout(0.5, connect=5.0))
        with pytest.raises(NoAnswer):
            connection.ask("GET", "/x", PullAnswer)
        connection.close()
        stranger = Connection(f"https://127.0.0.1:{port}", b"\x07" * 32, timeout=httpx2.Timeout(5.0, connect=5.0))
        with pytest.raises(NotOurServer):
            stranger.ask("GET", "/x", PullAnswer)
        stranger.close()
