"""What came back of each sale follows from the sale and its returns, and is never more than it had (INV-17)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from uuid import UUID

from loyalty_desk.domain.record import Record, RecordKind
from server.kit.db import Connection, fetch
from server.ledger import repository
from server.ledger.audit.findings import Audit
from server.ledger.posting import AccountKind, legs
from server.ledger.returns import CameBack, came_back, is_follow
from server.ledger.shelf import ProgramShelf
from server.ledger.terms import program_version

_PAGE = 1_000


async def check_returns(connection: Connection, made: Audit) -> None:
    """Hold what all returns of a sale have moved against the sale and them."""
    shelf, after = ProgramShelf(), UUID(int=0)
    while True:
        rows = await fetch(
            connection,
            """
            select distinct reverses_id from ledger_tx
            where network_id = $1 and reverses_id > $2 and kind in ('void', 'refund', 'exchange') and origin = 'till'
            order by reverses_id limit $3
            """,
            made.network,
            after,
            _PAGE,
        )
        if not rows:
            return
        after = rows[-1].reverses_id
        moved: dict[UUID, Counter[str]] = {}
        for of, kind, amount in await fetch(
            connection,
            """
            select x.reverses_id,
                case when a.kind in ('guest', 'suspense', 'offline_loss') then 'guest' else a.kind end,
                sum(e.amount)::bigint
            from ledger_tx x join entry e on e.network_id = x.network_id and e.tx_id = x.id
            join account a on a.network_id = e.network_id and a.id = e.account_id
            where x.network_id = $1 and x.reverses_id = any($2::uuid[]) and x.kind in ('void', 'refund', 'exchange')
            group by 1, 2
            """,
            made.network,
            [row.reverses_id for row in rows],
        ):
            moved.setdefault(of, Counter())[kind] = amount
        found = await repository.originals(connection, made.network, [row.reverses_id for row in rows])
        for row in rows:
            original = found.get(row.reverses_id)
            if original is None:
                made.note("INV-17", f"sale {row.reverses_id}", "it was returned and is not here")
                continue
            version = program_version(original.record) if any(map(is_follow, original.returns)) else None
            program = None if version is None else await shelf.find(connection, made.network, version)
            expected = _moved(came_back(original.record, program, original.returns), original.returns)
            has = moved.get(row.reverses_id, Counter())
            if any(has[kind] != expected[kind] for kind in has.keys() | expected.keys()):
                text = f"its returns moved {dict(has)}, by their bytes {dict(expected)}"
                made.note("INV-17", f"sale {row.reverses_id}", text)


def _moved(back: CameBack, returns: Iterable[Record]) -> Counter[str]:
    """Return what each kind of account gets by all returns of a sale, the new sales of exchanges included.

    The guest stands for whoever paid with points: a store that was charged for a redemption gets those back itself.
    """
    earned, spent = (sum(getattr(one, name) for one in back.excess.values()) for name in ("earned", "spent"))
    total = Counter(
        guest=back.spent - back.earned,
        liability=-back.spent - spent,
        promo_cost=back.earned + earned,
        refund_loss=spent - earned,
    )
    for record in returns:
        if record.kind is RecordKind.EXCHANGE:
            for leg in legs(record, None):
                total["guest" if leg.account.kind is AccountKind.SUSPENSE else leg.account.kind.value] += leg.amount
    return total
