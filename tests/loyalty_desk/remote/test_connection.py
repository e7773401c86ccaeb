"""What is an answer of ours, over real sockets: a scripted HTTP server on the loopback address."""

from __future__ import annotations

import os
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from uuid import UUID

import httpx2
import pytest

from loyalty_desk.remote.client import HttpEnrolClient, HttpLedgerClient
from loyalty_desk.remote.connection import Connection, packed
from loyalty_desk.services.ports.server import NoAnswer, NotOurServer, ServerSaid
from loyalty_desk.wire.v1 import codec, signing
from loyalty_desk.wire.v1.enrol import EnrolFinish, Pairing
from loyalty_desk.wire.v1.errors import ErrorAnswer
from loyalty_desk.wire.v1.sync import Block, PullAnswer, ReconcileAnswer, ReconcileRequest
from tests.loyalty_desk.till_parts import DEVICE, DEVICE_KEY, IDENTITY, INCARNATION, NETWORK

NO_PIN = bytes(32)
OURS = {"Content-Type": codec.CONTENT_TYPE}
ANSWER = codec.encode(PullAnswer(INCARNATION, [], 7, False))


class Scripted(ThreadingHTTPServer):
    """Answers every request by the same script and remembers what came."""

    daemon_threads = True

    def __init__(self, script: Callable[[BaseHTTPRequestHandler], None], context: ssl.SSLContext | None = None) -> None:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                server.bodies.append(self.rfile.read(int(self.headers.get("Content-Length", 0))))
                server.requests.append((self.command, self.path, dict(self.headers)))
                script(self)

            do_GET = do_POST  # noqa: N815

            def log_message(self, *_: object) -> None:
                pass

        self.requests: list[tuple[str, str, dict[str, str]]] = []
        self.bodies: list[bytes] = []
        super().__init__(("127.0.0.1", 0), Handler)
        if context is not None:
            self.socket = context.wrap_socket(self.socket, server_side=True)
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def handle_error(self, *_: object) -> None:
        pass

    @property
    def port(self) -> int:
        return self.server_address[1]


