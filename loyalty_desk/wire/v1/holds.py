"""Online redemption: points held for a check before it is recorded.

``POST /holds`` with `HoldRequest` → `HoldAnswer`; the same id again answers `exists` with the hold as it is.
``POST /holds/void`` with `HoldVoid` → `HoldAnswer`: a check that is not paid gives its points back at once.
Signed by the device like every till request. Points are smallest units, times milliseconds UTC of the server's clock.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import Meta

from loyalty_desk.domain.scan_text import MAX_SCAN_BYTES
from loyalty_desk.wire.v1.sync import Natural, Positive

HOLD_TTL_S = 120
MAX_HOLD_TTL_S = 600


class HoldState(StrEnum):
    """Where a hold stands at the server."""

    PENDING = "pending"
    POSTED = "posted"
    VOIDED = "voided"
    EXPIRED = "expired"


class HoldDecision(StrEnum):
    """What the server decided. `exists`: this id was asked for before, `state` says what became of it."""

    PENDING = "pending"
    INSUFFICIENT = "insufficient"
    EXISTS = "exists"
    REFUSED = "refused"


class HoldRefusal(StrEnum):
    """Why a hold is refused although there may be points enough."""

    CODE_LIMIT = "code_limit"
    CODE_INVALID = "code_invalid"
    CONFIRMATION_NEEDED = "confirmation_needed"
    GUEST_UNKNOWN = "guest_unknown"
    GUEST_BLOCKED = "guest_blocked"
    OTHER_REQUEST = "other_request"


class HoldRequest(msgspec.Struct, frozen=True, omit_defaults=True):
    """`amount` points of `guest` for at most `ttl_s` seconds.

    `code` is the kind of what the guest showed (`domain.guest_code.CodeKind`), `evidence` its bytes as scanned or
    typed: the server verifies them again. `id` is made by the till and permanent.
    """

    network: UUID
    device: UUID
    id: UUID
    guest: UUID
    amount: Positive
    code: str
    ttl_s: Annotated[int, Meta(ge=1, le=MAX_HOLD_TTL_S)] = HOLD_TTL_S
    evidence: Annotated[bytes, Meta(max_length=MAX_SCAN_BYTES)] | None = None


class HoldVoid(msgspec.Struct, frozen=True):
    """The check will not be paid: give the points back."""

    network: UUID
    device: UUID
    id: UUID


class HoldAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the server decided. `available` is what the guest can still spend, this hold already taken off.

    `outcome` is a `HoldDecision`, `state` a `HoldState` where there is a hold, `reason` a `HoldRefusal` where refused
    (`limit` = the points that this code may redeem). A value of a newer server is text like any other.
    """

    id: UUID
    outcome: str
    available: int
    expires_at: Natural | None = None
    amount: Natural = 0
    state: str = ""
    reason: str = ""
    limit: Natural | None = None
