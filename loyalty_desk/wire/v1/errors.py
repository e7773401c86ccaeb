"""Codes of whole-request errors. None of them ever makes a till discard a record."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class ErrorCode(StrEnum):
    """Stable names; the sentence beside them is for people."""

    BAD_BODY = "BAD_BODY"
    BAD_SIGNATURE = "BAD_SIGNATURE"
    UNKNOWN_DEVICE = "UNKNOWN_DEVICE"
    DEVICE_SUSPENDED = "DEVICE_SUSPENDED"
    DEVICE_REVOKED = "DEVICE_REVOKED"
    BAD_TOKEN = "BAD_TOKEN"  # noqa: S105 - a name, not a secret
    GAP = "GAP"
    STALE_INCARNATION = "STALE_INCARNATION"
    FORK = "FORK"
    MUST_BOOTSTRAP = "MUST_BOOTSTRAP"
    SNAPSHOT_WAITS = "SNAPSHOT_WAITS"
    TOO_LARGE = "TOO_LARGE"
    TOO_MANY = "TOO_MANY"
    NOT_FOUND = "NOT_FOUND"
    PAIRING_CODE = "PAIRING_CODE"
    PAIRING_WAITS = "PAIRING_WAITS"
    OUTAGE = "OUTAGE"
    MIN_APP = "MIN_APP"
    ID_REUSE = "ID_REUSE"
    PRICE_CHANGED = "PRICE_CHANGED"
    REFUSED = "REFUSED"
    NOT_ALLOWED = "NOT_ALLOWED"
    INTERNAL = "INTERNAL"


class ErrorAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """The body of every answer that is not 2xx. `expected_seq` goes with GAP, `epoch` and `feed_seq` with FORK."""

    code: str
    text: str
    expected_seq: int | None = None
    epoch: int | None = None
    feed_seq: int | None = None
