"""Leases of rules that are limited for all guests together: what of a limit each till may give.

Of an epoch of a till `granted` is the most that it may give in all, as far as it has ever been told; `used` is what its
posted sales have given. The difference is out of the pool. It comes back when the till says that it is content with
less, and of a till that is taken off the network, and of an epoch that is over, some time after the lease has expired.
Of a till that is only silent it never does: it may have given all of it already, and nobody knows until it says so.
What comes back of a sale goes to the pool, whichever till takes it back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

from loyalty_desk.domain.program import Program

# A long weekend without a network is sold through; then a till has to have been heard of.
LIFE = timedelta(days=3)
# Longer than any clock is off that a till still trusts, and than sales that were made in time need to be posted.
GRACE = timedelta(days=2)
type Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Leased:
    """What one epoch of a till has of one limit: uses, or minor units.

    `offered` is what the newest answer says, `granted` the most that may be in force there, `given` what the till says
    that it has given, `used` what was posted of it.
    """

    granted: int = 0
    offered: int = 0
    given: int = 0
    used: int = 0
    expires_at: datetime | None = None

    @property
    def is_out(self) -> int:
        """Return what of it is not in the pool and not in the counters either."""
        return max(0, self.granted - self.used)

    def is_out_when_over(self, now: datetime) -> int:
        """Return the same of an epoch that is over: some time after the lease, only what is given and not posted."""
        if self.expires_at is not None and self.expires_at > now - GRACE:
            return self.is_out
        return max(0, self.given - self.used)


@dataclass(frozen=True, slots=True)
class Holder:
    """The newest answer to a till: its number, for which epoch, in which life of the server, and how long it holds."""

    epoch: int
    number: int
    incarnation: UUID
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Overrun:
    """That an epoch of a till has given more than it was granted."""

    device: UUID
    epoch: int
    key: Key
    granted: int
    used: int


@dataclass(frozen=True, slots=True)
class LimitState:
    """How one limit of the program in force stands, by rule and period."""

    key: Key
    limit: int
    used: int
    leased: int

    @property
    def left(self) -> int:
        """Return what can still be leased, or given by other systems."""
        return max(0, self.limit - self.used - self.leased)


class LeaseStore(Protocol):
    """What answering a till asks, within one transaction of its network."""

    async def lock(self) -> None:
        """Let whoever gives of limits take turns from here on."""
        ...

    async def program(self) -> Program | None:
        """Return the program in force."""
        ...

    async def used(self) -> Mapping[Key, int]:
        """Return what was given of limits in all, by rule and period."""
        ...

    async def out_elsewhere(self, device: UUID, now: datetime) -> Mapping[Key, int]:
        """Return what is leased to other tills and not used yet."""
        ...

    async def leases(self, device: UUID) -> dict[tuple[int, str, str], Leased]:
        """Return a till's leases by epoch, rule and period."""
        ...

    async def holder(self, device: UUID) -> Holder | None:
        """Return the newest answer to a till."""
        ...

    async def epochs(self, device: UUID) -> set[int]:
        """Return the epochs that are known of a till."""
        ...

    async def tills(self, now: datetime) -> int:
        """Return how many tills share: those heard of within the life of a lease."""
        ...

    async def is_awaiting(self, device: UUID, now: datetime) -> bool:
        """Return whether another till may hold what was leased after the state that this life began with."""
        ...

    async def put(self, device: UUID, leases: Mapping[tuple[int, str, str], Leased], holder: Holder) -> None:
        """Write a till's leases and the answer to it."""
        ...
