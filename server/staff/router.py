"""The paths by which people who manage log in, go on and log out."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

import msgspec
from fastapi import APIRouter, Request, Response
from msgspec import Meta

from loyalty_desk.domain.clock import to_ms
from loyalty_desk.domain.errors import Refused
from loyalty_desk.wire.v1.errors import ErrorCode
from server.kit.bodies import bearer, read_any, reply
from server.kit.documented import documented
from server.kit.errors import ApiError
from server.services import Services
from server.staff import sessions

_MAX_BODY_BYTES = 4_096
_Text = Annotated[str, Meta(max_length=300)]
_ERRORS = (400, 401, 403, 413, 429, 503)


class LogIn(msgspec.Struct, frozen=True):
    """Who wants to log in where."""

    network: UUID
    login: _Text
    password: _Text


class GoOn(msgspec.Struct, frozen=True):
    """The secret of the last answer."""

    network: UUID
    refresh: _Text


class LoggedIn(msgspec.Struct, frozen=True):
    """Goes with every request as `Authorization: Bearer`; `expires_at` is milliseconds UTC."""

    access: str
    refresh: str
    expires_at: int
    role: str


class LoggedOut(msgspec.Struct, frozen=True):
    """The session is over."""

    ended: bool = True


def make_router(services: Services) -> APIRouter:
    """Return the routes over the services of this process."""
    router = APIRouter(prefix="/api/v1/staff", tags=["staff"])

    @router.post("/login", **documented(LoggedIn, LogIn, *_ERRORS, json=True))
    async def log_in(request: Request) -> Response:
        """Log in with a password; five tries in ten minutes for an account and for an address."""
        said = await read_any(LogIn, request, _MAX_BODY_BYTES)
        device = request.client.host if request.client else "?"
        await _require_network(services, said.network)
        try:
            made = await sessions.log_in(
                services.ground, said.network, said.login, said.password, device, services.clock.now()
            )
        except Refused as error:
            raise _refusal(error) from error
        return reply(request, _said(made))

    @router.post("/refresh", **documented(LoggedIn, GoOn, *_ERRORS, json=True))
    async def go_on(request: Request) -> Response:
        """Get the next pair with the secret of the last; a secret shown twice ends the session."""
        said = await read_any(GoOn, request, _MAX_BODY_BYTES)
        await _require_network(services, said.network)
        try:
            made = await sessions.go_on(services.ground, said.network, said.refresh, services.clock.now())
        except Refused as error:
            raise _refusal(error) from error
        return reply(request, _said(made))

    @router.post("/logout", **documented(LoggedOut, None, *_ERRORS, json=True))
    async def log_out(request: Request) -> Response:
        """End the session of the bearer."""
        try:
            now = services.clock.now()
            access = await sessions.who_may(services.ground, bearer(request), now)
            await sessions.log_out(services.ground, access, now)
        except Refused as error:
            raise _refusal(error) from error
        return reply(request, LoggedOut())

    return router


async def _require_network(services: Services, network: UUID) -> None:
    if network not in await services.ground.db.networks():
        raise ApiError(403, ErrorCode.BAD_TOKEN, "Login or password is wrong.")


def _said(made: sessions.Session) -> LoggedIn:
    return LoggedIn(made.access, made.refresh, to_ms(made.expires_at), made.role)


def _refusal(error: Refused) -> ApiError:
    if error.code == "too_many":
        wait = int(str(error.facts["seconds"]))
        return ApiError(429, ErrorCode.TOO_MANY, f"Tried too often. Wait {wait} seconds.", retry_after_s=wait)
    if error.code == "login_wrong":
        return ApiError(403, ErrorCode.BAD_TOKEN, "Login or password is wrong.")
    return ApiError(401, ErrorCode.BAD_TOKEN, "The session is over. Log in again.")
