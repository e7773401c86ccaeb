"""The first load of a till: a SQLite file of all that the feed says at one moment.

The tables here are the till's own: a file that has arrived whole only has to be encrypted. They and the order of the
values in a guest's body may only be added to; anything else is another `FORMAT`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any
from uuid import UUID

import msgspec
from msgspec import Meta

from loyalty_desk.domain.canonical import Json, text_to_bytes
from loyalty_desk.domain.record import handle_from_text
from loyalty_desk.wire.v1.rows import CounterRow, CredentialRow, GuestRow, ProfileRow, StaffRow, StoreRow, read
from loyalty_desk.wire.v1.sync import Digest, FeedTable, Half, Natural, Positive

FORMAT = 1
# What is asked for at a time: a minute of the slowest link worth the name, 16 KB/s.
PART_BYTES = 1 << 20
MAX_PACKED_BYTES = 4 << 30
PART_TYPE = "application/octet-stream"
DOCUMENT = "document"

# `digest` is each live row's part of the feed's checkpoint; `row` of a guest is msgpack, of a document JSON.
LAYOUT = """
CREATE TABLE guest (
    id BLOB PRIMARY KEY, member_no TEXT, phone_hash TEXT, row BLOB NOT NULL, digest BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX guest_member_no ON guest(member_no) WHERE member_no IS NOT NULL;
CREATE INDEX guest_phone_hash ON guest(phone_hash) WHERE phone_hash IS NOT NULL;
CREATE TABLE credential (
    handle INTEGER PRIMARY KEY, guest BLOB NOT NULL, kind TEXT NOT NULL, state TEXT NOT NULL,
    generation INTEGER NOT NULL, root BLOB NOT NULL, step INTEGER NOT NULL, digest BLOB NOT NULL
) STRICT;
CREATE TABLE counter (
    owner TEXT NOT NULL, rule TEXT NOT NULL, period TEXT NOT NULL, used INTEGER NOT NULL, digest BLOB NOT NULL,
    PRIMARY KEY (owner, rule, period)
) STRICT, WITHOUT ROWID;
CREATE TABLE document (
    tbl TEXT NOT NULL, key TEXT NOT NULL, row TEXT, digest BLOB NOT NULL, PRIMARY KEY (tbl, key)
) STRICT, WITHOUT ROWID;
"""
INSERT = {
    FeedTable.GUEST.value: "INSERT INTO guest VALUES (?, ?, ?, ?, ?)",
    FeedTable.CREDENTIAL.value: "INSERT INTO credential VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
    FeedTable.COUNTER.value: "INSERT INTO counter VALUES (?, ?, ?, ?, ?)",
    DOCUMENT: "INSERT INTO document VALUES (?, ?, ?, ?)",
}
_READ_AS: dict[str, type[msgspec.Struct]] = {
    FeedTable.STORE: StoreRow,
    FeedTable.STAFF: StaffRow,
    FeedTable.PROFILE: ProfileRow,
}
_DOCUMENTS = frozenset({FeedTable.PROGRAM, FeedTable.STORE, FeedTable.STAFF, FeedTable.KEYSET, FeedTable.PROFILE})
_ENCODER = msgspec.msgpack.Encoder()


class StoredGuest(GuestRow, frozen=True, array_like=True):
    """A guest as the file holds it: values without names, a third of the bytes and of the time to read them."""


class SnapshotManifest(msgspec.Struct, frozen=True):
    """What the file is: the feed of `incarnation` up to `feed_seq`, with the checkpoint's `rows` and `digest`.

    `packed` is the size as served (zstd), `sha256` of exactly those bytes; `size` is the SQLite file inside.
    """

    id: UUID
    format: Positive
    incarnation: UUID
    feed_seq: Natural
    rows: Natural
    guests: Natural
    digest: Half
    packed: Annotated[int, Meta(ge=1, le=MAX_PACKED_BYTES)]
    size: Positive
    sha256: Digest


def stored(table: str, key: str, row: Mapping[str, Json], digest: bytes) -> tuple[str, tuple[Any, ...]]:
    """Return the table that holds a feed row, and its values there; of a row that cannot be read, the digest alone."""
    try:
        match table:
            case FeedTable.GUEST:
                return table, _guest(key, row, digest)
            case FeedTable.CREDENTIAL:
                return table, _credential(key, row, digest)
            case FeedTable.COUNTER:
                return table, (*bind(table, key), read(CounterRow, row).used, digest)
        kind = _READ_AS.get(table)
        if kind is not None:
            read(kind, row)
    except (ValueError, msgspec.ValidationError):
        return DOCUMENT, (table, key, None, digest)
    return DOCUMENT, (table, key, json.dumps(row) if table in _DOCUMENTS else None, digest)


def bind(table: str, key: str) -> tuple[Any, ...]:
    """Return the columns of a row's key in its own table; raises `ValueError` for a key that is none."""
    match table:
        case FeedTable.GUEST:
            return (_id(key),)
        case FeedTable.CREDENTIAL:
            handle = handle_from_text(key)
            return (handle - (1 << 64) if handle >= 1 << 63 else handle,)
        case FeedTable.COUNTER:
            owner, rule, period = key.split(":", 2)
            return owner, rule, period
    raise ValueError(table)


def _id(text: str) -> bytes:
    """Return the bytes of an id, in a third of what UUID itself takes; raises `ValueError` for a text that is none."""
    return msgspec.convert(text, UUID).bytes


def _credential(key: str, row: Mapping[str, Json], digest: bytes) -> tuple[Any, ...]:
    found = read(CredentialRow, row)
    what = (_id(found.guest), found.kind, found.state, found.generation)
    return (*bind(FeedTable.CREDENTIAL, key), *what, text_to_bytes(found.root), found.step, digest)


def _guest(key: str, row: Mapping[str, Json], digest: bytes) -> tuple[Any, ...]:
    guest = StoredGuest(*msgspec.structs.astuple(read(GuestRow, row)))
    if guest.merged_into is not None:
        UUID(guest.merged_into)
    return _id(key), guest.member_no or None, guest.phone_hash or None, _ENCODER.encode(guest), digest
