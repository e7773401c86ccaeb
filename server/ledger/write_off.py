"""What guests owe after two offline tills spent the same points, and when a store bears it.

A debt belongs to the postings that nothing covered; credits repay the eldest first, so what is still owed belongs to
the latest. After 90 days it is written off to the store that accepted the redemption. Where the program says
`clamp_to_zero`, what a refund took beyond the balance is written off the same night.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from server.kit.db import Connection, fetch, write
from server.ledger.own import OwnPosting, Render
from server.ledger.posting import AccountKey, AccountKind

PATIENCE = timedelta(days=90)
_RETURNS = ("refund", "void", "exchange")


@dataclass(frozen=True, slots=True)
class Overdraft:
    """A posting that took points nobody had: `points` of them, at `at` by the server's clock."""

    tx: UUID
    kind: str
    store: UUID
    at: datetime
    points: int


def still_owed(debt: int, overdrafts: Sequence[Overdraft]) -> list[Overdraft]:
    """Return to which of the overdrafts, given eldest first, a debt of today belongs, and how much of it to each."""
    found: list[Overdraft] = []
    for one in reversed(overdrafts):
        part = min(one.points, debt)
        if part > 0:
            debt -= part
            found.append(Overdraft(one.tx, one.kind, one.store, one.at, part))
    return found[::-1]


async def write_off_due(
    connection: Connection,
    network: UUID,
    render: Render,
    now: datetime,
    *,
    clamp_to_zero: bool,
    after: UUID | None = None,
    limit: int = 200,
) -> tuple[UUID | None, int]:
    """Write off what is due of up to `limit` guests behind `after`; return the last of them and how many entries.

    The first is None when there are no more guests who owe anything.
    """
    debtors = await fetch(
        connection,
        "select guest_id from account where network_id = $1 and kind = 'guest' and debt > 0"
        " and ($2::uuid is null or guest_id > $2) order by guest_id limit $3",
        network,
        after,
        limit,
    )
    if not debtors:
        return None, 0
    guests = [row.guest_id for row in debtors]
    posting = await OwnPosting.lock(connection, network, guests, now)
    overdrafts = await _overdrafts(connection, network, list(posting.accounts))
    done: dict[UUID, UUID] = {}
    for guest, account in posting.accounts.items():
        for one in still_owed(account.holdings.debt, overdrafts.get(guest, [])):
            returned = one.kind in _RETURNS
            if one.at + PATIENCE > now and not (clamp_to_zero and returned):
                continue
            kind = AccountKind.REFUND_LOSS if returned else AccountKind.OFFLINE_LOSS
            done[one.tx] = posting.credit(
                guest, f"write_off:{one.tx}", "write_off", one.points, AccountKey(kind, one.store), {"of": str(one.tx)}
            )
    if done:
        await write(
            connection,
            "update exception e set state = 'resolved', resolved_at = $4, resolution_tx = t.resolution"
            " from unnest($2::uuid[], $3::uuid[]) as t (tx, resolution)"
            " where e.network_id = $1 and e.tx_id = t.tx and e.kind = 'OVERDRAFT' and e.state = 'open'",
            network,
            list(done),
            list(done.values()),
            now,
        )
    return guests[-1], await posting.write(render)


async def _overdrafts(connection: Connection, network: UUID, guests: Sequence[UUID]) -> dict[UUID, list[Overdraft]]:
    """Return each guest's overdrafts that are not written off, eldest first; those of guests merged into it as well."""
    rows: Sequence[Any] = await fetch(
        connection,
        """
        select coalesce(s.merged_into, s.guest_id) as guest, x.id, x.kind, x.store_id, x.recorded_at,
            (e.facts ->> 'points')::bigint as points
        from guest_state s
        join account a on a.network_id = s.network_id and a.guest_id = s.guest_id
        join exception e on e.network_id = s.network_id and e.account_id = a.id and e.kind = 'OVERDRAFT'
        join ledger_tx x on x.network_id = s.network_id and x.id = e.tx_id
        where s.network_id = $1 and (s.guest_id = any($2::uuid[]) or s.merged_into = any($2::uuid[]))
            and x.store_id is not null and not exists (select 1 from ledger_tx w
                where w.network_id = $1 and w.natural_key = 'write_off:' || x.id offset 0)
        order by x.recorded_at, x.seq, x.id
        """,
        network,
        list(guests),
    )
    found: dict[UUID, list[Overdraft]] = {}
    for row in rows:
        found.setdefault(row.guest, []).append(Overdraft(row.id, row.kind, row.store_id, row.recorded_at, row.points))
    return found
