"""What a till asks the server about one guest or one sale.

``POST /guests/lookup`` with `GuestLookup` → `GuestsFound`; ``POST /sales/lookup`` with `SaleLookup` → `SaleFound`.
Bodies, never addresses: a phone number must not be left in a log. Both are limited to 60 a minute and 2 000 a day a
till. Points are smallest units, money is minor units, times milliseconds UTC.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

import msgspec
from msgspec import Meta

from loyalty_desk.domain.scan_text import MAX_SCAN_BYTES
from loyalty_desk.wire.v1.sync import Natural

MAX_FOUND = 10


class LookupBy(StrEnum):
    """What a guest is looked up by. `code`: anything scanned; `short`: 6 digits read aloud; `last4`: of a phone."""

    CODE = "code"
    NUMBER = "number"
    PHONE = "phone"
    LAST4 = "last4"
    SHORT = "short"
    GUEST = "guest"


class GuestLookup(msgspec.Struct, frozen=True):
    """Whose is this? `text` is as scanned or typed; a phone in E.164; a guest's id as text."""

    network: UUID
    device: UUID
    by: str
    text: Annotated[str, Meta(min_length=1, max_length=MAX_SCAN_BYTES)]


class FoundGuest(msgspec.Struct, frozen=True, omit_defaults=True):
    """One guest as of now; `row` is the feed's (`rows.GuestRow`), `code` the kind of code that led there.

    `handle` is the credential's as base64url where a code was shown. `provisional`: registered here, not confirmed.
    """

    guest: UUID
    row: dict[str, Any]
    code: str
    handle: str = ""
    provisional: bool = False


class GuestsFound(msgspec.Struct, frozen=True):
    """Whom it may be, none where nobody. `feed_seq` is the moment of the answer in the feed."""

    guests: Annotated[list[FoundGuest], Meta(max_length=MAX_FOUND)]
    feed_seq: Natural


class SaleLookup(msgspec.Struct, frozen=True, omit_defaults=True):
    """A sale of any till of the network, by its id or by the receipt number printed on it."""

    network: UUID
    device: UUID
    id: UUID | None = None
    receipt: Annotated[str, Meta(max_length=40)] = ""


class SoldLine(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line and what of it can still be returned: thousandths, and minor units paid for the whole line."""

    line: str
    quantity_milli: Natural
    left_milli: Natural
    net: Natural
    product: str = ""


class SaleFound(msgspec.Struct, frozen=True, omit_defaults=True):
    """A sale and what is left of it. `money_left` is what can still be paid back, `voided` says that nothing is."""

    id: UUID
    receipt: str
    at: Natural
    business_day: str
    currency: str
    total: Natural
    money_left: Natural
    lines: list[SoldLine]
    store: UUID
    guest: UUID | None = None
    guest_name: str = ""
    points_earned: Natural = 0
    voided: bool = False
