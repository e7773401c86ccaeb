"""Messages of systems without our till: JSON or msgpack, as the request says; the answer comes in the same.

Tills speak msgpack alone. The structs are those of the contract either way: ids as text in JSON, bytes as base64.
"""

from __future__ import annotations

import msgspec
from fastapi import Request, Response

from loyalty_desk.wire.v1 import codec
from loyalty_desk.wire.v1.errors import ErrorCode
from server.kit.answers import answer, wants_json
from server.kit.auth import decode_body, read_body
from server.kit.errors import ApiError


async def read_any[T](kind: type[T], request: Request, limit: int = codec.MAX_BODY_BYTES) -> T:
    """Return the message in a body; raises `ApiError` 400 naming the first wrong place, 413, 415."""
    body = await read_body(request, limit)
    if not request.headers.get("content-type", "").startswith("application/json"):
        return decode_body(kind, request, body)
    if request.headers.get("content-encoding", "identity") != "identity":
        raise ApiError(415, ErrorCode.BAD_BODY, "JSON is sent as it is, without a content encoding.")
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise ApiError(400, ErrorCode.BAD_BODY, f"The request is not understood: {error}") from error


def reply(request: Request, message: object, status: int = 200) -> Response:
    """Return a message in the form that the request wants."""
    if not wants_json(request):
        return answer(message, status)
    return Response(msgspec.json.encode(message), status, media_type="application/json")


def bearer(request: Request) -> str:
    """Return the token of `Authorization: Bearer`, empty where there is none."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""
