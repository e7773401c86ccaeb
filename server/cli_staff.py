"""`create-manager`: somebody who may log in. The password is typed or read from standard input, never an argument."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID, uuid4

import typer

from loyalty_desk.domain.errors import BadInput
from server.cli_ground import DataDir, Json, NetworkId, chosen_network, settings_of, with_ground
from server.cli_terminal import Terminal
from server.kit.ground import Ground
from server.sentences import sentence

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
    logins.spelled(login)
    password = _password(terminal, lambda typed: logins.checked(login, typed))

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


def _password(terminal: Terminal, check: Callable[[str], object]) -> str:
    """Return a password typed twice unseen, asked for until it is one; or a line of standard input."""
    if not _is_typed():
        return sys.stdin.readline().rstrip("\r\n")
    while True:
        password = str(typer.prompt("Password", hide_input=True, err=True))
        try:
            check(password)
        except BadInput as wrong:
            terminal.say(sentence(wrong))
            continue
        if typer.prompt("The same password again", hide_input=True, err=True) == password:
            return password
        terminal.say("The two passwords differ. Type it anew.")


def _is_typed() -> bool:
    return sys.stdin.isatty()
