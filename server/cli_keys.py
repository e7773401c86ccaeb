"""`keys show | publish | revoke`: the root key is typed or read from a file, never an argument."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated
from uuid import UUID
from zoneinfo import ZoneInfo

import typer

from loyalty_desk.domain.errors import BadInput
from loyalty_desk.wire.v1.sheets import SheetKind, sheet_key
from server.cli_ground import DataDir, Json, NetworkId, chosen_network, in_network, settings_of, with_ground, zone_of
from server.cli_terminal import Terminal, moment
from server.kit.db import Connection
from server.kit.errors import reason_of
from server.kit.ground import Ground
from server.networks.keys import SigningKeys

app = typer.Typer(no_args_is_help=True, help="The keys by which a network signs guests' codes and its answers.")
RootFile = Annotated[
    Path | None, typer.Option("--root-file", help="A file with the text of the root sheet; else it is asked for.")
]


@app.command("show")
def keys_show(network: NetworkId = None, data_dir: DataDir = None, as_json: Json = False) -> None:
    """List the keys with their state."""
    from server.networks import keys

    terminal = Terminal(as_json)

    async def work(connection: Connection, of: UUID) -> tuple[SigningKeys, ZoneInfo]:
        return await keys.signing_keys(connection, of), await zone_of(connection, of)

    _print(terminal, *in_network(data_dir, network, terminal, work))


@app.command("publish")
def keys_publish(
    at_once: Annotated[bool, typer.Option("--at-once", help="Use it now: another was stolen.")] = False,
    root_file: RootFile = None,
    network: NetworkId = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Make a new signing key; it is used in seven days, when every till has heard of it."""
    from server.networks import keys

    terminal = Terminal(as_json)
    root = _root(root_file)
    _change(
        lambda opened, chosen: keys.publish(opened, chosen, root, datetime.now(UTC), at_once=at_once),
        network,
        data_dir,
        terminal,
    )


@app.command("revoke")
def keys_revoke(
    kid: Annotated[int, typer.Argument(min=1, max=255, help="The key's number, see `keys show`.")],
    root_file: RootFile = None,
    network: NetworkId = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Revoke a stolen key."""
    from server.networks import keys

    terminal = Terminal(as_json)
    root = _root(root_file)
    _change(
        lambda opened, chosen: keys.revoke(opened, chosen, root, kid, datetime.now(UTC)), network, data_dir, terminal
    )


def _change(
    change: Callable[[Ground, UUID], Awaitable[SigningKeys]],
    network: UUID | None,
    data_dir: Path | None,
    terminal: Terminal,
) -> None:
    async def work(opened: Ground) -> tuple[SigningKeys, ZoneInfo]:
        chosen = await chosen_network(opened, network)
        made = await change(opened, chosen)
        async with opened.db.begin(chosen) as connection:
            return made, await zone_of(connection, chosen)

    _print(terminal, *with_ground(settings_of(data_dir), terminal, work))


def _root(file: Path | None) -> bytes:
    if file is not None:
        try:
            text = file.read_text()
        except UnicodeDecodeError as error:
            raise BadInput("file_not_text", file=str(file)) from error
        except (OSError, ValueError) as error:
            raise BadInput("file_unreadable", file=str(file), reason=reason_of(error)) from error
    elif sys.stdin.isatty():
        text = typer.prompt("Text of the root sheet (LDSR-…)", hide_input=True, err=True)
    else:
        text = sys.stdin.readline()
    return sheet_key(SheetKind.ROOT, text)


def _print(terminal: Terminal, found: SigningKeys, zone: ZoneInfo) -> None:
    terminal.line(f"key set {found.version}")
    for one in found.keys:
        state = f"revoked {moment(one.revoked_at, zone)}" if one.revoked_at else f"from {moment(one.not_before, zone)}"
        terminal.line(f"  {one.kid:>3}  {state}")
    terminal.result(
        version=found.version,
        keys=[{"kid": one.kid, "not_before": one.not_before, "revoked_at": one.revoked_at} for one in found.keys],
    )
