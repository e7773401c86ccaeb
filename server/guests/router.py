"""The paths by which tills look guests and sales up, and by which a guest gets a short code."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

import msgspec
from fastapi import APIRouter, Request, Response
from msgspec import Meta

from loyalty_desk.domain.clock import to_ms
from loyalty_desk.domain.errors import ForPerson
from loyalty_desk.domain.guest_code import GuestCode
from loyalty_desk.wire.v1.errors import ErrorCode
from loyalty_desk.wire.v1.lookup import GuestLookup, GuestsFound, SaleFound, SaleLookup, SoldLine
from server.guests import service
from server.guests.lookups import count_try, look_up
from server.guests.scanned import Scan, code_of, whose
from server.guests.short_codes import issue
from server.kit.answers import answer
from server.kit.auth import Signer, decode_body, read_short, require_same, require_signed
from server.kit.bodies import read_any, reply
from server.kit.documented import documented
from server.kit.errors import ApiError
from server.kit.limits import LOOKUP, require
from server.ledger.sales import find_sale
from server.sentences import sentence
from server.services import Services
from server.systems.asking import asking, refusal, require_network
from server.tills.signers import active_till

_ERRORS = (400, 401, 403, 413, 429, 503)


class ShortCodeFor(msgspec.Struct, frozen=True):
    """Whom a code is for."""

    network: UUID
    guest: UUID


class ShortCodeMade(msgspec.Struct, frozen=True):
    """Six digits to read out, for five minutes and one check; `expires_at` milliseconds UTC."""

    digits: Annotated[str, Meta(min_length=6, max_length=6)]
    expires_at: int


def make_router(services: Services) -> APIRouter:
    """Return the routes over the services of this process."""
    router = APIRouter(prefix="/api/v1", tags=["lookup"])

    @router.post("/guests/lookup", **documented(GuestsFound, GuestLookup, *_ERRORS))
    async def lookup(request: Request) -> Response:
        """Say whose a code, a number or a phone is: 60 a minute and 2 000 a day a till of what can be guessed."""
        ground, now = services.ground, services.clock.now()
        network, device, body = await read_short(request)
        code = _scanned(request, body)
        found = await services.scans.ask(network, Scan.of(device, code))
        signer = require_signed(request, found.signer, body)
        asked = decode_body(GuestLookup, request, body)
        require_same(signer, asked.network, asked.device)
        try:
            if code is not None:
                return answer(whose(network, ground.vault, code, found, now))
            await count_try(ground, signer, asked, now)
            async with ground.db.begin(signer.network) as connection:
                return answer(await look_up(connection, ground, signer, asked, now))
        except ForPerson as error:
            raise ApiError(400, ErrorCode.BAD_BODY, sentence(error)) from error

    @router.post("/sales/lookup", **documented(SaleFound, SaleLookup, *_ERRORS, 404, 409))
    async def sale(request: Request) -> Response:
        """Find a sale of any till by its id or receipt, with what is left to return of it."""
        signer, body = await active_till(services.ground, request)
        asked = decode_body(SaleLookup, request, body)
        require_same(signer, asked.network, asked.device)
        if (asked.id is None) is (not asked.receipt):
            raise ApiError(400, ErrorCode.BAD_BODY, "Name the sale by its id or by its receipt.")
        now = services.clock.now()
        await require(services.ground.db, signer.network, LOOKUP, f"sales at {signer.device}", now)
        return answer(await _sale(services, signer, asked))

    @router.post("/guests/short-code", **documented(ShortCodeMade, ShortCodeFor, *_ERRORS, 404, json=True))
    async def short_code(request: Request) -> Response:
        """Give a guest a short code, the only one at a time; for the guest's own page, which knows who asks."""
        asker = await asking(services, request)
        asked = await read_any(ShortCodeFor, request)
        require_network(asker, asked.network)
        try:
            digits, expires_at = await issue(services.ground, asked.network, asked.guest, services.clock.now())
        except ForPerson as error:
            raise refusal(error) from error
        return reply(request, ShortCodeMade(digits, to_ms(expires_at)))

    return router


def _scanned(request: Request, body: bytes) -> GuestCode | None:
    """Return the code that a request seems to ask for: nobody has proved yet who sent it, and nothing is unpacked."""
    if "content-encoding" in request.headers:
        return None
    try:
        return code_of(decode_body(GuestLookup, request, body))
    except ApiError:
        return None


async def _sale(services: Services, signer: Signer, asked: SaleLookup) -> SaleFound:
    async with services.ground.db.begin(signer.network) as connection:
        try:
            found = await find_sale(
                connection, signer.network, sale=asked.id, receipt=asked.receipt, store=signer.store
            )
        except ForPerson as error:
            if error.code == "sale_unclear":
                raise ApiError(409, ErrorCode.REFUSED, sentence(error)) from error
            raise ApiError(404, ErrorCode.NOT_FOUND, sentence(error)) from error
        who = None
        if found.guest is not None:
            who = await service.person(connection, signer.network, services.ground.vault, found.guest)
    record, claimed = found.record, found.contents.claimed
    return SaleFound(
        id=record.id,
        receipt=record.receipt_no or "",
        at=found.at_ms,
        business_day=record.business_day,
        currency=found.contents.basket.currency,
        total=claimed.total,
        money_left=found.money_left,
        lines=[SoldLine(one.line, one.quantity_milli, one.left_milli, one.net, one.product) for one in found.lines],
        store=record.store,
        guest=found.guest,
        guest_name="" if who is None else who.name,
        points_earned=record.points_earned,
        voided=found.is_voided,
    )
