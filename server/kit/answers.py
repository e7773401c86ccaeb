"""Errors as answers: a stable code and a sentence, in msgpack; nothing personal, nothing of ours, in any of them."""

from __future__ import annotations

import logging

import asyncpg
import msgspec
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from loyalty_desk.wire.v1 import codec
from loyalty_desk.wire.v1.errors import ErrorAnswer, ErrorCode
from server.kit.errors import AWAY, ApiError, is_outage, outage, sqlstate

_LOG = logging.getLogger(__name__)
# A text with a NUL, or what else the database has no character for: whoever sent it has to be told.
_NO_TEXT = "22021"
# What whoever runs the server can do something about, by SQLSTATE.
_SAID = {"53100": "the database's disk is full", "25006": "the database may only be read"}


def answer(message: object, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Return a message of the contract as a response."""
    return Response(codec.encode(message), status, headers, media_type=codec.CONTENT_TYPE)


def wants_json(request: Request) -> bool:
    """Return whether the asker speaks JSON: by what it sends, or says that it takes."""
    sent, takes = request.headers.get("content-type", ""), request.headers.get("accept", "")
    return sent.startswith("application/json") or (not sent and "application/json" in takes)


def install(app: FastAPI) -> None:
    """Make every error of the application an `ErrorAnswer`."""
    app.add_exception_handler(ApiError, _api_error)
    app.add_exception_handler(RequestValidationError, _bad_parameters)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(ClientDisconnect, _gone)
    for kind in (asyncpg.PostgresError, *AWAY):
        app.add_exception_handler(kind, _database_error)
    app.add_exception_handler(Exception, _internal)


def _respond(request: Request, error: ApiError) -> Response:
    headers = {} if error.retry_after_s is None else {"Retry-After": str(error.retry_after_s)}
    return _said(request, error.answer, error.status, headers)


def _said(request: Request, error: ErrorAnswer, status: int, headers: dict[str, str]) -> Response:
    if wants_json(request):
        return Response(msgspec.json.encode(error), status, headers, media_type="application/json")
    return answer(error, status, headers)


async def _api_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)  # noqa: S101 - registered for this class alone
    return _respond(request, error)


async def _bad_parameters(request: Request, error: Exception) -> Response:
    # Only places and kinds: the framework's own answer repeats what was sent, a phone number as well.
    assert isinstance(error, RequestValidationError)  # noqa: S101
    places = "; ".join(f"{'.'.join(str(part) for part in one['loc'])}: {one['type']}" for one in error.errors()[:5])
    return _respond(request, ApiError(400, ErrorCode.BAD_BODY, f"The request is not understood: {places}"))


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101
    code = {404: ErrorCode.NOT_FOUND, 413: ErrorCode.TOO_LARGE}.get(error.status_code, ErrorCode.BAD_BODY)
    return _said(request, ErrorAnswer(code.value, str(error.detail)), error.status_code, dict(error.headers or {}))


async def _gone(_request: Request, _error: Exception) -> Response:
    return Response(status_code=400)


async def _database_error(request: Request, error: Exception) -> Response:
    if is_outage(error):
        state = sqlstate(error)
        _LOG.error("%s: %s", _SAID.get(state or "", "the database is away"), state or type(error).__name__)
        return _respond(request, outage())
    if sqlstate(error) == _NO_TEXT:
        return _respond(request, ApiError(400, ErrorCode.BAD_BODY, "The request holds a text that nobody can read."))
    return await _internal(request, error)


async def _internal(request: Request, error: Exception) -> Response:
    # The text of a database error holds the row; the place in the code is enough to find the fault.
    _LOG.error("fault at %s: %s", request.url.path, _place(error))
    return _respond(request, ApiError(500, ErrorCode.INTERNAL, "Something broke on the server. Nothing was stored."))


def _place(error: BaseException) -> str:
    trace, place = error.__traceback__, ""
    while trace is not None:
        code = trace.tb_frame.f_code
        place = f"{code.co_filename}:{trace.tb_lineno} {code.co_name}"
        trace = trace.tb_next
    return f"{type(error).__name__} {sqlstate(error) or ''} at {place}"
