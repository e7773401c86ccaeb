"""What was set aside, posted after all: a manager names the last record that is believed.

Of a revoked till everything of that line up to it is posted as if it had just been pushed; what comes after it stays in
quarantine. So are records that a later program wrote, once this server has been upgraded and can read them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from loyalty_desk.domain.errors import Refused
from loyalty_desk.wire.v1.sync import PushedRecord, PushRequest, QuarantineReason
from server.kit import incarnation
from server.kit.db import Connection, Database, fetch, fetch_one, fetch_value, write
from server.kit.errors import is_conflict, outage
from server.ledger.attention import checked_note
from server.ledger.awaiting import Ready
from server.ledger.batch import Batch, Raced
from server.ledger.intake import read_again
from server.ledger.late import Reinstate
from server.ledger.returns import RETURNS
from server.ledger.store import PostgresStore, Tools

_TRIES = 4
_RELEASED = (QuarantineReason.AFTER_REVOCATION, QuarantineReason.BAD_SCHEMA)


@dataclass(frozen=True, slots=True)
class Released:
    """How many records were posted, wait for another record still, and turned out not to be postable."""

    posted: int
    waiting: int
    refused: int


async def release(
    db: Database, tools: Tools, network: UUID, number: int, by: UUID, note: str, now: datetime
) -> Released:
    """Post what was set aside as the record `number` of the quarantine was, up to it, in its epoch and branch.

    Raises `Refused` `quarantine_unknown`, `quarantine_settled`, `quarantine_kept` (neither a revocation set it aside
    nor a server that could not read it, or this one cannot read it either),
    `BadInput` `note_missing`, `ApiError` 503.
    """
    said = checked_note(note)
    for _ in range(_TRIES):
        try:
            async with db.begin(network) as connection:
                return await _post(connection, tools, network, number, by, said, now)
        except Raced:
            continue
        except Reinstate as late:
            async with db.begin(network) as connection:
                await PostgresStore(connection, network, tools).guards.reinstate(late.wanted, now)
        except Exception as error:
            if not is_conflict(error):
                raise
    raise outage()


async def _post(
    connection: Connection, tools: Tools, network: UUID, number: int, by: UUID, note: str, now: datetime
) -> Released:
    named = await _released_by(connection, network, number)
    life = await incarnation.current(connection)
    assert life is not None  # noqa: S101 - a database with a quarantine has begun its life
    rows = await _locked(connection, network, named)
    numbers = [row.id for row in rows]
    pushed = [_pushed(one, tools, network) for one in rows]
    store = PostgresStore(connection, network, tools)
    push = PushRequest(network, named.device_id, life.id, named.epoch, 1, pushed, bytes(64))
    await write(
        connection,
        "update quarantine set state = 'waiting_dependency', resolver = $3, note = $4 where network_id = $1"
        " and id = any($2::bigint[])",
        network,
        numbers,
        by,
        note,
    )
    ready, settled, condemned = await _sort(store, push, numbers, named.branch)
    unread = {one: detail for one, reason, detail in condemned if reason == named.reason}
    if number in unread:
        raise Refused("quarantine_kept", number=number, why=unread[number])
    await _settle(connection, network, settled, condemned, now)
    await Batch(store, push, now).release(ready)
    await _wait(connection, network, ready)
    return await _counted(connection, network, numbers)


async def _released_by(connection: Connection, network: UUID, number: int) -> Any:
    """Return where the record that a manager names stands, and for what it was set aside; raises as `release`."""
    named = await fetch_one(
        connection,
        "select device_id, epoch, branch, seq, state, reason from quarantine where network_id = $1 and id = $2",
        network,
        number,
    )
    if named is None:
        raise Refused("quarantine_unknown", number=number)
    if named.state != "open":
        raise Refused("quarantine_settled", number=number, state=named.state)
    if named.reason not in _RELEASED:
        raise Refused("quarantine_kept", number=number, why=f"it was set aside for {named.reason}")
    return named


async def _locked(connection: Connection, network: UUID, named: Any) -> Sequence[Any]:
    """Lock the till, before its records as a push locks them, and return what was set aside up to the named one."""
    await fetch_value(
        connection,
        "select 1 from device where network_id = $1 and id = $2 for no key update",
        network,
        named.device_id,
    )
    return await fetch(
        connection,
        "select id, seq, record_id, prev_hash, hash, raw, private_sealed from quarantine where network_id = $1"
        " and device_id = $2 and epoch = $3 and branch = $4 and seq <= $5 and state = 'open' and reason = $6"
        " order by seq, id for no key update",
        network,
        named.device_id,
        named.epoch,
        named.branch,
        named.seq,
        named.reason,
    )


async def _counted(connection: Connection, network: UUID, numbers: Sequence[int]) -> Released:
    states = await fetch(
        connection,
        "select state, count(*) as number from quarantine where network_id = $1 and id = any($2::bigint[]) group by 1",
        network,
        numbers,
    )
    counts = {row.state: int(row.number) for row in states}
    return Released(counts.get("replayed", 0), counts.get("waiting_dependency", 0), counts.get("open", 0))


async def _sort(
    store: PostgresStore, push: PushRequest, numbers: Sequence[int], branch: int
) -> tuple[list[Ready], list[int], list[tuple[int, str, str]]]:
    """Tell what can be posted from what is posted already, and from what never can be."""
    known = await store.known_ids([one.id for one in push.records])
    read = read_again(push)
    # As of a push: a store of this network is charged for what it accepts, and no other one.
    strange = await store.strange_stores({one.record.store for one in read if one.record is not None})
    ready: list[Ready] = []
    settled: list[int] = []
    condemned: list[tuple[int, str, str]] = []
    for number, one in zip(numbers, read, strict=True):
        if one.record is None or one.fault is not None:
            condemned.append((number, one.fault or QuarantineReason.BAD_SCHEMA, one.detail))
        elif one.record.store in strange:
            condemned.append((number, QuarantineReason.BAD_SCHEMA, "its store is none of this network"))
        elif one.id not in known:
            ready.append(Ready(one, one.record, branch, number))
        elif known[one.id] == one.hash:
            settled.append(number)
        else:
            condemned.append((number, QuarantineReason.ID_REUSE, "another record has this id"))
    return ready, settled, condemned


async def _settle(
    connection: Connection,
    network: UUID,
    settled: Sequence[int],
    condemned: Sequence[tuple[int, str, str]],
    now: datetime,
) -> None:
    """Say of rows that they are posted already, and of others what is wrong with them."""
    await write(
        connection,
        "update quarantine set state = 'replayed', resolved_at = $3, private_sealed = null"
        " where network_id = $1 and id = any($2::bigint[])",
        network,
        list(settled),
        now,
    )
    await write(
        connection,
        "update quarantine q set state = 'open', reason = t.reason, detail = t.detail"
        " from unnest($2::bigint[], $3::text[], $4::text[]) as t (id, reason, detail)"
        " where q.network_id = $1 and q.id = t.id",
        network,
        *([list(column) for column in zip(*condemned, strict=True)] or [[], [], []]),
    )


async def _wait(connection: Connection, network: UUID, ready: Sequence[Ready]) -> None:
    """Let what needs a record that is not here wait for it, as that of a push does."""
    await write(
        connection,
        "update quarantine q set reason = $4, waits_for = coalesce(t.of, q.waits_for)"
        " from unnest($2::bigint[], $3::uuid[]) as t (id, of)"
        " where q.network_id = $1 and q.id = t.id and q.state = 'waiting_dependency'",
        network,
        [one.number for one in ready],
        [one.record.reverses_id if one.record.kind in RETURNS else None for one in ready],
        QuarantineReason.WAITING_DEP.value,
    )


def _pushed(row: Any, tools: Tools, network: UUID) -> PushedRecord:
    private = row.private_sealed
    opened = None if private is None else tools.vault.open_secret(network, f"private {row.record_id}", bytes(private))
    return PushedRecord(row.seq, row.record_id, bytes(row.prev_hash), bytes(row.hash), bytes(row.raw), opened)
