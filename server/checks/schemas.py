"""What other systems send and get. Money in minor units, points in smallest point units, quantities in thousandths.

Times are milliseconds UTC. JSON or msgpack, as the request's Content-Type says.
"""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import Meta

Code = Annotated[str, Meta(max_length=200)]
Money = Annotated[int, Meta(ge=0, le=10**12)]
Points = Annotated[int, Meta(ge=0, le=10**12)]
MAX_LINES = 1_000


class CheckLine(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line before any discount."""

    unit_price: Money
    quantity_milli: Annotated[int, Meta(ge=1, le=10**9)] = 1_000
    id: Code = ""
    product: Code = ""
    category: Code = ""
    flags: Annotated[list[Code], Meta(max_length=20)] = []
    tax: Money | None = None
    charge: Money = 0
    floor: Money = 0


class QuoteRequest(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A check to be priced: `lines`, or a bare `amount`.

    `guest` is what the guest showed, as scanned or typed; a short code may be followed by the last four digits of the
    phone. `points` are asked for; without proof enough none are given. `store` is left out by a system of one store.
    """

    network: UUID
    currency: Annotated[str, Meta(min_length=3, max_length=3)]
    lines: Annotated[list[CheckLine], Meta(max_length=MAX_LINES)] = []
    amount: Money | None = None
    store: UUID | None = None
    guest: Annotated[str, Meta(max_length=300)] = ""
    points: Points = 0
    codes: Annotated[list[Code], Meta(max_length=50)] = []
    coupons: Annotated[list[Code], Meta(max_length=50)] = []
    rewards: Annotated[list[Code], Meta(max_length=50)] = []
    gifts: dict[Code, Code] = {}
    declined: Annotated[list[Code], Meta(max_length=200)] = []
    channel: Annotated[str, Meta(max_length=40)] = "online"


class CommitRequest(QuoteRequest, frozen=True, omit_defaults=True, kw_only=True):
    """A check that is paid. `id` is the caller's and permanent: sent again it is answered again and posted once.

    `total`, where given, is what the caller has been told: another price is refused and nothing is posted.
    """

    id: UUID
    total: Money | None = None
    receipt: Annotated[str, Meta(max_length=40)] = ""
    cashier: Annotated[str, Meta(max_length=100)] = ""


class PricedLine(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line priced; `discounts` by rule."""

    net: int
    id: str = ""
    discounts: dict[str, int] = {}
    points_money: int = 0
    points: int = 0
    earned: int = 0


class PricedCheck(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a check costs, with the version of the program it was priced by."""

    program_version: int
    at: int
    gross: int
    discount_total: int
    redeemed_points: int
    redeemed_money: int
    total: int
    earned_points: int
    lines: list[PricedLine]


class QuoteAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """`available` is what the guest can spend, `redeemable` how much of it on this check, `guest` None: nobody."""

    check: PricedCheck
    guest: UUID | None = None
    available: int | None = None
    redeemable: int | None = None


class CommitAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """`duplicate`: it was posted before and is answered again. `available` is what the guest can spend now."""

    id: UUID
    duplicate: bool
    check: PricedCheck
    guest: UUID | None = None
    available: int | None = None
