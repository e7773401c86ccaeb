"""The paths of the sync protocol. Bodies and answers are msgpack; an answer leaves after its commit."""

from __future__ import annotations

import re
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response

from loyalty_desk.wire.v1.bootstrap import PART_BYTES, PART_TYPE, SnapshotManifest
from loyalty_desk.wire.v1.errors import ErrorCode
from loyalty_desk.wire.v1.leases import LeaseAnswer, LeaseRequest
from loyalty_desk.wire.v1.salvage import SalvageAnswer, SalvageRequest
from loyalty_desk.wire.v1.sync import (
    MAX_PULL_ROWS,
    HelloAnswer,
    HelloRequest,
    PullAnswer,
    PushAnswer,
    PushRequest,
    ReconcileAnswer,
    ReconcileRequest,
)
from server.kit.answers import answer
from server.kit.auth import Signer, decode_body, read_signed, require_bearer, require_same
from server.kit.documented import ERRORS, documented
from server.kit.errors import ApiError
from server.services import Services
from server.sync.bootstrap import Snapshots
from server.sync.hello import hello
from server.sync.leases import lease
from server.sync.pull import may_read, pull
from server.sync.reconcile import reconcile
from server.sync.salvage import salvage
from server.sync.signers import find_signer
from server.sync.store import PostgresStores

_PART_ERRORS = {
    401: ERRORS[401],
    403: ERRORS[403],
    404: "This snapshot is not there any more",
    416: "Nothing lies in that range",
}
_RANGE = re.compile(r"bytes=(\d{1,18})-(\d{1,18})?")
MAX_PART_BYTES = 4 * PART_BYTES
_PARTS: dict[str, Any] = {
    "responses": {
        206: {
            "description": "The bytes asked for, at most 4 MiB at a time: a SQLite file packed by zstd",
            "content": {PART_TYPE: {"schema": {"type": "string", "format": "binary"}}},
        },
        **{status: {"description": text} for status, text in _PART_ERRORS.items()},
    },
    "response_class": Response,
    "openapi_extra": {
        "parameters": [
            {
                "name": "Range",
                "in": "header",
                "schema": {"type": "string", "pattern": "^bytes=[0-9]{1,18}-([0-9]{1,18})?$"},
                "example": "bytes=0-1048575",
            }
        ]
    },
}


def make_router(services: Services) -> APIRouter:
    """Return the routes over the services of this process."""
    router = APIRouter(prefix="/api/v1/sync", tags=["sync"])
    snapshots = Snapshots()

    def stores() -> PostgresStores:
        return PostgresStores(services.ground, services.shelf)

    async def find(network: UUID, device: UUID) -> Signer | None:
        return await find_signer(services.ground, network, device)

    @router.post("/hello", **documented(HelloAnswer, HelloRequest, 400, 401, 403, 409, 413, 503))
    async def post_hello(request: Request) -> Response:
        """Say who is there; the answer, signed by the network, gives the server's life, time and heads."""
        signer, body = await read_signed(request, find)
        message = decode_body(HelloRequest, request, body)
        require_same(signer, message.network, message.device)
        return answer(await hello(stores(), message, services.clock.now(), signer.key))

    @router.post("/push", **documented(PushAnswer, PushRequest, 400, 401, 403, 409, 413, 429, 503))
    async def post_push(request: Request) -> Response:
        """Upload records; each is posted, a duplicate or quarantined, and stored durably before the answer."""
        signer, body = await read_signed(request, find)
        message = decode_body(PushRequest, request, body)
        require_same(signer, message.network, message.device)
        return answer(await services.ledger.push(message, signer.key))

    @router.post("/reconcile", **documented(ReconcileAnswer, ReconcileRequest, 400, 401, 403, 409, 413, 503))
    async def post_reconcile(request: Request) -> Response:
        """Compare an epoch block by block; ids are listed for blocks that differ."""
        signer, body = await read_signed(request, find)
        message = decode_body(ReconcileRequest, request, body)
        require_same(signer, message.network, message.device)
        return answer(await reconcile(stores(), message))

    @router.post("/leases", **documented(LeaseAnswer, LeaseRequest, 400, 401, 403, 409, 413, 503))
    async def post_leases(request: Request) -> Response:
        """Say what was given of rules limited for all guests together, and get what may be; needs the bearer too."""
        signer, body = await read_signed(request, find)
        require_bearer(request, signer)
        message = decode_body(LeaseRequest, request, body)
        require_same(signer, message.network, message.device)
        return answer(await lease(stores(), message, services.clock.now()))

    @router.post("/salvage", **documented(SalvageAnswer, SalvageRequest, 400, 401, 403, 404, 409, 413, 429, 503))
    async def post_salvage(request: Request) -> Response:
        """Upload another till's records, each signed by that till; needs a till that may act, and its bearer."""
        bringer, body = await read_signed(request, find)
        require_bearer(request, bringer)
        may_read(bringer.state)
        message = decode_body(SalvageRequest, request, body)
        lost = await find(bringer.network, message.device) if message.network == bringer.network else None
        if lost is None:
            raise ApiError(404, ErrorCode.NOT_FOUND, "The till that these records are said to be of is not known here.")
        return answer(await salvage(services.ledger, bringer, lost, message))

    @router.get("/pull", **documented(PullAnswer, None, 400, 401, 403, 410, 503))
    async def get_pull(
        request: Request,
        cursor: Annotated[str | None, Query(max_length=100)] = None,
        limit: Annotated[int, Query(ge=1, le=MAX_PULL_ROWS)] = MAX_PULL_ROWS,
    ) -> Response:
        """Read the changes behind a cursor; needs the bearer beside the signature."""
        signer, _ = await read_signed(request, find)
        require_bearer(request, signer)
        return answer(await pull(stores(), signer, cursor, limit))

    @router.get("/bootstrap", **documented(SnapshotManifest, None, 401, 403, 503))
    async def get_snapshot(request: Request) -> Response:
        """Say what the first load is; it is made when first asked for. Needs the bearer beside the signature."""
        signer = await _reader(request)
        return answer(await snapshots.manifest(services.ground, signer.network))

    @router.get("/bootstrap/{snapshot}", **_PARTS)
    async def get_snapshot_part(request: Request, snapshot: UUID) -> Response:
        """Read a snapshot, or the part that a Range header names: it never changes, so a cut load goes on later."""
        signer = await _reader(request)
        asked = _RANGE.fullmatch(request.headers.get("range", "bytes=0-"))
        if asked is None:
            raise ApiError(416, ErrorCode.BAD_BODY, "Only one range of bytes is understood, as bytes=0-1048575.")
        start = int(asked[1])
        size = min(int(asked[2]) - start + 1 if asked[2] else MAX_PART_BYTES, MAX_PART_BYTES)
        part, whole = await snapshots.part(services.ground, signer.network, snapshot, start, max(size, 0))
        if not part:
            raise ApiError(416, ErrorCode.BAD_BODY, f"The snapshot has {whole} bytes: nothing lies in that range.")
        headers = {"Accept-Ranges": "bytes", "Content-Range": f"bytes {start}-{start + len(part) - 1}/{whole}"}
        return Response(part, 206, headers, media_type=PART_TYPE)

    async def _reader(request: Request) -> Signer:
        signer, _ = await read_signed(request, find)
        require_bearer(request, signer)
        may_read(signer.state)
        return signer

    return router
