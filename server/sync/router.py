"""The paths of the sync protocol. Bodies and answers are msgpack; an answer leaves after its commit."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

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
from server.kit.auth import decode_body, read_authored, read_signed, require_bearer, require_same
from server.kit.documented import documented
from server.kit.errors import ApiError
from server.services import Services
from server.sync.hello import hello
from server.sync.leases import lease
from server.sync.pull import may_read, pull
from server.sync.reconcile import reconcile
from server.sync.salvage import salvage
from server.sync.store import PostgresSyncStores
from server.tills.signers import TillKeys, find_signer, finder


def make_router(services: Services) -> APIRouter:
    """Return the routes over the services of this process."""
    router = APIRouter(prefix="/api/v1/sync", tags=["sync"])
    keys = TillKeys()

    def stores() -> PostgresSyncStores:
        return PostgresSyncStores(services.ground, services.shelf)

    @router.post("/hello", **documented(HelloAnswer, HelloRequest, 400, 401, 403, 409, 413, 503))
    async def post_hello(request: Request) -> Response:
        """Say who is there; the answer, signed by the network, gives the server's life, time and heads."""
        signer, body = await read_signed(request, finder(services.ground))
        message = decode_body(HelloRequest, request, body)
        require_same(signer, message.network, message.device)
        return answer(await hello(stores(), message, services.clock.now(), signer.key))

    @router.post("/push", **documented(PushAnswer, PushRequest, 400, 401, 403, 409, 413, 429, 503))
    async def post_push(request: Request) -> Response:
        """Upload records; each is posted, a duplicate or quarantined, and stored durably before the answer."""
        author, body = await read_authored(request, keys.finder(services.ground))
        message = decode_body(PushRequest, request, body)
        require_same(author, message.network, message.device)
        return answer(await services.ledger.push(message, author.key))

    @router.post("/reconcile", **documented(ReconcileAnswer, ReconcileRequest, 400, 401, 403, 409, 413, 503))
    async def post_reconcile(request: Request) -> Response:
        """Compare an epoch block by block; ids are listed for blocks that differ."""
        signer, body = await read_signed(request, finder(services.ground))
        message = decode_body(ReconcileRequest, request, body)
        require_same(signer, message.network, message.device)
        return answer(await reconcile(stores(), message))

    @router.post("/leases", **documented(LeaseAnswer, LeaseRequest, 400, 401, 403, 409, 413, 503))
    async def post_leases(request: Request) -> Response:
        """Say what was given of rules limited for all guests together, and get what may be; needs the bearer too."""
        signer, body = await read_signed(request, finder(services.ground))
        require_bearer(request, signer)
        message = decode_body(LeaseRequest, request, body)
        require_same(signer, message.network, message.device)
        return answer(await lease(stores(), message, services.clock.now()))

    @router.post("/salvage", **documented(SalvageAnswer, SalvageRequest, 400, 401, 403, 404, 409, 413, 429, 503))
    async def post_salvage(request: Request) -> Response:
        """Upload another till's records, each signed by that till; needs a till that may act, and its bearer."""
        bringer, body = await read_signed(request, finder(services.ground))
        require_bearer(request, bringer)
        may_read(bringer.state)
        message = decode_body(SalvageRequest, request, body)
        is_ours = message.network == bringer.network
        lost = await find_signer(services.ground, message.network, message.device) if is_ours else None
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
        signer, _ = await read_signed(request, finder(services.ground))
        require_bearer(request, signer)
        return answer(await pull(stores(), signer, cursor, limit))

    return router
