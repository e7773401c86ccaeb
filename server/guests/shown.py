"""SQL of what guests show: credentials with their last use, and short codes."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from server.kit.db import Connection, fetch, fetch_one, write


@dataclass(frozen=True, slots=True)
class Shown:
    """A credential as a code names it, with its guest after merges; `root`, `step` and `counter` of the last use."""

    guest: UUID
    kind: str
    state: str
    generation: int
    root: bytes | None
    step: int | None
    counter: int | None

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Shown:
        """Return a credential of a row with its columns and its guest's id."""
        return cls(
            row["guest"],
            row["kind"],
            row["state"],
            row["generation"],
            row["last_root"],
            row["last_step"],
            row["last_counter"],
        )


@dataclass(frozen=True, slots=True)
class ShortCode:
    """A short code: `used_by` is the till that has shown it first, `used_at` when it paid."""

    guest: UUID
    expires_at: datetime
    used_at: datetime | None
    used_by: UUID | None
    phone_last4: str


async def credentials(connection: Connection, network: UUID, handles: Collection[bytes]) -> dict[bytes, Shown]:
    """Return those credentials that there are, by their handles."""
    if not handles:
        return {}
    found = await fetch(
        connection,
        "select c.handle, coalesce(s.merged_into, s.guest_id) as guest, c.kind, c.state, c.generation, c.last_root,"
        " c.last_step, c.last_counter from credential c"
        " join guest_state s on s.network_id = c.network_id and s.guest_id = c.guest_id"
        " where c.network_id = $1 and c.handle = any($2::bytea[]) and not s.deleted",
        network,
        list(handles),
    )
    return {row["handle"]: Shown.of(row) for row in found}


async def put_counter(connection: Connection, network: UUID, handle: bytes, counter: int) -> bool:
    """Remember the counter that a wallet's digits belonged to; False where it is not above the last any more."""
    done = await write(
        connection,
        "update credential set last_counter = $3 where network_id = $1 and handle = $2"
        " and (last_counter is null or last_counter < $3)",
        network,
        handle,
        counter,
    )
    return done == 1


async def put_step(connection: Connection, network: UUID, handle: bytes, root: bytes, step: int) -> bool:
    """Remember which step of which chain has paid; False where it is not above the last of that chain any more."""
    done = await write(
        connection,
        "update credential set last_root = $3, last_step = $4 where network_id = $1 and handle = $2"
        " and (last_root is distinct from $3 or last_step < $4)",
        network,
        handle,
        root,
        step,
    )
    return done == 1


async def short_code(connection: Connection, network: UUID, code_hash: bytes) -> ShortCode | None:
    """Return a short code whose guest is not erased."""
    row = await fetch_one(
        connection,
        "select coalesce(s.merged_into, s.guest_id) as guest, c.expires_at, c.used_at, c.used_by,"
        " coalesce(g.phone_last4, '') as last4 from short_code c"
        " join guest_state s on s.network_id = c.network_id and s.guest_id = c.guest_id"
        # Row-level security lets no `coalesce` near an index, for it might give away what it sees: by it all were read.
        " join guest g on g.network_id = s.network_id"
        " and g.id = case when s.merged_into is null then s.guest_id else s.merged_into end"
        " where c.network_id = $1 and c.code_hash = $2 and not s.deleted",
        network,
        code_hash,
    )
    return None if row is None else ShortCode(row.guest, row.expires_at, row.used_at, row.used_by, row.last4)


async def put_short_code(
    connection: Connection, network: UUID, code_hash: bytes, guest: UUID, expires_at: datetime, now: datetime
) -> bool:
    """Give a guest a code; False where somebody has it at the moment."""
    done = await write(
        connection,
        "insert into short_code as c (network_id, code_hash, guest_id, expires_at) values ($1, $2, $3, $4)"
        " on conflict (network_id, code_hash) do update set guest_id = excluded.guest_id,"
        " expires_at = excluded.expires_at, used_at = null, used_by = null where c.expires_at <= $5",
        network,
        code_hash,
        guest,
        expires_at,
        now,
    )
    return done == 1


async def end_short_codes(connection: Connection, network: UUID, guest: UUID, now: datetime) -> None:
    """End what codes a guest still has: there is one at a time."""
    await write(
        connection,
        "update short_code set used_at = $3 where network_id = $1 and guest_id = $2 and used_at is null",
        network,
        guest,
        now,
    )


async def claim_short_code(connection: Connection, network: UUID, code_hash: bytes, device: UUID) -> bool:
    """Bind a code to the till that shows it first; False where another one was first."""
    done = await write(
        connection,
        "update short_code set used_by = $3 where network_id = $1 and code_hash = $2 and used_at is null"
        " and (used_by is null or used_by = $3)",
        network,
        code_hash,
        device,
    )
    return done == 1


async def use_short_code(connection: Connection, network: UUID, code_hash: bytes, device: UUID, now: datetime) -> bool:
    """Let a code pay, once; False where it has, or is another till's."""
    done = await write(
        connection,
        "update short_code set used_at = $4, used_by = $3 where network_id = $1 and code_hash = $2 and used_at is null"
        " and (used_by is null or used_by = $3)",
        network,
        code_hash,
        device,
        now,
    )
    return done == 1


async def survivor(connection: Connection, network: UUID, guest: UUID) -> UUID | None:
    """Return who a guest is today, None for somebody unknown or erased."""
    row = await fetch_one(
        connection,
        "select coalesce(t.merged_into, t.guest_id) as id from guest_state t"
        # Not by `coalesce`, as above.
        " join guest_state s on s.network_id = t.network_id"
        " and s.guest_id = case when t.merged_into is null then t.guest_id else t.merged_into end"
        " where t.network_id = $1 and t.guest_id = $2 and not s.deleted",
        network,
        guest,
    )
    return None if row is None else row.id


async def guests_of_last4(connection: Connection, network: UUID, last4: str, limit: int) -> list[UUID]:
    """Return guests whose phone ends so, the longest known first."""
    rows = await fetch(
        connection,
        "select id from guest where network_id = $1 and phone_last4 = $2 order by created_at, id limit $3",
        network,
        last4,
        limit,
    )
    return [row.id for row in rows]
