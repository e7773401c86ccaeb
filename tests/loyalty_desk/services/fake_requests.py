"""A server that answers what it is told to, or nothing, and remembers what it was asked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from uuid import UUID

from loyalty_desk.services.ports.server import NoAnswer
from loyalty_desk.wire.v1.holds import HoldAnswer, HoldDecision, HoldRequest, HoldState, HoldVoid
from loyalty_desk.wire.v1.lookup import FoundGuest, GuestLookup, GuestsFound, SaleFound, SaleLookup


def pending(request: HoldRequest) -> HoldAnswer:
    """Answer that the points are held."""
    return HoldAnswer(
        request.id, HoldDecision.PENDING, 100, expires_at=1, amount=request.amount, state=HoldState.PENDING
    )


def silent(request: object) -> HoldAnswer:
    """Answer nothing."""
    raise NoAnswer("time-out")


@dataclass
class FakeRequests:
    """`ports.RequestClient`; `answer` decides what a hold gets."""

    answer: Callable[[HoldRequest], HoldAnswer] = pending
    found: list[FoundGuest] = field(default_factory=list)
    sale_found: SaleFound | None = None
    is_away: bool = False
    error: Exception | None = None
    asked: list[tuple[HoldRequest, float]] = field(default_factory=list)
    voided: list[UUID] = field(default_factory=list)
    looked_up: list[GuestLookup] = field(default_factory=list)

    def _there(self) -> None:
        if self.is_away:
            raise NoAnswer("time-out")
        if self.error is not None:
            raise self.error

    def hold(self, request: HoldRequest, wait_s: float) -> HoldAnswer:
        self.asked.append((request, wait_s))
        self._there()
        return self.answer(request)

    def void_hold(self, request: HoldVoid, wait_s: float) -> HoldAnswer:
        self._there()
        self.voided.append(request.id)
        return HoldAnswer(request.id, HoldDecision.EXISTS, 100, state=HoldState.VOIDED)

    def guests(self, request: GuestLookup, wait_s: float) -> GuestsFound:
        self.looked_up.append(request)
        self._there()
        return GuestsFound(self.found, 7)

    def sale(self, request: SaleLookup, wait_s: float) -> SaleFound:
        self._there()
        assert self.sale_found is not None
        return self.sale_found
