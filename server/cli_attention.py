"""`quarantine list | show | release | waive` and `exceptions list | resolve`."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated
from uuid import UUID
from zoneinfo import ZoneInfo

import typer

from loyalty_desk.domain.errors import BadInput
from loyalty_desk.domain.record import ExceptionKind
from server.attention_sentences import EXCEPTIONS
from server.cli_ground import (
    DataDir,
    Json,
    NetworkId,
    by_person,
    chosen_network,
    chosen_person,
    in_network,
    settings_of,
    with_ground,
    zone_of,
)
from server.cli_terminal import Terminal, counted, moment
from server.kit.db import Connection
from server.kit.ground import Ground

if TYPE_CHECKING:
    from server.ledger import attention

quarantine = typer.Typer(no_args_is_help=True, help="Records that were stored and not posted.")
exceptions = typer.Typer(no_args_is_help=True, help="Postings that need somebody's look.")
Number = Annotated[int, typer.Argument(min=1, max=(1 << 63) - 1, help="The number in the list.")]
By = Annotated[str, typer.Option("--by", help="Who decides: the name or id of a manager or owner.")]
Note = Annotated[str, typer.Option("--note", help="Why, in a sentence.")]
_MOST = 1_000
All = Annotated[bool, typer.Option("--all", help="Also what is settled.")]


@quarantine.command("list")
def quarantine_list(
    everything: All = False, network: NetworkId = None, data_dir: DataDir = None, as_json: Json = False
) -> None:
    """List what is set aside, oldest first."""
    from server.ledger import attention

    terminal = Terminal(as_json)

    async def work(connection: Connection, of: UUID) -> tuple[list[attention.SetAside], ZoneInfo]:
        found = await attention.quarantined(connection, of, everything=everything, limit=_MOST)
        return found, await zone_of(connection, of)

    found, zone = in_network(data_dir, network, terminal, work)
    for one in found:
        terminal.line(f"{one.id:>6}  {moment(one.received_at, zone)}  {one.reason:<17} {one.state:<18} {one.device}")
    terminal.line(counted(len(found), "record"))
    _say_more(terminal, found)
    terminal.result(quarantine=[_facts(one) for one in found])


@quarantine.command("show")
def quarantine_show(number: Number, network: NetworkId = None, data_dir: DataDir = None, as_json: Json = False) -> None:
    """Print all that is known of one, with its bytes."""
    from server.ledger import attention

    terminal = Terminal(as_json)

    found = in_network(
        data_dir, network, terminal, lambda connection, of: attention.quarantined_one(connection, of, number)
    )
    for name, value in _facts(found).items():
        terminal.line(f"{name:<12} {value}")
    terminal.line(found.raw.decode("utf-8", "backslashreplace"))
    terminal.result(**_facts(found), raw=base64.b64encode(found.raw).decode())


@quarantine.command("release")
def quarantine_release(
    number: Number, by: By, note: Note, network: NetworkId = None, data_dir: DataDir = None, as_json: Json = False
) -> None:
    """Post what a revoked till recorded, up to this record and with it; later ones stay where they are."""
    from server.ledger import release
    from server.ledger.shelf import ProgramShelf
    from server.services import ledger_tools

    terminal = Terminal(as_json)

    async def work(opened: Ground) -> release.Released:
        chosen = await chosen_network(opened, network)
        async with opened.db.begin(chosen) as connection:
            who = await chosen_person(connection, chosen, by)
        tools = ledger_tools(opened, ProgramShelf())
        return await release.release(opened.db, tools, chosen, number, who, note, datetime.now(UTC))

    found = with_ground(settings_of(data_dir), terminal, work)
    terminal.line(f"Posted: {found.posted}. Waiting for others: {found.waiting}. Never to be posted: {found.refused}.")
    terminal.result(id=number, **asdict(found))


@quarantine.command("waive")
def quarantine_waive(
    number: Number, by: By, note: Note, network: NetworkId = None, data_dir: DataDir = None, as_json: Json = False
) -> None:
    """Decide that a record will not be posted; it stays in the list of settled ones, with the name and the reason."""
    from server.ledger import attention

    terminal = Terminal(as_json)

    async def work(connection: Connection, of: UUID, who: UUID) -> None:
        await attention.waive(connection, of, number, who, note, datetime.now(UTC))

    by_person(data_dir, network, by, terminal, work)
    terminal.line(f"Record {number} is waived.")
    terminal.result(id=number, state="waived")


@exceptions.command("list")
def exceptions_list(
    everything: All = False,
    kind: Annotated[str, typer.Option(help="Only of this kind, like OVERDRAFT.")] = "",
    network: NetworkId = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """List exceptions, oldest first."""
    from server.ledger import attention

    terminal = Terminal(as_json)

    if kind and kind.upper() not in set(ExceptionKind):
        raise BadInput("exception_kind", kind=kind[:40], wants=", ".join(ExceptionKind))

    async def work(connection: Connection, of: UUID) -> tuple[list[attention.Noted], ZoneInfo]:
        noted = await attention.exceptions(connection, of, everything=everything, kind=kind.upper(), limit=_MOST)
        return noted, await zone_of(connection, of)

    found, zone = in_network(data_dir, network, terminal, work)
    for one in found:
        facts = ", ".join(f"{name} {value}" for name, value in one.facts.items())
        terminal.line(f"{one.id:>6}  {moment(one.raised_at, zone)}  {one.kind:<13} {one.state:<8} {facts[:100]}")
    for known in (each for each in ExceptionKind if any(one.kind == each for one in found)):
        terminal.line(f"{known.value}: {EXCEPTIONS[known]}")
    terminal.line(counted(len(found), "exception"))
    _say_more(terminal, found)
    terminal.result(exceptions=[asdict(one) for one in found])


@exceptions.command("resolve")
def exceptions_resolve(
    number: Number, by: By, note: Note, network: NetworkId = None, data_dir: DataDir = None, as_json: Json = False
) -> None:
    """Note that somebody has looked at it, and what came of it."""
    from server.ledger import attention

    terminal = Terminal(as_json)

    async def work(connection: Connection, of: UUID, who: UUID) -> None:
        await attention.resolve(connection, of, number, who, note, datetime.now(UTC))

    by_person(data_dir, network, by, terminal, work)
    terminal.line(f"Exception {number} is resolved.")
    terminal.result(id=number, state="resolved")


def _say_more(terminal: Terminal, found: Sequence[object]) -> None:
    if len(found) == _MOST:
        terminal.say(f"Only the oldest {_MOST:,} are listed: settle some to see what comes after them.")


def _facts(one: object) -> dict[str, object]:
    found = asdict(one)  # type: ignore[call-overload]
    del found["raw"]
    return dict(found)
