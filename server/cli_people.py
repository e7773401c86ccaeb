"""`staff add | pin | remove | list`: who stands at the tills, with the PIN they open a shift by.

A PIN is typed, never an argument.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from uuid import UUID, uuid4

import typer

from loyalty_desk.domain.errors import BadInput
from server.cli_ground import (
    DataDir,
    Json,
    NetworkId,
    chosen_network,
    grounded,
    in_network,
    settings_of,
    with_ground,
)
from server.cli_terminal import Terminal, agreed
from server.kit.db import Connection
from server.kit.ground import Ground
from server.sentences import sentence

if TYPE_CHECKING:
    from server.staff.service import Member

app = typer.Typer(no_args_is_help=True, help="Who stands at the tills.")
LONGEST = 8
# A manager's PIN allows more, so it has to be harder to guess.
SHORTEST = {"cashier": 4, "manager": 6, "owner": 6}
Who = Annotated[str, typer.Argument(metavar="NAME", help="The person's name, or the id that `staff list` shows.")]
# Returns whom a PIN is for, and whether they are known already.
type _Find = Callable[[Connection, UUID], Awaitable[tuple[Member, bool]]]


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
    from server.networks import service as networks
    from server.staff import service

    terminal = Terminal(as_json)
    if role not in ("", *SHORTEST):
        raise BadInput("staff_role", wants=", ".join(SHORTEST))
    wanted = service.checked_name(name)

    async def found(connection: Connection, chosen: UUID) -> tuple[service.Member, bool]:
        for one in store or ():
            await networks.get_store(connection, chosen, one)
        here = [one for one in await service.members(connection, chosen) if one.name == wanted]
        known = here[0] if len(here) == 1 else service.Member(uuid4(), wanted, "cashier")
        member = service.Member(known.id, wanted, role or known.role, tuple(store) if store else known.stores)
        return member, len(here) == 1

    _give_pin(data_dir, network, terminal, found)


@app.command("pin")
def staff_pin(who: Who, network: NetworkId = None, data_dir: DataDir = None, as_json: Json = False) -> None:
    """Give somebody who works here a new PIN. Tills take it, and no more the old one, from their next sync on."""
    from server.staff import service

    async def found(connection: Connection, chosen: UUID) -> tuple[service.Member, bool]:
        return await service.named(connection, chosen, who), True

    _give_pin(data_dir, network, Terminal(as_json), found)


@app.command("remove")
def staff_remove(
    who: Who,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    network: NetworkId = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Let somebody work here no more: login and sessions end now, the PIN at each till's next sync.

    What they did stays under their name. A shift that is open in their name goes on until it is handed over or closed.
    """
    from server.kit import feed
    from server.staff import service

    terminal = Terminal(as_json)

    async def work(opened: Ground) -> service.Member:
        chosen = await chosen_network(opened, network)
        async with opened.db.begin(chosen) as connection:
            member = await service.named(connection, chosen, who)
        if not yes:
            await agreed(f"Does {member.name}, {member.role}, work here no more?")
        async with opened.db.begin(chosen) as connection:
            change = await service.remove(connection, chosen, member.id, datetime.now(UTC))
            await feed.record(connection, chosen, [change])
        return member

    gone = with_ground(settings_of(data_dir), terminal, work)
    terminal.line(f"{gone.name} ({gone.role}) works here no more. Tills refuse the PIN from their next sync on.")
    terminal.result(id=gone.id, name=gone.name, role=gone.role)


@app.command("list")
def staff_list(
    everybody: Annotated[bool, typer.Option("--all", help="Also who has left.")] = False,
    network: NetworkId = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """List who works here."""
    from server.staff import service

    terminal = Terminal(as_json)

    async def work(connection: Connection, chosen: UUID) -> tuple[list[service.Member], list[service.Member]]:
        here = await service.members(connection, chosen)
        return here, await service.former(connection, chosen) if everybody else []

    here, gone = in_network(data_dir, network, terminal, work)
    for one in here:
        terminal.line(f"{one.id}  {one.role:<8} {one.name}")
    if not here:
        terminal.line('Nobody works here yet: loyalty-server staff add "NAME"')
    for one in gone:
        terminal.line(f"{one.id}  {one.role:<8} {one.name} (has left)")
    said = [(one, False) for one in here] + [(one, True) for one in gone]
    terminal.result(staff=[{"id": str(one.id), "name": one.name, "role": one.role, "left": left} for one, left in said])


def _give_pin(data_dir: Path | None, network: UUID | None, terminal: Terminal, find: _Find) -> None:
    """Ask for the PIN of whom `find` returns, keep both, and say whether the person was known before."""
    from server.kit import feed
    from server.staff import service

    async def found(opened: Ground) -> tuple[service.Member, bool]:
        chosen = await chosen_network(opened, network)
        async with opened.db.begin(chosen) as connection:
            return await find(connection, chosen)

    async def kept(opened: Ground) -> None:
        chosen = await chosen_network(opened, network)
        async with opened.db.begin(chosen) as connection:
            # Whoever was removed while the PIN was typed stays so.
            if is_known:
                await service.named(connection, chosen, str(member.id))
            await feed.record(connection, chosen, [await service.put(connection, chosen, member, pin)])

    # The person is asked between two steps: only who is known says how long the PIN has to be.
    with grounded(settings_of(data_dir), terminal) as ground:
        member, is_known = ground.run(found)
        pin = _pin(terminal, member.name, member.role)
        ground.run(kept)
    terminal.line(f"{member.name}: {member.role}, with a {'new ' if is_known else ''}PIN.")
    terminal.result(id=member.id, name=member.name, role=member.role)


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
