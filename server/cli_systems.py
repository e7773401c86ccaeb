"""`system add | list | revoke`: tokens for programs of others that price and commit checks (`/api/v1/checks`)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

import typer

from server.cli_ground import DataDir, Json, NetworkId, chosen_network, chosen_store, settings_of, with_ground
from server.cli_terminal import Terminal, counted
from server.kit.ground import Ground

app = typer.Typer(no_args_is_help=True, help="Systems of others: a web shop, a till that is not ours.")


@app.command("add")
def system_add(
    name: Annotated[str, typer.Argument(help="What it is called in lists.")],
    store: Annotated[UUID | None, typer.Option(help="The store its checks belong to.")] = None,
    network: NetworkId = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Make a token and print it once; it goes with every request as `Authorization: Bearer`."""
    from server.systems import service

    terminal = Terminal(as_json)

    async def work(opened: Ground) -> tuple[UUID, str]:
        chosen = await chosen_network(opened, network)
        where = await chosen_store(opened, chosen, store)
        async with opened.db.begin(chosen) as connection:
            return await service.add(connection, chosen, name, where, datetime.now(UTC))

    made, token = with_ground(settings_of(data_dir), terminal, work)
    terminal.say("This token is shown once. Whoever has it can commit checks in this store.")
    terminal.line(token)
    terminal.result(id=made, name=name, token=token)


@app.command("list")
def system_list(network: NetworkId = None, data_dir: DataDir = None, as_json: Json = False) -> None:
    """List the systems, and the day each was last heard of."""
    from server.systems import service
    from server.systems.repository import System

    terminal = Terminal(as_json)

    async def work(opened: Ground) -> list[System]:
        chosen = await chosen_network(opened, network)
        async with opened.db.begin(chosen) as connection:
            return await service.every(connection, chosen)

    found = with_ground(settings_of(data_dir), terminal, work)
    for one in found:
        state = "revoked" if one.revoked_at else "active"
        last = f"{one.last_used:%Y-%m-%d}" if one.last_used else "never"
        terminal.line(f"{one.id}  {state:<8} last used {last:<10}  {one.name}")
    terminal.line(counted(len(found), "system"))
    terminal.result(
        systems=[
            {"id": one.id, "name": one.name, "store": one.store, "last_used": one.last_used, "revoked": one.revoked_at}
            for one in found
        ]
    )


@app.command("revoke")
def system_revoke(
    system: Annotated[UUID, typer.Argument(help="Its id, see `system list`.")],
    network: NetworkId = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """End a token: its system may ask for nothing any more."""
    from server.systems import service

    terminal = Terminal(as_json)

    async def work(opened: Ground) -> None:
        chosen = await chosen_network(opened, network)
        async with opened.db.begin(chosen) as connection:
            await service.revoke(connection, chosen, system, datetime.now(UTC))

    with_ground(settings_of(data_dir), terminal, work)
    terminal.line(f"System {system} is revoked.")
    terminal.result(id=system, state="revoked")
