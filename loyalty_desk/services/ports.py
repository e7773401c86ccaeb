"""What the till's services ask of the world: protocols and the plain values that cross them.

Adapters (`store`, `remote`, `scanning`, `peripherals`) import this module and nothing else of `services`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol
from uuid import UUID

import msgspec

from loyalty_desk.domain.canonical import Json
from loyalty_desk.domain.code_proof import ShownStep
from loyalty_desk.domain.record import SealedRecord, Totals
from loyalty_desk.wire.v1.bootstrap import SnapshotManifest
from loyalty_desk.wire.v1.enrol import EnrolAnswer, EnrolFinish, EnrolPending, EnrolStart
from loyalty_desk.wire.v1.holds import HoldAnswer, HoldRequest, HoldVoid
from loyalty_desk.wire.v1.leases import LeaseAnswer, LeaseRequest
from loyalty_desk.wire.v1.lookup import GuestLookup, GuestsFound, SaleFound, SaleLookup
from loyalty_desk.wire.v1.rows import GuestRow, ProfileRow, StaffRow, StoreRow
from loyalty_desk.wire.v1.salvage import SalvageAnswer, SalvageRequest
from loyalty_desk.wire.v1.sync import (
    HelloAnswer,
    HelloRequest,
    PullAnswer,
    PushAnswer,
    PushRequest,
    ReconcileAnswer,
    ReconcileRequest,
)

# The feed number of records that the server holds but named no number for: the next completed pull has seen them.
SEEN_BY_NEXT_PULL = (1 << 62) - 1


class ScanSource(StrEnum):
    """Where a scan came from."""

    CAMERA = "camera"
    SERIAL = "serial"
    KEYBOARD = "keyboard"


@dataclass(frozen=True, slots=True)
class Scan:
    """One code read once by any scanner. `data` holds the exact bytes; nothing has been interpreted yet."""

    data: bytes
    source: ScanSource


@dataclass(frozen=True, slots=True)
class Identity:
    """Who this till is, fixed at enrolment. `root` signs the network's key set; `zone` is an IANA name."""

    network: UUID
    device: UUID
    store: UUID
    root: bytes
    recovery_pub: bytes
    spki_pin: bytes
    address: str
    zone: str
    currency: str
    store_name: str
    till_name: str
    network_name: str = ""


@dataclass(frozen=True, slots=True)
class JournalHead:
    """Where the next record goes: it gets `seq + 1` of `epoch` and `prev` = `hash`. `receipts` counts receipt numbers.

    Handed to `Build` of a record that prints a receipt, `receipts` is that receipt's own number.
    """

    epoch: int
    seq: int
    hash: bytes
    totals: Totals
    receipts: int = 0


