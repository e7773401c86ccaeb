"""Who sent a request: the headers name the signer, its signature covers method, path, query and body as sent."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any
from uuid import UUID

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from starlette.requests import Request

from loyalty_desk.wire.v1 import codec, signing
from loyalty_desk.wire.v1.errors import ErrorCode
from server.kit.errors import ApiError


@dataclass(frozen=True, slots=True)
class Signer:
    """A device as the server knows it. `public` is its Ed25519 key, `token_hash` SHA-256 of its bearer's secret."""

    network: UUID
    device: UUID
    store: UUID
    state: str
    public: bytes
    token_hash: bytes | None

    @classmethod
    def of(cls, network: UUID, device: UUID, row: Mapping[str, Any]) -> Signer | None:
        """Return a device of a row that was joined to others' columns, None where there was no such device."""
        if row["device_store"] is None:
            return None
        return cls(network, device, row["device_store"], row["device_state"], row["pubkey"], row["token_hash"])

    @property
    def key(self) -> Ed25519PublicKey:
        """Return its public key."""
        return Ed25519PublicKey.from_public_bytes(self.public)


@dataclass(frozen=True, slots=True)
class Author:
    """Which till made a request, and nothing of what became of the till since: whoever acts on it looks."""

    network: UUID
    device: UUID
    key: Ed25519PublicKey


# Longer than a till waits for a whole exchange; who never comes to an end would keep a connection for ever.
BODY_WITHIN_S = 200.0

# Many times what a hold or a look-up needs.
SHORT_BODY_BYTES = 64 * 1024

FindSigner = Callable[[UUID, UUID], Awaitable[Signer | None]]
FindKey = Callable[[UUID, UUID], Awaitable[Ed25519PublicKey | None]]


async def read_signed(request: Request, find: FindSigner) -> tuple[Signer, bytes]:
    """Return the signer and the body as sent; raises `ApiError` 401, 403 or 413. Nothing unsigned goes further."""
    network, device = _named(request, signing.NETWORK_HEADER), _named(request, signing.DEVICE_HEADER)
    signer = _known(await find(network, device))
    body = await read_body(request)
    _require_signature(request, signer.key, body)
    return signer, body


async def read_authored(request: Request, find: FindKey) -> tuple[Author, bytes]:
    """Return who made a request and its body, as `read_signed` for what looks at the till itself before it acts."""
    network, device = _named(request, signing.NETWORK_HEADER), _named(request, signing.DEVICE_HEADER)
    key = _known(await find(network, device))
    body = await read_body(request)
    _require_signature(request, key, body)
    return Author(network, device, key), body


async def read_short(request: Request) -> tuple[UUID, UUID, bytes]:
    """Return network and device that a short request names, and its body; who sent it is proved by `require_signed`.

    Who asks is then read together with what is asked for. Raises `ApiError` 401 and 413.
    """
    network, device = _named(request, signing.NETWORK_HEADER), _named(request, signing.DEVICE_HEADER)
    return network, device, await read_body(request, SHORT_BODY_BYTES)


def require_signed(request: Request, signer: Signer | None, body: bytes) -> Signer:
    """Return the till that signed a request, one that may act; raises `ApiError` 401 and 403."""
    signer = _known(signer)
    _require_signature(request, signer.key, body)
    require_bearer(request, signer)
    require_active(signer)
    return signer


def _known[Found](found: Found | None) -> Found:
    if found is None:
        raise ApiError(401, ErrorCode.UNKNOWN_DEVICE, "This till is not known here. Enrol it again.")
    return found


def _require_signature(request: Request, key: Ed25519PublicKey, body: bytes) -> None:
    try:
        signature = signing.signature_from_text(request.headers.get(signing.SIGNATURE_HEADER, ""))
        key.verify(signature, signing.request_message(request.method, _target(request), body))
    except (InvalidSignature, ValueError) as error:
        raise ApiError(403, ErrorCode.BAD_SIGNATURE, "The request is not signed by this till.") from error


async def read_body(request: Request, limit: int = codec.MAX_BODY_BYTES) -> bytes:
    """Return the body as sent, reading no further than `limit` and no longer than `BODY_WITHIN_S`.

    Raises `ApiError` 408 and 413.
    """
    chunks: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(BODY_WITHIN_S):
            async for chunk in request.stream():
                size += len(chunk)
                if size > limit:
                    text = f"The request is larger than {limit} bytes. Send less at a time."
                    raise ApiError(413, ErrorCode.TOO_LARGE, text)
                chunks.append(chunk)
    except TimeoutError as error:
        raise ApiError(408, ErrorCode.BAD_BODY, "The request did not come to its end. Send less at a time.") from error
    return b"".join(chunks)


def decode_body[T](kind: type[T], request: Request, body: bytes) -> T:
    """Return the message in a body; raises `ApiError` 400 naming the first wrong place, 413, 415."""
    encoding = request.headers.get("content-encoding", "identity")
    try:
        if encoding == "zstd":
            body = codec.unpack(body)
        elif encoding != "identity":
            raise ApiError(415, ErrorCode.BAD_BODY, "Only zstd is understood as a content encoding.")
        return codec.decode(kind, body)
    except codec.BadBody as error:
        if "more than is allowed" in str(error):
            raise ApiError(413, ErrorCode.TOO_LARGE, "The request unpacks to too much. Send less at a time.") from error
        raise ApiError(400, ErrorCode.BAD_BODY, f"The request is not understood: {error}") from error


def require_bearer(request: Request, signer: Signer) -> None:
    """Check the bearer `ldt.<network>.<till>.<secret>` beside the signature; raises `ApiError` 401."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    parts = token.split(".", 3)
    given = parts[3].encode() if len(parts) == 4 else b""
    named = scheme.lower() == "bearer" and parts[:3] == ["ldt", str(signer.network), str(signer.device)]
    if not (named and signer.token_hash and hmac.compare_digest(sha256(given).digest(), signer.token_hash)):
        raise ApiError(401, ErrorCode.BAD_TOKEN, "This till's access has ended. Enrol it again.")


def require_same(signer: Signer | Author, network: UUID, device: UUID) -> None:
    """Refuse a body that speaks for another till than the one that signed it; raises `ApiError` 403."""
    if (signer.network, signer.device) != (network, device):
        raise ApiError(403, ErrorCode.BAD_SIGNATURE, "The request speaks for another till than the one that signed it.")


def require_active(signer: Signer) -> None:
    """Refuse a till that gets no data and may ask for nothing; raises `ApiError` 403."""
    if signer.state == "revoked":
        raise ApiError(403, ErrorCode.DEVICE_REVOKED, "This till was removed from the network.")
    if signer.state == "cloned":
        raise ApiError(403, ErrorCode.DEVICE_SUSPENDED, "Two tills work with this till's journal. Enrol both again.")
    if signer.state != "active":
        raise ApiError(403, ErrorCode.DEVICE_SUSPENDED, "This till is suspended. Its sales are still accepted.")


def _named(request: Request, header: str) -> UUID:
    try:
        return UUID(request.headers.get(header, ""))
    except ValueError as error:
        raise ApiError(401, ErrorCode.UNKNOWN_DEVICE, f"The header {header} does not name anybody.") from error


def _target(request: Request) -> str:
    path: bytes = request.scope.get("raw_path") or request.scope["path"].encode()
    query: bytes = request.scope["query_string"]
    return (path + b"?" + query if query else path).decode("latin-1")
