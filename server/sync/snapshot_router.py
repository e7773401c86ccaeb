"""The paths of the first load: what it is, and its bytes, in parts that a cut load goes on from."""

from __future__ import annotations

import re
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request, Response

from loyalty_desk.wire.v1.bootstrap import PART_BYTES, PART_TYPE, SnapshotManifest
from loyalty_desk.wire.v1.errors import ErrorCode
from server.kit.answers import answer
from server.kit.auth import Signer, read_signed, require_bearer
from server.kit.documented import ERRORS, documented
from server.kit.errors import ApiError
from server.services import Services
from server.sync.bootstrap import Snapshots
from server.sync.pull import may_read
from server.tills.signers import finder

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
    router = APIRouter(prefix="/api/v1/sync/bootstrap", tags=["sync"])
    snapshots = Snapshots()

    @router.get("", **documented(SnapshotManifest, None, 401, 403, 503))
    async def get_snapshot(request: Request) -> Response:
        """Say what the first load is; it is made when first asked for. Needs the bearer beside the signature."""
        signer = await _reader(services, request)
        return answer(await snapshots.manifest(services.ground, signer.network))

    @router.get("/{snapshot}", **_PARTS)
    async def get_snapshot_part(request: Request, snapshot: UUID) -> Response:
        """Read a snapshot, or the part that a Range header names: it never changes, so a cut load goes on later."""
        signer = await _reader(services, request)
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

    return router


async def _reader(services: Services, request: Request) -> Signer:
    signer, _ = await read_signed(request, finder(services.ground))
    require_bearer(request, signer)
    may_read(signer.state)
    return signer
