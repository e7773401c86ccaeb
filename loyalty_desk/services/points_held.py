"""Points that the server was asked to hold for a check, as the check carries them."""

from __future__ import annotations

from uuid import UUID

import msgspec

# Why no more points than these: they are what the server holds.
HELD = "held"


class PointsHeld(msgspec.Struct, frozen=True):
    """`amount` points of `guest`, held until `until` (ms by this till's clock, counted from before the request).

    Not `is_online`: no answer came in time. The sale names the hold all the same, so that the server can let go of it,
    and its points count as redeemed offline.
    """

    id: UUID
    guest: UUID
    amount: int
    until: int
    is_online: bool
