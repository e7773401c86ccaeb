"""One connection to the ledger: what is an answer of ours, what is silence, and what is somebody else."""

from __future__ import annotations

import hmac
import re
import ssl
from hashlib import sha256
from typing import Any

import httpx2
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from loyalty_desk.remote.deadline import Deadline
from loyalty_desk.services.ports.server import NoAnswer, NotOurServer, ServerSaid
from loyalty_desk.wire.v1 import codec
from loyalty_desk.wire.v1.bootstrap import PART_TYPE
from loyalty_desk.wire.v1.errors import ErrorAnswer

BASE = "/api/v1"
MAX_ANSWER_BYTES = 64 * 1024 * 1024
PACK_FROM_BYTES = 1_024
MOST_WAIT_S = 900
NO_PIN = bytes(32)
_LOOPBACK = re.compile(r"https?://(127\.|localhost|\[::1\])")
_TIMEOUT = httpx2.Timeout(30.0, connect=5.0)
# The largest body of the contract over 8 KB a second, twice.
WHOLE_REQUEST_S = 180.0


class Connection:
    """Sends one body, returns one message. Not for two threads at once."""

    def __init__(self, address: str, spki_pin: bytes, *, timeout: httpx2.Timeout = _TIMEOUT) -> None:
        self._address = address.rstrip("/")
        self._pin = spki_pin
        self._timeout = timeout
        self._deadline = Deadline()
        self._client = self._make(pinned=False)
        self._pinned = False

    def _make(self, *, pinned: bool) -> httpx2.Client:
        verify: ssl.SSLContext | bool = True
        if self._address.startswith("https://"):
            verify = _pinned_context(self._pin) if pinned else ssl.create_default_context()
        # A proxy set for the web is not asked about this very computer.
        return httpx2.Client(
            verify=verify,
            timeout=self._timeout,
            # One socket: the deadline has to know which one a request is on.
            limits=httpx2.Limits(max_connections=1, max_keepalive_connections=1),
            follow_redirects=False,
            trust_env=not _LOOPBACK.match(self._address),
            headers={"Accept": codec.CONTENT_TYPE, "Accept-Encoding": "identity"},
        )

    def close(self) -> None:
        """Close the sockets."""
        self._client.close()
        self._deadline.close()

    def ask[T](
        self,
        method: str,
        path: str,
        kind: type[T],
        body: bytes = b"",
        headers: dict[str, str] | None = None,
        *,
        within_s: float = WHOLE_REQUEST_S,
    ) -> T | None:
        """Return the message that answers within so many seconds; None for a 202 (not decided yet).

        Raises `NoAnswer`, `NotOurServer`, `ServerSaid`.
        """
        status, found_headers, content = self._send(method, path, body, headers or {}, within_s)
        if not found_headers.get("content-type", "").startswith(codec.CONTENT_TYPE):
            raise NotOurServer(f"{status} with {found_headers.get('content-type', 'no content type')[:60]}")
        if status == 202:
            return None
        if status != 200:
            raise _said(status, found_headers, content)
        try:
            return codec.decode(kind, content)
        except codec.BadBody as error:
            raise NotOurServer(f"{status}: {error}") from error

    def part(self, path: str, headers: dict[str, str], start: int, size: int) -> bytes:
        """Return up to `size` bytes from `start` on of something large; raises as `ask`."""
        asked = headers | {"Range": f"bytes={start}-{start + size - 1}", "Accept": PART_TYPE}
        status, found, content = self._send("GET", path, b"", asked, WHOLE_REQUEST_S)
        kind = found.get("content-type", "")
        if status != 206 and kind.startswith(codec.CONTENT_TYPE):
            raise _said(status, found, content)
        ours = status == 206 and kind == PART_TYPE and found.get("content-range", "").startswith(f"bytes {start}-")
        if not ours or len(content) > size:
            raise NotOurServer(f"{status} with {kind[:60] or 'no content type'} where a part was asked for")
        return content

    def _send(
        self, method: str, path: str, body: bytes, headers: dict[str, str], within_s: float
    ) -> tuple[int, httpx2.Headers, bytes]:
        with self._deadline.within(within_s):
            return self._trusted(method, path, body, headers)

    def _trusted(
        self, method: str, path: str, body: bytes, headers: dict[str, str]
    ) -> tuple[int, httpx2.Headers, bytes]:
        try:
            return self._exchange(method, path, body, headers)
        except httpx2.ConnectError as error:
            if self._pinned or self._pin == NO_PIN or self._deadline.is_over or not _is_untrusted(error):
                raise NoAnswer(type(error).__name__) from error
            # No authority vouches for the certificate (its own, or a clock far off): the key seen at pairing must.
            self._client.close()
            self._client = self._make(pinned=True)
            self._pinned = True
        except httpx2.HTTPError as error:
            raise NoAnswer(type(error).__name__) from error
        try:
            return self._exchange(method, path, body, headers)
        except httpx2.HTTPError as error:
            if _is_untrusted(error):
                raise NotOurServer("the server's key is not the one seen at pairing") from error
            raise NoAnswer(type(error).__name__) from error

    def _exchange(
        self, method: str, path: str, body: bytes, headers: dict[str, str]
    ) -> tuple[int, httpx2.Headers, bytes]:
        content = bytearray()
        trace = {"trace": self._deadline.trace}
        url = self._address + path
        with self._client.stream(method, url, content=body or None, headers=headers, extensions=trace) as answer:
            for chunk in answer.iter_bytes():
                content += chunk
                if len(content) > MAX_ANSWER_BYTES:
                    raise NotOurServer("the answer does not end")
            return answer.status_code, answer.headers, bytes(content)


