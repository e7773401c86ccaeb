"""The sync API and the enrolment API over a connection, each request signed by the device."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlencode
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from loyalty_desk.remote.connection import BASE, WHOLE_REQUEST_S, Connection, packed
from loyalty_desk.services.ports.identity import Identity
from loyalty_desk.services.ports.server import NotOurServer
from loyalty_desk.wire.v1 import signing
from loyalty_desk.wire.v1.bootstrap import SnapshotManifest
from loyalty_desk.wire.v1.enrol import EnrolAnswer, EnrolFinish, EnrolPending, EnrolStart, Pairing
from loyalty_desk.wire.v1.holds import HoldAnswer, HoldRequest, HoldVoid
from loyalty_desk.wire.v1.leases import LeaseAnswer, LeaseRequest
from loyalty_desk.wire.v1.lookup import GuestLookup, GuestsFound, SaleFound, SaleLookup
from loyalty_desk.wire.v1.salvage import SalvageAnswer, SalvageRequest
from loyalty_desk.wire.v1.sync import (
    HelloAnswer,
    HelloRequest,
    PullAnswer,
    PushAnswer,
    PushRequest,
    ReconcileAnswer,
    ReconcileRequest,
)


class HttpLedgerClient:
    """`LedgerClient` over HTTP."""

    def __init__(
        self, identity: Identity, key: Ed25519PrivateKey, token: str, connection: Connection | None = None
    ) -> None:
        self._identity = identity
        self._key = key
        self._token = token
        self._connection = connection or Connection(identity.address, identity.spki_pin)

    def hello(self, request: HelloRequest) -> HelloAnswer:
        """Say who and how far this till is."""
        return self._post("/sync/hello", request, HelloAnswer)

    def push(self, request: PushRequest) -> PushAnswer:
        """Hand over records; only a returned answer acknowledges."""
        return self._post("/sync/push", request, PushAnswer)

    def reconcile(self, request: ReconcileRequest) -> ReconcileAnswer:
        """Compare what both sides hold of an epoch."""
        return self._post("/sync/reconcile", request, ReconcileAnswer)

    def pull(self, cursor: str | None, limit: int) -> PullAnswer:
        """Return a page of changes after `cursor`, from the beginning where None."""
        query: Mapping[str, object] = {"limit": limit} if cursor is None else {"cursor": cursor, "limit": limit}
        return self._signed("GET", f"{BASE}/sync/pull?{urlencode(query)}", b"", {}, PullAnswer)

    def leases(self, request: LeaseRequest) -> LeaseAnswer:
        """Say what was given of limited rules, and return what may be."""
        return self._post("/sync/leases", request, LeaseAnswer)

    def salvage(self, request: SalvageRequest) -> SalvageAnswer:
        """Hand over records of another till, each signed by it."""
        return self._post("/sync/salvage", request, SalvageAnswer)

    def snapshot(self) -> SnapshotManifest:
        """Return what the first load is; `ServerSaid` `SNAPSHOT_WAITS` while it is being made."""
        return self._signed("GET", f"{BASE}/sync/bootstrap", b"", {}, SnapshotManifest)

    def snapshot_part(self, snapshot: UUID, start: int, size: int) -> bytes:
        """Return up to `size` bytes of it from `start` on; `ServerSaid` `NOT_FOUND` where it is there no more."""
        target = f"{BASE}/sync/bootstrap/{snapshot}"
        return self._connection.part(target, self._proof("GET", target, b""), start, size)

    def close(self) -> None:
        """Close the sockets."""
        self._connection.close()

    def _post[T](self, path: str, request: object, kind: type[T], *, within_s: float = WHOLE_REQUEST_S) -> T:
        body, headers = packed(request)
        return self._signed("POST", BASE + path, body, headers, kind, within_s=within_s)

    def _signed[T](
        self,
        method: str,
        target: str,
        body: bytes,
        headers: dict[str, str],
        kind: type[T],
        *,
        within_s: float = WHOLE_REQUEST_S,
    ) -> T:
        signed = headers | self._proof(method, target, body)
        return _decided(self._connection.ask(method, target, kind, body, signed, within_s=within_s))

    def _proof(self, method: str, target: str, body: bytes) -> dict[str, str]:
        """Return the headers that say who asks."""
        signature = self._key.sign(signing.request_message(method, target, body))
        return {
            signing.SIGNATURE_HEADER: signing.signature_text(signature),
            signing.NETWORK_HEADER: str(self._identity.network),
            signing.DEVICE_HEADER: str(self._identity.device),
            "Authorization": f"Bearer {self._token}",
        }


class HttpRequestClient(HttpLedgerClient):
    """`RequestClient` over HTTP: the same signed requests, each within the seconds that a person may wait."""

    def hold(self, request: HoldRequest, wait_s: float) -> HoldAnswer:
        """Ask for points to be held."""
        return self._post("/holds", request, HoldAnswer, within_s=wait_s)

    def void_hold(self, request: HoldVoid, wait_s: float) -> HoldAnswer:
        """Give held points back."""
        return self._post("/holds/void", request, HoldAnswer, within_s=wait_s)

    def guests(self, request: GuestLookup, wait_s: float) -> GuestsFound:
        """Ask whose a code, number or phone is."""
        return self._post("/guests/lookup", request, GuestsFound, within_s=wait_s)

    def sale(self, request: SaleLookup, wait_s: float) -> SaleFound:
        """Ask for a sale of any till."""
        return self._post("/sales/lookup", request, SaleFound, within_s=wait_s)


class HttpEnrolClient:
    """`EnrolClient` over HTTP, for a pairing."""

    def __init__(self, pairing: Pairing) -> None:
        self._connection = Connection(pairing.address, pairing.spki_pin)

    def start(self, request: EnrolStart) -> EnrolPending:
        """Present the one-time code and the new public key."""
        body, headers = packed(request)
        return _decided(self._connection.ask("POST", f"{BASE}/enrol/start", EnrolPending, body, headers))

    def finish(self, request: EnrolFinish) -> EnrolAnswer | None:
        """Ask for the result; None while a person has not confirmed yet."""
        body, headers = packed(request)
        return self._connection.ask("POST", f"{BASE}/enrol/finish", EnrolAnswer, body, headers)


def _decided[T](answer: T | None) -> T:
    if answer is None:
        raise NotOurServer("202 where an answer was due")
    return answer
