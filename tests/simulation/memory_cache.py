"""A till's cache in memory, with the semantics of `store.cache`. `Stored` is the file, `MemoryCache` has it open."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from msgspec.structs import replace

from loyalty_desk.domain.canonical import Json, text_to_bytes
from loyalty_desk.domain.record import handle_text
from loyalty_desk.services.ports.cache import CachedGuest, CacheLost, CacheState, CredentialState
from loyalty_desk.wire.v1.rows import (
    DIGEST_MODULUS,
    CredentialRow,
    GuestRow,
    ProfileRow,
    StaffRow,
    StoreRow,
    read,
    row_digest,
)
from loyalty_desk.wire.v1.sync import FeedTable, PullAnswer


@dataclass(slots=True)
class Stored:
    """A cache file."""

    state: CacheState = field(default_factory=CacheState)
    rows: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)

    def copy(self) -> Stored:
        """Return a copy of the file."""
        return Stored(self.state, self.rows.copy())


class MemoryCache:
    """`ports.Cache` over a file. `on_commit` is told of every commit."""

    def __init__(self, stored: Stored, on_commit: Callable[[str], None]) -> None:
        self._stored = stored
        self._on_commit = on_commit

    def state(self) -> CacheState:
        return self._stored.state

    def by_handle(self, handle: int) -> CachedGuest | CredentialState | None:
        row = self._stored.rows.get((FeedTable.CREDENTIAL, handle_text(handle)))
        if row is None:
            return None
        told = read(CredentialRow, row)
        credential = CredentialState(told.kind, told.state, told.generation, text_to_bytes(told.root), told.step)
        guest = UUID(row["guest"])
        found = self._stored.rows.get((FeedTable.GUEST, str(guest)))
        return credential if found is None else CachedGuest(guest, read(GuestRow, found), credential)

    def by_member_number(self, digits: str) -> CachedGuest | None:
        for (table, key), row in self._stored.rows.items():
            if table == FeedTable.GUEST and row.get("member_no") == digits:
                return CachedGuest(UUID(key), read(GuestRow, row))
        return None

    def by_phone_hash(self, phone_hash: str) -> list[CachedGuest]:
        rows = [(key, read(GuestRow, row)) for (t, key), row in self._stored.rows.items() if t == FeedTable.GUEST]
        return [CachedGuest(UUID(key), row) for key, row in rows if row.phone_hash == phone_hash]

    def guest(self, guest: UUID) -> CachedGuest | None:
        found = self._stored.rows.get((FeedTable.GUEST, str(guest)))
        return None if found is None else CachedGuest(guest, read(GuestRow, found))

    def uses(self, owner: str) -> list[tuple[str, str, int]]:
        return []

    def profile(self, name: str) -> ProfileRow | None:
        found = self._stored.rows.get((FeedTable.PROFILE, name))
        return None if found is None else read(ProfileRow, found)

    def store(self, store: UUID) -> StoreRow | None:
        found = self._stored.rows.get((FeedTable.STORE, str(store)))
        return None if found is None else read(StoreRow, found)

    def staff(self) -> list[tuple[str, StaffRow]]:
        return [(key, read(StaffRow, row)) for (t, key), row in self._stored.rows.items() if t == FeedTable.STAFF]

    def document(self, table: str) -> Mapping[str, Json] | None:
        return self._stored.rows.get((table, "current"))

    def apply(self, page: PullAnswer, *, onto: CacheState | None = None) -> None:
        stored, state = self._stored, self._stored.state
        if onto is not None and (state.incarnation, state.cursor) != (onto.incarnation, onto.cursor):
            raise CacheLost
        if state.incarnation not in (None, page.incarnation):
            raise ValueError("a page of another life of the server")
        digest, live = int.from_bytes(state.digest, "big"), state.rows
        for change in page.rows:
            place = (change.table, change.key)
            if place in stored.rows:
                digest -= row_digest(change.table, change.key, stored.rows.pop(place))
                live -= 1
            if change.row is not None:
                stored.rows[place] = change.row
                digest += row_digest(change.table, change.key, change.row)
                live += 1
        stored.state = replace(
            state,
            incarnation=page.incarnation,
            cursor=page.next,
            rows=live,
            digest=(digest % DIGEST_MODULUS).to_bytes(16, "big"),
            guests=sum(table == FeedTable.GUEST for table, _ in stored.rows),
        )
        self._on_commit("page")

    def completed(self, at: int, boot_id: UUID, monotonic_ms: int) -> None:
        self._stored.state = replace(
            self._stored.state, complete=True, synced_at=at, synced_boot=boot_id, synced_monotonic=monotonic_ms
        )
        self._on_commit("completed")

    def wipe(self, incarnation: UUID | None) -> None:
        self._stored.rows.clear()
        self._stored.state = CacheState(incarnation=incarnation)
        self._on_commit("wipe")
