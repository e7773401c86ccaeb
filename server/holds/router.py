"""The paths of holds. Bodies and answers are msgpack; an answer leaves after its commit."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request, Response

from loyalty_desk.domain.errors import Refused
from loyalty_desk.wire.v1.errors import ErrorCode
from loyalty_desk.wire.v1.holds import HoldAnswer, HoldRequest, HoldVoid
from server.guests.lookups import limit_of_evidence
from server.kit.answers import answer
from server.kit.auth import decode_body, read_short, require_same, require_signed
from server.kit.documented import documented
from server.kit.errors import ApiError
from server.kit.limits import SHORT_CODE, forgive, require
from server.services import Services
from server.tills.signers import active_till

_ERRORS = (400, 401, 403, 413, 429, 503)


def make_router(services: Services) -> APIRouter:
    """Return the routes over the services of this process."""
    router = APIRouter(prefix="/api/v1/holds", tags=["holds"])

    @router.post("", **documented(HoldAnswer, HoldRequest, *_ERRORS))
    async def post_hold(request: Request) -> Response:
        """Hold points for a check: pending, insufficient, refused with its reason, or exists for an id known before."""
        network, device, body = await read_short(request)
        asked = _asked(request, body)
        seen = await services.holds.before(network, device, asked)
        signer = require_signed(request, seen.signer, body)
        if asked is None:
            # Not looked at before who sent it was proved: packed, or nothing that is understood.
            asked = decode_body(HoldRequest, request, body)
            seen = await services.holds.before(network, device, asked)
        require_same(signer, asked.network, asked.device)
        now = services.clock.now()
        limit = SHORT_CODE if asked.code == "short" else limit_of_evidence(asked.evidence)
        if limit is not None:
            # Counted in a transaction of its own: a try stays one whatever comes of it.
            await require(services.ground.db, asked.network, limit, f"till {asked.device}", now)
        said = await services.holds.hold(seen, asked, now)
        if limit is SHORT_CODE and said.reason not in ("code_invalid", "code_limit"):
            async with services.ground.db.begin(asked.network) as connection:
                await forgive(connection, asked.network, SHORT_CODE, f"till {asked.device}")
        return answer(said)

    @router.post("/void", **documented(HoldAnswer, HoldVoid, *_ERRORS, 404))
    async def post_void(request: Request) -> Response:
        """Give the points of a hold back: the check is not paid. The answer says how the hold stands."""
        signer, body = await active_till(services.ground, request)
        asked = decode_body(HoldVoid, request, body)
        require_same(signer, asked.network, asked.device)
        return answer(await _known(services.holds.void(asked.network, asked.device, asked.id, services.clock.now())))

    @router.delete("/{hold}", **documented(HoldAnswer, None, *_ERRORS, 404))
    async def delete_hold(request: Request, hold: UUID) -> Response:
        """Give the points of a hold back, as `/holds/void` does."""
        signer, _ = await active_till(services.ground, request)
        return answer(await _known(services.holds.void(signer.network, signer.device, hold, services.clock.now())))

    @router.get("/{hold}", **documented(HoldAnswer, None, *_ERRORS, 404))
    async def get_hold(request: Request, hold: UUID) -> Response:
        """Say how a hold of this till stands."""
        signer, _ = await active_till(services.ground, request)
        return answer(await _known(services.holds.state(signer.network, signer.device, hold, services.clock.now())))

    return router


def _asked(request: Request, body: bytes) -> HoldRequest | None:
    """Return what a request seems to ask for: nobody has proved yet who sent it, and nothing is unpacked."""
    if "content-encoding" in request.headers:
        return None
    try:
        return decode_body(HoldRequest, request, body)
    except ApiError:
        return None


async def _known(work: Any) -> HoldAnswer:
    try:
        found: HoldAnswer = await work
    except Refused as error:
        raise ApiError(404, ErrorCode.NOT_FOUND, "This till has no hold with that id.") from error
    return found
