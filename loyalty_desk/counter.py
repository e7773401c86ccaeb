"""Everything a counter does beside selling, joined over one open till; `till` makes it, the window and `cli` use it."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

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


@dataclass(frozen=True, slots=True)
class Counter:
    """The use cases of one till. All are for the db thread; those of `online` may wait for the network."""

    guests: Guests
    pins: Pins
    shifts: Shifts
    sold_checks: SoldChecks
    returns: Returns
    online: Online
    approvals: Approvals
    registration: Registration


def make_counter(
    identity: Identity,
    journal: SqliteJournal,
    cache: SqliteCache,
    clock: TrustedClock,
    recorder: Recorder,
    guests: Guests,
    checkout: Checkout,
    cashier: Cashier,
    client: Callable[[], RequestClient],
) -> Counter:
    """Return the use cases over an open till's parts."""
    pins = Pins(identity, journal, journal, cache, clock, verify_pin)
    sold_checks = SoldChecks(journal)
    online = Online(identity, journal, cache, guests, recorder, clock, cashier, random.SystemRandom(), client)
    return Counter(
        guests=guests,
        pins=pins,
        shifts=Shifts(journal, recorder, clock, pins),
        sold_checks=sold_checks,
        returns=Returns(identity, sold_checks, recorder, checkout, clock, cashier),
        online=online,
        approvals=Approvals(journal, cache, guests, recorder, clock, cashier),
        registration=Registration(cache, guests, recorder, clock, cashier, online),
    )


def verify_pin(hashed: str, pin: str) -> bool:
    """Return whether a PIN has this Argon2id form; some 60 ms, on purpose."""
    from argon2 import PasswordHasher
    from argon2.exceptions import InvalidHashError, VerificationError

    try:
        return PasswordHasher().verify(hashed, pin)
    except (VerificationError, InvalidHashError):
        return False
