"""What the sale presenter needs of the world, each as a protocol: the checkout, a second thread, a timer, a clock."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from loyalty_desk.domain.basket import Basket
    from loyalty_desk.domain.program import Program
    from loyalty_desk.domain.quote import Quote
    from loyalty_desk.services.checkout import CheckDraft, GuestCard, SaleDone


class Desk(Protocol):
    """The till's checkout. `identify`, `confirm` and `refresh` wait for the disk; the others are quick."""

    def program(self) -> Program | None:
        """Return the program in force, None before the first sync."""
        ...

    def basket(self, amount: int) -> Basket:
        """Return the basket of a bare total of minor units, in this store."""
        ...

    def identify(self, data: bytes | str) -> GuestCard:
        """Return whose card, number or code this is."""
        ...

    def price(self, draft: CheckDraft) -> Quote:
        """Return the check priced."""
        ...

    def confirm(self, draft: CheckDraft, quote: Quote) -> SaleDone:
        """Commit the sale durably."""
        ...

    def refresh(self, card: GuestCard) -> GuestCard:
        """Return the same guest as known now."""
        ...


class TaskRunner(Protocol):
    """Runs what waits on another thread, and things later, and brings the answer back to the main thread."""

    def run[T](self, work: Callable[[], T], done: Callable[[T], None], failed: Callable[[Exception], None]) -> None:
        """Call `work` elsewhere, then `done` or `failed` here."""
        ...

    def later(self, seconds: float, what: Callable[[], None]) -> Callable[[], None]:
        """Call `what` here after some seconds; the returned function takes that back."""
        ...


class WallClock(Protocol):
    """The time."""

    def now(self) -> datetime:
        """Return the current time, aware, in UTC."""
        ...


class Sound(StrEnum):
    """What the cashier hears without looking."""

    READ = "read"
    REFUSED = "refused"
    DONE = "done"


class ScannerHealth(StrEnum):
    """How the scanners are."""

    NONE = "none"
    STARTING = "starting"
    READY = "ready"
    LOST = "lost"
