"""Everything a counter does beside selling, joined over one open till; `till` makes it, the window and `cli` use it."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from loyalty_desk.services.approvals import Approvals
    from loyalty_desk.services.checkout import Checkout
    from loyalty_desk.services.guests import Guests
    from loyalty_desk.services.online import Online
    from loyalty_desk.services.pins import Pins
    from loyalty_desk.services.ports.identity import Identity
    from loyalty_desk.services.ports.server import RequestClient
    from loyalty_desk.services.recording import Recorder
    from loyalty_desk.services.registration import Registration
    from loyalty_desk.services.returns import Returns
    from loyalty_desk.services.shifts import Shifts
    from loyalty_desk.services.sold_checks import SoldChecks
    from loyalty_desk.services.staff import Cashier
    from loyalty_desk.services.trusted_clock import TrustedClock
    from loyalty_desk.store.cache import SqliteCache
    from loyalty_desk.store.journal import SqliteJournal


@dataclass(frozen=True)
class Counter:
    """The use cases of one till. All are for the db thread; those of `online` may wait for the network.

    Each is imported and made when it is first asked for: the first scan needs `guests` and `online` alone.
    """

    identity: Identity
    journal: SqliteJournal
    cache: SqliteCache
    clock: TrustedClock
    recorder: Recorder
    guests: Guests
    checkout: Checkout
    cashier: Cashier
    client: Callable[[], RequestClient]

    @cached_property
    def online(self) -> Online:
        """What only the server knows."""
        from loyalty_desk.services.online import Online

        return Online(
            self.identity,
            self.journal,
            self.cache,
            self.guests,
            self.recorder,
            self.clock,
            self.cashier,
            random.SystemRandom(),
            self.client,
        )

    @cached_property
    def pins(self) -> Pins:
        """Who may stand here."""
        from loyalty_desk.services.pins import Pins

        return Pins(self.identity, self.journal, self.journal, self.cache, self.clock, verify_pin)

    @cached_property
    def shifts(self) -> Shifts:
        """The shifts."""
        from loyalty_desk.services.shifts import Shifts

        return Shifts(self.journal, self.recorder, self.clock, self.pins)

    @cached_property
    def sold_checks(self) -> SoldChecks:
        """This till's sales."""
        from loyalty_desk.services.sold_checks import SoldChecks

        return SoldChecks(self.journal)

    @cached_property
    def returns(self) -> Returns:
        """Voids, refunds, exchanges."""
        from loyalty_desk.services.returns import Returns

        return Returns(self.identity, self.sold_checks, self.recorder, self.checkout, self.clock, self.cashier)

    @cached_property
    def approvals(self) -> Approvals:
        """What a manager's PIN allows."""
        from loyalty_desk.services.approvals import Approvals

        return Approvals(self.journal, self.cache, self.guests, self.recorder, self.clock, self.cashier)

    @cached_property
    def registration(self) -> Registration:
        """The registration of guests."""
        from loyalty_desk.services.registration import Registration

        return Registration(self.cache, self.guests, self.recorder, self.clock, self.cashier, self.online)


def verify_pin(hashed: str, pin: str) -> bool:
    """Return whether a PIN has this Argon2id form; some 60 ms, on purpose."""
    from argon2 import PasswordHasher
    from argon2.exceptions import InvalidHashError, VerificationError

    try:
        return PasswordHasher().verify(hashed, pin)
    except (VerificationError, InvalidHashError):
        return False
