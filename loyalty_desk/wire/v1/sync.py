"""Hello, push, reconcile and pull. Times are milliseconds UTC."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

import msgspec
from msgspec import Meta

Digest = Annotated[bytes, Meta(min_length=32, max_length=32)]
Signature = Annotated[bytes, Meta(min_length=64, max_length=64)]
Half = Annotated[bytes, Meta(min_length=16, max_length=16)]
Natural = Annotated[int, Meta(ge=0, le=(1 << 63) - 1)]
Positive = Annotated[int, Meta(ge=1, le=(1 << 63) - 1)]

SCHEMA = 1
MAX_PUSH_RECORDS = 500
RECONCILE_BLOCK = 256
MAX_PULL_ROWS = 5_000
PULL_FROM_ZERO_GUESTS = 20_000


class Head(msgspec.Struct, frozen=True):
    """How far one side has an epoch."""

    epoch: Natural
    head_seq: Natural
    head_hash: Digest


class Acked(msgspec.Struct, frozen=True, omit_defaults=True):
    """How far the server said that it holds an epoch.

    `hash` is that record's and `sig` the device's over it, as the journal has them; without both it proves nothing.
    """

    epoch: Natural
    seq: Positive
    hash: Digest | None = None
    sig: Signature | None = None


class HelloRequest(msgspec.Struct, frozen=True):
    """Who is there, what it has, and a nonce against replayed answers. `cursor` is how far it has pulled the feed.

    `acked` is what the server acknowledged in its life `acked_in`: one that holds less was put back silently.
    `keyset_version` is that of the key set in force here, 0 where there is none.
    """

    network: UUID
    device: UUID
    nonce: Half
    boot_id: UUID
    monotonic_ms: int
    app: str
    epochs: Annotated[list[Head], Meta(max_length=10_000)]
    incarnation: UUID | None = None
    cursor: Natural | None = None
    acked: Annotated[list[Acked], Meta(max_length=10_000)] = []
    acked_in: UUID | None = None
    keyset_version: Natural | None = None


class Command(StrEnum):
    """What the server asks of a till at hello."""

    ROTATE_EPOCH = "rotate_epoch"
    RESYNC_CACHE = "resync_cache"
    SUSPEND = "suspend"
    REVOKE = "revoke"


class HelloAnswer(msgspec.Struct, frozen=True):
    """The server's life, its time, its heads of this device; `sig` by network key `kid` (`signing.hello_message`).

    `keyset` is the row of the newest key set, signed by the root, for a till that named an older one: a till that may
    pull nothing has to know the key all the same, or it would push nothing either. `phone_key` is that of
    `phones.phone_hash`, and `phone_sig` by the same network key says so (`signing.phones_message`); a till that gets no
    data gets neither.
    """

    incarnation: UUID
    server_time: Natural
    epochs: list[Head]
    keyset_version: Natural
    min_app: str
    max_payload: Positive
    kid: Annotated[int, Meta(ge=0, le=255)]
    sig: Signature
    commands: list[str] = []
    keyset: dict[str, Any] | None = None
    phone_key: bytes = b""
    phone_sig: bytes = b""


class PushedRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """One record as the journal holds it. `private` is what a registration may not put into the chain."""

    seq: Positive
    id: UUID
    prev: Digest
    hash: Digest
    payload: bytes
    private: bytes | None = None


class Hole(msgspec.Struct, frozen=True):
    """Records `first`..`last` (inclusive) that no longer exist on this till, and why."""

    first: Positive
    last: Positive
    reason: str


class PushRequest(msgspec.Struct, frozen=True, omit_defaults=True):
    """A run of records of one epoch, contiguous from `from_seq`; `head_sig` is the device's of the last one."""

    network: UUID
    device: UUID
    incarnation: UUID
    epoch: Natural
    from_seq: Positive
    records: Annotated[list[PushedRecord], Meta(max_length=MAX_PUSH_RECORDS)]
    head_sig: Signature
    holes: Annotated[list[Hole], Meta(max_length=1_000)] = []


