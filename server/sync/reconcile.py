"""Reconcile: what the server holds of an epoch, block by block, whatever heads and acknowledgements say."""

from __future__ import annotations

from loyalty_desk.domain.canonical import INT64_MAX
from loyalty_desk.domain.record import block_digest
from loyalty_desk.wire.v1.errors import ErrorCode
from loyalty_desk.wire.v1.sync import BlockIds, ReconcileAnswer, ReconcileRequest
from server.kit.errors import ApiError
from server.sync.store import SyncStores


async def reconcile(stores: SyncStores, message: ReconcileRequest) -> ReconcileAnswer:
    """Return the ids held of every block that differs; raises `ApiError` 400, 409 STALE_INCARNATION."""
    if any(one.first_seq + one.count - 1 > INT64_MAX for one in message.blocks):
        raise ApiError(400, ErrorCode.BAD_BODY, "A block ends beyond 64 bits.")
    async with stores.snapshot(message.network) as store:
        life = await store.life()
        if life is None or life != message.incarnation:
            text = "The server's data has begun a new life. Say hello again."
            raise ApiError(409, ErrorCode.STALE_INCARNATION, text)
        held = await store.held(message.device, message.epoch, message.blocks)
    mismatching = []
    for block, found in zip(message.blocks, held, strict=True):
        mine = list(dict.fromkeys(found))
        if len(mine) != block.count or block_digest(mine) != block.xor:
            mismatching.append(BlockIds(block.first_seq, list(dict.fromkeys(record_id for record_id, _ in mine))))
    return ReconcileAnswer(life, mismatching)
