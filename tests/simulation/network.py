"""The wire between a till and the server: real bytes of the contract, over a network that fails as drawn."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Any, Protocol

from loyalty_desk.services.ports.server import NoAnswer, NotOurServer, ServerSaid
from loyalty_desk.wire.v1 import codec
from loyalty_desk.wire.v1.leases import LeaseAnswer, LeaseRequest
from loyalty_desk.wire.v1.sync import (
    HelloAnswer,
    HelloRequest,
    PullAnswer,
    PushAnswer,
    PushRequest,
    ReconcileAnswer,
    ReconcileRequest,
)
from server.kit.errors import ApiError
from tests.simulation.faults import Fault, Plan
from tests.simulation.memory_ledger import Tables
from tests.simulation.sim_server import Crash, SimServer

if TYPE_CHECKING:
    from tests.simulation.sim_till import SimTill

_PROXY = ((400, "BAD_BODY"), (403, "FORBIDDEN"), (404, "NOT_FOUND"), (413, "TOO_LARGE"), (429, "TOO_MANY"))
_ILL = ((500, "INTERNAL"), (502, "BAD_GATEWAY"), (503, "OUTAGE"))


class Hub(Protocol):
    """What the network needs of the world."""

    server: SimServer
    plan: Plan
    random: Random
    calm: bool
    late: list[tuple[str, SimTill, bytes]]

    def note(self, *words: object) -> None:
        """Write a line of the trace."""
        ...

    def meanwhile(self, till: SimTill) -> None:
        """Let things happen while a request of this till is under way."""
        ...


class SimClient:
    """`ports.LedgerClient` of one till."""

    def __init__(self, hub: Hub, till: SimTill) -> None:
        self._hub = hub
        self._till = till
        self.pulled: Tables | None = None

    def hello(self, request: HelloRequest) -> HelloAnswer:
        return self._ask("hello", request, HelloAnswer)

    def push(self, request: PushRequest) -> PushAnswer:
        return self._ask("push", request, PushAnswer)

    def reconcile(self, request: ReconcileRequest) -> ReconcileAnswer:
        return self._ask("reconcile", request, ReconcileAnswer)

    def pull(self, cursor: str | None, limit: int) -> PullAnswer:
        answer = self._ask("pull", (cursor, limit), PullAnswer)
        self.pulled = None if answer.has_more else self._hub.server.tables
        return answer

    def leases(self, request: LeaseRequest) -> LeaseAnswer:
        return self._ask("leases", request, LeaseAnswer)

    def _ask[T](self, path: str, request: Any, kind: type[T]) -> T:
        hub, till = self._hub, self._till
        hub.meanwhile(till)
        body = codec.encode(request)
        fault = self._fault()
        hub.note(till.name, path, fault or "-", len(body))
        if fault in (Fault.LOST_REQUEST, Fault.DELAY):
            if fault is Fault.DELAY and path in ("push", "leases"):
                hub.late.append((path, till, body))
            raise NoAnswer(fault)
        if fault is Fault.PORTAL:
            raise NotOurServer("a page of the hotel")
        if fault is Fault.SERVER_ERROR:
            status, code = hub.random.choice(_PROXY + _ILL)
            raise ServerSaid(status, code)
        if fault is Fault.CUT_BODY:
            self._serve(path, body[: hub.random.randrange(len(body))], whole=False)
            raise NoAnswer(fault)
        if fault is Fault.CRASH_MID_BATCH and path == "push":
            hub.server.crash_before_commit = True
        if fault is Fault.DUPLICATE:
            self._serve(path, body)
            if path in ("push", "leases") and hub.random.random() < 0.5:
                hub.late.append((path, till, body))
        answer = self._serve(path, body)
        if fault is Fault.CRASH_AFTER_COMMIT:
            hub.server.start()
        if fault in (Fault.LOST_ANSWER, Fault.CRASH_AFTER_COMMIT):
            raise NoAnswer(fault)
        if isinstance(answer, Exception):
            raise answer
        return codec.decode(kind, codec.encode(answer))

    def _fault(self) -> Fault | None:
        hub = self._hub
        if hub.calm or hub.random.random() >= hub.plan.trouble:
            return None
        fault = hub.random.choice(_KINDS)
        return fault if hub.plan.has(fault) else None

    def _serve(self, path: str, body: bytes, *, whole: bool = True) -> object:
        return deliver(self._hub, path, self._till, body, whole=whole)


_KINDS = (
    Fault.LOST_REQUEST,
    Fault.LOST_ANSWER,
    Fault.LOST_ANSWER,
    Fault.CUT_BODY,
    Fault.DUPLICATE,
    Fault.DELAY,
    Fault.PORTAL,
    Fault.SERVER_ERROR,
    Fault.CRASH_MID_BATCH,
    Fault.CRASH_AFTER_COMMIT,
)


def deliver(hub: Hub, path: str, till: SimTill, body: bytes, *, whole: bool = True) -> object:
    """Let the server answer; what it says no to comes back as the exception that the till gets."""
    before = hub.server.tables
    try:
        answer = hub.server.serve(path, till.identity.device, body)
    except ApiError as error:
        said = error.answer
        hub.note("said", error.status, said.code)
        return ServerSaid(
            error.status,
            said.code,
            said.text,
            retry_after=error.retry_after_s,
            expected_seq=said.expected_seq,
            epoch=said.epoch,
        )
    except Crash:
        hub.server.start()
        hub.note("crash")
        return NoAnswer("the server died")
    if not whole and hub.server.tables is not before:
        raise AssertionError("a request that was cut has changed something")
    return answer
