"""The till's journal record: its exact bytes, hash chain, running totals and signature.

`payload` is produced once, as canonical JSON; everything afterwards handles those bytes. Frozen vectors:
``tests/loyalty_desk/domain/test_record.py``; another reading, for verifiers of other languages:
``tests/scenarios/independent_verify.py``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from functools import lru_cache
from hashlib import sha256
from uuid import UUID

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from loyalty_desk.domain import canonical
from loyalty_desk.domain.canonical import Json
from loyalty_desk.domain.guest_code import HANDLE_BYTES, CodeKind

VERSION = 1
MAX_PAYLOAD_BYTES = 64 * 1024


class RecordKind(StrEnum):
    """What happened."""

    SALE = "sale"
    EXCHANGE = "exchange"
    VOID = "void"
    REFUND = "refund"
    HOLD_RESULT = "hold_result"
    REGISTER = "register"
    ADJUST = "adjust"
    TRANSFER = "transfer"
    SHIFT_OPEN = "shift_open"
    SHIFT_CLOSE = "shift_close"
    OVERRIDE = "override"
    EPOCH_OPEN = "epoch_open"


class ClockConfidence(StrEnum):
    """How far the till's clock may be trusted."""

    GOOD = "good"
    FAIR = "fair"
    BAD = "bad"


class Decision(IntEnum):
    """The limits of an offline redemption: bit i of `decision_bits` is set where row i refused or fired."""

    FLOOR_LIMIT = 0
    SPLIT_SALE = 1
    LOWER_CONSECUTIVE = 2
    UPPER_CONSECUTIVE = 3
    CUMULATIVE_DEVICE = 4
    STALE_DATA = 5
    KNOWN_BALANCE = 6
    EXCEPTION_FILE = 7
    RANDOM_ONLINE = 8
    CVM = 9


class ExceptionKind(StrEnum):
    """Why a posted record needs attention; bit i of `flags` is the i-th kind."""

    OVERDRAFT = "OVERDRAFT"
    FORK = "FORK"
    CLOCK = "CLOCK"
    LATE_EXPIRY = "LATE_EXPIRY"
    REPLAY = "REPLAY"
    HOLD_EXPIRED = "HOLD_EXPIRED"
    REVOKED = "REVOKED"
    ID_REUSE = "ID_REUSE"
    RULE_DRIFT = "RULE_DRIFT"
    EVIDENCE = "EVIDENCE"
    VELOCITY = "VELOCITY"
    HOLE = "HOLE"
    SALVAGED = "SALVAGED"
    UNKNOWN_GUEST = "UNKNOWN_GUEST"
    EXCESS_RETURN = "EXCESS_RETURN"
    PHONE_TAKEN = "PHONE_TAKEN"


class BadRecord(ValueError):
    """The bytes are no record: the reason is for the quarantine, not for the cashier."""


class TooLarge(ValueError):
    """The record would exceed `MAX_PAYLOAD_BYTES`; the till refuses the check before it commits."""


@dataclass(frozen=True, slots=True)
class Credential:
    """What the guest showed. A member number or a phone has no handle."""

    code: CodeKind
    handle: int | None

    def to_payload(self) -> dict[str, Json]:
        """Return the form it takes in a record."""
        return {"code": self.code.value, "handle": None if self.handle is None else handle_text(self.handle)}

    @classmethod
    def from_payload(cls, value: Json) -> Credential:
        """Return the credential of a record's field; raises `BadRecord`."""
        if not isinstance(value, Mapping):
            raise BadRecord("credential")
        handle = value.get("handle")
        try:
            return cls(CodeKind(str(value.get("code"))), None if handle is None else handle_from_text(str(handle)))
        except ValueError as error:
            raise BadRecord("credential") from error


@dataclass(frozen=True, slots=True)
class Totals:
    """The running totals a record carries: a missing tail can be counted and summed.

    `count` counts every record including this one; `earned` and `redeemed` add smallest point units of sales and
    exchanges only and never sink.
    """

    count: int = 0
    earned: int = 0
    redeemed: int = 0

    def after(self, kind: RecordKind, earned: int, redeemed: int) -> Totals:
        """Return the totals that a further record of `kind` carries."""
        if kind not in (RecordKind.SALE, RecordKind.EXCHANGE):
            earned = redeemed = 0
        return Totals(self.count + 1, self.earned + earned, self.redeemed + redeemed)


