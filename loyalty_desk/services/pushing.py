"""Handing records over. Nothing here forgets one: an acknowledgement is the only way forward, no 4xx is a way back."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

from loyalty_desk.domain.record import BadRecord, ExceptionKind, Record, SealedRecord
from loyalty_desk.services.ports.identity import Identity
from loyalty_desk.services.ports.journal import SEEN_BY_NEXT_PULL, EpochHead, Journal
from loyalty_desk.services.ports.server import LedgerClient, NoAnswer, NotOurServer, ServerSaid
from loyalty_desk.services.trusted_clock import TrustedClock
from loyalty_desk.wire.v1.errors import ErrorCode
from loyalty_desk.wire.v1.sync import (
    MAX_PUSH_RECORDS,
    Hole,
    PushAnswer,
    PushedRecord,
    PushRequest,
    PushResult,
    QuarantineReason,
    Status,
)

# Unpacked; a body of JSON packs to a third and less, so this stays below both caps of the contract.
MAX_BATCH_BYTES = 1_000_000
RECORD_OVERHEAD = 160
GAPS = 3
# A slow or shaky link carries a small push where a large one never arrives; fewer than this would be mostly envelope.
LEAST_RECORDS = 10


class Forked(Exception):
    """The server holds another history of this epoch: everything sent is stored, and a new epoch has to begin."""

    def __init__(self, epoch: int) -> None:
        super().__init__(epoch)
        self.epoch = epoch


class LedgerShrank(Exception):
    """The server misses records that it has acknowledged: it has to be told before they are pushed again."""


class Pusher:
    """Pushes every epoch in the order they were opened; how much at once is found out by what arrives."""

    def __init__(self, identity: Identity, journal: Journal, client: LedgerClient, clock: TrustedClock) -> None:
        self._identity = identity
        self._journal = journal
        self._client = client
        self._clock = clock
        self._most = self._limit = MAX_PUSH_RECORDS
        self.acknowledged = 0
        self.has_told = False

    def push_all(self, incarnation: UUID, stopping: Callable[[], bool]) -> None:
        """Push until nothing waits; raises `Forked`, `LedgerShrank` unless `has_told`, and what the client raises."""
        for epoch in self._journal.epochs():
            self._push_epoch(epoch.epoch, incarnation, stopping)

    def _push_epoch(self, epoch: int, incarnation: UUID, stopping: Callable[[], bool]) -> None:
        gaps = 0
        while not stopping():
            there = self._epoch(epoch)
            if there.acked_seq >= there.head_seq:
                return
            records = self._batch(there)
            holes = []
            if records[0].seq > there.acked_seq + 1:
                holes = [Hole(there.acked_seq + 1, records[0].seq - 1, "not on this till any more")]
            try:
                answer = self._client.push(self._request(incarnation, records, holes))
            except NoAnswer:
                self._limit = min(self._most, max(LEAST_RECORDS, len(records) // 2))
                raise
            except ServerSaid as said:
                gaps += said.code == ErrorCode.GAP
                self._heed(said, there, records, incarnation, gaps)
                continue
            self._accept(answer, incarnation, records)
            # Slowly back to large ones: each that does not arrive costs a time-out and a pause.
            self._limit = min(self._most, self._limit + self._limit // 8 + 1)

    def _heed(
        self, said: ServerSaid, there: EpochHead, records: list[SealedRecord], incarnation: UUID, gaps: int
    ) -> None:
        """Do what a refusal asks for, so that the next push is another one; where nothing can be done, raise it."""
        if said.code == ErrorCode.GAP and said.expected_seq is not None and gaps <= GAPS:
            self._step_back(there, said.expected_seq, records[0].seq, said)
        elif said.code == ErrorCode.FORK:
            shown_from = SEEN_BY_NEXT_PULL if said.feed_seq is None else said.feed_seq
            self._journal.acknowledge(there.epoch, records[-1].seq, incarnation, shown_from)
            self.acknowledged += len(records)
            raise Forked(there.epoch) from said
        elif said.status == 413 and len(records) > 1:
            self._most = self._limit = max(1, len(records) // 2)
        else:
            raise said

    def _step_back(self, there: EpochHead, expected: int, sent_from: int, said: ServerSaid) -> None:
        if expected >= sent_from:
            # It misses nothing of what was sent before: a gap that going back cannot close.
            raise said
        if not self.has_told:
            # A head never goes back within a life of the server. Once rewound, nothing here could prove it to hello.
            self.has_told = True
            raise LedgerShrank
        self._journal.rewind(there.epoch, expected - 1)

    def _epoch(self, epoch: int) -> EpochHead:
        return next(one for one in self._journal.epochs() if one.epoch == epoch)

    def _batch(self, there: EpochHead) -> list[SealedRecord]:
        records = self._journal.records(there.epoch, there.acked_seq + 1, self._limit)
        size, chosen = 0, list[SealedRecord]()
        for record in records:
            size += len(record.payload) + RECORD_OVERHEAD
            # A hole in the middle ends the batch: a push is contiguous.
            if chosen and (size > MAX_BATCH_BYTES or record.seq != chosen[-1].seq + 1):
                break
            chosen.append(record)
        return chosen

    def _request(self, incarnation: UUID, records: list[SealedRecord], holes: list[Hole]) -> PushRequest:
        return PushRequest(
            network=self._identity.network,
            device=self._identity.device,
            incarnation=incarnation,
            epoch=records[0].epoch,
            from_seq=records[0].seq,
            records=[
                PushedRecord(one.seq, one.id, one.prev, one.hash, one.payload, self._journal.private(one.id))
                for one in records
            ],
            head_sig=records[-1].sig,
            holes=holes,
        )

    def _accept(self, answer: PushAnswer, incarnation: UUID, records: list[SealedRecord]) -> None:
        if answer.incarnation != incarnation or [one.seq for one in answer.results] != [one.seq for one in records]:
            raise NotOurServer("the answer does not fit the push")
        for result, record in zip(answer.results, records, strict=True):
            self._tell(result, record)
        self._journal.acknowledge(records[0].epoch, records[-1].seq, incarnation, answer.feed_seq)
        self.acknowledged += len(records)

    def _tell(self, result: PushResult, record: SealedRecord) -> None:
        if result.status is Status.QUARANTINED and result.reason != QuarantineReason.WAITING_DEP:
            facts = {"receipt": _receipt(record), "reason": result.reason or ""}
            self._journal.notify("sale_quarantined", facts, self._clock.now_ms())
        if result.status is Status.POSTED_FLAGGED:
            kinds = [kind.value for bit, kind in enumerate(ExceptionKind) if result.flags >> bit & 1]
            facts = {"receipt": _receipt(record), "kinds": ", ".join(kinds)}
            self._journal.notify("sale_flagged", facts, self._clock.now_ms())


def _receipt(record: SealedRecord) -> str:
    try:
        return Record.from_payload(record.payload).receipt_no or ""
    except BadRecord:
        return ""
