"""What a till may still give of rules that are limited for all guests together, and what it has given of them.

Both are sums since the till's epoch began, so that neither depends on what the server has seen of the till's records:
what is left is one taken from the other, whatever answer got lost or came twice.
"""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import Meta

from loyalty_desk.wire.v1.sync import Natural

MAX_LEASES = 10_000
# Far above what anybody gives, and far enough below 64 bits that sums over all tills stay within them.
MOST = 1 << 50
Count = Annotated[int, Meta(ge=0, le=MOST)]
Name = Annotated[str, Meta(max_length=200)]


class Given(msgspec.Struct, frozen=True):
    """What a till has given of a rule in one of its epochs: uses, or minor units where `period` is `money`."""

    epoch: Natural
    rule: Name
    period: Name
    amount: Count


class LeaseRequest(msgspec.Struct, frozen=True):
    """What a till has given in all, and the `number` of the answer that is in force there, 0 where none is."""

    network: UUID
    device: UUID
    incarnation: UUID
    epoch: Natural
    number: Count
    given: Annotated[list[Given], Meta(max_length=MAX_LEASES)] = []


class Lease(msgspec.Struct, frozen=True):
    """How much of a rule this till may give in this epoch in all; `period` as in `Given`."""

    rule: Name
    period: Name
    upto: Count


class LeaseAnswer(msgspec.Struct, frozen=True):
    """What is in force from now on in place of any answer before, until `expires_at` (ms UTC by the server's clock)."""

    incarnation: UUID
    epoch: Natural
    number: Count
    expires_at: Natural
    leases: Annotated[list[Lease], Meta(max_length=MAX_LEASES)] = []
