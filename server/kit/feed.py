"""The change feed: one dense counter a network, handed out in the order of commits.

A row of the feed is a row of some table as a till may see it. Here stand only its number and the digest of its present
state, in one table for all of them: one index to page by, a tombstone is a row without a digest, and the tables
themselves stay as they are. Whoever changes a row renders it and calls `record` as the last statement of the
transaction: that statement alone locks the counter, and the lock is held for no longer than the commit.

A caller must hold the row it renders (by having changed or locked it) from before it reads it until the commit, so that
no two transactions render one row at a time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from loyalty_desk.domain.canonical import Json
from loyalty_desk.wire.v1.rows import DIGEST_MODULUS, row_digest
from loyalty_desk.wire.v1.sync import FeedTable
from server.kit.db import Connection, fetch, fetch_one, fetch_value, write


@dataclass(frozen=True, slots=True)
class Change:
    """A row's new state; `row` None deletes it."""

    table: FeedTable
    key: str
    row: Mapping[str, Json] | None


@dataclass(frozen=True, slots=True)
class Mark:
    """That the row of `table` and `key` changed last at `seq`; not `live`: it is deleted."""

    seq: int
    table: str
    key: str
    live: bool


@dataclass(frozen=True, slots=True)
class Count:
    """The feed's length, its live rows and the sum of their digests mod 2^128."""

    n: int
    rows: int
    digest: int


# One statement: numbers, digests and counter change together, and the counter is locked last.
_RECORD = f"""
with given as (
    select g.*, f.digest as old_digest from unnest($2::text[], $3::text[], $4::numeric[]) with ordinality
        as g (tbl, key, digest, position)
    left join feed f on f.network_id = $1 and f.tbl = g.tbl and f.key = g.key
    where f.digest is distinct from g.digest
), change as (
    select *, row_number() over (order by position) as offset_in_commit from given
), total as (
    select count(*) as k, count(digest) - count(old_digest) as rows,
        coalesce(sum(digest), 0) - coalesce(sum(old_digest), 0) as digest
    from change
), counter as (
    update feed_counter c set n = c.n + total.k, rows = c.rows + total.rows,
        digest = mod(mod(c.digest + total.digest, {DIGEST_MODULUS}) + {DIGEST_MODULUS}, {DIGEST_MODULUS})
    from total where c.network_id = $1 returning c.n, total.k
), written as (
    insert into feed (network_id, tbl, key, feed_seq, digest)
    select $1, tbl, key, counter.n - counter.k + offset_in_commit, change.digest from change, counter
    on conflict (network_id, tbl, key) do update set feed_seq = excluded.feed_seq, digest = excluded.digest
), committed as (
    insert into feed_commit (network_id, n) select $1, n from counter where k > 0
)
select n from counter
"""  # noqa: S608 - the one thing put in is a constant


async def begin(connection: Connection, network: UUID) -> None:
    """Give a new network its counter."""
    await write(connection, "insert into feed_counter (network_id) values ($1)", network)


async def record(connection: Connection, network: UUID, changes: Sequence[Change]) -> int:
    """Give numbers to changed rows, in the order given; return the feed's length. The last statement before COMMIT.

    A row whose state is what it was gets no number. Of two changes of one row the later counts.
    """
    latest = {(change.table.value, change.key): change for change in changes}
    digests = [
        None if change.row is None else Decimal(row_digest(table, key, change.row))
        for (table, key), change in latest.items()
    ]
    tables, keys = [table for table, _ in latest], [key for _, key in latest]
    return int(await fetch_value(connection, _RECORD, network, tables, keys, digests))


async def count(connection: Connection, network: UUID) -> Count:
    """Return the feed's length, live rows and digest."""
    row = await fetch_one(connection, "select n, rows, digest from feed_counter where network_id = $1", network)
    return Count(row.n, row.rows, int(row.digest))


async def marks(connection: Connection, network: UUID, after: int, limit: int) -> list[Mark]:
    """Return the rows that changed last behind `after`, oldest change first, at most `limit`."""
    found = await fetch(
        connection,
        "select feed_seq, tbl, key, digest is not null as live from feed"
        " where network_id = $1 and feed_seq > $2 order by feed_seq limit $3",
        network,
        after,
        limit,
    )
    return [Mark(row.feed_seq, row.tbl, row.key, row.live) for row in found]


async def has_gone(connection: Connection, network: UUID, table: FeedTable, after: int) -> bool:
    """Return whether a row of a table was taken away behind `after`, and not put back since."""
    found = await fetch_value(
        connection,
        "select exists (select 1 from feed where network_id = $1 and feed_seq > $2 and tbl = $3 and digest is null)",
        network,
        after,
        table.value,
    )
    return bool(found)


async def digests(connection: Connection, network: UUID, first: int, last: int) -> dict[tuple[str, str], int | None]:
    """Return the digests of the rows that changed last from `first` to `last`, by table and key; None: deleted."""
    found = await fetch(
        connection,
        "select tbl, key, digest from feed where network_id = $1 and feed_seq between $2 and $3",
        network,
        first,
        last,
    )
    return {(row.tbl, row.key): None if row.digest is None else int(row.digest) for row in found}


async def recomputed(connection: Connection, network: UUID) -> Count:
    """Return what the counter should hold, from the rows' own digests; `n` is the highest number given."""
    row = await fetch_one(
        connection,
        "select coalesce(max(feed_seq), 0) as n, count(digest) as rows, coalesce(sum(digest), 0) as digest"
        " from feed where network_id = $1",
        network,
    )
    return Count(row.n, row.rows, int(row.digest) % DIGEST_MODULUS)


async def time_of(connection: Connection, network: UUID, seqs: Sequence[int]) -> dict[int, datetime]:
    """Return when the server reached each of these feed numbers; those it has not reached are left out."""
    found = await fetch(
        connection,
        "select s.seq, (select c.committed_at from feed_commit c where c.network_id = $1 and c.n >= s.seq"
        " order by c.n limit 1) as at from unnest($2::bigint[]) as s (seq)",
        network,
        list(set(seqs)),
    )
    return {row.seq: row.at for row in found if row.at is not None}
