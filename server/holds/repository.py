"""SQL of holds. Every function runs in a transaction of the network."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from server.kit.auth import Signer
from server.kit.db import Connection, fetch, fetch_one, fetch_value, write
from server.kit.lifetimes import SLACK

_COLUMNS = "id, account_id, asked, amount, device_id, state, made_at, expires_at, code, root, step"


@dataclass(frozen=True, slots=True)
class Hold:
    """One hold as stored: `asked` is the guest as named by the till, `root` and `step` what an LD4 showed."""

    id: UUID
    account: int
    asked: UUID
    amount: int
    device: UUID
    state: str
    made_at: datetime
    expires_at: datetime
    code: str = ""
    root: bytes | None = None
    step: int | None = None


@dataclass(frozen=True, slots=True)
class Known:
    """A hold as a sale finds it; `guest` is who was named, after merges, `tx` the sale that it is for."""

    state: str
    tx: UUID | None
    amount: int
    device: UUID
    guest: UUID | None
    root: bytes | None
    step: int | None


async def find(connection: Connection, network: UUID, hold: UUID) -> Hold | None:
    """Return a hold."""
    row = await fetch_one(
        connection,
        f"select {_COLUMNS} from hold where network_id = $1 and id = $2",  # noqa: S608 - constant columns
        network,
        hold,
    )
    return None if row is None else _hold(row)


def _hold(row: Mapping[str, Any]) -> Hold:
    return Hold(
        row["id"],
        row["account_id"],
        row["asked"],
        row["amount"],
        row["device_id"],
        row["state"],
        row["made_at"],
        row["expires_at"],
        row["code"],
        row["root"],
        row["step"],
    )


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request for a hold names before anybody has proved who sent it."""

    device: UUID
    hold: UUID
    guest: UUID


@dataclass(frozen=True, slots=True)
class Before:
    """What there is before a hold is given: None for a device that never joined, for nobody, and for a new hold.

    `guest` is who was named, after merges; `zone` and `profile` are those of the device's store.
    """

    signer: Signer | None
    zone: str
    profile: Mapping[str, Any]
    guest: UUID | None
    hold: Hold | None


async def before(connection: Connection, network: UUID, asked: Sequence[Asked]) -> list[Before]:
    """Return what there is before each hold, in their order; who asks is read with what is asked for."""
    rows = await fetch(
        connection, _BEFORE, network, [one.device for one in asked], [one.guest for one in asked],
        [one.hold for one in asked],
    )  # fmt: skip
    return [
        Before(
            Signer.of(network, one.device, row),
            row["zone"] or "",
            row["settings"] or {},
            row["guest"],
            None if row["id"] is None else _hold(row),
        )
        for one, row in zip(asked, rows, strict=True)
    ]


# By the offsets each row is found by its key, also while PostgreSQL has not looked yet at how large its tables are.
_BEFORE = f"""
    select d.store_id as device_store, d.state as device_state, d.pubkey, d.token_hash, w.zone, p.settings,
        s.guest_id as guest,
        {", ".join(f"h.{one}" for one in _COLUMNS.split(", "))}
    from unnest((select $2::uuid[]), (select $3::uuid[]), (select $4::uuid[])) with ordinality
        as asked (device, guest, hold, place)
    left join lateral (
        select * from device where network_id = $1 and id = asked.device and state not in ('pending', 'void') offset 0
    ) d on true
    left join store w on w.network_id = $1 and w.id = d.store_id
    left join profile p on p.network_id = $1 and p.name = w.profile
    left join lateral (select * from guest_state where network_id = $1 and guest_id = asked.guest offset 0) t on true
    left join lateral (
        select * from guest_state
        -- Row-level security lets no `coalesce` near an index: by it all guests were read for each hold.
        where network_id = $1 and not deleted
            and guest_id = case when t.merged_into is null then t.guest_id else t.merged_into end offset 0
    ) s on true
    left join lateral (select * from hold where network_id = $1 and id = asked.hold offset 0) h on true
    order by asked.place
"""  # noqa: S608 - constants


async def insert(connection: Connection, network: UUID, hold: Hold) -> bool:
    """Store a hold; False where its id is taken."""
    done = await write(
        connection,
        "insert into hold (network_id, id, account_id, asked, amount, device_id, made_at, expires_at, code, root, step)"
        " values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) on conflict (network_id, id) do nothing",
        network,
        hold.id,
        hold.account,
        hold.asked,
        hold.amount,
        hold.device,
        hold.made_at,
        hold.expires_at,
        hold.code,
        hold.root,
        hold.step,
    )
    return done == 1


async def taken(connection: Connection, network: UUID, ids: Sequence[UUID]) -> set[UUID]:
    """Return which of these ids are those of holds."""
    found = await fetch(connection, "select id from hold where network_id = $1 and id = any($2::uuid[])", network, ids)
    return {row.id for row in found}


async def insert_all(connection: Connection, network: UUID, holds: Sequence[Hold]) -> set[UUID]:
    """Store holds of cards and return the ids of those that are stored: the others' ids are taken."""
    found = await fetch(
        connection,
        "insert into hold (network_id, id, account_id, asked, amount, device_id, made_at, expires_at, code)"
        " select $1, * from unnest($2::uuid[], $3::bigint[], $4::uuid[], $5::bigint[], $6::uuid[], $7::timestamptz[],"
        " $8::timestamptz[], $9::text[]) on conflict (network_id, id) do nothing returning id",
        network,
        [one.id for one in holds],
        [one.account for one in holds],
        [one.asked for one in holds],
        [one.amount for one in holds],
        [one.device for one in holds],
        [one.made_at for one in holds],
        [one.expires_at for one in holds],
        [one.code for one in holds],
    )
    return {row.id for row in found}


