"""A guest's account as the ledger has it: every movement with the balance after it, and what can be spent now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID
from zoneinfo import ZoneInfo

from server.kit.crypto import Vault
from server.kit.db import Connection, fetch, fetch_one
from server.ledger.words import opened


@dataclass(frozen=True, slots=True)
class Movement:
    """One transaction's effect on the guest; `amount` and `balance` (after it) in smallest point units.

    `amount` = `added` − `taken`: a sale adds what it earned and takes what it was paid with. `at` is in the zone of the
    store that it was made in, of the network where it was made in none. `words` are what a manager wrote beside it.
    `receipt` is its own number, where it has none that of the sale it reverses.
    """

    tx: UUID
    kind: str
    origin: str
    at: datetime
    added: int
    taken: int
    balance: int
    words: str = ""
    store: str = ""
    receipt: str = ""

    @property
    def amount(self) -> int:
        """Return what it changed the balance by."""
        return self.added - self.taken


@dataclass(frozen=True, slots=True)
class Statement:
    """`posted` is the sum of all movements, `available` what live lots hold now, `debt` what the next credit repays."""

    guest: UUID
    posted: int
    available: int
    debt: int
    movements: Sequence[Movement]


async def statement(connection: Connection, network: UUID, vault: Vault, guest: UUID) -> Statement:
    """Return the statement of a guest; one without an account has an empty one."""
    account = await fetch_one(
        connection,
        "select id, posted, debt from account where network_id = $1 and kind = 'guest' and guest_id = $2",
        network,
        guest,
    )
    if account is None:
        return Statement(guest, 0, 0, 0, ())
    available = await fetch_one(
        connection,
        """
        select coalesce(sum(remaining), 0)::bigint from lot
        where network_id = $1 and account_id = $2 and state = 'open'
            and (expires_at is null or expires_at > now()) and (usable_at is null or usable_at <= now())
        """,
        network,
        account.id,
    )
    rows = await fetch(
        connection,
        """
        select t.id, t.kind, t.origin, t.effective_at, coalesce(s.zone, n.zone) as zone,
            coalesce(sum(e.amount) filter (where e.amount > 0), 0)::bigint as added,
            coalesce(-sum(e.amount) filter (where e.amount < 0), 0)::bigint as taken,
            (sum(sum(e.amount)) over (order by t.recorded_at, t.effective_at, t.id))::bigint as balance,
            w.tx_id as beside, w.sealed, coalesce(s.name, '') as store,
            coalesce(t.receipt_no, o.receipt_no, '') as receipt
        from entry e join ledger_tx t on t.network_id = e.network_id and t.id = e.tx_id
        join network n on n.network_id = t.network_id
        left join store s on s.network_id = t.network_id and s.id = t.store_id
        left join ledger_tx o on o.network_id = t.network_id and o.id = t.reverses_id
        -- What waited for its guest was written beside the posting that it was claimed of.
        left join words w on w.network_id = t.network_id
            and w.tx_id = case when t.natural_key = 'claim:' || t.reverses_id then t.reverses_id else t.id end
        where e.network_id = $1 and e.account_id = $2
        group by t.id, t.kind, t.origin, t.effective_at, t.recorded_at, s.zone, n.zone, w.tx_id, w.sealed,
            s.name, t.receipt_no, o.receipt_no
        order by t.recorded_at, t.effective_at, t.id
        """,
        network,
        account.id,
    )
    words = opened(vault, network, {one.beside: bytes(one.sealed) for one in rows if one.sealed is not None})
    movements = [
        Movement(
            one.id,
            one.kind,
            one.origin,
            one.effective_at.astimezone(ZoneInfo(one.zone)),
            one.added,
            one.taken,
            one.balance,
            words.get(one.beside, ""),
            one.store,
            one.receipt,
        )
        for one in rows
    ]
    return Statement(guest, account.posted, available[0], account.debt, movements)
