"""What the till's tests are made of: an identity, keys, a clock of a known boot, a journal in a real file."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from loyalty_desk.domain.canonical import Json
from loyalty_desk.domain.guest_code import CodeKind, ld1
from loyalty_desk.domain.program import Program
from loyalty_desk.domain.record import Credential, RecordKind, handle_text
from loyalty_desk.services.checkout import CheckDraft, Checkout, SaleDone
from loyalty_desk.services.guests import Guests
from loyalty_desk.services.ports.identity import Identity
from loyalty_desk.services.ports.journal import StoredProgram
from loyalty_desk.services.program_in_force import ProgramInForce
from loyalty_desk.services.recording import Fact, Recorder
from loyalty_desk.services.staff import Cashier
from loyalty_desk.services.trusted_clock import TrustedClock
from loyalty_desk.store.cache import SqliteCache
from loyalty_desk.store.journal import SqliteJournal
from loyalty_desk.store.reserve import Reserve
from loyalty_desk.store.witness import Witness
from loyalty_desk.wire.v1.sync import FeedRow, PullAnswer
from tests.fake_clock import FakeClock

KEY = bytes(range(32))
NETWORK = UUID("11111111-1111-4111-8111-111111111111")
DEVICE = UUID("de71ce00-2222-4222-8222-222222222222")
STORE = UUID("33333333-3333-4333-8333-333333333333")
GUEST = UUID("44444444-4444-4444-8444-444444444444")
INCARNATION = UUID("55555555-5555-4555-8555-555555555555")
HANDLE = 0x8123456789ABCDEF
DEVICE_KEY = Ed25519PrivateKey.from_private_bytes(bytes(31) + b"\x07")
IDENTITY = Identity(
    network=NETWORK,
    device=DEVICE,
    store=STORE,
    root=bytes(32),
    recovery_pub=bytes(32),
    spki_pin=bytes(32),
    address="http://127.0.0.1:8765",
    zone="Europe/Moscow",
    currency="RUB",
    store_name="Pushkin Street",
    till_name="Till 1",
)


@dataclass
class KnownBootClock:
    """A clock that moves when told, in a boot that changes when told."""

    clock: FakeClock = field(default_factory=FakeClock)
    boot_id: UUID = field(default=UUID("b0070000-0000-4000-8000-000000000001"))

    def now(self) -> datetime:
        return self.clock.now()

    def monotonic_ms(self) -> int:
        return self.clock.monotonic_ms()

    def advance(self, *, seconds: float = 0, days: int = 0) -> None:
        self.clock.advance(seconds=seconds, days=days)

    def reboot(self) -> None:
        self.boot_id = UUID(int=self.boot_id.int + 1)
        self.clock.elapsed_ms = 500


@dataclass
class Parts:
    """A till's files in a folder, opened, with a recorder over them."""

    folder: Path
    journal: SqliteJournal
    recorder: Recorder
    clock: KnownBootClock
    trusted: TrustedClock


def make_parts(
    folder: Path, *, clock: KnownBootClock | None = None, vfs: str | None = None, reason: str = "enrol"
) -> Parts:
    """Open the journal of a folder; a fresh one gets its first epoch."""
    folder.mkdir(exist_ok=True)
    clock = clock or KnownBootClock()
    journal = SqliteJournal(
        folder / "journal.db", KEY, Witness(folder / "head.wit"), Reserve(folder / "reserve.bin", 1 << 20), vfs=vfs
    )
    trusted = TrustedClock(clock, journal)
    recorder = Recorder(IDENTITY, DEVICE_KEY, journal, trusted, random.SystemRandom())
    if journal.is_empty:
        recorder.open_epoch(reason)
    return Parts(folder, journal, recorder, clock, trusted)


def sale(earned: int = 0, redeemed: int = 0, *, guest: UUID | None = GUEST, handle: int | None = HANDLE) -> Fact:
    """Return a sale with effects and nothing else."""
    return Fact(
        RecordKind.SALE,
        cashier="anna",
        guest_id=guest,
        credential=Credential(CodeKind.LD1, handle),
        earned=earned,
        redeemed=redeemed,
        money_total=100_00,
        has_receipt=True,
    )


