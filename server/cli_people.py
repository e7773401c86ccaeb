"""`staff add | list`: who stands at the tills, with the PIN they open a shift by. It is typed, never an argument."""

from __future__ import annotations

import sys
from typing import Annotated
from uuid import UUID, uuid4

import typer

from loyalty_desk.domain.errors import BadInput
from server.cli_ground import DataDir, Json, NetworkId, chosen_network, grounded, settings_of, with_ground
from server.cli_terminal import Terminal
from server.kit.ground import Ground
from server.sentences import sentence

app = typer.Typer(no_args_is_help=True, help="Who stands at the tills.")
LONGEST = 8
# A manager's PIN allows more, so it has to be harder to guess.
SHORTEST = {"cashier": 4, "manager": 6, "owner": 6}


@app.command("add")
def staff_add(
    name: Annotated[str, typer.Argument(help="The person's name, as the tills show it.")],
    role: Annotated[str, typer.Option(help="cashier, manager or owner; absent: what they are, else cashier.")] = "",
    store: Annotated[list[UUID] | None, typer.Option(help="A store they work in; absent: all of them.")] = None,
    network: NetworkId = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Add somebody with a PIN, or give somebody of that name a new one. Tills learn of it at their next sync."""
    from server.kit import feed
    from server.networks import service as networks
    from server.staff import service

    terminal = Terminal(as_json)
    if role not in ("", *SHORTEST):
        raise BadInput("staff_role", wants=", ".join(SHORTEST))
    wanted = service.checked_name(name)

    async def found(opened: Ground) -> tuple[UUID, service.Member]:
        chosen = await chosen_network(opened, network)
        async with opened.db.begin(chosen) as connection:
            for one in store or ():
                await networks.get_store(connection, chosen, one)
            here = [one for one in await service.members(connection, chosen) if one.name == wanted]
        known = here[0] if len(here) == 1 else service.Member(uuid4(), wanted, "cashier")
        return chosen, service.Member(known.id, wanted, role or known.role, tuple(store) if store else known.stores)

    async def kept(opened: Ground) -> None:
        async with opened.db.begin(chosen) as connection:
            await feed.record(connection, chosen, [await service.put(connection, chosen, member, pin)])

    # The person is asked between two steps: only who is known says how long the PIN has to be.
    with grounded(settings_of(data_dir), terminal) as ground:
        chosen, member = ground.run(found)
        pin = _pin(terminal, member.name, member.role)
        ground.run(kept)
    terminal.line(f"{member.name}: {member.role}, with a PIN.")
    terminal.result(id=member.id, name=member.name, role=member.role)


@app.command("list")
def staff_list(network: NetworkId = None, data_dir: DataDir = None, as_json: Json = False) -> None:
    """List who works here."""
    from server.staff import service

    terminal = Terminal(as_json)

    async def work(opened: Ground) -> list[service.Member]:
        chosen = await chosen_network(opened, network)
        async with opened.db.begin(chosen) as connection:
            return await service.members(connection, chosen)

    found = with_ground(settings_of(data_dir), terminal, work)
    for one in found:
        terminal.line(f"{one.id}  {one.role:<8} {one.name}")
    if not found:
        terminal.line('Nobody works here yet: loyalty-server staff add "NAME"')
    terminal.result(staff=[{"id": str(one.id), "name": one.name, "role": one.role} for one in found])


def _pin(terminal: Terminal, name: str, role: str) -> str:
    """Return a PIN typed twice unseen, asked for until it is one; or a line of standard input, taken or refused."""
    wrong = BadInput("pin_malformed", low=SHORTEST[role], high=LONGEST)
    if not _is_typed():
        pin = sys.stdin.readline().rstrip("\r\n")
        if not _fits(pin, role):
            raise wrong
        return pin
    called = f"PIN of {name}, {'an' if role == 'owner' else 'a'} {role}: {SHORTEST[role]} to {LONGEST} digits"
    while True:
        pin = typer.prompt(called, hide_input=True, err=True)
        if not _fits(pin, role):
            terminal.say(sentence(wrong))
        elif typer.prompt("The same PIN again", hide_input=True, err=True) == pin:
            return str(pin)
        else:
            terminal.say("The two PINs differ. Type it anew.")


def _fits(pin: str, role: str) -> bool:
    return pin.isascii() and pin.isdigit() and SHORTEST[role] <= len(pin) <= LONGEST


def _is_typed() -> bool:
    return sys.stdin.isatty()
