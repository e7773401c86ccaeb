"""Who asks on a path that is not a till's, and how a refusal is answered."""

from __future__ import annotations

from uuid import UUID

from fastapi import Request

from loyalty_desk.domain.errors import BadInput, ForPerson, Refused
from loyalty_desk.wire.v1.errors import ErrorCode
from server.kit.bodies import bearer
from server.kit.errors import ApiError
from server.sentences import sentence
from server.services import Services
from server.systems.service import Asker, who_asks


async def asking(services: Services, request: Request) -> Asker:
    """Return who asks; raises `ApiError` 401."""
    token = bearer(request)
    try:
        return await who_asks(services.ground, services.systems, token, services.clock.now())
    except Refused as error:
        raise ApiError(401, ErrorCode.BAD_TOKEN, "The token is not valid, or not any more.") from error


def require_network(asker: Asker, network: UUID) -> None:
    """Refuse a request about another network than the token's; raises `ApiError` 403."""
    if asker.network != network:
        raise ApiError(403, ErrorCode.NOT_ALLOWED, "The token belongs to another network.")


def refusal(error: ForPerson) -> ApiError:
    """Return a refusal of ours as an answer with its sentence."""
    text = sentence(error)
    if error.code == "guest_unknown":
        return ApiError(404, ErrorCode.NOT_FOUND, text)
    if error.code in ("store_unknown", "store_other"):
        return ApiError(403, ErrorCode.NOT_ALLOWED, text)
    return ApiError(400 if isinstance(error, BadInput) else 422, ErrorCode.REFUSED, text)