@dataclass(frozen=True, slots=True)
class Record:
    """One immutable till fact.

    `points_earned` and `points_redeemed` are smallest point units, `money_total` is what was to pay in minor units,
    `occurred_at` milliseconds UTC by the till's clock, `business_day` the store's ISO date. `check` is the object that
    `domain.check` writes and reads. `cache_feed_seq` and `known_balance` say what the till knew.
    """

    network: UUID
    id: UUID
    device: UUID
    epoch: int
    seq: int
    kind: RecordKind
    store: UUID
    occurred_at: int
    boot_id: UUID
    monotonic_ms: int
    clock_conf: ClockConfidence
    business_day: str
    totals: Totals
    cashier: str | None = None
    receipt_no: str | None = None
    check: Mapping[str, Json] | None = None
    guest_id: UUID | None = None
    credential: Credential | None = None
    points_earned: int = 0
    points_redeemed: int = 0
    money_total: int | None = None
    cache_feed_seq: int | None = None
    known_balance: int | None = None
    decision_bits: int | None = None
    token_evidence: bytes | None = None
    reverses_id: UUID | None = None
    opened_reason: str | None = None

    def to_payload(self) -> bytes:
        """Return the canonical bytes; raises `TooLarge` above 64 KiB."""
        fields: dict[str, Json] = {
            "v": VERSION,
            "network": str(self.network),
            "id": str(self.id),
            "device": str(self.device),
            "epoch": self.epoch,
            "seq": self.seq,
            "kind": self.kind.value,
            "store": str(self.store),
            "occurred_at": self.occurred_at,
            "boot_id": str(self.boot_id),
            "monotonic_ms": self.monotonic_ms,
            "clock_conf": self.clock_conf.value,
            "business_day": self.business_day,
            "cum_count": self.totals.count,
            "cum_earned": self.totals.earned,
            "cum_redeemed": self.totals.redeemed,
        }
        if self.kind is not RecordKind.EPOCH_OPEN:
            fields["guest_id"] = None if self.guest_id is None else str(self.guest_id)
            fields["points"] = {"earned": self.points_earned, "redeemed": self.points_redeemed}
        optional: dict[str, Json] = {
            "cashier": self.cashier,
            "receipt_no": self.receipt_no,
            "check": self.check,
            "credential": None if self.credential is None else self.credential.to_payload(),
            "money_total": self.money_total,
            "cache_feed_seq": self.cache_feed_seq,
            "known_balance": self.known_balance,
            "decision_bits": self.decision_bits,
            "token_evidence": None if self.token_evidence is None else canonical.bytes_to_text(self.token_evidence),
            "reverses_id": None if self.reverses_id is None else str(self.reverses_id),
            "opened_reason": self.opened_reason,
        }
        fields |= {name: value for name, value in optional.items() if value is not None}
        payload = canonical.encode(fields)
        if len(payload) > MAX_PAYLOAD_BYTES:
            raise TooLarge(f"{len(payload)} bytes")
        return payload

    @classmethod
    def from_payload(cls, payload: bytes) -> Record:
        """Return the record of its bytes. Unknown fields are passed over (they stay in the bytes).

        Raises `BadRecord` for anything else, naming the field; an unknown `kind` or `v` is one of them.
        """
        if len(payload) > MAX_PAYLOAD_BYTES:
            raise BadRecord("size")
        try:
            fields = canonical.decode_object(payload)
        except canonical.NotCanonical as error:
            raise BadRecord(f"canonical: {error}") from error
        return _read(fields)

    @classmethod
    def from_fields(cls, fields: Mapping[str, Json]) -> Record:
        """Return the record of an object whose bytes somebody else has found canonical and no longer than allowed."""
        return _read(fields)


@dataclass(frozen=True, slots=True)
class SealedRecord:
    """A record's bytes in their place in the chain, signed by the device; what the journal keeps and a push carries."""

    epoch: int
    seq: int
    id: UUID
    prev: bytes
    hash: bytes
    sig: bytes
    payload: bytes


def genesis(network: UUID, device: UUID, epoch: int) -> bytes:
    """Return the first `prev` of an epoch that has no readable parent."""
    return sha256(b"LDJ0" + network.bytes + device.bytes + _u64(epoch)).digest()


def chain_hash(prev: bytes, payload: bytes) -> bytes:
    """Return a record's hash: it commits to the bytes and to everything before them."""
    return sha256(b"LDJ1" + prev + sha256(payload).digest()).digest()


def seal(record: Record, prev: bytes, device_key: Ed25519PrivateKey) -> SealedRecord:
    """Return the record's bytes chained to `prev` and signed; raises `TooLarge`."""
    payload = record.to_payload()
    digest = chain_hash(prev, payload)
    sig = device_key.sign(head_message(record.network, record.device, record.epoch, record.seq, digest))
    return SealedRecord(record.epoch, record.seq, record.id, prev, digest, sig, payload)


def head_message(network: UUID, device: UUID, epoch: int, seq: int, digest: bytes) -> bytes:
    """Return the bytes that a device signs for the record at `seq`."""
    return b"LDH1" + network.bytes + device.bytes + _u64(epoch) + _u64(seq) + digest


