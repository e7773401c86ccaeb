"""What registering asks of the place where guests and the ledger lie; PostgreSQL's answer to it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Protocol
from uuid import UUID

from loyalty_desk.domain import canonical
from loyalty_desk.domain.canonical import Json
from loyalty_desk.domain.clock import from_ms, to_ms
from loyalty_desk.domain.record import Record, handle_text
from server.guests.admission import Admission, Admitted
from server.kit.crypto import Vault
from server.kit.db import Connection, fetch, write
from server.kit.feed import Change
from server.ledger.posting import Posted

Admit = Callable[[Connection, UUID, Vault, Sequence[Admission]], Awaitable[list[Admitted]]]
RowsOf = Callable[[Connection, UUID, Sequence[UUID], Sequence[int]], Awaitable[list[Change]]]


@dataclass(frozen=True, slots=True)
class Suspended:
    """A posting of an unknown guest: `amounts` are its legs on the suspense account, in order."""

    record: Record
    effective_at: int
    guest: UUID | None
    handle: str | None
    amounts: tuple[int, ...]


class RegisterStore(Protocol):
    """What registering asks of the place where guests and the ledger lie, of the same transaction."""

    async def admit(self, wanted: Sequence[Admission]) -> list[Admitted]:
        """Register guests."""
        ...

    async def suspended(self, guests: Sequence[UUID], handles: Sequence[int], limit: int) -> list[Suspended]:
        """Return what waits for guests, or for whoever has these cards, what was posted first and no more than `limit`.

        The guest is the one who stays, where they were merged.
        """
        ...

    async def insert_claims(self, rows: Sequence[Posted], now: datetime) -> None:
        """Insert the transactions that move what waited, and let nobody be asked about it any more."""
        ...

    async def changes(self, guests: Sequence[UUID], handles: Sequence[int]) -> list[Change]:
        """Return guests and cards as tills will get them."""
        ...


class PostgresRegisters:
    """A transaction of the database."""

    def __init__(self, connection: Connection, network: UUID, vault: Vault, admit: Admit, rows: RowsOf) -> None:
        self._at = (connection, network)
        self._vault = vault
        self._admit = admit
        self._rows = rows

    async def admit(self, wanted: Sequence[Admission]) -> list[Admitted]:
        """Register guests."""
        return await self._admit(*self._at, self._vault, wanted)

    async def suspended(self, guests: Sequence[UUID], handles: Sequence[int], limit: int) -> list[Suspended]:
        """Return what waits in suspense."""
        connection, network = self._at
        rows = await fetch(
            connection,
            """
            select x.payload, x.effective_at, coalesce(
                    (select s.merged_into::text from guest_state s
                        where s.network_id = $1 and s.guest_id = (e.facts ->> 'guest')::uuid),
                    e.facts ->> 'guest') as guest,
                e.facts #>> '{credential,handle}' as handle, array(
                    select n.amount from entry n
                    join account a on a.network_id = n.network_id and a.id = n.account_id and a.kind = 'suspense'
                    where n.network_id = $1 and n.tx_id = x.id order by n.leg) as amounts
            from exception e join ledger_tx x on x.network_id = e.network_id and x.id = e.tx_id
            where e.network_id = $1 and e.kind = 'UNKNOWN_GUEST' and x.origin = 'till'
                and (e.facts ->> 'guest' = any($2::text[])
                    or (e.facts ->> 'guest' is null and e.facts #>> '{credential,handle}' = any($3::text[])))
                and not exists (select 1 from ledger_tx c
                    where c.network_id = $1 and c.natural_key = 'claim:' || x.id offset 0)
            order by e.id limit $4
            """,
            network,
            [str(one) for one in guests],
            [handle_text(one) for one in handles],
            limit,
        )
        return [
            Suspended(
                Record.from_payload(bytes(row.payload)),
                to_ms(row.effective_at),
                None if row.guest is None else UUID(row.guest),
                row.handle,
                tuple(row.amounts),
            )
            for row in rows
        ]

    async def insert_claims(self, rows: Sequence[Posted], now: datetime) -> None:
        """Insert transactions of the server's own, each named after the posting it moves."""
        connection, network = self._at
        payloads = [_payload(one) for one in rows]
        of = [one.fact.claim.of for one in rows if one.fact.claim is not None]
        await write(
            connection,
            "insert into ledger_tx (network_id, id, kind, origin, payload, payload_hash, occurred_at, effective_at,"
            " recorded_at, guest_id, store_id, natural_key, reverses_id, flags)"
            " select $1, id, 'transfer', 'server', payload, hash, $2, effective_at, $3, guest, store,"
            " 'claim:' || claimed, claimed, flags"
            " from unnest($4::uuid[], $5::bytea[], $6::bytea[], $7::timestamptz[], $8::uuid[], $9::uuid[],"
            " $10::uuid[], $11::bigint[]) as t (id, payload, hash, effective_at, guest, store, claimed, flags)",
            network,
            to_ms(now),
            now,
            [one.fact.record.id for one in rows],
            payloads,
            [sha256(payload).digest() for payload in payloads],
            [from_ms(one.fact.effective_at) for one in rows],
            [one.fact.guest for one in rows],
            [one.fact.record.store for one in rows],
            of,
            [one.flags for one in rows],
        )
        await write(
            connection,
            "update exception e set state = 'resolved', resolved_at = $2, resolution_tx = t.resolution"
            " from unnest($3::uuid[], $4::uuid[]) as t (tx, resolution)"
            " where e.network_id = $1 and e.tx_id = t.tx and e.kind = 'UNKNOWN_GUEST' and e.state = 'open'",
            network,
            now,
            of,
            [one.fact.record.id for one in rows],
        )

    async def changes(self, guests: Sequence[UUID], handles: Sequence[int]) -> list[Change]:
        """Return guests and cards as tills will get them."""
        return await self._rows(*self._at, guests, handles)


def _payload(one: Posted) -> bytes:
    claim = one.fact.claim
    assert claim is not None  # noqa: S101 - a claim it is
    facts: dict[str, Json] = {"kind": "transfer", "name": f"claim:{claim.of}", "guest_id": str(one.fact.guest)}
    return canonical.encode({**facts, "of": str(claim.of), "points": sum(claim.amounts)})