PROGRAM: dict[str, Json] = {
    "network": "Blue Cup",
    "version": 3,
    "currency": "RUB",
    "zone": "Europe/Moscow",
    "point_decimals": 0,
    "point_value": 100,
    "model": "mixed",
    "tiers": [
        {
            "code": "BRONZE",
            "threshold": 0,
            "discount_bp": 500,
            "earn_bp": 300,
            "name": {"en": "Bronze", "ru": "Бронза"},
        },
        {"code": "GOLD", "threshold": 5_000_00, "discount_bp": 1_000, "earn_bp": 500, "name": {"en": "Gold"}},
    ],
    "rules": [],
    "redemption": {"min": 1, "block": 1, "max_share_bp": 5_000},
}


def stored_program(**changes: Json) -> StoredProgram:
    """Return the bytes of the tests' program."""
    program = Program.from_dict({**PROGRAM, **changes})
    return StoredProgram(program.version, program.hash, program.to_bytes())


@dataclass
class Counter:
    """A till that can sell: parts, a cache of the feed, the checkout over them."""

    parts: Parts
    cache: SqliteCache
    guests: Guests
    checkout: Checkout
    cashier: Cashier
    feed_seq: int = 0

    def feed(self, *rows: tuple[str, str, dict[str, Json] | None], more: bool = False) -> None:
        """Apply rows as one page of the feed, the last one unless `more`."""
        changes = [FeedRow(self.feed_seq + n, table, key, row) for n, (table, key, row) in enumerate(rows, start=1)]
        self.feed_seq += len(changes)
        self.cache.apply(PullAnswer(INCARNATION, changes, self.feed_seq, more))
        if not more:
            clock = self.parts.trusted
            self.cache.completed(clock.now_ms(), clock.boot_id, clock.monotonic_ms())

    def synced(self) -> None:
        """Be in the state that hello, reconcile and pull leave behind."""
        clock = self.parts.trusted
        clock.learn(clock.now_ms(), clock.monotonic_ms(), clock.monotonic_ms())
        self.parts.journal.clear_redemption_hold()
        self.parts.journal.settle(self.feed_seq)

    def draft(self, code: str | None, major: int, points: int = 0) -> CheckDraft:
        """Return a check of a bare amount in whole units of money."""
        basket = self.checkout.basket(major * 100)
        card = None if code is None else self.checkout.identify(code)
        return CheckDraft(basket, card, points, at=self.parts.trusted.now())

    def sell(self, code: str | None, major: int, points: int = 0) -> SaleDone:
        """Identify, price and confirm."""
        draft = self.draft(code, major, points)
        return self.checkout.confirm(draft, self.checkout.price(draft))


def make_counter(folder: Path, *, language: str = "en", clock: KnownBootClock | None = None) -> Counter:
    """Open a till in a folder with an empty cache and no program."""
    parts = make_parts(folder, clock=clock)
    cache = SqliteCache(folder / "cache.db", KEY)
    programs = ProgramInForce(parts.journal)
    guests = Guests(IDENTITY, parts.journal, cache, parts.trusted, programs, language)
    cashier = Cashier(IDENTITY, parts.journal, cache)
    checkout = Checkout(guests, parts.recorder, cache, parts.trusted, programs, cashier)
    parts.journal.check_whole()
    return Counter(parts, cache, guests, checkout, cashier)


CARD = ld1(HANDLE)
NUMBER = "1000000016"
ANNA_ROW: dict[str, Json] = {"name": "Анна", "tier": "GOLD", "points": 400, "member_no": NUMBER, "visits": 3}
ANNA = ("guest", str(GUEST), ANNA_ROW)
ANNA_CARD = ("credential", handle_text(HANDLE), {"guest": str(GUEST), "kind": "card"})
STAFF = ("staff", "anna.k", {"name": "Anna K", "role": "cashier", "stores": [str(STORE)]})


def stocked(folder: Path, **changes: Json) -> Counter:
    """Return a till in the middle of its day: a program, one guest, synced."""
    counter = make_counter(folder)
    counter.parts.journal.remember_program(stored_program(**changes))
    counter.feed(ANNA, ANNA_CARD, STAFF, ("profile", "default", {"cvm": {"ld1": 100, "number": 0}}))
    counter.synced()
    return counter
