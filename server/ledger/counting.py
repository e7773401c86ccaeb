"""Counters of limited rules: moved by a sale once it has been priced again, taken back by its return, told to tills."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from loyalty_desk.domain.canonical import Json
from loyalty_desk.domain.uses import PROGRAM, CounterKey
from loyalty_desk.wire.v1 import rows
from loyalty_desk.wire.v1.sync import FeedTable
from server.kit.db import Connection, fetch, write
from server.kit.feed import Change
from server.kit.turns import take_turn


@dataclass(slots=True)
class Used:
    """Counters of some guests and of the program by rule and period, and what is added to them in this transaction."""

    by_owner: dict[str, dict[tuple[str, str], int]] = field(default_factory=dict)
    moved: Counter[CounterKey] = field(default_factory=Counter)

    def of(self, owner: str) -> Mapping[tuple[str, str], int]:
        """Return the counters of an owner: a guest's id as text, or `PROGRAM`."""
        return self.by_owner.get(owner, {})

    def add(self, found: Mapping[CounterKey, int]) -> None:
        """Count a check, so that the next one of this transaction finds it counted."""
        for key, count in found.items():
            mine = self.by_owner.setdefault(key.owner, {})
            mine[key.rule, key.period] = mine.get((key.rule, key.period), 0) + count
            self.moved[key] += count


async def used_by(connection: Connection, network: UUID, guests: Iterable[UUID]) -> Used:
    """Return what guests and the program have used so far; lock the guests before, where it is to hold."""
    made = Used()
    for owner, rule, period, used in await fetch(
        connection,
        "select owner, rule, period, used from counter where network_id = $1 and owner = any($2::text[])",
        network,
        [PROGRAM, *(str(one) for one in guests)],
    ):
        made.by_owner.setdefault(owner, {})[rule, period] = used
    return made


async def lock(connection: Connection, network: UUID) -> None:
    """Let whoever moves the counters of a network, or gives by what they say, take turns until the transaction ends."""
    await take_turn(connection, f"counters {network}")


async def move(connection: Connection, network: UUID, by: Mapping[CounterKey, int]) -> list[Change]:
    """Add to counters, none of which falls below zero; return what the feed says of them now."""
    keys = sorted((one for one in by if by[one]), key=lambda one: (one.owner, one.rule, one.period))
    if not keys:
        return []
    # One at a time in a network: counters are few and touched by nearly every sale, and two orders would be a deadlock.
    await lock(connection, network)
    named = ([one.owner for one in keys], [one.rule for one in keys], [one.period for one in keys])
    await write(
        connection,
        "insert into counter (network_id, owner, rule, period)"
        " select $1, * from unnest($2::text[], $3::text[], $4::text[])"
        " on conflict (network_id, owner, rule, period) do nothing",
        network,
        *named,
    )
    found = await fetch(
        connection,
        "update counter c set used = greatest(0, c.used + t.n)"
        " from unnest($2::text[], $3::text[], $4::text[], $5::bigint[]) as t (owner, rule, period, n)"
        " where c.network_id = $1 and (c.owner, c.rule, c.period) = (t.owner, t.rule, t.period)"
        " returning c.owner, c.rule, c.period, c.used",
        network,
        *named,
        [by[one] for one in keys],
    )
    return [Change(FeedTable.COUNTER, _key(*row[:3]), _row(row[3])) for row in found]


async def feed_rows(connection: Connection, network: UUID, keys: Sequence[str]) -> dict[str, dict[str, Json]]:
    """Return the present rows of counters by their keys in the feed."""
    parts = [key.split(":", 2) for key in keys]
    found = await fetch(
        connection,
        "select c.owner, c.rule, c.period, c.used from counter c"
        " join unnest($2::text[], $3::text[], $4::text[]) as k (owner, rule, period)"
        " on (c.owner, c.rule, c.period) = (k.owner, k.rule, k.period) where c.network_id = $1",
        network,
        *([part[place] for part in parts if len(part) == 3] for place in range(3)),
    )
    return {_key(*row[:3]): _row(row[3]) for row in found}


def _key(owner: str, rule: str, period: str) -> str:
    return f"{owner}:{rule}:{period}"


def _row(used: int) -> dict[str, Json]:
    return rows.write(rows.CounterRow(used))
