"""Comparing what both sides hold of an epoch, so that a server put back from a copy gets back what it lost."""

from __future__ import annotations

from itertools import batched
from uuid import UUID

from loyalty_desk.domain.record import block_digest
from loyalty_desk.services.ports.identity import Identity
from loyalty_desk.services.ports.journal import EpochHead, Journal
from loyalty_desk.services.ports.server import LedgerClient, NotOurServer
from loyalty_desk.wire.v1.sync import RECONCILE_BLOCK, Block, ReconcileRequest

BLOCKS_AT_ONCE = 1_000


def reconcile_epoch(
    identity: Identity, journal: Journal, client: LedgerClient, incarnation: UUID, epoch: EpochHead
) -> int | None:
    """Rewind an epoch to before the first acknowledged record that the server lacks; return its seq, None if none.

    Only acknowledged records are compared: the others are pushed anyway.
    """
    held = [member for member in journal.members(epoch.epoch) if member[0] <= epoch.acked_seq]
    groups = {group[0][0]: group for group in batched(held, RECONCILE_BLOCK)}
    blocks = [
        Block(first, group[-1][0] - first + 1, block_digest([(key, digest) for _, key, digest in group]))
        for first, group in groups.items()
        if group[-1][0] - first + 1 <= RECONCILE_BLOCK
    ]
    missing: int | None = None
    for some in batched(blocks, BLOCKS_AT_ONCE):
        answer = client.reconcile(
            ReconcileRequest(identity.network, identity.device, incarnation, epoch.epoch, list(some))
        )
        if answer.incarnation != incarnation:
            raise NotOurServer("reconcile was answered by another life of the server")
        for differing in answer.mismatching:
            there = set(differing.ids)
            lacking = [seq for seq, key, _ in groups.get(differing.first_seq, ()) if key not in there]
            if lacking:
                missing = min(lacking) if missing is None else min(missing, lacking[0])
    if missing is not None:
        journal.rewind(epoch.epoch, missing - 1)
    return missing
