"""Noticing that rules gave more than they are limited to: a till that was copied or put back, or one taken for lost.

The sales stand as they are: a person is told of them, by the exception that says that a rule gave what it should not.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from loyalty_desk.domain.canonical import Json
from loyalty_desk.domain.record import ExceptionKind
from loyalty_desk.domain.uses import PROGRAM
from server.kit.db import Connection
from server.ledger import counting
from server.ledger.lease_store import note_used
from server.ledger.leases import Key
from server.ledger.storing import RaisedRow


@dataclass(frozen=True, slots=True)
class Gave:
    """What a till's sale took from limits, by rule and period; `limits` are those of the program that it names."""

    tx: UUID
    device: UUID
    epoch: int
    counts: Mapping[Key, int]
    limits: Mapping[Key, int]


async def exceeded(connection: Connection, network: UUID, gave: Sequence[Gave]) -> dict[UUID, Mapping[str, Json]]:
    """Count sales against their tills' leases, and return by sale which gave what was not there any more.

    The counters have them already.
    """
    made: dict[UUID, Mapping[str, Json]] = {}
    per_till: Counter[tuple[UUID, int, str, str]] = Counter()
    for one in gave:
        for key, count in one.counts.items():
            per_till[one.device, one.epoch, *key] += count
    for over in await note_used(connection, network, per_till):
        theirs = [one for one in gave if (one.device, one.epoch) == (over.device, over.epoch)]
        rule, period = over.key
        facts: dict[str, Json] = {"reason": "lease_exceeded", "rule": rule, "period": period}
        facts |= {"device": str(over.device), "granted": over.granted, "used": over.used}
        made |= dict.fromkeys(_last(theirs, over.key, over.used - over.granted), facts)
    used = (await counting.used_by(connection, network, [])).of(PROGRAM)
    for key in {key for one in gave for key in one.counts}:
        limit = max(one.limits[key] for one in gave if key in one.limits)
        rule, period = key
        facts = {"reason": "limit_exceeded", "rule": rule, "period": period, "limit": limit, "used": used.get(key, 0)}
        made |= dict.fromkeys(_last(gave, key, used.get(key, 0) - limit), facts)
    return made


def with_exceeded(raised: Sequence[RaisedRow], exceeded: Mapping[UUID, Mapping[str, Json]]) -> list[RaisedRow]:
    """Return the exceptions of sales, with what was exceeded in those that are there already: a sale has one."""
    made = [replace(one, facts={**exceeded.get(one.tx_id, {}), **one.facts}) if one.tx_id else one for one in raised]
    there = {one.tx_id for one in raised}
    return made + [
        RaisedRow(ExceptionKind.RULE_DRIFT, tx, None, facts, "warning")
        for tx, facts in exceeded.items()
        if tx not in there
    ]


def _last(gave: Iterable[Gave], key: Key, excess: int) -> list[UUID]:
    """Return the sales that gave the last `excess` of a limit."""
    found = []
    for one in reversed([one for one in gave if key in one.counts]):
        if excess <= 0:
            break
        found.append(one.tx)
        excess -= one.counts[key]
    return found
