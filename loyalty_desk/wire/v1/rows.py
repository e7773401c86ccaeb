"""Rows of the feed, one struct a table, and the digest both sides keep of them.

In the feed a row is an object of canonical JSON (bytes as base64url, ids as text); `read` turns it into its struct.
Points are smallest point units, money is minor units, times are milliseconds UTC, dates ISO.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from hashlib import sha256
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from loyalty_desk.domain import canonical
from loyalty_desk.domain.canonical import Json

DIGEST_MODULUS = 1 << 128
_ENCODER = msgspec.json.Encoder(order="sorted")
_LIKE_A_FLOAT = re.compile(rb"[:,\[]-?[0-9]++[.eE]")


def _cvm() -> dict[str, int]:
    return {"ld1": 100, "ld3": 100, "ld4": 1_000_000_000, "number": 0, "phone": 0, "short": 0}


def _online_cvm() -> dict[str, int]:
    much = 1_000_000_000
    return {"ld1": 100, "ld2": much, "ld3": 100, "ld4": much, "short": much, "number": 0, "phone": 0}


def _tier_codes() -> list[str]:
    return ["ld2", "ld4", "short"]


class GuestRow(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a till may know of a guest; key: the guest's id.

    `points` is what the guest can spend now, `next_expiries` pairs of instant and amount, soonest first.
    `merged_into` names the last survivor.
    """

    name: str = ""
    phone_hash: str = ""
    phone_last4: str = ""
    member_no: str = ""
    tier: str = ""
    tier_until: int | None = None
    points: int = 0
    spend: int = 0
    visits: int = 0
    first_visit: str | None = None
    birthday: str | None = None
    segments: list[str] = []
    tags: list[str] = []
    coupons: list[str] = []
    stamps: dict[str, int] = {}
    next_expiries: list[tuple[int, int]] = []
    offline_limit: int | None = None
    flags: int = 0
    merged_into: str | None = None


class CredentialRow(msgspec.Struct, frozen=True, omit_defaults=True):
    """A credential; key: its handle as base64url. Kinds: card, phone, wallet, pass, import.

    LD3 and LD4 below `generation` are revoked. `root` (base64url) and `step` name the rotating code that paid last:
    that chain pays no more at this step or below.
    """

    guest: str
    kind: str
    state: str = "active"
    generation: int = 0
    root: str = ""
    step: int = 0


class ProgramRow(msgspec.Struct, frozen=True):
    """The program in force; key: `current`. `bytes` are its canonical bytes, `hash` their SHA-256, both base64url."""

    version: int
    hash: str
    bytes: str


class StoreRow(msgspec.Struct, frozen=True, omit_defaults=True):
    """A store; key: its id."""

    name: str
    zone: str
    currency: str
    profile: str = "default"


class StaffRow(msgspec.Struct, frozen=True, omit_defaults=True):
    """Somebody who works at the tills; key: their id. Roles: cashier, manager, owner. `pin` is its Argon2id form."""

    name: str
    role: str
    stores: list[str] = []
    pin: str = ""


class KeysetRow(msgspec.Struct, frozen=True):
    """The network's signing keys; key: `current`. `sig` by the root over ``LDK1`` ‖ canonical bytes of `document`."""

    document: dict[str, Any]
    sig: str


class OfflineMode(StrEnum):
    """What guests may redeem without the server: up to the limits, all that the till knows of, or nothing."""

    FLOOR = "floor"
    KNOWN_BALANCE = "known_balance"
    DENY = "deny"


class ProfileRow(msgspec.Struct, frozen=True, omit_defaults=True):
    """Limits of redemption without the server and with it; key: the profile's name. Amounts in smallest point units.

    `mode` is an `OfflineMode`; a till takes one that it does not know for deny. `cvm` maps a code's kind to the points
    it may redeem offline, `online_cvm` to those of one online redemption; above `confirm_points` a day the guest
    confirms with a short code. `random_online_bp` of offline redemptions wait up to `random_online_wait_s` for an
    answer.

    `tier_codes` give the tier's percent without bounds; all others on `tier_checks` checks and up to `tier_discount`
    (minor units) a guest, business day and till, beyond it with a manager's PIN. `granted_points` are a guest's points
    of one day, all tills together, beyond which they wait for a manager.
    """

    mode: str = OfflineMode.FLOOR.value
    floor_points: int = 500
    floor_share_bp: int = 3_000
    split_sale_points: int = 500
    lower_consecutive: int = 1
    upper_consecutive: int = 2
    device_points: int = 5_000
    max_age_hours: int = 24
    margin: int = 0
    cvm: dict[str, int] = msgspec.field(default_factory=_cvm)
    online_cvm: dict[str, int] = msgspec.field(default_factory=_online_cvm)
    confirm_points: int = 2_000
    random_online_bp: int = 500
    random_online_wait_s: int = 15
    tier_codes: list[str] = msgspec.field(default_factory=_tier_codes)
    tier_checks: int = 2
    tier_discount: int = 300_000
    granted_points: int = 5_000


class CounterRow(msgspec.Struct, frozen=True):
    """Uses of a limited rule; key: guest or program, rule and period, joined by colons."""

    used: int


def read[T](kind: type[T], row: Mapping[str, Json]) -> T:
    """Return the struct of a feed row; unknown fields are passed over. Raises `msgspec.ValidationError`."""
    return msgspec.convert(row, kind)


def write(row: msgspec.Struct) -> dict[str, Json]:
    """Return the feed's form of a struct: equal structs give equal rows, or two sides would disagree on the digest.

    msgspec leaves out a default that is the same object, and keeps an equal one that came from a database.
    """
    made: Annotated[dict[str, Json], Meta()] = msgspec.to_builtins(row)
    if row.__struct_config__.omit_defaults:
        defaults = row.__struct_defaults__
        for name, default in zip(row.__struct_fields__[-len(defaults) :], defaults, strict=True):
            if name in made and made[name] == default:
                del made[name]
    return made


def row_digest(table: str, key: str, row: Mapping[str, Json]) -> int:
    """Return a live row's part of the checkpoint digest: SHA-256(table ‖ 0x00 ‖ canonical {key, row})[:16]."""
    body = _ENCODER.encode({"key": key, "row": row})
    if _LIKE_A_FLOAT.search(body) or not canonical.is_plain(body):
        body = canonical.encode({"key": key, "row": row})
    return int.from_bytes(sha256(table.encode() + b"\x00" + body).digest()[:16], "big")


def keyset_message(document: Mapping[str, Json]) -> bytes:
    """Return the bytes that the network's root signs for its key set."""
    return b"LDK1" + canonical.encode(document)
