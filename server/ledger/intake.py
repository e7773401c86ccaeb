"""Reading a push in memory, before anything is written: which records are what they claim to be.

A record is what it claims when its bytes hash to its hash and its successor in the push is chained to it; the
signature of the last one then vouches for all of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from hashlib import sha256
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from loyalty_desk.domain.contents import contents_of
from loyalty_desk.domain.errors import BadInput
from loyalty_desk.domain.record import BadRecord, Record, RecordKind, chain_hash, head_is_signed
from loyalty_desk.domain.return_contents import ExchangeContents
from loyalty_desk.wire.v1.payloads import read_record
from loyalty_desk.wire.v1.sync import PushedRecord, PushRequest, QuarantineReason

# No check is worth a billion roubles or dollars. Ten million records of this size would still fit one account.
MAX_AMOUNT = 10**12
# Running totals are of a whole till's life; half of what fits leaves room for every record that counts on from them.
MAX_TOTAL = 1 << 62


class BadPush(ValueError):
    """The push contradicts itself; nothing of it is stored. The text is for whoever wrote the client."""


class ForgedPush(Exception):
    """The last record is not signed by the device."""


@dataclass(frozen=True, slots=True)
class Incoming:
    """A pushed record and what reading it said: `record` where it can be posted, else `fault` with `detail`."""

    seq: int
    id: UUID
    prev: bytes
    hash: bytes
    payload: bytes
    private: bytes | None
    record: Record | None
    fault: QuarantineReason | None = None
    detail: str = ""

    @property
    def payload_hash(self) -> bytes:
        """Return SHA-256 of the bytes as pushed."""
        return sha256(self.payload).digest()


def require_whole(push: PushRequest, device_key: Ed25519PublicKey) -> None:
    """Check what a push says about itself; raises `BadPush` and `ForgedPush`, both before any write."""
    for position, pushed in enumerate(push.records):
        if pushed.seq != push.from_seq + position:
            raise BadPush(f"record {position} has seq {pushed.seq}, not {push.from_seq + position}")
    for hole in push.holes:
        if hole.first > hole.last or hole.last >= push.from_seq:
            raise BadPush(f"the hole {hole.first} to {hole.last} does not lie before {push.from_seq}")
    if push.records:
        last = push.records[-1]
        if not head_is_signed(device_key, push.network, push.device, push.epoch, last.seq, last.hash, push.head_sig):
            raise ForgedPush


def read_part(push: PushRequest, start: int, stop: int) -> list[Incoming]:
    """Return the records from position `start` up to `stop`, read."""
    successors: list[PushedRecord | None] = [*push.records[start + 1 : stop + 1], None]
    return [_read(push, *pair) for pair in zip(push.records[start:stop], successors, strict=False)]


def read_again(push: PushRequest) -> list[Incoming]:
    """Return records that are stored already, each read by itself: what follows it and its signature are past."""
    return [_read(push, pushed, None) for pushed in push.records]


def _read(push: PushRequest, pushed: PushedRecord, successor: PushedRecord | None) -> Incoming:
    record: Record | None = None
    fault: QuarantineReason | None = None
    detail = ""
    if chain_hash(pushed.prev, pushed.payload) != pushed.hash:
        fault, detail = QuarantineReason.BAD_HASH, "the bytes do not hash to the record's hash"
    elif successor is not None and successor.prev != pushed.hash:
        fault, detail = QuarantineReason.BAD_HASH, f"record {successor.seq} is not chained to it"
    else:
        try:
            record = read_record(pushed.payload)
        except BadRecord as error:
            fault, detail = QuarantineReason.BAD_SCHEMA, str(error)[:200]
        else:
            wrong = _contradiction(push, pushed, record) or _unreadable(record)
            if wrong:
                record, fault, detail = None, QuarantineReason.BAD_SCHEMA, wrong
    return Incoming(
        pushed.seq, pushed.id, pushed.prev, pushed.hash, pushed.payload, pushed.private, record, fault, detail
    )


def _contradiction(push: PushRequest, pushed: PushedRecord, record: Record) -> str:
    claimed = (push.network, push.device, push.epoch, pushed.seq, pushed.id)
    written = (record.network, record.device, record.epoch, record.seq, record.id)
    for name, outside, inside in zip(("network", "device", "epoch", "seq", "id"), claimed, written, strict=True):
        if outside != inside:
            return f"{name} differs from the push"
    if record.kind is RecordKind.EPOCH_OPEN and record.seq != 1:
        return "an epoch opens in the middle"
    return _beyond(record)


def _unreadable(record: Record) -> str:
    """Say what is wrong with what a record of its kind carries: nothing is posted that nobody could read later."""
    try:
        found = contents_of(record)
    except BadInput as error:
        return str(error)[:200]
    if record.reverses_id == record.id:
        return "it takes back itself"
    try:
        date.fromisoformat(record.business_day)
    except ValueError:
        return "its business day is none"
    if isinstance(found, ExchangeContents):
        back = found.returned
        if max(back.money, back.earned_reversed, back.spent_returned) > MAX_AMOUNT:
            return f"what came back is above {MAX_AMOUNT}"
    return ""


def _beyond(record: Record) -> str:
    """Name the first figure that no till can honestly have reached: a few of them would overflow shared accounts."""
    for name, amount in (
        ("points earned", record.points_earned),
        ("points redeemed", record.points_redeemed),
        ("money_total", record.money_total or 0),
    ):
        if amount > MAX_AMOUNT:
            return f"{name} above {MAX_AMOUNT}"
    if max(record.totals.count, record.totals.earned, record.totals.redeemed) > MAX_TOTAL:
        return f"running totals above {MAX_TOTAL}"
    return ""
