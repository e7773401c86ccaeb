"""`cache.db`: what the server has told this till. Deleting it loses nothing; a damaged one is made anew."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Mapping
from functools import wraps
from hashlib import sha256
from pathlib import Path
from typing import Any, Concatenate
from uuid import UUID

import apsw
import msgspec
from msgspec.structs import replace

from loyalty_desk.domain.canonical import Json
from loyalty_desk.services.ports.cache import CachedGuest, CacheLost, CacheState, CredentialState
from loyalty_desk.store.engine import Unreadable, companions, connect, rows, transaction
from loyalty_desk.store.feed import Tally, apply_row, has_unread
from loyalty_desk.store.migrations.cache import OWN_LAYOUT
from loyalty_desk.wire.v1.bootstrap import LAYOUT, StoredGuest
from loyalty_desk.wire.v1.rows import GuestRow, ProfileRow, StaffRow, StoreRow, read
from loyalty_desk.wire.v1.sync import PullAnswer

READ_CACHE_KIB = 64 * 1024
WRITE_CACHE_KIB = 16 * 1024
MAX_MERGES = 8
_SIGN, _SIGNED = 1 << 63, 1 << 64
_LOG = logging.getLogger(__name__)
_GUEST = msgspec.msgpack.Decoder(StoredGuest)
# A subquery: as a LEFT JOIN the same two look-ups cost twice as much (measured, 100 000 guests).
_BY_HANDLE = (
    "SELECT guest, kind, state, generation, root, step, (SELECT row FROM guest WHERE id = credential.guest)"
    " FROM credential WHERE handle = ?"
)
_DAMAGED = (apsw.CorruptError, apsw.NotADBError)
# A body that another program wrote; a row that the server sends and this one cannot read is never kept as a body.
_UNREADABLE = (*_DAMAGED, msgspec.MsgspecError, ValueError)


def _version() -> int:
    """Return the number of this program's format: another for every change of the layout or of a kind of row."""
    kinds = [f"{kind.__name__} {kind.__annotations__}" for kind in (GuestRow, ProfileRow, StaffRow, StoreRow)]
    return int.from_bytes(sha256("\n".join([LAYOUT, OWN_LAYOUT, *kinds]).encode()).digest()[:4], "big") >> 1 or 1


VERSION = _version()