async def pending(connection: Connection, network: UUID, account: int, now: datetime) -> int:
    """Return how many points of an account are held at `now`; what has run out by the server's clock holds nothing.

    Nor does what it gave while it was ahead: that would keep a guest's points for as long as it was.
    """
    found = await fetch_value(
        connection,
        "select coalesce(sum(amount), 0)::bigint from hold"
        " where network_id = $1 and account_id = $2 and state = 'pending' and expires_at > $3 and made_at <= $4",
        network,
        account,
        now,
        now + SLACK,
    )
    return int(found)


async def pending_all(connection: Connection, network: UUID, accounts: list[int], now: datetime) -> dict[int, int]:
    """As `pending`, of each of the accounts."""
    found = await fetch(
        connection,
        "select account_id, sum(amount)::bigint as held from hold"
        " where network_id = $1 and account_id = any($2::bigint[])"
        " and state = 'pending' and expires_at > $3 and made_at <= $4 group by account_id",
        network,
        accounts,
        now,
        now + SLACK,
    )
    return dict.fromkeys(accounts, 0) | {row["account_id"]: row["held"] for row in found}


async def spent_since(
    connection: Connection, network: UUID, accounts: Collection[int], since: datetime, now: datetime
) -> dict[int, int]:
    """Return the points of accounts that were asked of the server since then and are spent, or still held for it.

    A hold that ran out counts where a sale paid with it all the same; so does what other systems' checks took.
    """
    found = await fetch(
        connection,
        "select a.id, (select coalesce(sum(h.amount), 0) from hold h where h.network_id = $1 and h.account_id = a.id"
        " and h.made_at >= $3 and (h.tx_id is not null or (h.state = 'pending' and h.expires_at > $4)))::bigint"
        " - (select coalesce(sum(e.amount), 0) from ledger_tx x"
        " join entry e on e.network_id = x.network_id and e.tx_id = x.id and e.account_id = a.id and e.amount < 0"
        " where x.network_id = $1 and x.guest_id = a.guest_id and x.recorded_at >= $3 and x.origin = 'online')::bigint"
        " as spent"
        " from account a where a.network_id = $1 and a.id = any($2::bigint[])",
        network,
        list(accounts),
        since,
        now,
    )
    return {row["id"]: row["spent"] for row in found}


async def highest_step(connection: Connection, network: UUID, root: bytes) -> int:
    """Return the highest step of a chain that a hold was given for, -1 for none; a void gives the points back alone."""
    found = await fetch_value(
        connection, "select coalesce(max(step), -1) from hold where network_id = $1 and root = $2", network, root
    )
    return int(found)


async def void(connection: Connection, network: UUID, hold: UUID, device: UUID, now: datetime) -> bool:
    """End a pending hold of a till unpaid; False where it is not pending any more."""
    done = await write(
        connection,
        "update hold set state = case when expires_at > $4 then 'voided' else 'expired' end, settled_at = $4"
        " where network_id = $1 and id = $2 and device_id = $3 and state = 'pending'",
        network,
        hold,
        device,
        now,
    )
    return done == 1


async def post(
    connection: Connection, network: UUID, holds: Mapping[UUID, tuple[UUID, UUID]], now: datetime
) -> set[UUID]:
    """End holds by the transactions that spend them, of the tills that they are of; return those still in time.

    One that ran out is the first sale's that names it: it proved who spends all the same. Another till ends none.
    """
    found = await fetch(
        connection,
        "update hold h set state = case when h.state = 'pending' and h.expires_at > $4 then 'posted' else 'expired'"
        " end, settled_at = coalesce(h.settled_at, $4), tx_id = t.tx"
        " from unnest($2::uuid[], $3::uuid[], $5::uuid[]) as t (id, tx, device)"
        " where h.network_id = $1 and h.id = t.id and h.device_id = t.device"
        " and h.state in ('pending', 'expired') and h.tx_id is null returning h.id, h.state",
        network,
        list(holds),
        [sale for sale, _ in holds.values()],
        now,
        [till for _, till in holds.values()],
    )
    return {row.id for row in found if row.state == "posted"}


async def known(connection: Connection, network: UUID, holds: list[UUID]) -> dict[UUID, Known]:
    """Return those holds that exist."""
    found = await fetch(
        connection,
        "select h.id, h.state, h.tx_id, h.amount, h.device_id, coalesce(s.merged_into, s.guest_id) as guest, h.root,"
        " h.step from hold h left join guest_state s on s.network_id = h.network_id and s.guest_id = h.asked"
        " where h.network_id = $1 and h.id = any($2::uuid[])",
        network,
        holds,
    )
    return {
        row["id"]: Known(
            row["state"], row["tx_id"], row["amount"], row["device_id"], row["guest"], row["root"], row["step"]
        )
        for row in found
    }


async def expire(connection: Connection, network: UUID, now: datetime) -> int:
    """Note of holds that ran out that they did; they have held nothing since. Returns how many."""
    return await write(
        connection,
        "update hold set state = 'expired', settled_at = $2"
        " where network_id = $1 and state = 'pending' and expires_at <= $2",
        network,
        now,
    )
