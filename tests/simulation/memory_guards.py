"""What the guards ask, answered from tables in memory: no holds, nothing that expires or is blocked, else alike."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

from loyalty_desk.domain.canonical import bytes_to_text, text_to_bytes
from loyalty_desk.domain.code_proof import ShownStep
from loyalty_desk.domain.guest_code import HANDLE_BYTES
from loyalty_desk.domain.key_set import KeySet
from loyalty_desk.domain.record import handle_text
from loyalty_desk.wire.v1 import rows
from loyalty_desk.wire.v1.rows import CredentialRow, ProfileRow
from loyalty_desk.wire.v1.sync import FeedTable
from server.holds.service import Settled
from server.kit.feed import Change
from server.ledger.evidence import Card
from server.ledger.guard_store import StepUse, TierUse, UnprovedUse
from server.ledger.late import Late

if TYPE_CHECKING:
    from tests.simulation.memory_ledger import Tables


class MemoryGuards:
    """A `GuardStore` over a copy of the tables."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def key_set(self) -> KeySet:
        row = self._tables.documents.get((FeedTable.KEYSET.value, "current"))
        assert row is not None
        document = row["document"]
        assert isinstance(document, dict)
        return KeySet.from_document(document)

    async def cards(self, handles: Iterable[int]) -> dict[int, Card]:
        made = {}
        for handle in handles:
            guest, row = self._tables.credentials.get(handle.to_bytes(HANDLE_BYTES, "big")), self._row(handle)
            if guest is not None and row is not None:
                told_at, _ = self._tables.feed.get((FeedTable.CREDENTIAL.value, handle_text(handle)), (0, None))
                root = text_to_bytes(row.root) if row.root else None
                made[handle] = Card(guest, row.generation, root, row.step, told_at)
        return made

    async def stopped(self, handles: Iterable[int]) -> dict[int, int]:
        return {}

    async def may_approve(self, staff: Iterable[str]) -> set[str]:
        return set(staff)

    async def profile(self, store: UUID) -> ProfileRow:
        return rows.read(ProfileRow, self._tables.documents.get((FeedTable.PROFILE.value, "default"), {}))

    async def past_profiles(self, store: UUID) -> list[tuple[datetime, ProfileRow]]:
        return []

    async def end_holds(self, sales: Mapping[UUID, tuple[UUID, UUID]], now: datetime) -> dict[UUID, Settled]:
        return {hold: Settled(hold, "unknown", in_time=False) for hold in sales}

    async def put_steps(self, uses: Sequence[StepUse], now: datetime) -> dict[ShownStep, list[tuple[UUID, UUID]]]:
        self._tables.steps += uses
        made: dict[ShownStep, list[tuple[UUID, UUID]]] = {one.shown: [] for one in uses}
        for one in sorted(self._tables.steps, key=lambda use: use.tx):
            if one.shown in made:
                made[one.shown].append((one.tx, one.device))
        return made

    async def put_last_steps(self, uses: Sequence[StepUse]) -> list[Change]:
        changes = []
        for one in uses:
            row, root = self._row(one.shown.handle), bytes_to_text(one.shown.root)
            if row is None or (row.root == root and row.step >= one.shown.step):
                continue
            newer = (use for use in self._tables.steps if use.shown.handle == one.shown.handle and use.at > one.at)
            if row.root != root and any(bytes_to_text(use.shown.root) == row.root for use in newer):
                continue
            key = handle_text(one.shown.handle)
            made = rows.write(CredentialRow(row.guest, row.kind, row.state, row.generation, root, one.shown.step))
            self._tables.documents[FeedTable.CREDENTIAL.value, key] = made
            changes.append(Change(FeedTable.CREDENTIAL, key, made))
        return changes

    async def put_tier_uses(self, uses: Sequence[TierUse], now: datetime) -> dict[tuple[UUID, str], list[TierUse]]:
        self._tables.tiers += uses
        days = {(one.guest, one.business_day) for one in uses}
        return {
            day: sorted(
                (one for one in self._tables.tiers if (one.guest, one.business_day) == day), key=lambda use: use.tx
            )
            for day in days
        }

    async def unproved(self, days: Iterable[tuple[UUID, int]]) -> dict[tuple[UUID, int], int]:
        found = self._tables.unproved.values()
        return {day: sum(one.points for one in found if (one.device, one.day) == day) for day in days}

    async def take_unproved(self, sales: Iterable[UUID]) -> list[UnprovedUse]:
        return [self._tables.unproved.pop(one) for one in sales if one in self._tables.unproved]

    async def put_unproved(self, uses: Sequence[UnprovedUse], now: datetime) -> None:
        self._tables.unproved |= {one.tx: one for one in uses}

    async def late(self, wanted: Sequence[Late]) -> tuple[list[Late], set[UUID]]:
        return [], set()

    async def reinstate(self, wanted: Sequence[Late], now: datetime) -> None:
        raise AssertionError("nothing expires here")

    def _row(self, handle: int) -> CredentialRow | None:
        found = self._tables.documents.get((FeedTable.CREDENTIAL.value, handle_text(handle)))
        return None if found is None else rows.read(CredentialRow, found)
