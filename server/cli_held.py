"""`held list | approve | deny`: points that wait for a manager."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated
from uuid import UUID
from zoneinfo import ZoneInfo

import typer

from server.cli_attention import By, Note
from server.cli_ground import (
    DataDir,
    Json,
    NetworkId,
    chosen_network,
    chosen_person,
    in_network,
    settings_of,
    with_ground,
    zone_of,
)
from server.cli_terminal import Terminal, count, counted, moment
from server.kit.db import Connection
from server.kit.feed import Change
from server.kit.ground import Ground

if TYPE_CHECKING:
    from server.ledger import approvals

app = typer.Typer(no_args_is_help=True, help="Points above what a day may give: they wait for a manager.")
LotId = Annotated[UUID, typer.Argument(help="The id in the list.")]


@app.command("list")
def held_list(network: NetworkId = None, data_dir: DataDir = None, as_json: Json = False) -> None:
    """List what waits, oldest first."""
    from server.ledger import approvals

    terminal = Terminal(as_json)

    async def work(connection: Connection, of: UUID) -> tuple[Sequence[approvals.HeldLot], ZoneInfo]:
        return await approvals.held_lots(connection, of), await zone_of(connection, of)

    found, zone = in_network(data_dir, network, terminal, work)
    for one in found:
        terminal.line(f"{one.id}  {moment(one.granted_at, zone)}  {count(one.amount):>10}  guest {one.guest}")
    terminal.line(f"{len(found)} held")
    terminal.result(held=[asdict(one) for one in found])


@app.command("approve")
def held_approve(
    lot: LotId, by: By, note: Note, network: NetworkId = None, data_dir: DataDir = None, as_json: Json = False
) -> None:
    """Let the guest spend them."""
    _decide(lot, by, note, network, data_dir, as_json, is_approved=True)


@app.command("deny")
def held_deny(
    lot: LotId, by: By, note: Note, network: NetworkId = None, data_dir: DataDir = None, as_json: Json = False
) -> None:
    """Take them back: they were granted wrongly."""
    _decide(lot, by, note, network, data_dir, as_json, is_approved=False)


def _decide(
    lot: UUID, by: str, note: str, network: UUID | None, data_dir: DataDir, as_json: bool, *, is_approved: bool
) -> None:
    from server.guests import service as guests
    from server.ledger import approvals

    terminal = Terminal(as_json)

    async def work(opened: Ground) -> int:
        chosen = await chosen_network(opened, network)

        async def render(connection: Connection, of: UUID, ids: Sequence[UUID]) -> list[Change]:
            return await guests.changes(connection, of, opened.vault, ids)

        async with opened.db.begin(chosen) as connection:
            who = await chosen_person(connection, chosen, by)
            now = datetime.now(UTC)
            return await approvals.decide(
                connection, chosen, lot, is_approved=is_approved, by=who, note=note, render=render, now=now
            )

    amount = with_ground(settings_of(data_dir), terminal, work)
    terminal.line(f"{counted(amount, 'point')} {'to spend now' if is_approved else 'taken back'}.")
    terminal.result(id=lot, amount=amount, state="approved" if is_approved else "denied")
