"""What the till asks of the server, and how that can fail."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol
from uuid import UUID

if TYPE_CHECKING:
    from loyalty_desk.wire.v1.bootstrap import SnapshotManifest
    from loyalty_desk.wire.v1.enrol import EnrolAnswer, EnrolFinish, EnrolPending, EnrolStart
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


class RequestClient(Protocol):
    """What a till asks while somebody waits. Each call ends within `wait_s` seconds, raising as `LedgerClient`."""

    def hold(self, request: HoldRequest, wait_s: float) -> HoldAnswer:
        """Ask for points to be held."""
        ...

    def void_hold(self, request: HoldVoid, wait_s: float) -> HoldAnswer:
        """Give held points back."""
        ...

    def guests(self, request: GuestLookup, wait_s: float) -> GuestsFound:
        """Ask whose a code, number or phone is."""
        ...

    def sale(self, request: SaleLookup, wait_s: float) -> SaleFound:
        """Ask for a sale of any till."""
        ...


class NoAnswer(Exception):
    """Nobody answered: no connection, a time-out, a cut. What was asked may or may not have happened."""


class NotOurServer(Exception):
    """Something answered that is not the ledger: a captive portal, a proxy's page, a wrong signature. Not an answer."""


class ServerSaid(Exception):
    """The ledger answered with an error. `retry_after` is in seconds."""

    def __init__(
        self,
        status: int,
        code: str,
        text: str = "",
        *,
        retry_after: int | None = None,
        expected_seq: int | None = None,
        epoch: int | None = None,
        feed_seq: int | None = None,
    ) -> None:
        super().__init__(status, code, text)
        self.status = status
        self.code = code
        self.text = text
        self.retry_after = retry_after
        self.expected_seq = expected_seq
        self.epoch = epoch
        self.feed_seq = feed_seq


class LedgerClient(Protocol):
    """The server's sync API. Each call raises `NoAnswer`, `NotOurServer` or `ServerSaid`."""

    def hello(self, request: HelloRequest) -> HelloAnswer:
        """Say who and how far this till is."""
        ...

    def push(self, request: PushRequest) -> PushAnswer:
        """Hand over records; only a returned answer acknowledges."""
        ...

    def reconcile(self, request: ReconcileRequest) -> ReconcileAnswer:
        """Compare what both sides hold of an epoch."""
        ...

    def pull(self, cursor: str | None, limit: int) -> PullAnswer:
        """Return a page of changes after `cursor`, from the beginning where None."""
        ...

    def leases(self, request: LeaseRequest) -> LeaseAnswer:
        """Say what was given of limited rules, and return what may be."""
        ...

    def salvage(self, request: SalvageRequest) -> SalvageAnswer:
        """Hand over records of another till, each signed by it."""
        ...

    def snapshot(self) -> SnapshotManifest:
        """Return what the first load is; `ServerSaid` `SNAPSHOT_WAITS` while it is being made."""
        ...

    def snapshot_part(self, snapshot: UUID, start: int, size: int) -> bytes:
        """Return up to `size` bytes of it from `start` on; `ServerSaid` `NOT_FOUND` where it is there no more."""
        ...


class EnrolClient(Protocol):
    """The server's enrolment API, before the till is a device. Raises as `LedgerClient`."""

    def start(self, request: EnrolStart) -> EnrolPending:
        """Present the one-time code and the new public key."""
        ...

    def finish(self, request: EnrolFinish) -> EnrolAnswer | None:
        """Ask for the result; None while a person has not confirmed yet."""
        ...
