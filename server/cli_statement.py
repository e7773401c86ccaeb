"""`statement`: what the ledger holds of one guest."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

import typer

from loyalty_desk.domain.errors import Refused
from loyalty_desk.domain.guest_code import parse
from server.cli_ground import DataDir, Json, NetworkId, chosen_network, settings_of, with_ground
from server.cli_terminal import Terminal, count
from server.kit.ground import Ground
from server.ledger.statement import Statement

app = typer.Typer()


@app.command()
def statement(
    guest: Annotated[str, typer.Option(help="A card's code, a phone, a member number or the guest's id.")],
    network: NetworkId = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """List a guest's points: every movement with store and receipt, the balance after it, what can be spent now."""
    from server.guests import service as guests
    from server.ledger import statement as ledger

    terminal = Terminal(as_json)

    async def work(opened: Ground) -> Statement:
        chosen = await chosen_network(opened, network)
        async with opened.db.snapshot(chosen) as connection:
            who = _id(guest) or await guests.find(connection, chosen, opened.vault, parse(guest))
            if who is None or not await guests.existing(connection, chosen, [who]):
                raise Refused("guest_unknown")
            return await ledger.statement(connection, chosen, opened.vault, who)

    found = with_ground(settings_of(data_dir), terminal, work)
    width = max([len("store"), *(len(one.store) for one in found.movements)])
    if found.movements:
        terminal.line(
            f"{'when':<22}  {'what':<10} {'added':>9} {'taken':>9}  {'balance':>9}  {'store':<{width}}  receipt"
        )
    else:
        terminal.line("Nothing has moved yet.")
    for one in found.movements:
        when = f"{one.at:%Y-%m-%d %H:%M %Z}"
        added, taken = count(one.added, plus=True) if one.added else "", count(-one.taken) if one.taken else ""
        moved = f"{added:>9} {taken:>9}  {count(one.balance):>9}  {one.store:<{width}}  {one.receipt}"
        terminal.line(f"{when:<22}  {one.kind:<10} {moved}".rstrip())
        if one.words:
            terminal.line(f"{'':24}{one.words}")
    terminal.line(f"balance {count(found.posted)}, to spend now {count(found.available)}, owed {count(found.debt)}")
    terminal.result(
        guest=str(found.guest),
        balance=found.posted,
        points=found.available,
        debt=found.debt,
        movements=[
            {
                "tx": str(one.tx),
                "kind": one.kind,
                "at": one.at.isoformat(),
                "added": one.added,
                "taken": one.taken,
                "amount": one.amount,
                "balance": one.balance,
                "words": one.words,
                "store": one.store,
                "receipt": one.receipt,
            }
            for one in found.movements
        ],
    )


def _id(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
