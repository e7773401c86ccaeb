"""`loyalty-server verify`: every network's ledger held against its invariants."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from loyalty_desk.domain.canonical import Json
from loyalty_desk.wire.v1.sync import FeedTable
from server.kit.ground import Ground
from server.ledger.audit import Audit, audit, last_line
from server.sync.rows import rows_of

__all__ = ["Audit", "last_line", "verify"]


async def verify(ground: Ground, network: UUID | None = None) -> list[Audit]:
    """Audit one network or all of them, each in one snapshot; nothing is changed."""
    audits: list[Audit] = []
    for one in [network] if network is not None else await ground.db.networks():
        async with ground.db.snapshot(one) as connection:

            async def render(table: str, keys: Sequence[str]) -> dict[str, dict[str, Json]]:
                return await rows_of(connection, one, ground.vault, FeedTable(table), keys)  # noqa: B023 - used at once

            audits.append(await audit(connection, one, render))
    return audits
