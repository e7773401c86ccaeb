"""What a posting moves, in plain SQL, inside the caller's transaction: legs, lots, accounts and the states of guests.

Arrays travel as one parameter a column and are unnested, as in `storing`.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from asyncpg import NumericValueOutOfRangeError

from loyalty_desk.domain.clock import from_ms, to_ms
from loyalty_desk.domain.lots import next_expiries
from server.kit.db import Connection, write
from server.kit.errors import outage
from server.ledger.ceiling import OLDEST
from server.ledger.lots import Holdings, Lot, made_by_leg
from server.ledger.posting import AccountKey, AccountKind, Posted
from server.ledger.repository import GuestAccount

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class GuestChange:
    """A guest as the batch leaves them: net change of the account, points to spend now, next expiries."""

    account: GuestAccount
    moved: int
    points: int
    next_expiries: list[tuple[int, int]]

    @classmethod
    def of(cls, account: GuestAccount, moved: Mapping[AccountKey, int], now: datetime) -> GuestChange:
        """Return a guest as a posting leaves them at `now`; `moved` is the net change of each account."""
        at = to_ms(now)
        return cls(
            account,
            moved.get(AccountKey(AccountKind.GUEST, account.guest), 0),
            account.holdings.available(at),
            next_expiries(account.holdings.lots, at),
        )


async def store_moves(
    connection: Connection,
    network: UUID,
    posted: Iterable[Posted],
    accounts: Mapping[AccountKey, int],
    guests: Sequence[GuestChange],
    now: datetime,
) -> None:
    """Insert the legs of postings with the lots they made, write guests' accounts and states, and what older lots gave.

    A guest's credit names the lot it made. What a check gave counts for the day it was made, or for the oldest that
    counts at `now`.
    """
    made = [(one.account.account_id, lot) for one in guests for lot in one.account.holdings.made]
    lots = made_by_leg(lot for _, lot in made)
    legs = [
        (one.fact.record.id, position, accounts[leg.account], leg.amount, lots.get((one.fact.record.id, position)))
        for one in posted
        for position, leg in enumerate(one.legs)
    ]
    if legs or guests:
        await write(
            connection,
            _MOVES,
            network,
            *([leg[column] for leg in legs] for column in range(5)),
            *_lot_columns(made, to_ms(now - OLDEST)),
            *_state_columns(guests),
            *_account_columns(guests),
        )
    await _take_from_lots(connection, network, [one.account.holdings for one in guests])


# $1 is the network; then 5 columns of legs, 11 of lots, 8 of the states of guests and 4 of their accounts.
_MOVES = """
    with legs as (
        insert into entry (network_id, tx_id, leg, account_id, amount, lot_id)
        select $1, * from unnest($2::uuid[], $3::smallint[], $4::bigint[], $5::bigint[], $6::uuid[])
    ), lots as (
        insert into lot (network_id, id, account_id, tx_id, amount, remaining, earned_at, expires_at, usable_at,
            own_expiry, granted_at, state)
        select $1, id, account_id, tx_id, amount, remaining, earned_at, expires_at, usable_at, own_expiry,
            granted_at,
            case when held and remaining = 0 then 'reversed' when held then 'held'
                when remaining = 0 then 'spent' else 'open' end
        from unnest($7::uuid[], $8::bigint[], $9::uuid[], $10::bigint[], $11::bigint[], $12::timestamptz[],
            $13::timestamptz[], $14::timestamptz[], $15::boolean[], $16::boolean[], $17::timestamptz[])
            as t (id, account_id, tx_id, amount, remaining, earned_at, expires_at, usable_at, held, own_expiry,
                granted_at)
    ), account_of as (
        update account set posted = account.posted + t.moved, debt = t.debt, activity = t.activity::jsonb,
            version = account.version + 1
        from unnest($26::bigint[], $27::bigint[], $28::bigint[], $29::text[]) as t (id, moved, debt, activity)
        where account.network_id = $1 and account.id = t.id
    )
    update guest_state set tier = t.tier, points = t.points, spend = t.spend, visits = t.visits,
        earned = t.earned, visits_ever = guest_state.visits_ever + (t.visits - guest_state.visits),
        first_visit = t.first_visit, next_expiries = t.next_expiries::jsonb
    from unnest($18::uuid[], $19::text[], $20::bigint[], $21::bigint[], $22::bigint[], $23::bigint[],
        $24::date[], $25::text[]) as t (guest_id, tier, points, spend, visits, earned, first_visit,
        next_expiries)
    where guest_state.network_id = $1 and guest_state.guest_id = t.guest_id