class Status(StrEnum):
    """What became of one record. Each is an ack: the server holds it durably."""

    POSTED = "posted"
    POSTED_FLAGGED = "posted_flagged"
    DUPLICATE = "duplicate"
    QUARANTINED = "quarantined"


class QuarantineReason(StrEnum):
    """Why a record is stored and not posted."""

    BAD_SCHEMA = "BAD_SCHEMA"
    BAD_HASH = "BAD_HASH"
    ID_REUSE = "ID_REUSE"
    WAITING_DEP = "WAITING_DEP"
    AFTER_REVOCATION = "AFTER_REVOCATION"


class PushResult(msgspec.Struct, frozen=True, omit_defaults=True):
    """The result of one record; `flags` as in `domain.record.ExceptionKind`, `reason` for a quarantined one."""

    seq: Positive
    status: Status
    flags: Natural = 0
    reason: str | None = None


class PushAnswer(msgspec.Struct, frozen=True):
    """Results in the order sent. A pull that reaches `feed_seq` has seen their effects."""

    incarnation: UUID
    results: list[PushResult]
    feed_seq: Natural


class Block(msgspec.Struct, frozen=True):
    """Up to 256 records from `first_seq`; `xor` as `domain.record.block_digest`."""

    first_seq: Positive
    count: Annotated[int, Meta(ge=1, le=RECONCILE_BLOCK)]
    xor: Half


class ReconcileRequest(msgspec.Struct, frozen=True):
    """Everything this till holds of one epoch, as digests of blocks."""

    network: UUID
    device: UUID
    incarnation: UUID
    epoch: Natural
    blocks: Annotated[list[Block], Meta(max_length=10_000)]


class BlockIds(msgspec.Struct, frozen=True):
    """What the server holds of a block that differs."""

    first_seq: Positive
    ids: list[UUID]


class ReconcileAnswer(msgspec.Struct, frozen=True):
    """Only blocks that differ are listed; the till resends what is missing from them."""

    incarnation: UUID
    mismatching: list[BlockIds]


class FeedTable(StrEnum):
    """The tables of the feed, in `wire.v1.rows`."""

    GUEST = "guest"
    CREDENTIAL = "credential"
    COUNTER = "counter"
    PROGRAM = "program"
    STORE = "store"
    STAFF = "staff"
    KEYSET = "keyset"
    PROFILE = "profile"


class FeedRow(msgspec.Struct, frozen=True):
    """One row's state at `seq`; null is a tombstone. An unknown `table` is passed over and kept in the digest.

    `row` is `Json`, spelled without it: msgspec cannot decode into a type that names itself.
    """

    seq: Positive
    table: str
    key: str
    row: dict[str, Any] | None


class Checkpoint(msgspec.Struct, frozen=True):
    """The feed's length, live rows and digest at the end of a pull (`rows.row_digest`, summed mod 2^128)."""

    n: Natural
    rows: Natural
    digest: Half


class PullAnswer(msgspec.Struct, frozen=True):
    """A page of changes. `next` is the cursor to store with it; `checkpoint` is on the last page alone."""

    incarnation: UUID
    rows: list[FeedRow]
    next: Natural
    has_more: bool
    checkpoint: Checkpoint | None = None


def cursor_text(incarnation: UUID, feed_seq: int) -> str:
    """Return the `cursor` parameter of a pull."""
    return f"{incarnation}.{feed_seq}.{SCHEMA}"


def cursor_from_text(text: str) -> tuple[UUID, int, int]:
    """Return (incarnation, feed_seq, schema) of a `cursor` parameter; raises `ValueError`."""
    incarnation, feed_seq, schema = text.split(".")
    if not (feed_seq.isascii() and feed_seq.isdigit() and schema.isascii() and schema.isdigit()):
        raise ValueError("cursor")
    number = int(feed_seq)
    if number >= 1 << 63:
        raise ValueError("cursor")
    return UUID(incarnation), number, int(schema)
