"""The feed's digest made again from the rows as a till would get them (INV-9, 10)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from itertools import groupby

from loyalty_desk.domain.canonical import Json
from loyalty_desk.wire.v1.rows import row_digest
from server.kit import feed
from server.kit.db import Connection
from server.ledger.audit.findings import Audit

_PAGE = 1_000
Render = Callable[[str, Sequence[str]], Awaitable[dict[str, dict[str, Json]]]]


async def check_feed(connection: Connection, made: Audit, render: Render) -> None:
    """Hold the feed's counter against its rows, and each row against what a till would get."""
    count, again = await feed.count(connection, made.network), await feed.recomputed(connection, made.network)
    if count.n < again.n or (count.rows, count.digest) != (again.rows, again.digest):
        made.note("INV-9", "the feed's counter", f"says {count}, its rows say {again}")
    after = 0
    while marks := await feed.marks(connection, made.network, after, _PAGE):
        after = marks[-1].seq
        stored = await feed.digests(connection, made.network, marks[0].seq, after)
        for table, keys in _by_table(stored):
            rows = await render(table, keys)
            for key in keys:
                row = rows.get(key)
                if stored[table, key] != (None if row is None else row_digest(table, key, row)):
                    made.note("INV-10", f"feed row {table} {key}", "a till would get another row than was announced")


def _by_table(stored: Iterable[tuple[str, str]]) -> Iterator[tuple[str, list[str]]]:
    for table, group in groupby(sorted(stored), key=lambda one: one[0]):
        yield table, [key for _, key in group]