"""


def _lot_columns(made: Sequence[tuple[int, Lot]], oldest: int) -> tuple[Sequence[object], ...]:
    return (
        [lot.id for _, lot in made],
        [account for account, _ in made],
        [lot.tx_id for _, lot in made],
        [lot.amount for _, lot in made],
        [lot.remaining for _, lot in made],
        [from_ms(lot.earned_at) for _, lot in made],
        [_moment(lot.expires_at) for _, lot in made],
        [_moment(lot.usable_at) for _, lot in made],
        [lot.held for _, lot in made],
        [lot.own_expiry for _, lot in made],
        [from_ms(max(lot.earned_at, oldest)) if lot.of_check else None for _, lot in made],
    )


def _state_columns(guests: Sequence[GuestChange]) -> tuple[Sequence[object], ...]:
    return (
        [one.account.guest for one in guests],
        [one.account.state.tier for one in guests],
        [one.points for one in guests],
        [one.account.state.spend for one in guests],
        [one.account.state.visits for one in guests],
        [one.account.state.earned for one in guests],
        [_date(one.account.state.first_visit) for one in guests],
        [json.dumps(one.next_expiries) for one in guests],
    )


def _account_columns(guests: Sequence[GuestChange]) -> tuple[Sequence[object], ...]:
    return (
        [one.account.account_id for one in guests],
        [one.moved for one in guests],
        [one.account.holdings.debt for one in guests],
        [json.dumps(one.account.holdings.activity.spans) for one in guests],
    )


async def _take_from_lots(connection: Connection, network: UUID, holdings: Sequence[Holdings]) -> None:
    """Write down what was taken from lots, and what older ones are now."""
    fresh = {lot.id for one in holdings for lot in one.made}
    older = [lot for one in holdings for lot in one.touched.values() if lot.id not in fresh]
    if older:
        await write(
            connection,
            """
            update lot set remaining = t.remaining, expires_at = t.expires_at,
                state = case when t.remaining > 0 then lot.state when lot.state = 'held' then 'reversed'
                    else 'spent' end
            from unnest($2::uuid[], $3::bigint[], $4::timestamptz[]) as t (id, remaining, expires_at)
            where lot.network_id = $1 and lot.id = t.id
            """,
            network,
            [lot.id for lot in older],
            [lot.remaining for lot in older],
            [_moment(lot.expires_at) for lot in older],
        )
    uses: dict[tuple[UUID, UUID], int] = {}
    for one in holdings:
        for use in one.used:
            uses[use.tx_id, use.lot_id] = uses.get((use.tx_id, use.lot_id), 0) + use.amount
    if uses:
        await write(
            connection,
            """
            insert into lot_use (network_id, tx_id, lot_id, amount)
            select $1, * from unnest($2::uuid[], $3::uuid[], $4::bigint[])
            """,
            network,
            [tx for tx, _ in uses],
            [lot for _, lot in uses],
            list(uses.values()),
        )


async def move_system_accounts(connection: Connection, network: UUID, moved: Mapping[int, int]) -> None:
    """Add to accounts that every push touches, once a batch and in the order of ids; they are locked from here on.

    Raises `ApiError` 503 where a sum no longer fits: that says nothing about the records at hand, so none is to blame.
    """
    try:
        await write(
            connection,
            """
            with mine as (
                select a.id from account a where a.network_id = $1 and a.id = any($2::bigint[]) order by a.id
                for no key update
            )
            update account set posted = account.posted + t.moved, version = account.version + 1
            from unnest($2::bigint[], $3::bigint[]) as t (id, moved)
            where account.network_id = $1 and account.id = t.id and t.id in (select id from mine)
            """,
            network,
            list(moved),
            list(moved.values()),
        )
    except NumericValueOutOfRangeError as error:
        _LOG.critical("an account of network %s itself is full: nothing can be posted until somebody looks", network)
        raise outage() from error


def _moment(milliseconds: int | None) -> datetime | None:
    return None if milliseconds is None else from_ms(milliseconds)


def _date(text: str | None) -> date | None:
    return None if text is None else date.fromisoformat(text)
