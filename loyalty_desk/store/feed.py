"""Rows of the feed on their way into the cache's tables, and the running digest both sides keep of them."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import apsw
import msgspec

from loyalty_desk.domain.canonical import Json, text_to_bytes
from loyalty_desk.domain.record import handle_from_text
from loyalty_desk.store.engine import row as one
from loyalty_desk.store.journal_acks import signed
from loyalty_desk.wire.v1.rows import (
    DIGEST_MODULUS,
    CounterRow,
    CredentialRow,
    GuestRow,
    ProfileRow,
    StaffRow,
    StoreRow,
    read,
    row_digest,
)
from loyalty_desk.wire.v1.sync import FeedRow, FeedTable

_LOG = logging.getLogger(__name__)
_ENCODER = msgspec.msgpack.Encoder()


class StoredGuest(GuestRow, frozen=True, array_like=True):
    """A guest as the cache holds it: values without names, a third of the bytes and of the time to read them."""


@dataclass(slots=True)
class Tally:
    """Live rows, their digest and how many of them are guests, while a page is applied."""

    rows: int
    digest: int
    guests: int
    any_unread: bool = True

    def digest_bytes(self) -> bytes:
        """Return the digest as a checkpoint carries it."""
        return self.digest.to_bytes(16, "big")

    def add(self, digest: bytes) -> None:
        """Count a row that lives now."""
        self.rows += 1
        self.digest = (self.digest + int.from_bytes(digest, "big")) % DIGEST_MODULUS

    def remove(self, digest: bytes) -> None:
        """Count a row that lives no more."""
        self.rows -= 1
        self.digest = (self.digest - int.from_bytes(digest, "big")) % DIGEST_MODULUS


def has_unread(connection: apsw.Connection) -> bool:
    """Return whether rows of the typed tables are kept by digest alone, because they could not be read."""
    wanted = ", ".join(f"'{table}'" for table in sorted(_TYPED))
    return one(connection, f"SELECT 1 FROM document WHERE tbl IN ({wanted}) LIMIT 1") is not None  # noqa: S608 - ours


def apply_row(connection: apsw.Connection, change: FeedRow, tally: Tally) -> None:
    """Put one change into its table; of an unknown table, or a row that cannot be read, the digest alone is kept."""
    remove(connection, change.table, change.key, tally)
    if change.row is None:
        return
    digest = row_digest(change.table, change.key, change.row).to_bytes(16, "big")
    tally.add(digest)
    typed = _TYPED.get(change.table)
    if typed is not None:
        try:
            typed.put(connection, change.key, change.row, digest)
        except (ValueError, msgspec.ValidationError):
            tally.any_unread = True
            _LOG.warning("a row of the table %s cannot be read by this program; it is kept by digest", change.table)
        else:
            tally.guests += change.table == FeedTable.GUEST
            return
    body = json.dumps(change.row) if change.table in _DOCUMENTS and _is_readable(change) else None
    connection.execute("INSERT INTO document VALUES (?, ?, ?, ?)", (change.table, change.key, body, digest))


def _is_readable(change: FeedRow) -> bool:
    kind = _READ_AS.get(change.table)
    try:
        return kind is None or change.row is None or read(kind, change.row) is not None
    except msgspec.ValidationError:
        _LOG.warning("a row of the table %s cannot be read by this program; it is kept by digest", change.table)
        return False


def remove(connection: apsw.Connection, table: str, key: str, tally: Tally) -> None:
    """Take a row out, wherever it was kept."""
    typed = _TYPED.get(table)
    if typed is not None:
        try:
            bound = typed.bind(key)
        except ValueError:
            bound = None
        if bound is not None:
            found = one(connection, typed.delete, bound)
            if found is not None:
                tally.remove(found[0])
                tally.guests -= table == FeedTable.GUEST
                return
            if not tally.any_unread:
                return
    found = one(connection, "DELETE FROM document WHERE tbl = ? AND key = ? RETURNING digest", (table, key))
    if found is not None:
        tally.remove(found[0])


@dataclass(frozen=True, slots=True)
class _Typed:
    bind: Callable[[str], tuple[Any, ...]]
    delete: str
    put: Callable[[apsw.Connection, str, Mapping[str, Json], bytes], None]


def _bind_guest(key: str) -> tuple[Any, ...]:
    return (UUID(key).bytes,)


def _put_guest(connection: apsw.Connection, key: str, row: Mapping[str, Json], digest: bytes) -> None:
    guest = StoredGuest(*msgspec.structs.astuple(read(GuestRow, row)))
    if guest.merged_into is not None:
        UUID(guest.merged_into)
    connection.execute(
        "INSERT INTO guest VALUES (?, ?, ?, ?, ?)",
        (UUID(key).bytes, guest.member_no or None, guest.phone_hash or None, _ENCODER.encode(guest), digest),
    )


def _bind_credential(key: str) -> tuple[Any, ...]:
    return (signed(handle_from_text(key)),)


def _put_credential(connection: apsw.Connection, key: str, row: Mapping[str, Json], digest: bytes) -> None:
    found = read(CredentialRow, row)
    connection.execute(
        "INSERT INTO credential VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (*_bind_credential(key), UUID(found.guest).bytes, found.kind, found.state, found.generation,
         text_to_bytes(found.root), found.step, digest),
    )


def _bind_counter(key: str) -> tuple[Any, ...]:
    owner, rule, period = key.split(":", 2)
    return owner, rule, period


def _put_counter(connection: apsw.Connection, key: str, row: Mapping[str, Json], digest: bytes) -> None:
    connection.execute(
        "INSERT INTO counter VALUES (?, ?, ?, ?, ?)", (*_bind_counter(key), read(CounterRow, row).used, digest)
    )


_TYPED: dict[str, _Typed] = {
    FeedTable.GUEST: _Typed(_bind_guest, "DELETE FROM guest WHERE id = ? RETURNING digest", _put_guest),
    FeedTable.CREDENTIAL: _Typed(
        _bind_credential, "DELETE FROM credential WHERE handle = ? RETURNING digest", _put_credential
    ),
    FeedTable.COUNTER: _Typed(
        _bind_counter, "DELETE FROM counter WHERE owner = ? AND rule = ? AND period = ? RETURNING digest", _put_counter
    ),
}
_READ_AS: dict[str, type[msgspec.Struct]] = {
    FeedTable.STORE: StoreRow,
    FeedTable.STAFF: StaffRow,
    FeedTable.PROFILE: ProfileRow,
}
_DOCUMENTS = frozenset({FeedTable.PROGRAM, FeedTable.STORE, FeedTable.STAFF, FeedTable.KEYSET, FeedTable.PROFILE})