def _said(status: int, headers: httpx2.Headers, content: bytes) -> ServerSaid:
    """Return the ledger's error; raises `NotOurServer` for a body that is none of its."""
    try:
        said = codec.decode(ErrorAnswer, content)
    except codec.BadBody as error:
        raise NotOurServer(f"{status}: {error}") from error
    return ServerSaid(
        status,
        said.code,
        said.text,
        retry_after=_seconds(headers.get("retry-after")),
        expected_seq=said.expected_seq,
        epoch=said.epoch,
        feed_seq=said.feed_seq,
    )


def packed(message: object) -> tuple[bytes, dict[str, str]]:
    """Return a message's body, compressed where it is worth it, and its headers."""
    body = codec.encode(message)
    headers = {"Content-Type": codec.CONTENT_TYPE}
    if len(body) > PACK_FROM_BYTES:
        body, headers = codec.pack(body), headers | {"Content-Encoding": "zstd"}
    if len(body) > codec.MAX_BODY_BYTES:
        raise ServerSaid(413, "TOO_LARGE", "larger than the contract allows")
    return body, headers


def spki_hash(certificate: bytes) -> bytes:
    """Return the SHA-256 of the public key in a certificate's DER bytes."""
    public = x509.load_der_x509_certificate(certificate).public_key()
    return sha256(public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).digest()


def _pinned_context(pin: bytes) -> ssl.SSLContext:
    class Pinned(ssl.SSLSocket):
        def do_handshake(self, block: bool = False) -> None:
            super().do_handshake(block)
            # Before a byte of ours is sent.
            certificate = self.getpeercert(binary_form=True)
            if certificate is None or not hmac.compare_digest(spki_hash(certificate), pin):
                raise ssl.SSLCertVerificationError("the server's key is not the pinned one")

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.sslsocket_class = Pinned
    return context


def _is_untrusted(error: BaseException | None) -> bool:
    seen: Any = error
    while seen is not None:
        if isinstance(seen, ssl.SSLCertVerificationError) or "CERTIFICATE_VERIFY_FAILED" in str(seen):
            return True
        seen = seen.__cause__ or seen.__context__
    return False


def _seconds(text: str | None) -> int | None:
    if text is None or not (text.isascii() and text.isdigit()):
        return None
    return int(text) if len(text) <= len(str(MOST_WAIT_S)) and int(text) <= MOST_WAIT_S else MOST_WAIT_S
