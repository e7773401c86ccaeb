"""What the pages need of the world: the use cases of the counter, a second thread, and the sale beside them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from loyalty_desk.domain.basket import Basket
from loyalty_desk.services.approvals import Approvals
from loyalty_desk.services.checkout import GuestCard
from loyalty_desk.services.guests import Guests
from loyalty_desk.services.online import Online
from loyalty_desk.services.pins import Pins
from loyalty_desk.services.registration import Registration
from loyalty_desk.services.returns import Returns
from loyalty_desk.services.shifts import Shifts
from loyalty_desk.services.sold_checks import SoldChecks
from loyalty_desk.services.status import TillStatus
from loyalty_desk.services.wording import Words
from loyalty_desk.ui.sale.ports import TaskRunner, WallClock


class UseCases(Protocol):
    """All are for the db thread; some wait a few seconds for the network."""

    @property
    def guests(self) -> Guests:
        """Return the guests."""
        ...

    @property
    def pins(self) -> Pins:
        """Return who may stand here."""
        ...

    @property
    def shifts(self) -> Shifts:
        """Return the shifts."""
        ...

    @property
    def sold_checks(self) -> SoldChecks:
        """Return this till's sales."""
        ...

    @property
    def returns(self) -> Returns:
        """Return voids, refunds, exchanges."""
        ...

    @property
    def online(self) -> Online:
        """Return what only the server knows."""
        ...

    @property
    def approvals(self) -> Approvals:
        """Return what a manager's PIN allows."""
        ...

    @property
    def registration(self) -> Registration:
        """Return the registration of guests."""
        ...


class Care(Protocol):
    """What support asks for: proof and export read the whole journal, on the db thread."""

    def is_sound(self) -> bool:
        """Prove the journal record by record and return whether it is in order."""
        ...

    def sync_now(self) -> None:
        """Sync with the server now rather than when the pause after a failure is over; does not wait."""
        ...

    def export(self) -> tuple[Path, int]:
        """Write the journal, encrypted, into a file; return it and how many records wait in it."""
        ...


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What every page is given. `words`, `status` and `guest` are asked anew each time: they change under a page.

    `basket` makes one of a bare total of minor units.

    `found` puts a guest on the sale; `changed` says that something was recorded; `crashed` takes faults of ours.
    """

    cases: UseCases
    care: Care
    runner: TaskRunner
    clock: WallClock
    words: Callable[[], Words]
    status: Callable[[], TillStatus | None]
    guest: Callable[[], GuestCard | None]
    basket: Callable[[int], Basket]
    found: Callable[[GuestCard], None]
    changed: Callable[[], None]
    crashed: Callable[[Exception], None]
    redraw: Callable[[], None]
    leave: Callable[[], None]

    def now(self) -> datetime:
        """Return the time."""
        return self.clock.now()
