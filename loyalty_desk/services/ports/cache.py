"""What the server has told this till, and how a first load becomes it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol
from uuid import UUID

import msgspec

from loyalty_desk.domain.canonical import Json
from loyalty_desk.wire.v1.bootstrap import SnapshotManifest
from loyalty_desk.wire.v1.rows import GuestRow, ProfileRow, StaffRow, StoreRow
from loyalty_desk.wire.v1.sync import (
    PullAnswer,
)


class CredentialState(msgspec.Struct, frozen=True):
    """What a credential is and whether it may be used, as `rows.CredentialRow` says.

    `root` and `step` are the chain of the rotating code that paid last anywhere, and its highest step that did.
    """

    kind: str
    state: str
    generation: int = 0
    root: bytes = b""
    step: int = 0


class CachedGuest(msgspec.Struct, frozen=True):
    """A guest as the feed said at the cache's cursor, and the credential that led there, if one did."""

    id: UUID
    row: GuestRow
    credential: CredentialState | None = None


class CacheState(msgspec.Struct, frozen=True):
    """How far the cache has followed the feed. `complete` is False until a pull has reached its end once.

    `synced_at` is the till's wall time (ms UTC) at the last completed pull, with boot and monotonic time beside it.
    """

    incarnation: UUID | None = None
    cursor: int | None = None
    complete: bool = False
    rows: int = 0
    digest: bytes = bytes(16)
    guests: int = 0
    synced_at: int | None = None
    synced_boot: UUID | None = None
    synced_monotonic: int | None = None


class CacheLost(Exception):
    """The cache was found damaged on the way and is empty now: the feed is read from 0."""


class Cache(Protocol):
    """What the server has told this till; deleting it loses nothing. Every method may be called from any thread."""

    def state(self) -> CacheState:
        """Return how far the cache is."""
        ...

    def by_handle(self, handle: int) -> CachedGuest | CredentialState | None:
        """Return the guest of a credential; the credential alone where its guest is missing; None where unknown."""
        ...

    def by_member_number(self, digits: str) -> CachedGuest | None:
        """Return the guest with a member number."""
        ...

    def by_phone_hash(self, phone_hash: str) -> list[CachedGuest]:
        """Return the guests with a phone, by its keyed hash as base64url."""
        ...

    def guest(self, guest: UUID) -> CachedGuest | None:
        """Return a guest by id, following a merge to its survivor."""
        ...

    def uses(self, owner: str) -> list[tuple[str, str, int]]:
        """Return (rule, period, used) of a guest's id or of ``program``."""
        ...

    def profile(self, name: str) -> ProfileRow | None:
        """Return offline limits by the profile's name."""
        ...

    def store(self, store: UUID) -> StoreRow | None:
        """Return a store."""
        ...

    def staff(self) -> list[tuple[str, StaffRow]]:
        """Return everybody who works at the tills, by id."""
        ...

    def document(self, table: str) -> Mapping[str, Json] | None:
        """Return the row with key ``current`` of `program` or `keyset`."""
        ...

    def apply(self, page: PullAnswer, *, onto: CacheState | None = None) -> None:
        """Apply a page and its cursor in one transaction; the same page twice is the same as once.

        Raises `CacheLost` where the file is damaged, or is not any more as far as `onto`, behind which the page lies.
        """
        ...

    def completed(self, at: int, boot_id: UUID, monotonic_ms: int) -> None:
        """Note that a pull has reached the end of the feed."""
        ...

    def wipe(self, incarnation: UUID | None) -> None:
        """Forget everything; the next pull reads the feed from 0."""
        ...


class SnapshotSpoiled(Exception):
    """What was fetched is not what the manifest says; it has been thrown away."""


class SnapshotRoom(Protocol):
    """Where a snapshot gathers, encrypted, and how it becomes the cache."""

    def begun(self) -> SnapshotManifest | None:
        """Return the snapshot that is being fetched, None where none is."""
        ...

    def begin(self, manifest: SnapshotManifest) -> int:
        """Return how many bytes of this snapshot are here; of another one nothing is kept."""
        ...

    def add(self, part: bytes) -> int:
        """Keep the next bytes durably; return how many are here."""
        ...

    def install(self, manifest: SnapshotManifest) -> None:
        """Make the whole snapshot the cache; raises `SnapshotSpoiled`."""
        ...

    def discard(self) -> None:
        """Throw away what is here."""
        ...
