"""The paths of the sync protocol. Bodies and answers are msgpack; an answer leaves after its commit."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response

from loyalty_desk.wire.v1 import codec
from loyalty_desk.wire.v1.sync import MAX_PULL_ROWS, HelloRequest, PushRequest, ReconcileRequest
from server.kit.auth import Signer, decode_body, read_signed, require_bearer, require_same
from server.kit.errors import answer
from server.services import Services
from server.sync.hello import hello
from server.sync.pull import pull
from server.sync.reconcile import reconcile
from server.sync.signers import find_signer
from server.sync.store import PostgresStores

_ERRORS = {
    400: "The body is not what the contract says",
    401: "The till or its bearer is not known",
    403: "The signature is not the till's, or it gets no data",
    409: "GAP, STALE_INCARNATION or FORK",
    410: "MUST_BOOTSTRAP",
    413: "Too large: send less at a time",
    429: "Too many at once",
    503: "The ledger cannot store anything right now",
}


def _documented(answer_name: str, body_name: str | None, *statuses: int) -> dict[str, Any]:
    binary = {"schema": {"type": "string", "format": "binary"}}
    extra: dict[str, Any] = {}
    if body_name is not None:
        extra["requestBody"] = {
            "required": True,
            "description": f"msgpack of loyalty_desk.wire.v1 {body_name}, optionally zstd",
            "content": {codec.CONTENT_TYPE: binary},
        }
    responses: dict[int | str, dict[str, Any]] = {
        200: {
            "description": f"msgpack of loyalty_desk.wire.v1 {answer_name}",
            "content": {codec.CONTENT_TYPE: binary},
        }
    }
    for status in statuses:
        responses[status] = {"description": _ERRORS[status], "content": {codec.CONTENT_TYPE: binary}}
    return {"openapi_extra": extra, "responses": responses, "response_class": Response}


def make_router(services: Services) -> APIRouter:
    """Return the routes over the services of this process."""
    router = APIRouter(prefix="/api/v1/sync", tags=["sync"])

    async def find(network: UUID, device: UUID) -> Signer | None:
        return await find_signer(services.ground, network, device)

    @router.post("/hello", **_documented("HelloAnswer", "HelloRequest", 400, 401, 403, 409, 413, 503))
    async def post_hello(request: Request) -> Response:
        """Say who is there; the answer, signed by the network, gives the server's life, time and heads."""
        signer, body = await read_signed(request, find)
        message = decode_body(HelloRequest, request, body)
        require_same(signer, message.network, message.device)
        return answer(await hello(PostgresStores(services.ground), message, services.clock.now(), signer.key))

    @router.post("/push", **_documented("PushAnswer", "PushRequest", 400, 401, 403, 409, 413, 429, 503))
    async def post_push(request: Request) -> Response:
        """Upload records; each is posted, a duplicate or quarantined, and stored durably before the answer."""
        signer, body = await read_signed(request, find)
        message = decode_body(PushRequest, request, body)
        require_same(signer, message.network, message.device)
        return answer(await services.ledger.push(message, signer.key))

    @router.post("/reconcile", **_documented("ReconcileAnswer", "ReconcileRequest", 400, 401, 403, 409, 413, 503))
    async def post_reconcile(request: Request) -> Response:
        """Compare an epoch block by block; ids are listed for blocks that differ."""
        signer, body = await read_signed(request, find)
        message = decode_body(ReconcileRequest, request, body)
        require_same(signer, message.network, message.device)
        return answer(await reconcile(PostgresStores(services.ground), message))

    @router.get("/pull", **_documented("PullAnswer", None, 400, 401, 403, 410, 503))
    async def get_pull(
        request: Request,
        cursor: Annotated[str | None, Query(max_length=100)] = None,
        limit: Annotated[int, Query(ge=1, le=MAX_PULL_ROWS)] = MAX_PULL_ROWS,
    ) -> Response:
        """Read the changes behind a cursor; needs the bearer beside the signature."""
        signer, _ = await read_signed(request, find)
        require_bearer(request, signer)
        return answer(await pull(PostgresStores(services.ground), signer, cursor, limit))

    return router
