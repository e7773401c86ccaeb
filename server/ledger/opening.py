"""Opening balances: points that guests bring along when a network begins, credited once and for ever."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from uuid import UUID, uuid5

from loyalty_desk.domain import canonical
from loyalty_desk.domain.clock import to_ms
from loyalty_desk.domain.ids import derived_id
from server.kit.db import Connection, fetch, fetch_value, write

UNIT = "points"
_PROMO_LEG, _GUEST_LEG = 0, 1


@dataclass(frozen=True, slots=True)
class Opening:
    """What a guest begins with: `points` > 0 in smallest units, `expires_at` None for never."""

    guest: UUID
    points: int
    expires_at: datetime | None = None


async def credit_openings(connection: Connection, network: UUID, openings: Sequence[Opening], at: datetime) -> None:
    """Post an `adjust` for each guest (promo_cost −n, guest +n) with one lot; a guest gets an opening once.

    The id is derived from the guest, so an opening that is posted already changes nothing. The guests exist and have
    no points yet; the caller gives their rows to the feed afterwards.
    """
    new = await _insert_new(connection, network, openings, at)
    if not new:
        return
    accounts = await _guest_accounts(connection, network, new)
    promo = await _promo_account(connection, network)
    await _insert_entries(connection, network, new, accounts, promo, at)
    await write(
        connection,
        "update guest_state s set points = s.points + t.points, next_expiries = t.expiries::jsonb"
        " from unnest($2::uuid[], $3::bigint[], $4::text[]) as t (guest, points, expiries)"
        " where s.network_id = $1 and s.guest_id = t.guest",
        network,
        [one.guest for one in new.values()],
        [one.points for one in new.values()],
        [json.dumps([[to_ms(one.expires_at), one.points]] if one.expires_at else []) for one in new.values()],
    )
    moved = {accounts[one.guest]: one.points for one in new.values()}
    moved[promo] = -sum(one.points for one in new.values())
    await write(
        connection,
        "update account a set posted = a.posted + t.moved, version = a.version + 1"
        " from unnest($2::bigint[], $3::bigint[]) as t (id, moved) where a.network_id = $1 and a.id = t.id",
        network,
        list(moved),
        list(moved.values()),
    )


async def _insert_new(
    connection: Connection, network: UUID, openings: Sequence[Opening], at: datetime
) -> dict[UUID, Opening]:
    """Write the transactions and return those that were not there before, by id."""
    ids = {derived_id(network, f"opening:{one.guest}"): one for one in openings}
    payloads = [
        canonical.encode({"kind": "adjust", "reason": "opening", "guest_id": str(one.guest), "points": one.points})
        for one in ids.values()
    ]
    inserted = await fetch(
        connection,
        "insert into ledger_tx (network_id, id, kind, origin, payload, payload_hash, occurred_at, effective_at,"
        " recorded_at, guest_id, natural_key)"
        " select $1, t.id, 'adjust', 'import', t.payload, t.hash, $2, $3, $3, t.guest, 'opening:' || t.guest"
        " from unnest($4::uuid[], $5::bytea[], $6::bytea[], $7::uuid[]) as t (id, payload, hash, guest)"
        " on conflict (network_id, id) do nothing returning id",
        network,
        to_ms(at),
        at,
        list(ids),
        payloads,
        [sha256(payload).digest() for payload in payloads],
        [one.guest for one in ids.values()],
    )
    return {UUID(str(row[0])): ids[UUID(str(row[0]))] for row in inserted}


async def _insert_entries(
    connection: Connection,
    network: UUID,
    new: Mapping[UUID, Opening],
    accounts: Mapping[UUID, int],
    promo: int,
    at: datetime,
) -> None:
    """Write both legs of each transaction and the guest's lot."""
    lots = {tx: uuid5(tx, f"lot:{_GUEST_LEG}") for tx in new}
    legs: list[tuple[UUID, int, int, int, UUID | None]] = [
        (tx, _PROMO_LEG, promo, -one.points, None) for tx, one in new.items()
    ]
    legs += [(tx, _GUEST_LEG, accounts[one.guest], one.points, lots[tx]) for tx, one in new.items()]
    await write(
        connection,
        "insert into entry (network_id, tx_id, leg, account_id, amount, lot_id)"
        " select $1, * from unnest($2::uuid[], $3::smallint[], $4::bigint[], $5::bigint[], $6::uuid[])",
        network,
        *(list(column) for column in zip(*legs, strict=True)),
    )
    await write(
        connection,
        "insert into lot (network_id, id, account_id, tx_id, amount, remaining, earned_at, expires_at)"
        " select $1, id, account, tx, amount, amount, $2, expires_at"
        " from unnest($3::uuid[], $4::bigint[], $5::uuid[], $6::bigint[], $7::timestamptz[])"
        " as t (id, account, tx, amount, expires_at)",
        network,
        at,
        list(lots.values()),
        [accounts[one.guest] for one in new.values()],
        list(new),
        [one.points for one in new.values()],
        [one.expires_at for one in new.values()],
    )


async def _guest_accounts(connection: Connection, network: UUID, new: Mapping[UUID, Opening]) -> dict[UUID, int]:
    guests = [one.guest for one in new.values()]
    await write(
        connection,
        "insert into account (network_id, kind, guest_id, unit)"
        " select $1, 'guest', guest, $3 from unnest($2::uuid[]) as t (guest)"
        " on conflict (network_id, kind, guest_id, store_id, unit) do nothing",
        network,
        guests,
        UNIT,
    )
    found = await fetch(
        connection,
        "select guest_id, id from account where network_id = $1 and kind = 'guest' and unit = $3"
        " and guest_id = any($2::uuid[]) order by id for no key update",
        network,
        guests,
        UNIT,
    )
    return {UUID(str(row[0])): row[1] for row in found}


async def _promo_account(connection: Connection, network: UUID) -> int:
    await write(
        connection,
        "insert into account (network_id, kind, unit) values ($1, 'promo_cost', $2)"
        " on conflict (network_id, kind, guest_id, store_id, unit) do nothing",
        network,
        UNIT,
    )
    found = await fetch_value(
        connection,
        "select id from account where network_id = $1 and kind = 'promo_cost' and unit = $2",
        network,
        UNIT,
    )
    return int(found)
