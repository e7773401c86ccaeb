"""A till of the simulation: the real services over journal and cache in memory, as `loyalty_desk.till` joins them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from random import Random
from typing import Any
from unittest import mock
from uuid import UUID

from loyalty_desk.domain.basket import WHOLE_CHECK
from loyalty_desk.domain.canonical import Json
from loyalty_desk.domain.clock import from_ms
from loyalty_desk.domain.errors import Refused
from loyalty_desk.domain.guest_code import ld1
from loyalty_desk.domain.private_fields import GuestFields
from loyalty_desk.domain.record import Record, RecordKind, SealedRecord
from loyalty_desk.domain.refund import NOTHING_YET, Refund, ReturnedLine
from loyalty_desk.domain.return_contents import ExchangeContents, ReturnContents
from loyalty_desk.services import registration
from loyalty_desk.services.checkout import CheckDraft, Checkout
from loyalty_desk.services.guests import GuestCard, Guests
from loyalty_desk.services.ports.identity import Identity
from loyalty_desk.services.ports.server import LedgerClient
from loyalty_desk.services.program_in_force import ProgramInForce
from loyalty_desk.services.recording import Fact, Recorder
from loyalty_desk.services.redemption import share_cap
from loyalty_desk.services.staff import Cashier
from loyalty_desk.services.sync import SyncEngine, SyncOutcome
from loyalty_desk.services.trusted_clock import TrustedClock
from loyalty_desk.store.boot import examine
from tests.simulation.memory_cache import MemoryCache, Stored
from tests.simulation.memory_journal import Medium, MemoryJournal, MemoryWitness
from tests.simulation.memory_leases import GIFT

EARLIEST_MS, LATEST_MS = -(1 << 40), 1 << 42


@dataclass
class SimClock:
    """The machine's clock: the world's time and an error of its own; it may stand still."""

    world_ms: Callable[[], int]
    boot_id: UUID
    booted_ms: int = 0
    offset_ms: int = 0
    stuck_at: int | None = None

    def now(self) -> datetime:
        at = self.world_ms() + self.offset_ms if self.stuck_at is None else self.stuck_at
        return from_ms(min(max(at, EARLIEST_MS), LATEST_MS))

    def monotonic_ms(self) -> int:
        return self.world_ms() - self.booted_ms


@dataclass
class Disk:
    """What outlives a power cut. While the disk lies, `durable` is what will be found after one.

    `kept` are the records that no fault of the medium has taken away: whoever else removes one has lost it.
    """

    journal: Medium
    witness: MemoryWitness = field(default_factory=MemoryWitness)
    cache: Stored = field(default_factory=Stored)
    durable: Medium | None = None
    kept: set[tuple[UUID, bytes]] = field(default_factory=set)

    def copy(self) -> Disk:
        """Return an image of the disk."""
        return Disk(self.journal.copy(), MemoryWitness(self.witness.seen), self.cache.copy())


class SimTill:
    """A machine with a disk; `boot` starts the program on it."""

    def __init__(
        self,
        name: str,
        identity: Identity,
        key: Any,
        disk: Disk,
        clock: SimClock,
        random: Random,
        client: Callable[[SimTill], LedgerClient],
        on_commit: Callable[[SimTill, str], None],
        given: dict[str, Json],
    ) -> None:
        self.name = name
        self.identity = identity
        self.disk = disk
        self.acked: dict[int, int] = {}
        self.clock = clock
        self.busy = False
        self.honest_since_pull = True
        self.in_doubt = False
        self.doubts = 0
        self.engine_key = key
        self._random = random
        self.client = client(self)
        self._told = on_commit
        if disk.journal.meta.get("keyset") is None:
            disk.journal.meta.update(given)
        self.engine_class: type[SyncEngine] = SyncEngine
        self.boot()

    def boot(self) -> str | None:
        """Start the program; return why a new epoch was begun, None where none was."""
        disk = self.disk
        self.clock.boot_id = UUID(int=self._random.getrandbits(128), version=4)
        self.clock.booted_ms = self.clock.world_ms()
        self.acked = dict(disk.journal.acks)
        self.busy = True  # no trouble while starting: it would only start again
        self.journal = MemoryJournal(disk.journal, disk.witness, lambda what: self._told(self, what))
        self.cache = MemoryCache(disk.cache, lambda what: self._told(self, what))
        self.trusted = TrustedClock(self.clock, self.journal)
        own = Random(self._random.getrandbits(64))
        self.recorder = Recorder(self.identity, self.engine_key, self.journal, self.trusted, own)
        finding = examine(self.journal, disk.witness, None)  # type: ignore[arg-type]
        if finding.reason is not None:
            self.journal.skip_receipts(finding.receipts)
            self.recorder.open_epoch(finding.reason)
        if finding.notice is not None:
            self.journal.notify(finding.notice, finding.facts, self.trusted.now_ms())
        self.programs = ProgramInForce(self.journal)
        self.cashier = Cashier(self.identity, self.journal, self.cache)
        self.guests = Guests(self.identity, self.journal, self.cache, self.trusted, self.programs, "en")
        self.engine = self.engine_class(
            self.identity,
            self.journal,
            self.cache,
            self.client,
            self.trusted,
            self.recorder,
            own,
            app="0.1.0",
        )
        self.journal.witness()  # the sync thread's first act
        self.busy = False
        return finding.reason

    def card(self, handle: int) -> GuestCard | None:
        """Return what the screen shows of a card, None where the till refuses it."""
        try:
            return self.guests.identify(ld1(handle))
        except Refused:
            return None

    def sell(self, card: GuestCard | None, total: int, earned: int, wanted: int, *, gift: bool = False) -> SealedRecord:
        """Record a sale; as many of the `wanted` points are redeemed as the till allows, a `gift` if one is left."""
        program = self.programs.known()
        gives = gift and program is not None and self.recorder.leases.left(program).get(GIFT[0], 0) > 0
        fact = Fact(
            RecordKind.SALE,
            check={GIFT[0]: 1} if gives else None,
            given={GIFT: 1} if gives else {},
            guest_id=None if card is None else card.guest_id,
            credential=None if card is None else card.credential,
            earned=earned,
            redeemed=0 if card is None else self._redeemable(card, card.points, total, wanted),
            money_total=total,
            cache_feed_seq=self.cache.state().cursor,
            known_balance=card.points if card is not None and card.guest_id is not None else None,
            has_receipt=True,
        )
        return self.recorder.record(fact).sealed

    def sell_priced(self, card: GuestCard | None, total: int, wanted: int) -> SealedRecord:
        """Sell as the window does: priced by the program in force, with what it gives and as many points as it may."""
        desk = Checkout(self.guests, self.recorder, self.cache, self.trusted, self.programs, self.cashier)
        draft = CheckDraft(desk.basket(total), card, wanted if card is not None else 0, at=self.trusted.now())
        quote = desk.price(draft)
        if not quote.redeemed_points:
            draft = replace(draft, points_asked=0)
            quote = desk.price(draft)
        desk.confirm(draft, quote)
        head = self.journal.head()
        return self.disk.journal.records[head.epoch, head.seq]

    def give_back(self, sold: SealedRecord) -> SealedRecord:
        """Take a whole sale back, of this till or another, and all the points it moved."""
        sale = Record.from_payload(sold.payload)
        fact = Fact(
            RecordKind.REFUND,
            check=ReturnContents.to_check(self.identity.currency, self.trusted.now(), _whole(sale)),
            guest_id=sale.guest_id,
            credential=sale.credential,
            earned=sale.points_redeemed,
            redeemed=sale.points_earned,
            money_total=sale.money_total or 0,
            reverses_id=sale.id,
            has_receipt=True,
        )
        return self.recorder.record(fact).sealed

    def exchange(self, sold: SealedRecord, total: int, earned: int, wanted: int) -> SealedRecord:
        """Take a whole sale back, of this till or another, and sell its guest something else in the same record."""
        sale = Record.from_payload(sold.payload)
        check = ExchangeContents.to_check({}, _whole(sale))
        handle = None if sale.credential is None else sale.credential.handle
        card, redeemed = None if handle is None else self.card(handle), 0
        if card is not None and card.guest_id is not None and card.guest_id == sale.guest_id:
            left = card.points + sale.points_redeemed - sale.points_earned
            redeemed = self._redeemable(card, left, total, wanted)
        fact = Fact(
            RecordKind.EXCHANGE,
            check=check,
            guest_id=sale.guest_id,
            credential=sale.credential,
            earned=0 if sale.guest_id is None and sale.credential is None else earned,
            redeemed=redeemed,
            money_total=total,
            cache_feed_seq=self.cache.state().cursor,
            reverses_id=sale.id,
            returned=ExchangeContents.from_check(check).returned,
            has_receipt=True,
        )
        return self.recorder.record(fact).sealed

    def register(self, handle: int, phone: str) -> UUID | None:
        """Register somebody and hand a card out to them; None where this till knows the card or the phone already."""
        desk = registration.Registration(self.cache, self.guests, self.recorder, self.trusted, self.cashier, None)
        with mock.patch.object(registration.os, "urandom", self._random.randbytes):
            try:
                return desk.register(GuestFields("Guest", phone), "1", ld1(handle)).card.guest_id
            except Refused as refused:
                assert refused.code in ("card_taken", "phone_registered")
                return None

    def _redeemable(self, card: GuestCard, points: int, total: int, wanted: int) -> int:
        """Return as many of the `wanted` points as the till allows of the `points` that the guest has."""
        if card.facts is None or not wanted:
            return 0
        allowed, program = card.allowance, self.programs.known()
        share = None if program is None else share_cap(allowed, total, program)
        return max(0, min(wanted, allowed.max_points, points, *(() if share is None else (share,))))

    def sync(self) -> SyncOutcome:
        """Do one attempt to be level."""
        return self.engine.step()


def _whole(sale: Record) -> Refund:
    money, earned, spent = sale.money_total or 0, sale.points_earned, sale.points_redeemed
    lines = (ReturnedLine(WHOLE_CHECK, 1_000, money, earned, spent),)
    return Refund("whole", money, earned, spent, lines, True, NOTHING_YET)