def head_is_signed(
    key: Ed25519PublicKey, network: UUID, device: UUID, epoch: int, seq: int, digest: bytes, sig: bytes
) -> bool:
    """Return whether `sig` is the device's signature of that head."""
    try:
        key.verify(sig, head_message(network, device, epoch, seq, digest))
    except InvalidSignature:
        return False
    return True


def block_digest(members: list[tuple[UUID, bytes]]) -> bytes:
    """Return a reconcile block's 16 bytes: xor over (id, hash) of SHA-256(id ‖ hash)[:16]."""
    total = 0
    for record_id, digest in members:
        total ^= int.from_bytes(sha256(record_id.bytes + digest).digest()[:16], "big")
    return total.to_bytes(16, "big")


def handle_text(handle: int) -> str:
    """Return a credential's handle as base64url, the form bytes take in canonical JSON and in the feed."""
    return canonical.bytes_to_text(handle.to_bytes(HANDLE_BYTES, "big"))


def handle_from_text(text: str) -> int:
    """Return the handle of its base64url; raises `ValueError`."""
    raw = canonical.text_to_bytes(text)
    if len(raw) != HANDLE_BYTES:
        raise ValueError("a handle has 8 bytes")
    return int.from_bytes(raw, "big")


def _u64(number: int) -> bytes:
    return number.to_bytes(8, "big")


def _read(fields: Mapping[str, Json]) -> Record:
    if fields.get("v") != VERSION:
        raise BadRecord("v")
    points = fields.get("points", {"earned": 0, "redeemed": 0})
    check = fields.get("check")
    if not isinstance(points, Mapping):
        raise BadRecord("points")
    if not isinstance(check, Mapping | None):
        raise BadRecord("check")
    try:
        return Record(
            network=_uuid(fields, "network"),
            id=_uuid(fields, "id"),
            device=_uuid(fields, "device"),
            epoch=_natural(fields, "epoch"),
            seq=_natural(fields, "seq"),
            kind=RecordKind(_text(fields, "kind")),
            store=_uuid(fields, "store"),
            occurred_at=_integer(fields, "occurred_at"),
            boot_id=_uuid(fields, "boot_id"),
            monotonic_ms=_integer(fields, "monotonic_ms"),
            clock_conf=ClockConfidence(_text(fields, "clock_conf")),
            business_day=_text(fields, "business_day"),
            totals=Totals(
                _natural(fields, "cum_count"), _natural(fields, "cum_earned"), _natural(fields, "cum_redeemed")
            ),
            cashier=_text(fields, "cashier") if "cashier" in fields else None,
            receipt_no=_text(fields, "receipt_no") if "receipt_no" in fields else None,
            check=check,
            guest_id=_uuid(fields, "guest_id") if fields.get("guest_id") is not None else None,
            credential=Credential.from_payload(fields["credential"]) if "credential" in fields else None,
            points_earned=_natural(points, "earned"),
            points_redeemed=_natural(points, "redeemed"),
            money_total=_natural(fields, "money_total") if "money_total" in fields else None,
            cache_feed_seq=_natural(fields, "cache_feed_seq") if "cache_feed_seq" in fields else None,
            known_balance=_integer(fields, "known_balance") if "known_balance" in fields else None,
            decision_bits=_natural(fields, "decision_bits") if "decision_bits" in fields else None,
            token_evidence=canonical.text_to_bytes(_text(fields, "token_evidence"))
            if "token_evidence" in fields
            else None,
            reverses_id=_uuid(fields, "reverses_id") if "reverses_id" in fields else None,
            opened_reason=_text(fields, "opened_reason") if "opened_reason" in fields else None,
        )
    except BadRecord:
        raise
    except ValueError as error:
        raise BadRecord(str(error)) from error


def _integer(fields: Mapping[str, Json], name: str) -> int:
    value = fields.get(name)
    if not isinstance(value, int) or isinstance(value, bool):
        raise BadRecord(name)
    return value


def _natural(fields: Mapping[str, Json], name: str) -> int:
    value = _integer(fields, name)
    if value < 0:
        raise BadRecord(name)
    return value


def _text(fields: Mapping[str, Json], name: str) -> str:
    value = fields.get(name)
    if not isinstance(value, str):
        raise BadRecord(name)
    return value


def _uuid(fields: Mapping[str, Json], name: str) -> UUID:
    try:
        return _uuid_of(_text(fields, name))
    except BadRecord:
        raise
    except ValueError as error:
        raise BadRecord(name) from error


# Network, device, store and boot are the same in record after record.
@lru_cache(maxsize=4096)
def _uuid_of(text: str) -> UUID:
    value = UUID(text)
    if str(value) != text:
        raise ValueError("another spelling of an id")
    return value
