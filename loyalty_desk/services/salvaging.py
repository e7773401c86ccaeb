"""Handing over the records of a till that cannot push them itself, as what this till is allowed to bring."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from uuid import UUID

from loyalty_desk.domain.record import SealedRecord
from loyalty_desk.services.ports.server import LedgerClient, NotOurServer, ServerSaid
from loyalty_desk.wire.v1.salvage import SalvagedRecord, SalvageRequest
from loyalty_desk.wire.v1.sync import MAX_PUSH_RECORDS, Status

_MAX_BYTES = 1_000_000
_RECORD_OVERHEAD = 240


@dataclass(slots=True)
class Brought:
    """What became of the records: `posted` are new to the server, `known` it had already."""

    posted: int = 0
    known: int = 0
    quarantined: int = 0
    refused: int = 0

    @property
    def total(self) -> int:
        """Return how many were handed over."""
        return self.posted + self.known + self.quarantined + self.refused


def bring(
    client: LedgerClient,
    network: UUID,
    device: UUID,
    incarnation: UUID,
    records: Iterable[tuple[SealedRecord, bytes | None]],
) -> Brought:
    """Hand over records of `device`, each with its personal fields, epoch after epoch, seq rising.

    Again is no harm: what the server has it answers as known. Raises as `LedgerClient`.
    """
    done, limit = Brought(), MAX_PUSH_RECORDS
    for batch in _batches(records):
        waiting = [batch]
        while waiting:
            some = waiting.pop(0)
            try:
                _hand_over(client, network, device, incarnation, some[:limit], done)
            except ServerSaid as said:
                if said.status != 413 or len(some[:limit]) == 1:
                    raise
                limit = max(1, len(some[:limit]) // 2)
                waiting.insert(0, some)
                continue
            if some[limit:]:
                waiting.insert(0, some[limit:])
    return done


def _hand_over(
    client: LedgerClient,
    network: UUID,
    device: UUID,
    incarnation: UUID,
    some: list[tuple[SealedRecord, bytes | None]],
    done: Brought,
) -> None:
    sent = [SalvagedRecord(one.seq, one.id, one.prev, one.hash, one.sig, one.payload, private) for one, private in some]
    try:
        answer = client.salvage(SalvageRequest(network, device, incarnation, some[0][0].epoch, sent))
    except ServerSaid as said:
        if said.status == 403 and said.code == "BAD_SIGNATURE":
            done.refused += len(some)
            return
        raise
    if answer.incarnation != incarnation or len(answer.results) + len(answer.refused) != len(some):
        raise NotOurServer("the answer does not fit what was brought")
    done.refused += len(answer.refused)
    for result in answer.results:
        if result.status is Status.DUPLICATE:
            done.known += 1
        elif result.status is Status.QUARANTINED:
            done.quarantined += 1
        else:
            done.posted += 1


def _batches(
    records: Iterable[tuple[SealedRecord, bytes | None]],
) -> Iterator[list[tuple[SealedRecord, bytes | None]]]:
    batch: list[tuple[SealedRecord, bytes | None]] = []
    size = 0
    for one in records:
        size += len(one[0].payload) + len(one[1] or b"") + _RECORD_OVERHEAD
        if batch and (len(batch) == MAX_PUSH_RECORDS or size > _MAX_BYTES or one[0].epoch != batch[0][0].epoch):
            yield batch
            batch, size = [], len(one[0].payload) + _RECORD_OVERHEAD
        batch.append(one)
    if batch:
        yield batch
