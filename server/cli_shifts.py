"""`shifts`: what tills closed their shifts with."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

import typer

from server.cli_ground import DataDir, Json, NetworkId, chosen_network, settings_of, with_ground
from server.cli_terminal import Terminal
from server.kit.ground import Ground
from server.ledger.shifts import ClosedShift

app = typer.Typer()


@app.command()
def shifts(
    store: Annotated[UUID | None, typer.Option(help="One store alone.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000)] = 200,
    network: NetworkId = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """List closed shifts with their Z totals, the last one first; money in minor units."""
    from server.ledger.shifts import closed_shifts

    terminal = Terminal(as_json)

    async def work(opened: Ground) -> list[ClosedShift]:
        chosen = await chosen_network(opened, network)
        async with opened.db.snapshot(chosen) as connection:
            return await closed_shifts(connection, chosen, store, limit)

    found = with_ground(settings_of(data_dir), terminal, work)
    for one in found:
        sums = one.totals.whole
        terminal.line(
            f"{one.day}  {one.store}  {one.till}  #{one.number}  {sums.sales} sales {sums.money}"
            f"  returned {sums.returned}  points +{sums.points_earned} -{sums.points_redeemed}"
        )
    terminal.line(f"{len(found)} shifts")
    terminal.result(
        shifts=[
            {
                "id": str(one.id),
                "number": one.number,
                "store": one.store,
                "till": one.till,
                "day": one.day,
                "opened_at": None if one.opened_at is None else one.opened_at.isoformat(),
                "closed_at": one.closed_at.isoformat(),
                "totals": one.totals.to_dict(),
            }
            for one in found
        ]
    )
