"""`program check | publish | show | limits`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from uuid import UUID
from zoneinfo import ZoneInfo

import typer

from loyalty_desk.domain.errors import BadInput, Refused
from loyalty_desk.domain.program import Program, Rule
from loyalty_desk.domain.publishing import Finding
from server.cli_ground import DataDir, Json, NetworkId, chosen_network, settings_of, with_ground
from server.cli_terminal import Terminal, counted, moment, money_text
from server.kit.ground import Ground
from server.sentences import sentence

if TYPE_CHECKING:
    from datetime import datetime

    from server.ledger.leases import Key, LimitState
    from server.tills.service import Till

app = typer.Typer(no_args_is_help=True, help="The program of a network: check a file, publish it, show what is there.")
File = Annotated[Path, typer.Argument(help="A .toml, .yaml or .json file with the keys of a program.")]


@app.command("check")
def program_check(file: File, as_json: Json = False) -> None:
    """Read a file as it would be published, and say what is wrong with it; needs no database."""
    from server.programs import files

    terminal = Terminal(as_json)
    program, warnings = files.check(files.read(file), "", "UTC")
    _warn(terminal, warnings)
    holds = f"{counted(len(program.tiers), 'tier')}, {counted(len(program.rules), 'rule')}"
    terminal.line(f"{file}: in order, {holds}, hash {program.hash_text}")
    terminal.result(
        ok=True, tiers=len(program.tiers), rules=len(program.rules), warnings=[one.code for one in warnings]
    )


@app.command("publish")
def program_publish(
    file: File,
    drop_tiers: Annotated[
        bool, typer.Option("--drop-tiers", help="Publish also where tiers of the program in force are left out.")
    ] = False,
    network: NetworkId = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Make a file the program in force; the same content again makes no new version."""
    from server.kit import feed
    from server.networks import service as networks
    from server.programs import files, service

    terminal = Terminal(as_json)
    content = files.read(file)
    _, warnings = files.check(content, "", "UTC")
    _warn(terminal, warnings)

    async def work(opened: Ground) -> tuple[Program, bool]:
        chosen = await chosen_network(opened, network)
        async with opened.db.begin(chosen) as connection:
            known = await networks.get_network(connection, chosen)
            if content.get("currency") != known.currency:
                raise Refused("program_currency", currency=content.get("currency"), wants=known.currency)
            before = await service.current(connection, chosen)
            published = await service.publish(connection, chosen, content, known.zone)
            kept = {tier.code for tier in published.program.tiers}
            dropped = [tier.code for tier in (before.tiers if before else ()) if tier.code not in kept]
            if dropped and not drop_tiers:
                raise Refused("tiers_dropped", tiers=dropped)
            await feed.record(connection, chosen, [published.change])
        return published.program, before is None or before.version != published.program.version

    program, is_new = with_ground(settings_of(data_dir), terminal, work)
    said = "is in force" if is_new else "was in force already: nothing has changed"
    terminal.line(f"Version {program.version} {said}.")
    terminal.result(version=program.version, hash=program.hash_text, new=is_new)


def _warn(terminal: Terminal, warnings: Sequence[Finding]) -> None:
    for one in warnings:
        terminal.say("Warning: " + sentence(BadInput(one.code, **{"place": one.place, **one.facts})))


