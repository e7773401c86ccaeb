"""What a job works with, and going through all guests page by page, however often it is interrupted."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from loyalty_desk.domain.program import Program
from server.guests import service as guests
from server.guests.admission import admit
from server.kit.crypto import Vault
from server.kit.db import Connection, Database, fetch, fetch_one, fetch_value, write
from server.kit.feed import Change
from server.ledger.shelf import ProgramShelf
from server.ledger.store import Tools

PAGE = 200


@dataclass(frozen=True, slots=True)
class Bench:
    """Database, keys and programs of this process. `page` is how many guests a transaction takes."""

    db: Database
    vault: Vault
    shelf: ProgramShelf
    page: int = PAGE

    async def render(self, connection: Connection, network: UUID, ids: Sequence[UUID]) -> list[Change]:
        """Return guests as tills will get them."""
        return await guests.changes(connection, network, self.vault, ids)

    @property
    def tools(self) -> Tools:
        """Return what a posting needs."""

        async def rows(
            connection: Connection, network: UUID, ids: Sequence[UUID], handles: Sequence[int]
        ) -> list[Change]:
            return await guests.changes(connection, network, self.vault, ids, handles)

        return Tools(self.vault, rows, self.shelf.find, admit)

    async def program(self, connection: Connection, network: UUID) -> Program | None:
        """Return the program in force."""
        return await self.shelf.find(connection, network, None)


# One page: given what to go on behind, returns the last guest (None: no more) and how much was done.
Page = Callable[[Connection, UUID | None], Awaitable[tuple[UUID | None, int]]]


async def go_through(bench: Bench, network: UUID, job: str, period: str, now: datetime, page: Page) -> int:
    """Do a job once for a period, a page a transaction, and return how much was done here; 0 where it is done already.

    How far it has come is written by the page's own transaction: a killed job goes on where it was, and two workers
    take turns.
    """
    done, has_more = 0, True
    while has_more:
        async with bench.db.begin(network) as connection:
            await write(
                connection,
                "insert into job_progress (network_id, job, period, started_at) values ($1, $2, $3, $4)"
                " on conflict (network_id, job, period) do nothing",
                network,
                job,
                period,
                now,
            )
            row = await fetch_one(
                connection,
                "select after, finished_at from job_progress"
                " where network_id = $1 and job = $2 and period = $3 for no key update",
                network,
                job,
                period,
            )
            if row.finished_at is not None:
                return done
            after, count = await page(connection, row.after)
            has_more = after is not None
            await write(
                connection,
                "update job_progress set after = coalesce($4, after), done = done + $5,"
                " finished_at = case when $4::uuid is null then $6::timestamptz end"
                " where network_id = $1 and job = $2 and period = $3",
                network,
                job,
                period,
                after,
                count,
                now,
            )
        done += count
    return done


async def last_run(bench: Bench, network: UUID, now: datetime) -> datetime | None:
    """Return when a network's jobs began last, or when it was made; runs of a clock that was ahead do not count."""
    async with bench.db.begin(network) as connection:
        found: datetime | None = await fetch_value(
            connection,
            "select coalesce((select max(started_at) from job_progress where network_id = $1 and started_at <= $2),"
            " (select created_at from network where network_id = $1))",
            network,
            now,
        )
    return found


async def guests_behind(connection: Connection, network: UUID, after: UUID | None, limit: int) -> list[UUID]:
    """Return the next living guests in the order of their ids."""
    rows = await fetch(
        connection,
        "select guest_id from guest_state where network_id = $1 and not deleted and merged_into is null"
        " and ($2::uuid is null or guest_id > $2) order by guest_id limit $3",
        network,
        after,
        limit,
    )
    return [UUID(str(row.guest_id)) for row in rows]
