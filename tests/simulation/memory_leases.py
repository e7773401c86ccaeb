"""Leases in memory, behind the protocol that PostgreSQL's obey, and the counting of what was given of them.

Values are replaced, never changed, so that every commit of the past keeps its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

from loyalty_desk.domain.program import Program
from server.ledger.leases import Holder, Key, Leased

if TYPE_CHECKING:
    from tests.simulation.memory_ledger import MemoryStore

GIFT: Key = ("gift", "")
# What the checks of the simulation say of the rule: in place of goods and prices, or among a priced line's discounts.
IN_CHECK, IN_LINE = b'"gift":1', b'{"amount":1,"rule":"gift"}'
type Place = tuple[int, str, str]


@dataclass(frozen=True, slots=True)
class Leasing:
    """The tables: leases and answers by till, the counters, and which sales and returns are counted."""

    leases: Mapping[UUID, Mapping[Place, Leased]] = field(default_factory=dict)
    holders: Mapping[UUID, Holder] = field(default_factory=dict)
    used: int = 0
    counted: frozenset[UUID] = frozenset()
    freed: frozenset[UUID] = frozenset()


class MemoryLeases:
    """`LeaseStore` of a transaction."""

    def __init__(self, store: MemoryStore, program: Program | None) -> None:
        self._store = store
        self._program = program

    @property
    def _there(self) -> Leasing:
        return self._store.tables.leasing

    async def lock(self) -> None:
        pass

    async def program(self) -> Program | None:
        return self._program

    async def used(self) -> Mapping[Key, int]:
        return {GIFT: self._there.used}

    async def out_elsewhere(self, device: UUID, now: datetime) -> Mapping[Key, int]:
        tables, out = self._store.tables, 0
        for till, leases in self._there.leases.items():
            if till == device:
                continue
            holder = self._there.holders.get(till)
            for (epoch, *_), one in leases.items():
                is_over = tables.devices[till].state != "active" or holder is None or holder.epoch != epoch
                out += one.is_out_when_over(now) if is_over else one.is_out
        return {GIFT: out}

    async def leases(self, device: UUID) -> dict[Place, Leased]:
        return dict(self._there.leases.get(device, {}))

    async def holder(self, device: UUID) -> Holder | None:
        return self._there.holders.get(device)

    async def epochs(self, device: UUID) -> set[int]:
        return {epoch for till, epoch, _ in self._store.tables.epochs if till == device}

    async def tills(self, now: datetime) -> int:
        return sum(one.state == "active" for one in self._store.tables.devices.values())

    async def is_awaiting(self, device: UUID, now: datetime) -> bool:
        # No run is as long as a lease: whoever may have one is waited for.
        tables = self._store.tables
        heard = {till for till, one in self._there.holders.items() if one.incarnation == tables.life}
        others = {till for till, one in tables.devices.items() if one.state in ("active", "suspended")}
        return len(tables.lives) > 1 and bool(others - heard - {device})

    async def put(self, device: UUID, leases: Mapping[Place, Leased], holder: Holder) -> None:
        there = self._there
        mine = {**there.leases.get(device, {}), **leases}
        self._store.tables.leasing = replace(
            there, leases={**there.leases, device: mine}, holders={**there.holders, device: holder}
        )
        self._store.written = True


def used_gift(payload: bytes) -> bool:
    """Return whether a sale has used the rule that may be given a limited number of times."""
    return IN_CHECK in payload or IN_LINE in payload


def count(store: MemoryStore, now: datetime) -> None:
    """Count posted sales that used the rule, and sales taken back, as pricing again does some time after the answer."""
    tables = store.tables
    there = tables.leasing
    leases = {till: dict(mine) for till, mine in there.leases.items()}
    counted, freed, used = set(there.counted), set(there.freed), there.used
    for tx in tables.txs.values():
        if tx.id not in counted and used_gift(tx.payload):
            counted.add(tx.id)
            used += 1
            mine = leases.setdefault(tx.device, {})
            before = mine.get((tx.epoch, *GIFT), Leased(expires_at=now))
            mine[tx.epoch, *GIFT] = replace(before, used=before.used + 1)
    for tx in tables.txs.values():
        if tx.reverses in counted and tx.reverses not in freed:
            freed.add(tx.reverses)
            used -= 1
    if (len(counted), len(freed)) != (len(there.counted), len(there.freed)):
        tables.leasing = Leasing(leases, there.holders, used, frozenset(counted), frozenset(freed))
        store.written = True
