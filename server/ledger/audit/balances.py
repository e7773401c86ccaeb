"""Balances, lots and debts of the tables held against each other; what rows refer to is there (INV-1, 2, 12, 15)."""

from __future__ import annotations

from server.kit.db import Connection, fetch
from server.ledger.audit.findings import Audit

# Each returns the place and what is wrong there.
_BALANCES = (
    (
        """
        select 'transaction ' || e.tx_id, 'its entries sum to ' || sum(e.amount) from entry e
        join account a on a.network_id = e.network_id and a.id = e.account_id
        where e.network_id = $1 group by e.tx_id, a.unit having sum(e.amount) <> 0
        """,
        "INV-1",
    ),
    # What a row refers to was there when it was written, and nobody may take it away.
    (
        """
        select 'transaction ' || e.tx_id, 'entry ' || e.leg || ' refers to it or to an account: nothing is there'
        from entry e where e.network_id = $1 and (
            not exists (select from ledger_tx x where x.network_id = $1 and x.id = e.tx_id)
            or not exists (select from account a where a.network_id = $1 and a.id = e.account_id))
        """,
        "INV-1",
    ),
    (
        """
        select 'lot ' || l.id, 'refers to a transaction or an account: nothing is there'
        from lot l where l.network_id = $1 and (
            not exists (select from ledger_tx x where x.network_id = $1 and x.id = l.tx_id)
            or not exists (select from account a where a.network_id = $1 and a.id = l.account_id))
        union all
        select 'lot ' || u.lot_id, 'its use by ' || u.tx_id || ' refers to a transaction or a lot: nothing is there'
        from lot_use u where u.network_id = $1 and (
            not exists (select from ledger_tx x where x.network_id = $1 and x.id = u.tx_id)
            or not exists (select from lot l where l.network_id = $1 and l.id = u.lot_id))
        """,
        "INV-15",
    ),
    (
        """
        select 'account ' || a.id || ' (' || a.kind || ')',
            'says ' || a.posted || ', its entries sum to ' || coalesce(s.total, 0)
        from account a left join (
            select account_id, sum(amount) as total from entry where network_id = $1 group by account_id
        ) s on s.account_id = a.id
        where a.network_id = $1 and a.posted <> coalesce(s.total, 0)
        """,
        "INV-2",
    ),
    (
        """
        select 'account ' || a.id, 'posted ' || a.posted || ', lots ' || coalesce(s.total, 0) || ', debt ' || a.debt
        from account a left join (
            select account_id, sum(remaining) as total, sum(remaining) filter (where state = 'open') as open
            from lot where network_id = $1 group by account_id
        ) s on s.account_id = a.id
        where a.network_id = $1 and a.kind = 'guest'
            and (coalesce(s.total, 0) - a.debt <> a.posted or (coalesce(s.open, 0) > 0 and a.debt > 0))
        """,
        "INV-15",
    ),
    (
        """
        select 'lot ' || l.id, 'has ' || l.remaining || ' left of ' || l.amount || ', used ' || coalesce(u.used, 0)
        from lot l left join (
            select lot_id, sum(amount) as used from lot_use where network_id = $1 group by lot_id
        ) u on u.lot_id = l.id
        where l.network_id = $1 and l.remaining <> l.amount - coalesce(u.used, 0)
        """,
        "INV-15",
    ),
    # Points that are pending or past their end make the stored figure a matter of when it was written.
    (
        """
        select 'guest ' || s.guest_id,
            'shows ' || s.points || ' points, the ledger has ' || a.posted - a.pending_out - h.held
        from guest_state s join account a on a.network_id = s.network_id and a.guest_id = s.guest_id
        cross join lateral (select coalesce(sum(l.remaining), 0) as held from lot l
            where l.network_id = $1 and l.account_id = a.id and l.state = 'held') h
        where s.network_id = $1 and a.kind = 'guest' and s.points <> a.posted - a.pending_out - h.held and not exists (
            select 1 from lot l where l.network_id = $1 and l.account_id = a.id and l.remaining > 0
                and (l.usable_at is not null or l.expires_at <= now()))
        """,
        "INV-12",
    ),
)


async def check_balances(connection: Connection, made: Audit) -> None:
    """Note every account, lot, transaction and guest whose figures do not agree."""
    for sql, rule in _BALANCES:
        for place, text in await fetch(connection, sql, made.network):
            made.note(rule, place, text)
