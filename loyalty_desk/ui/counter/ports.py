"""What the pages need of the world: the use cases of the counter, a second thread, and the sale beside them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from loyalty_desk.domain.basket import Basket
from loyalty_desk.preferences import Preferences
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
from loyalty_desk.ui.sale.ports import ScannerHealth, TaskRunner, WallClock


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


@dataclass(frozen=True, slots=True)
class Left:
    """A till that has left its network: where its journal lies, and the file of what waited, None where nothing did."""

    folder: Path
    export: Path | None


@dataclass(frozen=True, slots=True)
class Device:
    """A camera or a port: `key` is what is kept, `name` what people see."""

    key: str
    name: str


class Settings(Protocol):
    """What a manager sets. `cameras` and `serial_ports` look at the machine, on the db thread; the rest is quick."""

    def chosen(self) -> Preferences:
        """Return what the window is set to; `camera` is empty for the first there is, `serial` for none."""
        ...

    def choose(self, what: str, key: str) -> bool:
        """Set one thing, at once and for later starts; return whether that changed anything."""
        ...

    def cameras(self) -> tuple[Device, ...]:
        """Return the cameras of this machine."""
        ...

    def serial_ports(self) -> tuple[Device, ...]:
        """Return what is plugged in and may be a scanner."""
        ...

    def scanner_health(self) -> ScannerHealth:
        """Return how the scanners are."""
        ...


class Care(Protocol):
    """What support asks for: proof, export and leaving read the whole journal, on the db thread."""

    def is_sound(self) -> bool:
        """Prove the journal record by record and return whether it is in order."""
        ...

    def sync_now(self) -> None:
        """Sync with the server now rather than when the pause after a failure is over; does not wait."""
        ...

    def export(self) -> tuple[Path, int]:
        """Write the journal, encrypted, into a file; return it and how many records wait in it."""
        ...

    def leave(self) -> Left:
        """Take this till off its network, what waits written into a file first; raises as `Till.leave`."""
        ...

    def close_window(self) -> None:
        """End the program."""
        ...


class Paper(Protocol):
    """Where slips go; waits for drivers, so it is asked on a thread of its own."""

    def put(self, name: str, lines_of: Callable[[int], Sequence[str]]) -> tuple[str, Path | None]:
        """Print lines of so many columns, or write them into a file; return the printer's name, or the file.

        Raises `Refused` `slip_not_printed`, `slip_not_written`.
        """
        ...


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What every page is given. `words`, `status` and `guest` are asked anew each time: they change under a page.

    `printing` is the thread that `paper` is asked on: no sale waits for a printer. `basket` makes one of a bare total
    of minor units.

    `open` brings another page to the front; `found` puts a guest on the sale; `changed` says that something was
    recorded; `crashed` takes faults of ours.
    """

    cases: UseCases
    care: Care
    settings: Settings
    paper: Paper
    runner: TaskRunner
    printing: TaskRunner
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
    open: Callable[[str], None]

    def now(self) -> datetime:
        """Return the time."""
        return self.clock.now()
