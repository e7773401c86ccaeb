"""`shifts`: what tills closed their shifts with."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

import typer

from loyalty_desk.domain.money import currency
from loyalty_desk.domain.shift_totals import Sums
from server.cli_ground import DataDir, Json, NetworkId, chosen_network, settings_of, with_ground
from server.cli_terminal import MINUS, Terminal, count, counted, money_text
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
    """List closed shifts with their Z totals, the last one first; in JSON money is in minor units."""
    from server.ledger.shifts import closed_shifts
    from server.networks import service as networks

    terminal = Terminal(as_json)

    async def work(opened: Ground) -> list[ClosedShift]:
        chosen = await chosen_network(opened, network)
        async with opened.db.snapshot(chosen) as connection:
            if store is not None:
                await networks.get_store(connection, chosen, store)
            return await closed_shifts(connection, chosen, store, limit)

    found = with_ground(settings_of(data_dir), terminal, work)
    for one in found:
        sums, unit = one.totals.whole, currency(one.currency)
        money = f"{money_text(sums.money, unit)} {unit.code}  returned {money_text(sums.returned, unit)}"
        if sums.exchanges:
            swapped = f"{money_text(sums.exchange_money, unit)} for {money_text(sums.exchange_returned, unit)}"
            money += f"  {counted(sums.exchanges, 'exchange')} {swapped}"
        if sums.points_money:
            money += f"  paid with points {money_text(sums.points_money, unit)}"
        terminal.line(
            f"{one.day}  {one.store}  {one.till}  #{one.number}  {counted(sums.sales, 'sale')}  {money}"
            f"  left {money_text(sums.left, unit)}"
            f"  points +{count(sums.points_earned)} {MINUS}{count(sums.points_redeemed)}{_moved_back(sums)}"
        )
    terminal.line(counted(len(found), "shift"))
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


def _moved_back(sums: Sums) -> str:
    """Return the points that returns gave back of those used, and took back of those earned; empty where none."""
    parts = ((sums.points_back, "given back"), (sums.points_reversed, "taken back"))
    said = "".join(f", {count(points)} {what}" for points, what in parts if points)
    return f"{said}, {counted(sums.points_follow, 'return')} to follow" if sums.points_follow else said
