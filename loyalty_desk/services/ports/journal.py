"""The till's own facts, and what is kept beside them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

import msgspec

from loyalty_desk.domain.canonical import Json
from loyalty_desk.domain.code_proof import ShownStep
from loyalty_desk.domain.record import SealedRecord, Totals

# The feed number of records that the server holds but named no number for: the next completed pull has seen them.
SEEN_BY_NEXT_PULL = (1 << 62) - 1
# Under this the network's key of phones is kept, as base64url; empty where the till is told none. No copy of the
# journal holds it: it opens what the cache has, and a till that gets data is told it at every hello.
PHONE_KEY = "phone_key"


class JournalHead(msgspec.Struct, frozen=True):
    """Where the next record goes: it gets `seq + 1` of `epoch` and `prev` = `hash`. `receipts` counts receipt numbers.

    Handed to `Build` of a record that prints a receipt, `receipts` is that receipt's own number.
    """

    epoch: int
    seq: int
    hash: bytes
    totals: Totals
    receipts: int = 0


class Effect(msgspec.Struct, frozen=True):
    """What a record does to a guest, kept beside it so that a balance is one indexed sum. Smallest point units.

    `uses` counts uses of limited rules; `day` is the record's business day. An unknown guest has a handle alone.
    `program` is the hash of the program that the record names: its bytes stay until the record is acknowledged.
    `step` is the step of a rotating code that pays with this record and never again.
    `offline` are the points that count as redeemed without the server (None: `redeemed`), or not before `hold_until`
    (ms by the till's clock) where the server holds them. `reverses` is the sale that comes back; `tier_discount` is
    what a weak code was given by its tier, minor units; `registers` says that the record registers its guest,
    `numbered` that it has a receipt number of its own; `private` are the personal fields that go with the record.
    `settings` are kept in the same commit: a fact and what follows from it are there together or not at all.
    `given` is what it takes from limits for all guests together, by rule and period.
    """

    guest: UUID | None = None
    handle: int | None = None
    earned: int = 0
    redeemed: int = 0
    day: str = ""
    uses: Mapping[str, int] = msgspec.field(default_factory=dict)
    program: bytes | None = None
    offline: int | None = None
    hold_until: int | None = None
    reverses: UUID | None = None
    tier_discount: int = 0
    registers: bool = False
    numbered: bool = False
    private: bytes | None = None
    step: ShownStep | None = None
    settings: Mapping[str, Json] = msgspec.field(default_factory=dict)
    given: Mapping[tuple[str, str], int] = msgspec.field(default_factory=dict)


class PinTries(msgspec.Struct, frozen=True):
    """Wrong PINs in a row since `since`; none is taken before `until` (ms UTC by the till's clock)."""

    failed: int = 0
    until: int = 0
    since: int = 0


class Overlay(msgspec.Struct, frozen=True):
    """Own effects on one guest that the cache does not hold yet, each counted once (INV-23). Smallest point units.

    `uses` are (rule, business day, count).
    """

    earned: int = 0
    redeemed: int = 0
    uses: Sequence[tuple[str, str, int]] = ()


class OfflineUse(msgspec.Struct, frozen=True):
    """Redemptions since the last sync: of one guest, and of the whole till."""

    guest_points: int = 0
    guest_count: int = 0
    device_points: int = 0


class StoredProgram(msgspec.Struct, frozen=True):
    """A program's canonical bytes as the journal keeps them; `hash` is their SHA-256."""

    version: int
    hash: bytes
    bytes: bytes


class Waiting(msgspec.Struct, frozen=True):
    """Records that the server has not acknowledged; `oldest` is the first one's `occurred_at` in milliseconds UTC."""

    count: int = 0
    oldest: int | None = None


class Notice(msgspec.Struct, frozen=True):
    """Something a person should read: a stable code and numbers. `id` is what `dismiss` takes."""

    id: int
    code: str
    facts: Mapping[str, Json]
    at: datetime


class EpochHead(msgspec.Struct, frozen=True):
    """One epoch of the journal: how far it goes here and how far the server has acknowledged it."""

    epoch: int
    first_seq: int
    head_seq: int
    head_hash: bytes
    acked_seq: int


type Build = Callable[[JournalHead], tuple[SealedRecord, Totals, Effect | None]]


class Journal(Protocol):
    """The till's facts, durable. Every method may be called from any thread."""

    def append(self, build: Build, *, receipt: bool = False, occurred_at: int) -> SealedRecord:
        """Commit the record that `build` makes for the head, durably, before returning.

        Raises `Refused` `journal_unavailable` or `disk_full`; then nothing has been recorded.
        """
        ...

    def open_epoch(self, epoch: int, first: bytes, build: Build, *, occurred_at: int) -> SealedRecord:
        """Begin a new epoch with its `epoch_open` record; redemption waits for `clear_redemption_hold`.

        Its parent is the head at the moment of writing; `first` is its `prev` where the journal has no epoch yet.
        """
        ...

    def head(self) -> JournalHead:
        """Return where the next record goes."""
        ...

    def last_at(self) -> int | None:
        """Return the newest record's `occurred_at`, None in an empty journal."""
        ...

    def epochs(self) -> list[EpochHead]:
        """Return every epoch in the order it was opened."""
        ...

    def records(self, epoch: int, from_seq: int, limit: int) -> list[SealedRecord]:
        """Return up to `limit` records of an epoch from a seq on, in order."""
        ...

    def private(self, record_id: UUID) -> bytes | None:
        """Return the personal fields that go with a record, None where it has none."""
        ...

    def members(self, epoch: int) -> list[tuple[int, UUID, bytes]]:
        """Return (seq, id, hash) of every record of an epoch, in order."""
        ...

    def acknowledge(self, epoch: int, upto_seq: int, incarnation: UUID, feed_seq: int) -> None:
        """Note that the server holds an epoch up to a seq, their effects shown by a cursor of `feed_seq`."""
        ...

    def rewind(self, epoch: int, upto_seq: int) -> None:
        """Forget acknowledgements after `upto_seq`: these records will be pushed again."""
        ...

    def waiting(self) -> Waiting:
        """Return how much is not acknowledged."""
        ...

    def rebind(self, incarnation: UUID) -> None:
        """Note that what is acknowledged is so in a new life of the server, and shown by any page read from now on."""
        ...

    def overlay(self, guest: UUID, handle: int | None, cursor: int | None) -> Overlay:
        """Return own effects on a guest, or by handle while it was unknown, that a cache at `cursor` lacks."""
        ...

    def offline_use(self, guest: UUID, now: int | None = None) -> OfflineUse:
        """Return redemptions since the last sync, without those that the server still holds at `now` (ms)."""
        ...

    def redeemed_step(self, handle: int, root: bytes) -> int:
        """Return the highest step of a rotating code's chain that has paid here, 0 where none has."""
        ...

    def registered(self, handle: int | None = None, guest: UUID | None = None) -> SealedRecord | None:
        """Return the registration made here of a card's handle or of a guest, the newest."""
        ...

    def registrations_waiting(self) -> list[SealedRecord]:
        """Return the registrations that the server has not acknowledged, in order."""
        ...

    def tier_discounts(self, guest: UUID, day: str) -> tuple[int, int]:
        """Return how many checks of a guest got the tier's discount by a weak code on a business day, and how much."""
        ...

    def given(self) -> Mapping[tuple[int, str, str], int]:
        """Return what each epoch has given of limits for all guests together, by epoch, rule and period; from memory.

        Returns are not taken off: they go back to where everybody takes from.
        """
        ...

    def settle(self, cursor: int) -> bool:
        """Begin counting redemptions anew if a completed pull at `cursor` has seen every acknowledged one."""
        ...

    def redemption_held(self) -> bool:
        """Return whether a new epoch still waits for hello, reconcile and pull."""
        ...

    def clear_redemption_hold(self) -> None:
        """Allow redemption again: hello, reconcile and pull of the present epoch have completed."""
        ...

    def program(self) -> StoredProgram | None:
        """Return the program in force."""
        ...

    def remember_program(self, program: StoredProgram) -> None:
        """Put a program in force; older ones stay while a record here names them: its return is worked out with it."""
        ...

    def get(self, key: str) -> Json:
        """Return a small setting kept with the facts, None where absent."""
        ...

    def put(self, key: str, value: Json) -> None:
        """Keep a small setting durably."""
        ...

    def put_changed(self, key: str, value: Json) -> None:
        """Keep a small setting if it differs from what is kept."""
        ...

    def notices(self) -> list[Notice]:
        """Return what nobody has read yet, oldest first."""
        ...

    def notify(self, code: str, facts: Mapping[str, Json], at: int) -> None:
        """Keep a notice until it is dismissed; the same code and facts are kept once."""
        ...

    def dismiss(self, notice: int) -> None:
        """Forget a notice that somebody has read."""
        ...

    def witness(self) -> None:
        """Write the head to the witness file, if it has moved since."""
        ...

    def usable(self) -> bool:
        """Return whether a record could be committed now, as far as is known."""
        ...

    def checked(self) -> bool:
        """Return whether the whole file has been read and found sound since it was opened."""
        ...


class Archive(Protocol):
    """Looking things up among the till's own facts."""

    def find(self, record_id: UUID) -> SealedRecord | None:
        """Return a record by its id, None where this journal has none."""
        ...

    def numbered(self, number: int) -> list[SealedRecord]:
        """Return the records whose receipt has a running number; series of different epochs may share one."""
        ...

    def returns_of(self, sale: UUID) -> list[SealedRecord]:
        """Return the voids, refunds and exchanges of a sale, oldest first."""
        ...

    def of_guest(self, guest: UUID, limit: int) -> list[SealedRecord]:
        """Return the newest records of a guest at this till, newest first."""
        ...

    def newest(self, limit: int) -> list[SealedRecord]:
        """Return the newest records with a receipt, newest first."""
        ...

    def registered(self, handle: int | None = None, guest: UUID | None = None) -> SealedRecord | None:
        """Return the registration made here of a card's handle or of a guest, the newest."""
        ...

    def tier_discounts(self, guest: UUID, day: str) -> tuple[int, int]:
        """Return how many checks of a guest got the tier's discount by a weak code on a business day, and how much."""
        ...

    def private(self, record_id: UUID) -> bytes | None:
        """Return the personal fields that go with a record, None where it has none."""
        ...

    def programs(self) -> list[StoredProgram]:
        """Return every program kept, newest first."""
        ...


class PinLog(Protocol):
    """Tries of PINs, kept across restarts."""

    def pin_tries(self, staff: str) -> PinTries:
        """Return how often a PIN was wrong lately."""
        ...

    def note_pin(self, staff: str, tries: PinTries) -> None:
        """Keep the tries of somebody durably, before the PIN is looked at."""
        ...
