"""The two paths by which a till joins a network."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from loyalty_desk.domain.errors import BadInput, ForPerson
from loyalty_desk.wire.v1.enrol import EnrolAnswer, EnrolFinish, EnrolPending, EnrolStart
from loyalty_desk.wire.v1.errors import ErrorCode
from server.kit.answers import answer
from server.kit.auth import decode_body, read_body
from server.kit.documented import documented
from server.kit.errors import ApiError
from server.services import Services
from server.tills import service

_CODE_TEXT = "This pairing code is not valid any more. Make a new one on the server."
_REFUSALS = {
    "pairing_code": (403, ErrorCode.PAIRING_CODE, _CODE_TEXT),
    "pairing_void": (403, ErrorCode.PAIRING_CODE, _CODE_TEXT),
    "pairing_expired": (403, ErrorCode.PAIRING_CODE, _CODE_TEXT),
    "pairing_waits": (202, ErrorCode.PAIRING_WAITS, "Compare the characters and confirm on the server."),
    "till_known": (403, ErrorCode.PAIRING_CODE, "This till is enrolled already."),
    "till_name": (400, ErrorCode.BAD_BODY, "A till's name has 1 to 60 characters that can be printed."),
    "enrol_signature": (403, ErrorCode.BAD_SIGNATURE, "The request is not signed by the till that started."),
}
_MAX_BODY_BYTES = 4096


def make_router(services: Services) -> APIRouter:
    """Return the routes over the services of this process."""
    router = APIRouter(prefix="/api/v1/enrol", tags=["enrol"])

    @router.post("/start", **documented(EnrolPending, EnrolStart, 400, 403, 413, 503))
    async def start(request: Request) -> Response:
        """Show a one-time code and a public key; a person then compares eight characters."""
        message = decode_body(EnrolStart, request, await read_body(request, _MAX_BODY_BYTES))
        try:
            return answer(await service.enrol_start(services.ground, message))
        except ForPerson as error:
            raise _refusal(error) from error

    @router.post("/finish", **documented(EnrolAnswer, EnrolFinish, 202, 400, 403, 413, 503))
    async def finish(request: Request) -> Response:
        """Fetch the token once a person has confirmed; 202 until then."""
        message = decode_body(EnrolFinish, request, await read_body(request, _MAX_BODY_BYTES))
        try:
            return answer(await service.enrol_finish(services.ground, message))
        except ForPerson as error:
            raise _refusal(error) from error

    return router


def _refusal(error: ForPerson) -> ApiError:
    if error.code in _REFUSALS:
        status, code, text = _REFUSALS[error.code]
        return ApiError(status, code, text, retry_after_s=1 if status == 202 else None)
    if isinstance(error, BadInput):
        return ApiError(400, ErrorCode.BAD_BODY, f"The request is not understood: {error.code}")
    return ApiError(403, ErrorCode.PAIRING_CODE, f"Refused: {error.code}")