def answering(status: int, headers: dict[str, str], body: bytes) -> Callable[[BaseHTTPRequestHandler], None]:
    def script(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return script


@pytest.fixture
def serve() -> Iterator[Callable[..., Scripted]]:
    started: list[Scripted] = []

    def start(script: Callable[[BaseHTTPRequestHandler], None], context: ssl.SSLContext | None = None) -> Scripted:
        started.append(Scripted(script, context))
        return started[-1]

    yield start
    for server in started:
        server.shutdown()
        server.server_close()


@pytest.fixture
def connect() -> Iterator[Callable[..., Connection]]:
    made: list[Connection] = []

    def open_it(port: int, *, pin: bytes = NO_PIN, scheme: str = "http", seconds: float = 10) -> Connection:
        made.append(Connection(f"{scheme}://127.0.0.1:{port}", pin, timeout=httpx2.Timeout(seconds)))
        return made[-1]

    yield open_it
    for connection in made:
        connection.close()


def test_an_answer_of_the_contract_is_one(serve, connect) -> None:
    server = serve(answering(200, OURS, ANSWER))
    assert connect(server.port).ask("GET", "/x", PullAnswer) == PullAnswer(INCARNATION, [], 7, False)


@pytest.mark.parametrize(
    ("status", "headers", "body"),
    [
        (200, {"Content-Type": "text/html"}, b"<html>Welcome to Hotel Wi-Fi, please sign in</html>"),
        (200, {"Content-Type": "text/html"}, ANSWER),
        (200, {}, ANSWER),
        (200, OURS, b"<html>"),
        (200, OURS, b""),
        (200, OURS, ANSWER[:-1]),
        (200, OURS, codec.encode({"incarnation": "x"})),
        (302, {"Location": "http://127.0.0.1:1/login"}, b""),
        (500, {"Content-Type": "text/html"}, b"<h1>Internal Server Error</h1>"),
        (502, {"Content-Type": "text/html"}, b"<h1>Bad Gateway</h1>"),
        (503, OURS, b"not an error of ours"),
        (204, OURS, b""),
        (511, {"Content-Type": "text/html"}, b"Network Authentication Required"),
    ],
)
def test_what_is_not_ours_is_not_an_answer(serve, connect, status: int, headers: dict[str, str], body: bytes) -> None:
    server = serve(answering(status, headers, body))
    with pytest.raises(NotOurServer):
        connect(server.port).ask("GET", "/x", PullAnswer)
    assert len(server.requests) == 1


def test_an_error_of_ours_carries_what_it_says(serve, connect) -> None:
    body = codec.encode(ErrorAnswer("GAP", "text", expected_seq=5))
    server = serve(answering(409, OURS | {"Retry-After": "7"}, body))
    with pytest.raises(ServerSaid) as said:
        connect(server.port).ask("POST", "/x", PullAnswer, b"x")
    assert (said.value.status, said.value.code, said.value.expected_seq, said.value.retry_after) == (409, "GAP", 5, 7)


def cut_short(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Type", codec.CONTENT_TYPE)
    handler.send_header("Content-Length", "500")
    handler.end_headers()
    handler.wfile.write(ANSWER)
    handler.close_connection = True


def hang_up(handler: BaseHTTPRequestHandler) -> None:
    handler.connection.shutdown(socket.SHUT_RDWR)
    handler.close_connection = True


@pytest.mark.parametrize("script", [cut_short, hang_up])
def test_an_answer_that_breaks_off_is_none(serve, connect, script) -> None:
    with pytest.raises(NoAnswer):
        connect(serve(script).port).ask("GET", "/x", PullAnswer)


def test_silence_is_no_answer(connect) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        with pytest.raises(NoAnswer):
            connect(listening.getsockname()[1], seconds=0.2).ask("GET", "/x", PullAnswer)
        closed = listening.getsockname()[1]
    with pytest.raises(NoAnswer):
        connect(closed).ask("GET", "/x", PullAnswer)


def test_each_request_is_signed_over_what_is_sent(serve) -> None:
    server = serve(answering(200, OURS, codec.encode(ReconcileAnswer(INCARNATION, []))))
    client = HttpLedgerClient(replace(IDENTITY, address=f"http://127.0.0.1:{server.port}"), DEVICE_KEY, "ldt.x")
    blocks = [Block(n * 256 + 1, 256, bytes(16)) for n in range(200)]
    request = ReconcileRequest(NETWORK, DEVICE, INCARNATION, 5, blocks)
    client.reconcile(request)
    [(method, path, headers)] = server.requests
    signature = signing.signature_from_text(headers[signing.SIGNATURE_HEADER])
    DEVICE_KEY.public_key().verify(signature, signing.request_message(method, path, server.bodies[0]))
    assert headers["Content-Encoding"] == "zstd"
    assert codec.decode(ReconcileRequest, codec.unpack(server.bodies[0])) == request
    assert (headers[signing.NETWORK_HEADER], headers[signing.DEVICE_HEADER]) == (str(NETWORK), str(DEVICE))
    assert headers["Authorization"] == "Bearer ldt.x"
    client.close()


def test_a_pull_signs_path_and_query(serve) -> None:
    server = serve(answering(200, OURS, ANSWER))
    client = HttpLedgerClient(replace(IDENTITY, address=f"http://127.0.0.1:{server.port}"), DEVICE_KEY, "t")
    client.pull(f"{INCARNATION}.7.1", 5_000)
    [(method, path, headers)] = server.requests
    assert path == f"/api/v1/sync/pull?cursor={INCARNATION}.7.1&limit=5000"
    DEVICE_KEY.public_key().verify(
        signing.signature_from_text(headers[signing.SIGNATURE_HEADER]), signing.request_message(method, path, b"")
    )
    client.close()


def test_a_pairing_that_waits_is_neither_yes_nor_no(serve) -> None:
    server = serve(answering(202, OURS, codec.encode(ErrorAnswer("PAIRING_WAITS", "wait"))))
    client = HttpEnrolClient(Pairing(bytes(16), NETWORK, bytes(32), NO_PIN, f"http://127.0.0.1:{server.port}"))
    assert client.finish(EnrolFinish(NETWORK, UUID(int=1), bytes(64))) is None
    client._connection.close()


def test_a_body_beyond_the_contract_is_not_sent() -> None:
    with pytest.raises(ServerSaid) as said:
        packed({"noise": os.urandom(600 * 1024)})
    assert said.value.status == 413


def test_the_key_seen_at_pairing_vouches_for_an_own_certificate(serve, connect, certificate) -> None:
    context, pin = certificate
    server = serve(answering(200, OURS, ANSWER), context)
    connection = connect(server.port, pin=pin, scheme="https")
    assert connection.ask("GET", "/x", PullAnswer).next == 7
    assert connection.ask("GET", "/x", PullAnswer).next == 7


@pytest.mark.parametrize("pin", [b"\x07" * 32, NO_PIN])
def test_another_key_hears_nothing_from_us(serve, connect, certificate, pin: bytes) -> None:
    context, _ = certificate
    server = serve(answering(200, OURS, ANSWER), context)
    with pytest.raises((NotOurServer, NoAnswer)):
        connect(server.port, pin=pin, scheme="https").ask("POST", "/x", PullAnswer, b"secret")
    assert server.requests == []
