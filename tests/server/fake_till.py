"""A till reduced to its journal: real records, really chained and signed, for tests and benchmarks of the server."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from uuid import UUID, uuid4

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from loyalty_desk.domain.canonical import Json
from loyalty_desk.domain.guest_code import CodeKind
from loyalty_desk.domain.ids import IdMaker
from loyalty_desk.domain.record import (
    ClockConfidence,
    Credential,
    Record,
    RecordKind,
    SealedRecord,
    Totals,
    block_digest,
    genesis,
    seal,
)
from loyalty_desk.wire.v1 import codec, signing
from loyalty_desk.wire.v1.sync import (
    RECONCILE_BLOCK,
    Block,
    Head,
    HelloRequest,
    Hole,
    PushedRecord,
    PushRequest,
    ReconcileRequest,
)

T0 = 1_898_000_000_000  # later than any network that a test makes: its keys are valid then


@dataclass
class Clock:
    """Milliseconds that move when told."""

    now_ms: int = T0

    def __call__(self) -> int:
        return self.now_ms


@dataclass
class FakeTill:
    """One device and its journal. `token` is its bearer, where it has one."""

    network: UUID
    store: UUID
    device: UUID = field(default_factory=uuid4)
    key: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)
    token: str = ""
    incarnation: UUID = field(default_factory=uuid4)
    epoch: int = 1
    clock: Clock = field(default_factory=Clock)
    boot_id: UUID = field(default_factory=uuid4)
    journal: list[SealedRecord] = field(default_factory=list)
    totals: Totals = field(default_factory=Totals)
    privates: dict[UUID, bytes] = field(default_factory=dict)
    _ids: IdMaker | None = None

    @property
    def public(self) -> bytes:
        """Return the device's public key, 32 bytes."""
        return self.key.public_key().public_bytes_raw()

    @property
    def of_epoch(self) -> list[SealedRecord]:
        """Return the records of the epoch being written."""
        return [one for one in self.journal if one.epoch == self.epoch]

    def new_id(self) -> UUID:
        """Return a UUIDv7 by this till's clock."""
        if self._ids is None:
            self._ids = IdMaker(self.clock, lambda bits: int.from_bytes(os.urandom(16)) >> (128 - bits))
        return self._ids()

    def open_epoch(self, epoch: int | None = None, reason: str = "enrol", parent: bytes | None = None) -> SealedRecord:
        """Begin an epoch; chained to `parent` where given."""
        self.epoch = self.epoch if epoch is None else epoch
        first = parent or genesis(self.network, self.device, self.epoch)
        return self.write(RecordKind.EPOCH_OPEN, prev=first, opened_reason=reason)

    def sale(
        self,
        guest: UUID | None = None,
        *,
        earned: int = 0,
        redeemed: int = 0,
        total: int = 10_000,
        check: Mapping[str, Json] | None = None,
        handle: int | None = None,
        record_id: UUID | None = None,
        occurred_at: int | None = None,
    ) -> SealedRecord:
        """Write a sale of `total` minor units."""
        known = guest is not None or handle is not None
        return self.write(
            RecordKind.SALE,
            record_id=record_id,
            occurred_at=occurred_at,
            guest_id=guest,
            points_earned=earned,
            points_redeemed=redeemed,
            money_total=total,
            check=check,
            credential=Credential(CodeKind.LD1, 1 if handle is None else handle) if known else None,
        )

    def write(
        self,
        kind: RecordKind,
        *,
        prev: bytes | None = None,
        record_id: UUID | None = None,
        occurred_at: int | None = None,
        points_earned: int = 0,
        points_redeemed: int = 0,
        business_day: str = "2026-03-02",
        **fields: object,
    ) -> SealedRecord:
        """Append a record of any kind to the journal and return it."""
        mine = self.of_epoch
        self.clock.now_ms += 1_000
        self.totals = self.totals.after(kind, points_earned, points_redeemed)
        record = Record(
            network=self.network,
            id=record_id or self.new_id(),
            device=self.device,
            epoch=self.epoch,
            seq=mine[-1].seq + 1 if mine else 1,
            kind=kind,
            store=self.store,
            occurred_at=self.clock.now_ms if occurred_at is None else occurred_at,
            boot_id=self.boot_id,
            monotonic_ms=self.clock.now_ms - T0,
            clock_conf=ClockConfidence.GOOD,
            business_day=business_day,
            totals=self.totals,
            points_earned=points_earned,
            points_redeemed=points_redeemed,
            **fields,  # type: ignore[arg-type]
        )
        sealed = seal(record, prev or mine[-1].hash, self.key)
        self.journal.append(sealed)
        return sealed

    def rewind(self, seq: int) -> None:
        """Forget the records of this epoch above `seq`, as a disk restored from a backup does."""
        kept = [one for one in self.journal if one.epoch != self.epoch or one.seq <= seq]
        self.journal = kept
        self.totals = Record.from_payload(kept[-1].payload).totals

    def push(
        self, records: Iterable[SealedRecord] | None = None, *, holes: Iterable[Hole] = (), **changed: object
    ) -> PushRequest:
        """Return a push of records of this epoch, all of it where none are named."""
        sent = self.of_epoch if records is None else list(records)
        fields: dict[str, object] = {
            "network": self.network,
            "device": self.device,
            "incarnation": self.incarnation,
            "epoch": sent[-1].epoch if sent else self.epoch,
            "from_seq": sent[0].seq if sent else 1,
            "records": [
                PushedRecord(one.seq, one.id, one.prev, one.hash, one.payload, self.privates.get(one.id))
                for one in sent
            ],
            "head_sig": sent[-1].sig if sent else bytes(64),
            "holes": list(holes),
        }
        return PushRequest(**(fields | changed))  # type: ignore[arg-type]

    def hello(self, *, cursor: int | None = None, **changed: object) -> HelloRequest:
        """Return a hello that names the heads of all epochs."""
        heads = {one.epoch: Head(one.epoch, one.seq, one.hash) for one in self.journal}
        fields: dict[str, object] = {
            "network": self.network,
            "device": self.device,
            "nonce": os.urandom(16),
            "boot_id": self.boot_id,
            "monotonic_ms": self.clock.now_ms - T0,
            "app": "0.1.0",
            "epochs": list(heads.values()),
            "incarnation": self.incarnation,
            "cursor": cursor,
        }
        return HelloRequest(**(fields | changed))  # type: ignore[arg-type]

    def reconcile(self, epoch: int | None = None) -> ReconcileRequest:
        """Return the blocks of an epoch."""
        wanted = self.epoch if epoch is None else epoch
        mine = [one for one in self.journal if one.epoch == wanted]
        blocks = [
            Block(part[0].seq, len(part), block_digest([(one.id, one.hash) for one in part]))
            for part in (mine[at : at + RECONCILE_BLOCK] for at in range(0, len(mine), RECONCILE_BLOCK))
        ]
        return ReconcileRequest(self.network, self.device, self.incarnation, wanted, blocks)

    def headers(self, method: str, target: str, body: bytes = b"") -> dict[str, str]:
        """Return the headers of a signed request; `target` is path and query."""
        message = signing.request_message(method, target, body)
        made = {
            signing.NETWORK_HEADER: str(self.network),
            signing.DEVICE_HEADER: str(self.device),
            signing.SIGNATURE_HEADER: signing.signature_text(self.key.sign(message)),
            "Content-Type": codec.CONTENT_TYPE,
        }
        if self.token:
            made["Authorization"] = f"Bearer {self.token}"
        return made
