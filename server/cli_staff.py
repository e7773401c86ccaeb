"""`create-manager`: somebody who may log in. The password is typed or read from standard input, never an argument."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID, uuid4

import typer

from loyalty_desk.domain.errors import BadInput
from server.cli_ground import DataDir, Json, NetworkId, chosen_network, settings_of, with_ground
from server.cli_terminal import Terminal
from server.kit.ground import Ground

app = typer.Typer()


@app.command("create-manager")
def create_manager(
    name: Annotated[str, typer.Argument(help="The person's name, as the tills show it.")],
    login: Annotated[str, typer.Option(help="What the person types to log in, like an address.")],
    role: Annotated[str, typer.Option(help="manager or owner.")] = "manager",
    network: NetworkId = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Make a manager or an owner with a login, or give one a new password. There is no password by default."""
    from server.kit import feed
    from server.staff import logins, service

    terminal = Terminal(as_json)
    if role not in ("manager", "owner"):
        raise BadInput("manager_role")
    password = _password()

    async def work(opened: Ground) -> tuple[UUID, str]:
        chosen = await chosen_network(opened, network)
        async with opened.db.begin(chosen) as connection:
            here = [one for one in await service.members(connection, chosen) if one.name == " ".join(name.split())]
            who = here[0].id if len(here) == 1 else uuid4()
            stores = here[0].stores if len(here) == 1 else ()
            change = await service.put(connection, chosen, service.Member(who, name, role, stores))
            kept = await logins.set_login(connection, chosen, who, login, password, datetime.now(UTC))
            await feed.record(connection, chosen, [change])
        return who, kept

    who, kept = with_ground(settings_of(data_dir), terminal, work)
    terminal.line(f"{name} is {role} and logs in as {kept}.")
    terminal.result(id=who, name=name, role=role, login=kept)


def _password() -> str:
    if sys.stdin.isatty():
        return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True))
    return sys.stdin.readline().rstrip("\r\n")
