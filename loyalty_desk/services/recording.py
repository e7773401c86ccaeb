"""Making journal records: who, when, which epoch, which seq; everything a record carries whatever happened."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import TYPE_CHECKING
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from loyalty_desk.domain.base32 import ALPHABET
from loyalty_desk.domain.clock import to_ms
from loyalty_desk.domain.code_proof import ShownStep, read_evidence, step_of
from loyalty_desk.domain.errors import Refused
from loyalty_desk.domain.ids import IdMaker
from loyalty_desk.domain.record import (
    MAX_PAYLOAD_BYTES,
    Credential,
    Record,
    RecordKind,
    SealedRecord,
    TooLarge,
    Totals,
    genesis,
    seal,
)
from loyalty_desk.services.leases import Leases
from loyalty_desk.services.ports.journal import Effect, Journal, JournalHead

if TYPE_CHECKING:
    from loyalty_desk.domain.canonical import Json
    from loyalty_desk.domain.return_contents import Returned
    from loyalty_desk.services.ports.identity import Identity
    from loyalty_desk.services.ports.machine import Random
    from loyalty_desk.services.trusted_clock import TrustedClock

# The low bits of an epoch's number are its receipts' series, three letters; the epoch of an enrolment has none.
_SERIES = (1 << 15) - 1


# The journal's setting that says which shift is open.
SHIFT = "shift"


class Fact(msgspec.Struct, frozen=True):
    """What happened, without its place in the journal. Points in smallest units, money in minor units.

    `returned` is the return half of an exchange, whose points are not in `earned` and `redeemed`. `uses_day` is the
    business day that `uses` belong to, where it is another one. `hold_until` is when the server lets go of the points
    redeemed (ms by this till's clock), None where they are redeemed offline. `private` goes beside the record. `given`
    is what is taken from limits for all guests together, by rule and period.
    """

    kind: RecordKind
    cashier: str | None = None
    check: Mapping[str, Json] | None = None
    guest_id: UUID | None = None
    credential: Credential | None = None
    earned: int = 0
    redeemed: int = 0
    money_total: int | None = None
    cache_feed_seq: int | None = None
    known_balance: int | None = None
    decision_bits: int | None = None
    uses: Mapping[str, int] = msgspec.field(default_factory=dict)
    program: bytes | None = None
    has_receipt: bool = False
    reverses_id: UUID | None = None
    returned: Returned | None = None
    uses_day: str = ""
    hold_until: int | None = None
    tier_discount: int = 0
    evidence: bytes | None = None
    private: bytes | None = None
    settings: Mapping[str, Json] = msgspec.field(default_factory=dict)
    given: Mapping[tuple[str, str], int] = msgspec.field(default_factory=dict)


def business_day(journal: Journal, clock: TrustedClock, zone: str) -> date:
    """Return the day of the open shift, else the local date of a zone now."""
    shift = journal.get(SHIFT)
    if isinstance(shift, Mapping) and isinstance(shift.get("day"), str):
        return date.fromisoformat(str(shift["day"]))
    return clock.corrected().astimezone(ZoneInfo(zone)).date()


def _paying_step(fact: Fact) -> ShownStep | None:
    """Return the step of a rotating code that pays with this fact; naming the guest alone uses none up."""
    if fact.redeemed == 0 or fact.credential is None:
        return None
    return step_of(read_evidence(fact.credential.code, fact.evidence))


class Recorded(msgspec.Struct, frozen=True):
    """A fact on the disk."""

    record: Record
    sealed: SealedRecord


def _effect(fact: Fact, record: Record) -> Effect:
    """Return what a record does to its guest; only a sale or an exchange redeems, the debits of others do not count."""
    registers = fact.kind is RecordKind.REGISTER
    handle = fact.credential.handle if fact.credential is not None and (fact.guest_id is None or registers) else None
    back = fact.returned
    return Effect(
        fact.guest_id,
        handle,
        fact.earned + (back.spent_returned if back is not None else 0),
        fact.redeemed + (back.earned_reversed if back is not None else 0),
        fact.uses_day or record.business_day,
        fact.uses,
        fact.program,
        offline=fact.redeemed if fact.kind in (RecordKind.SALE, RecordKind.EXCHANGE) else 0,
        hold_until=fact.hold_until,
        reverses=fact.reverses_id,
        tier_discount=fact.tier_discount,
        registers=registers,
        numbered=fact.has_receipt,
        private=fact.private,
        step=_paying_step(fact),
        settings=fact.settings,
        given=fact.given,
    )


class Recorder:
    """The only maker of records. One device key, one journal."""

    def __init__(
        self, identity: Identity, key: Ed25519PrivateKey, journal: Journal, clock: TrustedClock, random: Random
    ) -> None:
        self._identity = identity
        self._key = key
        self._journal = journal
        self._clock = clock
        self._random = random
        self._ids = IdMaker(clock.now_ms, random.getrandbits)
        self.leases = Leases(journal, clock)

    def business_day(self) -> date:
        """Return the day of the open shift, else the store's local date now."""
        return business_day(self._journal, self._clock, self._identity.zone)

    def new_id(self) -> UUID:
        """Return a new id, of a guest or a shift."""
        return self._ids()

    def record(self, fact: Fact) -> Recorded:
        """Commit a fact durably before returning.

        Raises `Refused` as `Journal.append`, `check_too_large`, and `quote_stale` where another sale took the last of
        what it gives.
        """
        moment = to_ms(self._clock.now())
        made: list[Record] = []

        def build(head: JournalHead) -> tuple[SealedRecord, Totals, Effect | None]:
            if fact.given:
                self.leases.require(head.epoch, fact.given)
            record = self._record(fact, head, moment)
            made[:] = [record]
            return self._seal(record, head), record.totals, _effect(fact, record)

        sealed = self._journal.append(build, receipt=fact.has_receipt, occurred_at=moment)
        return Recorded(made[0], sealed)

    def open_epoch(self, reason: str) -> SealedRecord:
        """Begin a new epoch: `enrol`, `rollback`, `fork`, `restore` or `manual`. Its parent is the present head."""
        epoch = _epoch_number(self._random, first_of_device=reason == "enrol")
        moment = to_ms(self._clock.now())
        first = genesis(self._identity.network, self._identity.device, epoch)

        def build(head: JournalHead) -> tuple[SealedRecord, Totals, Effect | None]:
            record = self._record(Fact(RecordKind.EPOCH_OPEN), head, moment, opened_reason=reason)
            return self._seal(record, head), record.totals, None

        return self._journal.open_epoch(epoch, first, build, occurred_at=moment)

    def receipt_no(self, epoch: int, number: int) -> str:
        """Return what is printed: four characters of the till, the epoch's series, and the till's running number.

        A till that has lost its journal and its witness counts from 1 again: the series keeps its numbers apart.
        """
        series = epoch & _SERIES
        till = self._identity.device.hex[:4].upper()
        return f"{till}-{number:06d}" if series == 0 else f"{till}-{_letters(series)}-{number:06d}"

    def _record(self, fact: Fact, head: JournalHead, moment: int, *, opened_reason: str | None = None) -> Record:
        return Record(
            network=self._identity.network,
            id=self._ids(),
            device=self._identity.device,
            epoch=head.epoch,
            seq=head.seq + 1,
            kind=fact.kind,
            store=self._identity.store,
            occurred_at=moment,
            boot_id=self._clock.boot_id,
            monotonic_ms=self._clock.monotonic_ms(),
            clock_conf=self._clock.confidence(),
            business_day=self.business_day().isoformat(),
            totals=head.totals.after(fact.kind, fact.earned, fact.redeemed),
            cashier=fact.cashier,
            receipt_no=self.receipt_no(head.epoch, head.receipts) if fact.has_receipt else None,
            check=fact.check,
            guest_id=fact.guest_id,
            credential=fact.credential,
            points_earned=fact.earned,
            points_redeemed=fact.redeemed,
            money_total=fact.money_total,
            cache_feed_seq=fact.cache_feed_seq,
            known_balance=fact.known_balance,
            decision_bits=fact.decision_bits,
            token_evidence=fact.evidence,
            reverses_id=fact.reverses_id,
            opened_reason=opened_reason,
        )

    def _seal(self, record: Record, head: JournalHead) -> SealedRecord:
        limit = self._journal.get("max_payload")
        try:
            sealed = seal(record, head.hash, self._key)
        except TooLarge as error:
            raise Refused("check_too_large", limit=MAX_PAYLOAD_BYTES) from error
        if isinstance(limit, int) and len(sealed.payload) > limit and record.kind is not RecordKind.EPOCH_OPEN:
            raise Refused("check_too_large", limit=limit)
        return sealed


def _epoch_number(random: Random, *, first_of_device: bool) -> int:
    above, series = random.getrandbits(48), 0
    while series == 0 and not first_of_device:
        series = random.getrandbits(15)
    return (above or 1) << 15 | series


def _letters(series: int) -> str:
    return "".join(ALPHABET[series >> shift & 31] for shift in (10, 5, 0))
