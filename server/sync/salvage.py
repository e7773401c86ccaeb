"""Salvage: a lost till's records, brought by another one and vouched for by the lost till's own signatures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from loyalty_desk.domain.record import head_is_signed
from loyalty_desk.wire.v1.errors import ErrorCode
from loyalty_desk.wire.v1.salvage import SalvageAnswer, SalvagedRecord, SalvageRequest
from loyalty_desk.wire.v1.sync import Hole, PushAnswer, PushedRecord, PushRequest, PushResult
from server.kit.auth import Signer
from server.kit.errors import ApiError
from server.ledger.service import Ledger

_HOLE = "not on the medium that was salvaged"


async def salvage(ledger: Ledger, bringer: Signer, lost: Signer, message: SalvageRequest) -> SalvageAnswer:
    """Post the records by the rules of a push, each flagged SALVAGED.

    A record that the lost till never signed is no fact of it and is refused by itself. Raises `ApiError` 400 for seqs
    that do not rise, 403 where none is signed, and what a push raises but GAP and FORK: what is missing between the
    records becomes a hole, another line of records a branch.
    """
    if any(one.seq >= after.seq for one, after in zip(message.records, message.records[1:], strict=False)):
        raise ApiError(400, ErrorCode.BAD_BODY, "The records have to come in the order of their seq, each once.")
    key, good, refused = lost.key, list[SalvagedRecord](), list[int]()
    for one in message.records:
        signed = head_is_signed(key, message.network, message.device, message.epoch, one.seq, one.hash, one.sig)
        if signed:
            good.append(one)
        else:
            refused.append(one.seq)
    if not good:
        raise ApiError(
            403, ErrorCode.BAD_SIGNATURE, "None of these records was signed by the till they are said to be of."
        )
    results: list[PushResult] = []
    feed_seq = 0
    for run in _runs(good):
        done = await _post(ledger, bringer, lost, message, run)
        results += done.results
        feed_seq = max(feed_seq, done.feed_seq)
    return SalvageAnswer(message.incarnation, results, refused, feed_seq)


async def _post(
    ledger: Ledger, bringer: Signer, lost: Signer, message: SalvageRequest, run: Sequence[SalvagedRecord]
) -> PushAnswer:
    push = PushRequest(
        network=message.network,
        device=message.device,
        incarnation=message.incarnation,
        epoch=message.epoch,
        from_seq=run[0].seq,
        records=[PushedRecord(one.seq, one.id, one.prev, one.hash, one.payload, one.private) for one in run],
        head_sig=run[-1].sig,
        # Whatever is missing before them is not on this medium; what the server has already is cut off this hole.
        holes=[Hole(1, run[0].seq - 1, _HOLE)] if run[0].seq > 1 else [],
    )
    return await ledger.salvage(push, lost.key, bringer.device)


def _runs(records: Sequence[SalvagedRecord]) -> Iterator[list[SalvagedRecord]]:
    """Yield runs of records that follow one another and are chained: a push is contiguous."""
    run: list[SalvagedRecord] = []
    for one in records:
        if run and (one.seq != run[-1].seq + 1 or one.prev != run[-1].hash):
            yield run
            run = []
        run.append(one)
    yield run