@dataclass(frozen=True, slots=True)
class Effect:
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
    uses: Mapping[str, int] = field(default_factory=dict)
    program: bytes | None = None
    offline: int | None = None
    hold_until: int | None = None
    reverses: UUID | None = None
    tier_discount: int = 0
    registers: bool = False
    numbered: bool = False
    private: bytes | None = None
    step: ShownStep | None = None
    settings: Mapping[str, Json] = field(default_factory=dict)
    given: Mapping[tuple[str, str], int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PinTries:
    """Wrong PINs in a row since `since`; none is taken before `until` (ms UTC by the till's clock)."""

    failed: int = 0
    until: int = 0
    since: int = 0


@dataclass(frozen=True, slots=True)
class Overlay:
    """Own effects on one guest that the cache does not hold yet, each counted once (INV-23). Smallest point units.

    `uses` are (rule, business day, count).
    """

    earned: int = 0
    redeemed: int = 0
    uses: Sequence[tuple[str, str, int]] = ()


@dataclass(frozen=True, slots=True)
class OfflineUse:
    """Redemptions since the last sync (ledger-and-sync.md, section 6): of one guest, and of the whole till."""

    guest_points: int = 0
    guest_count: int = 0
    device_points: int = 0


@dataclass(frozen=True, slots=True)
class StoredProgram:
    """A program's canonical bytes as the journal keeps them; `hash` is their SHA-256."""

    version: int
    hash: bytes
    bytes: bytes


@dataclass(frozen=True, slots=True)
class Waiting:
    """Records that the server has not acknowledged; `oldest` is the first one's `occurred_at` in milliseconds UTC."""

    count: int = 0
    oldest: int | None = None


@dataclass(frozen=True, slots=True)
class Notice:
    """Something a person should read: a stable code and numbers. `id` is what `dismiss` takes."""

    id: int
    code: str
    facts: Mapping[str, Json]
    at: datetime


@dataclass(frozen=True, slots=True)
class EpochHead:
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


@dataclass(frozen=True, slots=True)
class CacheState:
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
        """Return the guests with a phone's keyed hash."""
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


class RequestClient(Protocol):
    """What a till asks while somebody waits. Each call ends within `wait_s` seconds, raising as `LedgerClient`."""

    def hold(self, request: HoldRequest, wait_s: float) -> HoldAnswer:
        """Ask for points to be held."""
        ...

    def void_hold(self, request: HoldVoid, wait_s: float) -> HoldAnswer:
        """Give held points back."""
        ...

    def guests(self, request: GuestLookup, wait_s: float) -> GuestsFound:
        """Ask whose a code, number or phone is."""
        ...

    def sale(self, request: SaleLookup, wait_s: float) -> SaleFound:
        """Ask for a sale of any till."""
        ...


class NoAnswer(Exception):
    """Nobody answered: no connection, a time-out, a cut. What was asked may or may not have happened."""


class NotOurServer(Exception):
    """Something answered that is not the ledger: a captive portal, a proxy's page, a wrong signature. Not an answer."""


class ServerSaid(Exception):
    """The ledger answered with an error. `retry_after` is in seconds."""

    def __init__(
        self,
        status: int,
        code: str,
        text: str = "",
        *,
        retry_after: int | None = None,
        expected_seq: int | None = None,
        epoch: int | None = None,
        feed_seq: int | None = None,
    ) -> None:
        super().__init__(status, code, text)
        self.status = status
        self.code = code
        self.text = text
        self.retry_after = retry_after
        self.expected_seq = expected_seq
        self.epoch = epoch
        self.feed_seq = feed_seq


class LedgerClient(Protocol):
    """The server's sync API. Each call raises `NoAnswer`, `NotOurServer` or `ServerSaid`."""

    def hello(self, request: HelloRequest) -> HelloAnswer:
        """Say who and how far this till is."""
        ...

    def push(self, request: PushRequest) -> PushAnswer:
        """Hand over records; only a returned answer acknowledges."""
        ...

    def reconcile(self, request: ReconcileRequest) -> ReconcileAnswer:
        """Compare what both sides hold of an epoch."""
        ...

    def pull(self, cursor: str | None, limit: int) -> PullAnswer:
        """Return a page of changes after `cursor`, from the beginning where None."""
        ...

    def leases(self, request: LeaseRequest) -> LeaseAnswer:
        """Say what was given of limited rules, and return what may be."""
        ...

    def salvage(self, request: SalvageRequest) -> SalvageAnswer:
        """Hand over records of another till, each signed by it."""
        ...

    def snapshot(self) -> SnapshotManifest:
        """Return what the first load is; `ServerSaid` `SNAPSHOT_WAITS` while it is being made."""
        ...

    def snapshot_part(self, snapshot: UUID, start: int, size: int) -> bytes:
        """Return up to `size` bytes of it from `start` on; `ServerSaid` `NOT_FOUND` where it is there no more."""
        ...


class EnrolClient(Protocol):
    """The server's enrolment API, before the till is a device. Raises as `LedgerClient`."""

    def start(self, request: EnrolStart) -> EnrolPending:
        """Present the one-time code and the new public key."""
        ...

    def finish(self, request: EnrolFinish) -> EnrolAnswer | None:
        """Ask for the result; None while a person has not confirmed yet."""
        ...


class Random(Protocol):
    """Randomness that a simulation can replay; `random.Random` and `random.SystemRandom` are two."""

    def random(self) -> float:
        """Return a number in [0, 1)."""
        ...

    def getrandbits(self, k: int, /) -> int:
        """Return `k` random bits."""
        ...


class BootClock(Protocol):
    """Wall time, monotonic time, and which boot the monotonic time belongs to."""

    @property
    def boot_id(self) -> UUID:
        """Return the id of this boot of the machine."""
        ...

    def now(self) -> datetime:
        """Return the current time, aware, in UTC."""
        ...

    def monotonic_ms(self) -> int:
        """Return milliseconds that never run backwards within one boot."""
        ...
