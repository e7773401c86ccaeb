"""Reconcile: what the server holds of an epoch, block by block, whatever heads and acknowledgements say (section 5)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import batched
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty_desk.domain.record import block_digest
from loyalty_desk.wire.v1.errors import ErrorCode
from loyalty_desk.wire.v1.sync import Block, BlockIds, ReconcileAnswer, ReconcileRequest
from server.kit import incarnation
from server.kit.db import fetch
from server.kit.errors import ApiError
from server.kit.ground import Ground

_BLOCKS_AT_ONCE = 32


async def reconcile(ground: Ground, message: ReconcileRequest) -> ReconcileAnswer:
    """Return the ids held of every block that differs; raises `ApiError` 409 STALE_INCARNATION."""
    mismatching: list[BlockIds] = []
    async with ground.db.snapshot(message.network) as connection:
        life = await incarnation.current(connection)
        if life is None or life.id != message.incarnation:
            text = "The server's data has begun a new life. Say hello again."
            raise ApiError(409, ErrorCode.STALE_INCARNATION, text)
        for blocks in batched(message.blocks, _BLOCKS_AT_ONCE):
            mismatching += await _differing(connection, message, blocks)
    return ReconcileAnswer(life.id, mismatching)


async def _differing(connection: AsyncConnection, message: ReconcileRequest, blocks: Sequence[Block]) -> list[BlockIds]:
    held: list[dict[tuple[UUID, bytes], None]] = [{} for _ in blocks]
    found = await fetch(
        connection,
        """
        with wanted as (
            select position, first_seq, first_seq + count - 1 as last_seq
            from unnest($4::bigint[], $5::bigint[]) with ordinality as t (first_seq, count, position)
        )
        select w.position, x.seq, x.id, x.hash from wanted w join ledger_tx x on x.network_id = $1
            and x.device_id = $2 and x.epoch = $3 and x.origin = 'till' and x.seq between w.first_seq and w.last_seq
            and x.branch = any(array(select branch from device_epoch
                where network_id = $1 and device_id = $2 and epoch = $3))
        union all
        select w.position, q.seq, q.record_id, q.hash from wanted w join quarantine q on q.network_id = $1
            and q.device_id = $2 and q.epoch = $3 and q.seq between w.first_seq and w.last_seq
        order by 1, 2
        """,
        message.network,
        message.device,
        message.epoch,
        [one.first_seq for one in blocks],
        [one.count for one in blocks],
    )
    for position, _, record_id, digest in found:
        held[position - 1][record_id, bytes(digest)] = None
    return [
        BlockIds(block.first_seq, list(dict.fromkeys(record_id for record_id, _ in mine)))
        for block, mine in zip(blocks, held, strict=True)
        if len(mine) != block.count or block_digest(list(mine)) != block.xor
    ]