@app.command("show")
def program_show(
    version: Annotated[
        int | None, typer.Option(min=1, max=(1 << 31) - 1, help="A version; the one in force by default.")
    ] = None,
    network: NetworkId = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Print a program as a file that `check` and `publish` take."""
    from server.programs import service

    terminal = Terminal(as_json)

    async def work(opened: Ground) -> Program:
        chosen = await chosen_network(opened, network)
        async with opened.db.begin(chosen) as connection:
            found = await (
                service.current(connection, chosen) if version is None else service.version(connection, chosen, version)
            )
        if found is None:
            raise Refused("program_missing")
        return found

    found = with_ground(settings_of(data_dir), terminal, work)
    terminal.line(json.dumps(found.to_dict(), ensure_ascii=False, indent=2))
    terminal.result(version=found.version, hash=found.hash_text, program=found.to_dict())


@app.command("limits")
def program_limits(network: NetworkId = None, data_dir: DataDir = None, as_json: Json = False) -> None:
    """Say of every rule limited for all guests together what was given, what tills hold to give, and what is left."""
    from datetime import UTC, datetime

    from loyalty_desk.domain.uses import MONEY

    terminal = Terminal(as_json)
    now = datetime.now(UTC)

    async def work(opened: Ground) -> _Limits:
        return await _limits(opened, await chosen_network(opened, network), now)

    found = with_ground(settings_of(data_dir), terminal, work)
    _say_limits(terminal, found)
    terminal.result(
        version=found.program.version,
        limits=[
            {
                "rule": one.key[0],
                "of": "money" if one.key[1] == MONEY else "uses",
                "limit": one.limit,
                "used": one.used,
                "leased": one.leased,
                "left": one.left,
                "tills": {str(till): count for till, count in found.held.get(one.key, {}).items()},
            }
            for one in found.states
        ],
        awaited=[str(one) for one in found.awaited],
    )


@dataclass(frozen=True, slots=True)
class _Limits:
    """How limits stand; `held` is what of each lies with which till, `awaited` are the tills to be heard of first.

    `silent` are tills that hold something and have not been heard of for longer than they may give of it.
    """

    program: Program
    states: Sequence[LimitState]
    held: Mapping[Key, Mapping[UUID, int]]
    tills: Mapping[UUID, Till]
    awaited: Sequence[UUID]
    silent: Sequence[UUID]


async def _limits(opened: Ground, network: UUID, now: datetime) -> _Limits:
    from server.ledger import lease_store
    from server.ledger.leases import GRACE, LIFE
    from server.programs import service
    from server.tills import service as tills

    async with opened.db.begin(network) as connection:
        program = await service.current(connection, network)
        if program is None:
            raise Refused("program_missing")
        held = await lease_store.held_by_tills(connection, network, now)
        known = {one.id: one for one in await tills.tills(connection, network)}
        return _Limits(
            program,
            await lease_store.limit_states(connection, network, program, now),
            held,
            known,
            await lease_store.awaited(connection, network, now),
            [
                one.id
                for one in known.values()
                if one.state == "active"
                and (one.last_seen or one.created_at) < now - LIFE - GRACE
                and any(one.id in by_till for by_till in held.values())
            ],
        )


def _say_limits(terminal: Terminal, found: _Limits) -> None:
    from loyalty_desk.domain.money import currency
    from loyalty_desk.domain.uses import MONEY

    unit = currency(found.program.currency)

    def name(till: UUID) -> str:
        return found.tills[till].name if till in found.tills else str(till)

    zone, rules = ZoneInfo(found.program.zone), {rule.id: rule for rule in found.program.rules}
    for one in found.states:
        rule, period = one.key

        def said(count: int, *, of_money: bool = period == MONEY) -> str:
            return money_text(count, unit) if of_money else f"{count:,}"

        figures = (
            f"{said(one.limit)} in all, {said(one.used)} given, {said(one.leased)} at tills, {said(one.left)} left"
        )
        more = ", more than this version of the program allows" if one.used > one.limit else ""
        terminal.line(f"{_called(rules[rule])}: {figures}{more}")
        for till, count in sorted(found.held.get(one.key, {}).items(), key=lambda it: (-it[1], str(it[0]))):
            heard = found.tills[till].last_seen if till in found.tills else None
            when = "never heard of" if heard is None else f"last heard of {moment(heard, zone)}"
            terminal.line(f"  {said(count):>10}  {name(till)} ({when})")
    for till in found.silent:
        terminal.say(
            f"Till “{name(till)}” may have given all that it holds and not said so: it stays with the till until that"
            f" is heard of. If the till is lost: loyalty-server till revoke {till}"
        )
    if not found.states:
        terminal.line("No rule of the program is limited for all guests together.")
    for till in found.awaited if found.states else ():
        terminal.say(
            f"Since the server was put back till “{name(till)}” has not said what it gave: until it has, or is taken"
            " off the network, tills get no more."
        )


def _called(rule: Rule) -> str:
    """Return a rule's name in each language that it has one in, its id where it has none."""
    return " / ".join(dict.fromkeys(name for _, name in sorted(rule.name.items()) if name)) or rule.id
