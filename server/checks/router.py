"""The paths for systems without our till: a price, and a check committed once. JSON or msgpack.

Whoever asks names itself by a token: a system's (`loyalty-server system add`), or that of a manager's login, who says
which store it is for. What they send is a request and may be refused; what is committed is posted before the answer.
"""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response

from loyalty_desk.domain.errors import BadInput, ForPerson
from loyalty_desk.domain.guest_code import CodeKind, parse
from server.checks.schemas import CommitAnswer, CommitRequest, QuoteAnswer, QuoteRequest
from server.guests.proof import is_short
from server.kit.bodies import read_any, reply
from server.kit.documented import documented
from server.kit.limits import LOOKUP, SHORT_CODE, forgive, require
from server.services import Services
from server.systems.asking import asking, refusal, require_network
from server.systems.service import Asker

_EXAMPLE: dict[str, Any] = {
    "network": "7b0b3b0e-5f3d-4a53-9d8e-3a4a4a0f6f11",
    "currency": "RUB",
    "lines": [{"id": "1", "product": "latte", "category": "coffee", "unit_price": 25_000, "quantity_milli": 2_000}],
    "guest": "LD104HMASW9NF6YY54",
    "points": 50,
}
_COMMITTED = _EXAMPLE | {"id": "0198b1f4-6c3e-7d20-8f10-2b6f0c9d1e77", "total": 45_000, "receipt": "A-1024"}
_ERRORS = (400, 401, 403, 404, 409, 413, 415, 422, 429, 503)


def make_router(services: Services) -> APIRouter:
    """Return the routes over the services of this process."""
    router = APIRouter(prefix="/api/v1/checks", tags=["checks"])

    @router.post("/quote", **documented(QuoteAnswer, QuoteRequest, *_ERRORS, json=True, example=_EXAMPLE))
    async def quote(request: Request) -> Response:
        """Say what a check costs now, by the program in force and for the guest as known; nothing is kept."""
        asker, asked, shown = await _asked(services, request, QuoteRequest)
        try:
            said = await services.checks.quote(asker, asked)
        except ForPerson as error:
            raise refusal(error) from error
        await _forgive(services, asker, shown)
        return reply(request, said)

    @router.post("/commit", **documented(CommitAnswer, CommitRequest, *_ERRORS, json=True, example=_COMMITTED))
    async def commit(request: Request) -> Response:
        """Post a paid check once, under the caller's permanent id: the same again is answered and posts nothing."""
        asker, asked, shown = await _asked(services, request, CommitRequest)
        try:
            said = await services.checks.commit(asker, asked)
        except ForPerson as error:
            raise refusal(error) from error
        await _forgive(services, asker, shown)
        return reply(request, said)

    return router


async def _asked[T: QuoteRequest](
    services: Services, request: Request, kind: type[T]
) -> tuple[Asker, T, CodeKind | None]:
    """Return who asks what, and which kind of code the guest has shown."""
    asker = await asking(services, request)
    asked = await read_any(kind, request)
    require_network(asker, asked.network)
    shown = _kind(asked.guest)
    await _count(services, asker, shown)
    return asker, asked, shown


async def _count(services: Services, asker: Asker, shown: CodeKind | None) -> None:
    """Count guesses: whoever could try numbers at will would read out who is a guest."""
    if shown in (CodeKind.NUMBER, CodeKind.PHONE, CodeKind.SHORT):
        limit = SHORT_CODE if shown is CodeKind.SHORT else LOOKUP
        await require(services.ground.db, asker.network, limit, f"system {asker.id}", services.clock.now())


async def _forgive(services: Services, asker: Asker, shown: CodeKind | None) -> None:
    """Forget wrong short codes: this one was right."""
    if shown is CodeKind.SHORT:
        async with services.ground.db.begin(asker.network) as connection:
            await forgive(connection, asker.network, SHORT_CODE, f"system {asker.id}")


def _kind(shown: str) -> CodeKind | None:
    if is_short(shown):
        return CodeKind.SHORT
    try:
        return parse(shown).kind if shown else None
    except BadInput:
        return None