def _or_anew[**P, T](
    find: Callable[Concatenate[SqliteCache, P], T],
) -> Callable[Concatenate[SqliteCache, P], T]:
    """Make the cache anew where it cannot be read, and look again: it is empty then, and the server sends it again."""

    @wraps(find)
    def look(cache: SqliteCache, /, *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return find(cache, *args, **kwargs)
        except _UNREADABLE:
            cache.make_anew()
            return find(cache, *args, **kwargs)

    return look


class SqliteCache:
    """A writing connection for the sync thread and a reading one for the counter: neither waits for the other."""

    def __init__(self, path: Path, key: bytes, *, vfs: str | None = None) -> None:
        """Open the file, anew if it is damaged or a newer program's; raises `Refused` if it cannot be made."""
        self.path = path
        self.key = key
        self._vfs = vfs
        self._reading = threading.RLock()
        self._writing = threading.RLock()
        # Replaced, never emptied: whoever read before a page was applied keeps what belongs to that time.
        self._memory: dict[str, Any] = {}
        self.rebuilt = False
        try:
            self._open()
        except Unreadable:
            self._anew()

    def _open(self) -> None:
        self._writer = connect(self.path, self.key, durable=False, cache_kib=WRITE_CACHE_KIB, vfs=self._vfs)
        try:
            self._lay_out()
            self._writer.pragma("secure_delete", 1)
            self._reader = connect(self.path, self.key, durable=False, cache_kib=READ_CACHE_KIB, vfs=self._vfs)
            self._reader.pragma("query_only", 1)
            self._state = self._read_state()
            self._memory = {}
        except BaseException as error:
            self._writer.close()
            if isinstance(error, _DAMAGED):
                raise Unreadable(str(self.path)) from error
            raise

    def _lay_out(self) -> None:
        if int(self._writer.pragma("user_version")) == VERSION:
            return
        if rows(self._writer, "SELECT 1 FROM sqlite_schema LIMIT 1"):
            raise Unreadable("written in another format")
        with transaction(self._writer):
            self._writer.execute(LAYOUT)
            self._writer.execute(OWN_LAYOUT)
            self._writer.pragma("user_version", VERSION)

    def _anew(self) -> None:
        _LOG.warning("the cache is damaged or foreign and is made anew; the server sends it again")
        self._replace()
        self.rebuilt = True

    def _replace(self) -> None:
        for name in ("_writer", "_reader"):
            if hasattr(self, name):
                getattr(self, name).close()
        for file in companions(self.path):
            file.unlink(missing_ok=True)
        self._open()

    def _read_state(self) -> CacheState:
        [found] = rows(self._writer, "SELECT * FROM state")
        _, incarnation, cursor, complete, count, digest, guests, at, boot, monotonic = found
        return CacheState(
            _uuid(incarnation), cursor, bool(complete), count, digest, guests, at, _uuid(boot), monotonic
        )  # fmt: skip

    # -- the counter's side ----------------------------------------------------------------------------------------

    def state(self) -> CacheState:
        """Return how far the cache is."""
        return self._state

    @_or_anew
    def by_handle(self, handle: int) -> CachedGuest | CredentialState | None:
        """Return the guest of a credential; the credential alone where its guest is missing; None where unknown."""
        found = self._one(_BY_HANDLE, (handle - _SIGNED if handle >= _SIGN else handle,))
        if found is None:
            return None
        guest, kind, state, generation, root, step, body = found
        credential = CredentialState(kind, state, generation, root, step)
        if body is None:
            return credential
        row = _GUEST.decode(body)
        if row.merged_into is None:
            return CachedGuest(UUID(bytes=guest), row, credential)
        return self._survivor(CachedGuest(UUID(bytes=guest), row, credential)) or credential

    @_or_anew
    def by_member_number(self, digits: str) -> CachedGuest | None:
        """Return the guest with a member number."""
        found = self._one("SELECT id, row FROM guest WHERE member_no = ?", (digits,))
        return self._survivor(CachedGuest(UUID(bytes=found[0]), _GUEST.decode(found[1]))) if found else None

    @_or_anew
    def by_phone_hash(self, phone_hash: str) -> list[CachedGuest]:
        """Return the guests with a phone's keyed hash."""
        found = self._all("SELECT id, row FROM guest WHERE phone_hash = ?", (phone_hash,))
        guests = [CachedGuest(UUID(bytes=key), _GUEST.decode(body)) for key, body in found]
        if len(guests) == 1 and guests[0].row.merged_into is None:
            return guests
        survivors = [self._survivor(guest) for guest in guests]
        return list({guest.id: guest for guest in survivors if guest is not None}.values())

    @_or_anew
    def guest(self, guest: UUID) -> CachedGuest | None:
        """Return a guest by id, following a merge to its survivor."""
        found = self._one("SELECT row FROM guest WHERE id = ?", (guest.bytes,))
        return self._survivor(CachedGuest(guest, _GUEST.decode(found[0]))) if found else None

    def _survivor(self, guest: CachedGuest) -> CachedGuest | None:
        for _ in range(MAX_MERGES):
            if guest.row.merged_into is None:
                return guest
            survivor = UUID(guest.row.merged_into)
            found = self._one("SELECT row FROM guest WHERE id = ?", (survivor.bytes,))
            if found is None:
                return None
            guest = CachedGuest(survivor, _GUEST.decode(found[0]), guest.credential)
        return None

    @_or_anew
    def uses(self, owner: str) -> list[tuple[str, str, int]]:
        """Return (rule, period, used) of a guest's id or of ``program``."""
        return [(r, p, n) for r, p, n in self._all("SELECT rule, period, used FROM counter WHERE owner = ?", (owner,))]

    @_or_anew
    def profile(self, name: str) -> ProfileRow | None:
        """Return offline limits by the profile's name."""
        return self._remembered(f"profile {name}", lambda: self._read_row(ProfileRow, "profile", name))

    @_or_anew
    def store(self, store: UUID) -> StoreRow | None:
        """Return a store."""
        return self._remembered(f"store {store}", lambda: self._read_row(StoreRow, "store", str(store)))

    @_or_anew
    def staff(self) -> list[tuple[str, StaffRow]]:
        """Return everybody who works at the tills, by id."""
        return self._remembered("staff", self._read_staff)

    def _read_staff(self) -> list[tuple[str, StaffRow]]:
        found = self._all("SELECT key, row FROM document WHERE tbl = 'staff' AND row IS NOT NULL ORDER BY key")
        return [(key, read(StaffRow, json.loads(body))) for key, body in found]

    def _read_row[T](self, kind: type[T], table: str, key: str) -> T | None:
        found = self._row(table, key)
        return None if found is None else read(kind, found)

    def _remembered[T](self, key: str, find: Callable[[], T]) -> T:
        """Return what every sale asks for from memory, as long as no page has been applied since it was read."""
        memory = self._memory
        if key not in memory:
            memory[key] = find()
        kept: T = memory[key]
        return kept

    @_or_anew
    def document(self, table: str) -> Mapping[str, Json] | None:
        """Return the row with key ``current`` of `program` or `keyset`."""
        return self._row(table, "current")

    def _row(self, table: str, key: str) -> Mapping[str, Json] | None:
        found = self._one("SELECT row FROM document WHERE tbl = ? AND key = ?", (table, key))
        if found is None or found[0] is None:
            return None
        row = json.loads(found[0])
        if not isinstance(row, dict):
            raise ValueError("a row that is no object")
        return row

    def _one(self, sql: str, bindings: tuple[Any, ...]) -> tuple[Any, ...] | None:
        with self._reading:
            return next(self._reader.execute(sql, bindings), None)

    def _all(self, sql: str, bindings: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        with self._reading:
            return self._reader.execute(sql, bindings).fetchall()

    def make_anew(self) -> None:
        """Begin with an empty file where this one cannot be read."""
        # Locks in the order of `apply`: the reading one is never held while waiting for the writing one.
        with self._writing, self._reading:
            self._anew()

    # -- the sync thread's side ------------------------------------------------------------------------------------

    def apply(self, page: PullAnswer, *, onto: CacheState | None = None) -> None:
        """Apply a page and its cursor in one transaction; the same page twice is the same as once.

        Raises `CacheLost` where the file is damaged, or is not any more as far as `onto`, behind which the page lies.
        """
        with self._writing:
            there = (self._state.incarnation, self._state.cursor)
            if onto is not None and there != (onto.incarnation, onto.cursor):
                # Made anew by whoever read it meanwhile: behind an empty cache this page would leave out guests.
                raise CacheLost
            if self._state.incarnation not in (None, page.incarnation):
                raise ValueError("a page of another life of the server")
            try:
                self._state = self._apply(page)
                self._memory = {}
            except _DAMAGED as error:
                with self._reading:
                    self._anew()
                raise CacheLost from error

    def _apply(self, page: PullAnswer) -> CacheState:
        before = self._state
        with transaction(self._writer):
            unread = has_unread(self._writer)
            tally = Tally(before.rows, int.from_bytes(before.digest, "big"), before.guests, unread)
            for change in page.rows:
                apply_row(self._writer, change, tally)
            after = replace(
                before,
                incarnation=page.incarnation,
                cursor=page.next,
                rows=tally.rows,
                digest=tally.digest_bytes(),
                guests=tally.guests,
            )
            self._write_state(after)
        return after

    def completed(self, at: int, boot_id: UUID, monotonic_ms: int) -> None:
        """Note that a pull has reached the end of the feed."""
        with self._writing:
            after = replace(
                self._state, complete=True, synced_at=at, synced_boot=boot_id, synced_monotonic=monotonic_ms
            )  # fmt: skip
            with transaction(self._writer):
                self._write_state(after)
            self._state = after

    def _write_state(self, state: CacheState) -> None:
        self.write_state(self._writer, state)

    @staticmethod
    def write_state(connection: apsw.Connection, state: CacheState) -> None:
        """Write how far a cache is into its file."""
        connection.execute(
            "UPDATE state SET incarnation = ?, cursor = ?, complete = ?, rows = ?, digest = ?, guests = ?,"
            " synced_at = ?, synced_boot = ?, synced_monotonic = ?",
            (
                _bytes(state.incarnation),
                state.cursor,
                int(state.complete),
                state.rows,
                state.digest,
                state.guests,
                state.synced_at,
                _bytes(state.synced_boot),
                state.synced_monotonic,
            ),
        )

    def wipe(self, incarnation: UUID | None) -> None:
        """Forget everything; the next pull reads the feed from 0."""
        with self._writing, self._reading:
            self._replace()
            self._state = CacheState(incarnation=incarnation)
            with transaction(self._writer):
                self._write_state(self._state)

    def replace_by(self, made: Path) -> None:
        """Go on with another file, which lies in the same folder under the same key."""
        with self._writing, self._reading:
            self._reader.close()
            self._writer.close()
            for file in companions(self.path):
                file.unlink(missing_ok=True)
            made.replace(self.path)
            self._open()

    def close(self) -> None:
        """Close the file."""
        with self._writing, self._reading:
            self._reader.close()
            self._writer.close()


def _uuid(raw: bytes | None) -> UUID | None:
    return None if raw is None else UUID(bytes=raw)


def _bytes(value: UUID | None) -> bytes | None:
    return None if value is None else value.bytes
