"""What waits for a person: records that were set aside, and postings that need a look. Nothing here is ever deleted."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from loyalty_desk.domain.errors import BadInput, Refused
from server.kit.db import Connection, fetch, fetch_one, write

OPEN = ("open", "waiting_dependency")
MAX_NOTE = 500
PATIENCE = timedelta(days=30)
_SET_ASIDE = "id, device_id, epoch, branch, seq, record_id, reason, detail, state, received_at, resolver, note"


@dataclass(frozen=True, slots=True)
class SetAside:
    """A record in quarantine. `raw` are its bytes as pushed, left out in lists."""

    id: int
    device: UUID
    epoch: int
    branch: int
    seq: int
    record: UUID
    reason: str
    detail: str
    state: str
    received_at: datetime
    resolver: UUID | None
    note: str
    raw: bytes = b""


@dataclass(frozen=True, slots=True)
class Noted:
    """An exception; `facts` are numbers and ids."""

    id: int
    kind: str
    tx: UUID | None
    guest: UUID | None
    device: UUID | None
    facts: dict[str, Any]
    severity: str
    state: str
    raised_at: datetime
    note: str


async def quarantined(
    connection: Connection, network: UUID, *, everything: bool = False, limit: int = 1_000
) -> list[SetAside]:
    """Return what is set aside, oldest first; with `everything` also what was settled."""
    rows = await fetch(
        connection,
        f"select {_SET_ASIDE} from quarantine where network_id = $1 and ($2 or state = any($3::text[]))"  # noqa: S608
        " order by id limit $4",
        network,
        everything,
        list(OPEN),
        limit,
    )
    return [SetAside(*row) for row in rows]


async def quarantined_one(connection: Connection, network: UUID, number: int) -> SetAside:
    """Return one with its bytes; raises `Refused` `quarantine_unknown`."""
    row = await fetch_one(
        connection,
        f"select {_SET_ASIDE}, raw from quarantine where network_id = $1 and id = $2",  # noqa: S608 - constant columns
        network,
        number,
    )
    if row is None:
        raise Refused("quarantine_unknown", number=number)
    return replace(SetAside(*row[:-1]), raw=bytes(row[-1]))


async def waive(connection: Connection, network: UUID, number: int, by: UUID, note: str, now: datetime) -> None:
    """Say, as a named person with a reason, that a record will not be posted; it stays where it is.

    Raises `Refused` `quarantine_unknown`, `quarantine_settled`, `BadInput` `note_missing`.
    """
    said = checked_note(note)
    found = await write(
        connection,
        "update quarantine set state = 'waived', resolver = $3, note = $4, resolved_at = $5"
        " where network_id = $1 and id = $2 and state in ('open', 'waiting_dependency')",
        network,
        number,
        by,
        said,
        now,
    )
    if not found:
        present = await quarantined_one(connection, network, number)
        raise Refused("quarantine_settled", number=number, state=present.state)


async def put_forward(connection: Connection, network: UUID, now: datetime) -> int:
    """Put before a person what has waited for more than 30 days, and return how many records these are.

    They are posted by themselves all the same if what they wait for arrives before the person has decided.
    """
    return await write(
        connection,
        "update quarantine set state = 'open', detail = detail || ': it has waited for 30 days'"
        " where network_id = $1 and state = 'waiting_dependency' and received_at < $2",
        network,
        now - PATIENCE,
    )


async def exceptions(
    connection: Connection, network: UUID, *, everything: bool = False, kind: str = "", limit: int = 1_000
) -> list[Noted]:
    """Return exceptions, oldest first."""
    rows = await fetch(
        connection,
        """
        select e.id, e.kind, e.tx_id, a.guest_id, e.device_id, e.facts, e.severity, e.state, e.raised_at, e.note
        from exception e left join account a on a.network_id = e.network_id and a.id = e.account_id
        where e.network_id = $1 and ($2 or e.state = 'open') and ($3 = '' or e.kind = $3) order by e.id limit $4
        """,
        network,
        everything,
        kind,
        limit,
    )
    return [Noted(*row) for row in rows]


async def resolve(connection: Connection, network: UUID, number: int, by: UUID, note: str, now: datetime) -> None:
    """Note that somebody has looked at an exception and what came of it.

    Raises `Refused` `exception_unknown`, `exception_resolved`, `BadInput` `note_missing`.
    """
    said = checked_note(note)
    found = await write(
        connection,
        "update exception set state = 'resolved', resolver = $3, note = $4, resolved_at = $5"
        " where network_id = $1 and id = $2 and state = 'open'",
        network,
        number,
        by,
        said,
        now,
    )
    if not found:
        row = await fetch_one(
            connection, "select state from exception where network_id = $1 and id = $2", network, number
        )
        raise Refused("exception_unknown" if row is None else "exception_resolved", number=number)


def checked_note(text: str) -> str:
    """Return a reason as it is kept; raises `BadInput` `note_missing`."""
    said = " ".join(text.split())
    if not said or len(said) > MAX_NOTE or not said.isprintable():
        raise BadInput("note_missing", limit=MAX_NOTE)
    return said
