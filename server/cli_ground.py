"""What the commands share: options, and a database that is there and up to date."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated
from uuid import UUID
from zoneinfo import ZoneInfo

import typer
from pydantic import ValidationError

from loyalty_desk.domain.errors import Refused
from server.cli_terminal import Terminal
from server.kit import incarnation, schema
from server.kit.db import Connection
from server.kit.ground import Base, Ground, ground, running
from server.networks import service as networks
from server.settings import Settings

Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON, one object a line.")]
DataDir = Annotated[Path | None, typer.Option("--data-dir", help="Where the server keeps its data.")]
NetworkId = Annotated[UUID | None, typer.Option("--network", help="The network, where there are several.")]


def settings_of(data_dir: Path | None, **given: object) -> Settings:
    """Return the settings of options and environment; raises `Refused` `setting_wrong` naming the first wrong one."""
    values = {name: value for name, value in {"data_dir": data_dir, **given}.items() if value is not None}
    try:
        return Settings(**values)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        name = str(first["loc"][0]) if first["loc"] else "settings"
        raise Refused(
            "setting_wrong",
            setting=name,
            variable=f"LOYALTY_{name.upper()}",
            why=first["msg"].removeprefix("Value error, "),
        ) from None


def with_ground[T](settings: Settings, terminal: Terminal, work: Callable[[Ground], Awaitable[T]]) -> T:
    """Run `work` on a database that is there and up to date; a new one is made, an old one is not touched."""
    with grounded(settings, terminal) as ground:
        return ground.run(work)


@dataclass(frozen=True, slots=True)
class Grounded:
    """A database that is there, for work in several steps: between them a person may be asked something."""

    settings: Settings
    base: Base

    def run[T](self, work: Callable[[Ground], Awaitable[T]]) -> T:
        """Run one step."""

        async def go() -> T:
            async with checked_ground(self.settings, self.base) as opened:
                return await work(opened)

        return asyncio.run(go())


@contextmanager
def grounded(settings: Settings, terminal: Terminal) -> Iterator[Grounded]:
    """Yield a database that is there and up to date, as `with_ground` does."""
    with running(settings, say=terminal.say) as base:
        _prepare(settings, base)
        yield Grounded(settings, base)


def in_network[T](
    data_dir: Path | None,
    network: UUID | None,
    terminal: Terminal,
    work: Callable[[Connection, UUID], Awaitable[T]],
) -> T:
    """Run `work` in one transaction of the chosen network, as `with_ground` does."""

    async def go(opened: Ground) -> T:
        chosen = await chosen_network(opened, network)
        async with opened.db.begin(chosen) as connection:
            return await work(connection, chosen)

    return with_ground(settings_of(data_dir), terminal, go)


def by_person[T](
    data_dir: Path | None,
    network: UUID | None,
    by: str,
    terminal: Terminal,
    work: Callable[[Connection, UUID, UUID], Awaitable[T]],
) -> T:
    """As `in_network`, with the manager or owner who decides; raises `Refused` where nobody is called so."""

    async def go(connection: Connection, chosen: UUID) -> T:
        return await work(connection, chosen, await chosen_person(connection, chosen, by))

    return in_network(data_dir, network, terminal, go)


def _prepare(settings: Settings, base: Base) -> None:
    async def is_new() -> bool:
        async with ground(settings, base) as opened, opened.db.without_network() as connection:
            return await schema.current(connection) is None

    if asyncio.run(is_new()):
        from server.serve import upgrade

        upgrade(base)


@asynccontextmanager
async def checked_ground(settings: Settings, base: Base) -> AsyncIterator[Ground]:
    """Open a database whose schema, life and master key are found to be right; raises `Refused`."""
    async with ground(settings, base) as opened:
        async with opened.db.without_network() as connection:
            await schema.require_head(connection)
        # Before anything is written: growing a feed that was put back would hide that it was.
        await incarnation.at_start(opened.db, opened.witness)
        await networks.require_master_key(opened)
        yield opened


async def chosen_network(opened: Ground, given: UUID | None) -> UUID:
    found = await opened.db.networks()
    if given is not None:
        if given not in found:
            raise Refused("network_unknown", network=str(given))
        return given
    if not found:
        raise Refused("network_missing")
    if len(found) > 1:
        named = await network_names(opened)
        raise Refused("network_unclear", networks=", ".join(f"{one} ({name})" for one, name in named.items()))
    return found[0]


async def network_names(opened: Ground) -> dict[UUID, str]:
    """Return what the networks of this database are called."""
    names = {}
    for one in await opened.db.networks():
        async with opened.db.begin(one) as connection:
            names[one] = (await networks.get_network(connection, one)).name
    return names


async def zone_of(connection: Connection, network: UUID) -> ZoneInfo:
    """Return the zone in which times of a network are told to people."""
    return ZoneInfo((await networks.get_network(connection, network)).zone)


async def chosen_store(opened: Ground, network: UUID, given: UUID | None) -> UUID:
    from server.networks import service

    if given is not None:
        return given
    async with opened.db.begin(network) as connection:
        found = await service.list_stores(connection, network)
    if len(found) > 1:
        raise Refused("store_unclear", stores=", ".join(f"{one.id} ({one.name})" for one in found))
    return found[0].id


async def chosen_person(connection: Connection, network: UUID, given: str) -> UUID:
    """Return the manager or owner that a name or an id names; raises `Refused` `person_unknown`."""
    from server.staff import service

    named = [
        one.id
        for one in await service.members(connection, network)
        if given in (one.name, str(one.id)) and one.role in ("manager", "owner")
    ]
    if len(named) != 1:
        raise Refused("person_unknown", given=given[:100])
    return named[0]
