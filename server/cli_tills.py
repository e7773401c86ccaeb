"""`till pair | list | suspend | resume | revoke`."""

from __future__ import annotations

import asyncio
import socket
import time
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer

from loyalty_desk.domain.errors import Refused
from server.cli_ground import DataDir, Json, NetworkId, chosen_network, chosen_store, settings_of, with_ground
from server.cli_terminal import Terminal, agreed
from server.kit.ground import Ground

app = typer.Typer(no_args_is_help=True, help="Tills of a network.")
_POLL_SECONDS = 0.25
_TOKEN_SECONDS = 60.0


@app.command("pair")
def till_pair(
    network: NetworkId = None,
    store: Annotated[UUID | None, typer.Option(help="The store, where there are several.")] = None,
    address: Annotated[str | None, typer.Option(help="Where the till reaches this server.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Take the till in without comparing the characters.")] = False,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Make a one-time code, wait for a till to show it, compare eight characters and take the till in."""
    from server.tills import service

    terminal = Terminal(as_json)
    settings = settings_of(data_dir)

    async def work(opened: Ground) -> None:
        chosen = await chosen_network(opened, network)
        place = await chosen_store(opened, chosen, store)
        pairing = await service.open_pairing(opened, chosen, place, address or settings.address)
        text = pairing.pairing.to_text()
        if address is None and not _answers(settings.host, settings.port):
            await service.refuse(opened, chosen, pairing.id)
            raise Refused("server_absent", address=settings.address)
        terminal.line("Scan this with the till, or paste it there. It works once, for 15 minutes.")
        terminal.code(text)
        terminal.line(text)
        terminal.result(event="pairing", pairing=text, network=chosen, store=place, expires_at=pairing.expires_at)
        try:
            while (waiting := await service.waiting(opened, chosen, pairing.id)) is None:  # noqa: ASYNC110 - in the database
                await asyncio.sleep(_POLL_SECONDS)
            terminal.line(f"Till “{waiting.name}” shows the code. Its screen must say:  {_spaced(waiting.characters)}")
            terminal.result(event="waiting", name=waiting.name, characters=waiting.characters)
            if not yes and not await asyncio.to_thread(typer.confirm, "Are the characters the same?", err=True):
                terminal.say("The till stays out.")
                raise typer.Exit(1)
            device = await service.confirm(opened, chosen, pairing.id)
        except BaseException:
            await service.refuse(opened, chosen, pairing.id)
            raise
        deadline = time.monotonic() + _TOKEN_SECONDS
        while not await service.is_finished(opened, chosen, pairing.id):
            if time.monotonic() > deadline:
                terminal.say("The till is taken in and has not fetched its keys yet: let it try again.")
                break
            await asyncio.sleep(_POLL_SECONDS)
        terminal.line(f"Till “{waiting.name}” is part of the network: {device}")
        terminal.result(event="paired", device=device, name=waiting.name)

    with_ground(settings, terminal, work)


@app.command("list")
def till_list(network: NetworkId = None, data_dir: DataDir = None, as_json: Json = False) -> None:
    """List the tills that ever joined."""
    from server.tills import service

    terminal = Terminal(as_json)

    async def work(opened: Ground) -> tuple[list[service.Till], list[service.EpochHead]]:
        chosen = await chosen_network(opened, network)
        async with opened.db.begin(chosen) as connection:
            return await service.tills(connection, chosen), await service.heads(connection, chosen)

    found, heads = with_ground(settings_of(data_dir), terminal, work)
    for one in found:
        terminal.line(f"{one.id}  {one.state:<9}  {one.name}")
    if not found:
        terminal.line("No till has joined yet: loyalty-server till pair")
    terminal.result(
        tills=[
            {
                "id": str(one.id),
                "name": one.name,
                "store": str(one.store),
                "state": one.state,
                "heads": [
                    {"epoch": head.epoch, "branch": head.branch, "head_seq": head.seq, "head": head.hash.hex()}
                    for head in heads
                    if head.device == one.id
                ],
            }
            for one in found
        ]
    )


def _answers(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), timeout=1):
            return True
    except OSError:
        return False


def _spaced(characters: str) -> str:
    return f"{characters[:4]} {characters[4:]}"


Till = Annotated[UUID, typer.Argument(help="The till's id, see `till list`.")]


@app.command("suspend")
def till_suspend(till: Till, network: NetworkId = None, data_dir: DataDir = None, as_json: Json = False) -> None:
    """Give a till no more data; its sales are still taken in."""
    _set_state(till, "suspended", network, data_dir, as_json)


@app.command("resume")
def till_resume(till: Till, network: NetworkId = None, data_dir: DataDir = None, as_json: Json = False) -> None:
    """Let a suspended till work again."""
    _set_state(till, "active", network, data_dir, as_json)


@app.command("revoke")
def till_revoke(
    till: Till,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    network: NetworkId = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Shut a stolen or sold till out for good; what it still sends is set aside until somebody releases it."""
    _set_state(till, "revoked", network, data_dir, as_json, asks=not yes)


def _set_state(
    till: UUID, state: str, network: UUID | None, data_dir: Path | None, as_json: bool, *, asks: bool = False
) -> None:
    from server.tills import service

    terminal = Terminal(as_json)

    async def work(opened: Ground) -> service.Till:
        chosen = await chosen_network(opened, network)
        if asks:
            async with opened.db.begin(chosen) as connection:
                named = [one for one in await service.tills(connection, chosen) if one.id == till]
            if not named:
                raise Refused("till_unknown", till=str(till))
            await agreed(f"Revoke till “{named[0].name}”? It would have to be paired anew.")
        return await service.set_state(opened, chosen, till, state)

    found = with_ground(settings_of(data_dir), terminal, work)
    terminal.line(f"Till “{found.name}” is {found.state}.")
    terminal.result(id=found.id, name=found.name, state=found.state)
