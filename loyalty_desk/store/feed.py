"""Rows of the feed on their way into the cache's tables, and the running digest both sides keep of them."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import apsw
import msgspec

from loyalty_desk.store.engine import row as one
from loyalty_desk.wire.v1.bootstrap import DOCUMENT, INSERT, bind, stored
from loyalty_desk.wire.v1.rows import DIGEST_MODULUS, row_digest
from loyalty_desk.wire.v1.sync import FeedRow, FeedTable

_LOG = logging.getLogger(__name__)


class Tally(msgspec.Struct):
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
    wanted = ", ".join(f"'{table}'" for table in sorted(_DELETE))
    return one(connection, f"SELECT 1 FROM document WHERE tbl IN ({wanted}) LIMIT 1") is not None  # noqa: S608 - ours


def apply_row(connection: apsw.Connection, change: FeedRow, tally: Tally) -> None:
    """Put one change into its table; of an unknown table, or a row that cannot be read, the digest alone is kept."""
    if change.row is None:
        remove(connection, change.table, change.key, tally)
        return
    digest = row_digest(change.table, change.key, change.row).to_bytes(16, "big")
    place, values = stored(change.table, change.key, change.row, digest)
    if place == FeedTable.GUEST and _rewritten(connection, values, tally):
        return
    remove(connection, change.table, change.key, tally)
    tally.add(digest)
    connection.execute(INSERT[place], values)
    tally.guests += place == FeedTable.GUEST
    if place == DOCUMENT and change.table in _DELETE:
        tally.any_unread = True
    if place == DOCUMENT and values[2] is None and change.table in FeedTable:
        _LOG.warning("a row of the table %s cannot be read by this program; it is kept by digest", change.table)


def _rewritten(connection: apsw.Connection, values: Sequence[Any], tally: Tally) -> bool:
    """Write a guest over what is here of them, if they are here under the same number and phone; return whether.

    Nearly every change is of points: half of what a row taken out and put in again costs goes into two indexes.
    """
    guest, number, phone, row, digest = values
    found = one(connection, "SELECT digest, member_no, phone_hash FROM guest WHERE id = ?", (guest,))
    if found is None or found[1:] != (number, phone):
        return False
    connection.execute("UPDATE guest SET row = ?, digest = ? WHERE id = ?", (row, digest, guest))
    tally.remove(found[0])
    tally.add(digest)
    return True


def remove(connection: apsw.Connection, table: str, key: str, tally: Tally) -> None:
    """Take a row out, wherever it was kept."""
    delete = _DELETE.get(table)
    if delete is not None:
        try:
            bound = bind(table, key)
        except ValueError:
            bound = None
        if bound is not None:
            found = one(connection, delete, bound)
            if found is not None:
                tally.remove(found[0])
                tally.guests -= table == FeedTable.GUEST
                return
            if not tally.any_unread:
                return
    found = one(connection, "DELETE FROM document WHERE tbl = ? AND key = ? RETURNING digest", (table, key))
    if found is not None:
        tally.remove(found[0])


_DELETE: dict[str, str] = {
    FeedTable.GUEST: "DELETE FROM guest WHERE id = ? RETURNING digest",
    FeedTable.CREDENTIAL: "DELETE FROM credential WHERE handle = ? RETURNING digest",
    FeedTable.COUNTER: "DELETE FROM counter WHERE owner = ? AND rule = ? AND period = ? RETURNING digest",
}
