"""What the till's tests are made of: an identity, keys, a clock of a known boot, a journal in a real file."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from loyalty_desk.domain.clock import FakeClock
from loyalty_desk.domain.guest_code import CodeKind
from loyalty_desk.domain.record import Credential, RecordKind
from loyalty_desk.services.ports import Identity
from loyalty_desk.services.recording import Fact, Recorder
from loyalty_desk.services.trusted_clock import TrustedClock
from loyalty_desk.store.journal import SqliteJournal
from loyalty_desk.store.reserve import Reserve
from loyalty_desk.store.witness import Witness

KEY = bytes(range(32))
NETWORK = UUID("11111111-1111-4111-8111-111111111111")
DEVICE = UUID("de71ce00-2222-4222-8222-222222222222")
STORE = UUID("33333333-3333-4333-8333-333333333333")
GUEST = UUID("44444444-4444-4444-8444-444444444444")
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


def make_parts(folder: Path, *, clock: KnownBootClock | None = None, vfs: str | None = None, seed: int = 1) -> Parts:
    """Open the journal of a folder; a fresh one gets its first epoch."""
    clock = clock or KnownBootClock()
    journal = SqliteJournal(
        folder / "journal.db", KEY, Witness(folder / "head.wit"), Reserve(folder / "reserve.bin", 1 << 20), vfs=vfs
    )
    trusted = TrustedClock(clock, journal)
    recorder = Recorder(IDENTITY, DEVICE_KEY, journal, trusted, random.Random(seed))
    if journal.is_empty:
        recorder.open_epoch("enrol")
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
