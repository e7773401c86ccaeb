"""`loyalty-server`: every command speaks to people on stderr and, with --json, to programs on stdout."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import typer
from sqlalchemy.exc import SQLAlchemyError

from loyalty_desk.domain.errors import Broken, ForPerson, Refused
from loyalty_desk.wire.v1.sheets import SheetKind, sheet_text
from server.cli_terminal import Terminal
from server.kit import incarnation, schema
from server.kit.ground import Base, Ground, ground, running
from server.sentences import sentence
from server.settings import Settings

app = typer.Typer(
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help="The Loyalty Desk server."
)
database = typer.Typer(no_args_is_help=True, help="The database's schema.")
tills = typer.Typer(no_args_is_help=True, help="Tills of a network.")
app.add_typer(database, name="db")
app.add_typer(tills, name="till")

Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON, one object a line.")]
DataDir = Annotated[Path | None, typer.Option("--data-dir", help="Where the server keeps its data.")]
NetworkId = Annotated[UUID | None, typer.Option("--network", help="The network, where there are several.")]
_POLL_SECONDS = 0.25
_TOKEN_SECONDS = 60.0


def main() -> None:
    """Run the command line; every error that a person can act on is one sentence and exit code 1."""
    try:
        app()
    except ForPerson as error:
        _fail(sentence(error))
    except Broken as error:
        _fail(str(error))
    except (SQLAlchemyError, OSError) as error:
        _fail(f"The database does not answer, or not as expected: {type(error).__name__}: {_first_line(error)}")
    except KeyboardInterrupt:
        sys.exit(130)


@app.command()
def run(
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on.")] = None,
    data_dir: DataDir = None,
    dev: Annotated[bool, typer.Option("--dev", help="Say more.")] = False,
    as_json: Json = False,
) -> None:
    """Start the database if need be, bring its schema up to date and serve until stopped."""
    from server.kit.logging import configure
    from server.serve import serve

    settings = _settings(data_dir, host=host, port=port, dev=dev or None)
    configure(dev=settings.dev)
    serve(settings, Terminal(as_json))


@database.command("upgrade")
def db_upgrade(data_dir: DataDir = None, as_json: Json = False) -> None:
    """Bring the schema up to date."""
    from server.serve import upgrade

    terminal = Terminal(as_json)
    with running(_settings(data_dir), say=terminal.say) as base:
        upgrade(base)
    terminal.line(f"The schema is at {schema.head()}.")
    terminal.result(revision=schema.head())


@app.command("create-network")
def create_network(
    name: Annotated[str, typer.Argument(help="What guests know it by.")],
    kind: Annotated[str, typer.Option(help="restaurant or shop.")] = "restaurant",
    currency: Annotated[str, typer.Option(help="ISO code, like RUB.")] = "RUB",
    zone: Annotated[str, typer.Option(help="Time zone, like Europe/Moscow.")] = "Europe/Moscow",
    store: Annotated[list[str] | None, typer.Option(help="A store's name; may be repeated.")] = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Make a network with its keys. Two of them are printed once and kept nowhere: write them down."""
    from server.networks import service

    terminal = Terminal(as_json)

    async def work(opened: Ground) -> service.MadeNetwork:
        stores = [service.NewStore(one) for one in store or [name]]
        return await service.create_network(opened, name, kind, currency, zone, stores)

    made = _with_ground(_settings(data_dir), terminal, work)
    terminal.line(f"Network {made.network.name}: {made.network.id}")
    for one in made.stores:
        terminal.line(f"  store {one.name}: {one.id}")
    sheets = _print_sheets(terminal, made)
    terminal.result(
        network=made.network.id, stores=[{"id": str(one.id), "name": one.name} for one in made.stores], **sheets
    )


@app.command("demo-data")
def demo_data(
    seed: Annotated[int, typer.Option(help="Which demo.")] = 1,
    guests: Annotated[int, typer.Option(min=6, max=200_000, help="How many guests.")] = 5_000,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Make the demo network, or add what of it is missing."""
    from server.demo.service import make_demo

    terminal = Terminal(as_json)
    demo = _with_ground(_settings(data_dir), terminal, lambda opened: make_demo(opened, seed, guests))
    terminal.line(f"Network {demo.network}, {demo.guests} guests")
    for store in demo.stores:
        terminal.line(f"  store {store.name}: {store.id}")
    for one in demo.samples:
        terminal.line(f"  {one.code}  {one.member_no}  {one.tier:<8} {one.points:>6} points  {one.name}")
    sheets = _print_sheets(terminal, demo.made) if demo.made else {}
    terminal.result(
        network=demo.network,
        created=demo.made is not None,
        stores=[{"id": str(one.id), "name": one.name} for one in demo.stores],
        cashier=demo.cashier,
        guests=demo.guests,
        samples=[
            {
                "id": str(one.id),
                "name": one.name,
                "ld1": one.code,
                "member_no": one.member_no,
                "tier": one.tier,
                "points": one.points,
            }
            for one in demo.samples
        ],
        **sheets,
    )


@app.command("networks")
def list_networks(data_dir: DataDir = None, as_json: Json = False) -> None:
    """List networks and their stores."""
    from server.networks import service

    terminal = Terminal(as_json)

    async def work(opened: Ground) -> list[dict[str, Any]]:
        found = []
        for network_id in await opened.db.networks():
            async with opened.db.begin(network_id) as connection:
                network = await service.get_network(connection, network_id)
                stores = await service.list_stores(connection, network_id)
            found.append(
                {
                    "network": str(network.id),
                    "name": network.name,
                    "stores": [{"id": str(one.id), "name": one.name} for one in stores],
                }
            )
        return found

    found = _with_ground(_settings(data_dir), terminal, work)
    for one in found:
        terminal.line(f"{one['network']}  {one['name']}")
        for store in one["stores"]:
            terminal.line(f"  {store['id']}  {store['name']}")
    terminal.result(networks=found)


@tills.command("pair")
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
    settings = _settings(data_dir)

    async def work(opened: Ground) -> None:
        chosen = await _network(opened, network)
        place = await _store(opened, chosen, store)
        pairing = await service.open_pairing(opened, chosen, place, address or settings.address)
        text = pairing.pairing.to_text()
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

    _with_ground(settings, terminal, work)


@tills.command("list")
def till_list(network: NetworkId = None, data_dir: DataDir = None, as_json: Json = False) -> None:
    """List the tills that ever joined."""
    from server.tills import service

    terminal = Terminal(as_json)

    async def work(opened: Ground) -> list[service.Till]:
        chosen = await _network(opened, network)
        async with opened.db.begin(chosen) as connection:
            return await service.tills(connection, chosen)

    found = _with_ground(_settings(data_dir), terminal, work)
    for one in found:
        terminal.line(f"{one.id}  {one.state:<9}  {one.name}")
    terminal.result(
        tills=[{"id": str(one.id), "name": one.name, "store": str(one.store), "state": one.state} for one in found]
    )


def _settings(data_dir: Path | None, **given: object) -> Settings:
    values = {name: value for name, value in {"data_dir": data_dir, **given}.items() if value is not None}
    return Settings(**values)  # type: ignore[arg-type]


def _with_ground[T](settings: Settings, terminal: Terminal, work: Callable[[Ground], Awaitable[T]]) -> T:
    """Run `work` on a database that is there and up to date; a new one is made, an old one is not touched."""
    with running(settings, say=terminal.say) as base:
        _prepare(settings, base)

        async def go() -> T:
            async with _opened(settings, base) as opened:
                return await work(opened)

        return asyncio.run(go())


def _prepare(settings: Settings, base: Base) -> None:
    async def is_new() -> bool:
        async with ground(settings, base) as opened, opened.db.without_network() as connection:
            return await schema.current(connection) is None

    if asyncio.run(is_new()):
        from server.serve import upgrade

        upgrade(base)


@asynccontextmanager
async def _opened(settings: Settings, base: Base) -> AsyncIterator[Ground]:
    async with ground(settings, base) as opened:
        async with opened.db.without_network() as connection:
            await schema.require_head(connection)
            present = await incarnation.current(connection)
        if present is None:
            await incarnation.at_start(opened.db, opened.witness)
        yield opened


async def _network(opened: Ground, given: UUID | None) -> UUID:
    found = await opened.db.networks()
    if given is not None:
        if given not in found:
            raise Refused("network_unknown", network=str(given))
        return given
    if not found:
        raise Refused("network_missing")
    if len(found) > 1:
        raise Refused("network_unclear", networks=", ".join(str(one) for one in found))
    return found[0]


async def _store(opened: Ground, network: UUID, given: UUID | None) -> UUID:
    from server.networks import service

    if given is not None:
        return given
    async with opened.db.begin(network) as connection:
        found = await service.list_stores(connection, network)
    if len(found) > 1:
        raise Refused("store_unclear", stores=", ".join(f"{one.id} ({one.name})" for one in found))
    return found[0].id


def _print_sheets(terminal: Terminal, made: Any) -> dict[str, str]:
    sheets = {
        "root_sheet": sheet_text(SheetKind.ROOT, made.root_private),
        "recovery_sheet": sheet_text(SheetKind.RECOVERY, made.recovery_private),
    }
    terminal.line()
    terminal.line("Print these two and lock them away. They are shown once and stored nowhere.")
    titles = (
        "Root key: signs new keys of this network",
        "Recovery key: opens a till's journal when its keyring is lost",
    )
    for title, text in zip(titles, sheets.values(), strict=True):
        terminal.line()
        terminal.line(title)
        terminal.line(f"  {text}")
        terminal.code(text)
    return sheets


def _spaced(characters: str) -> str:
    return f"{characters[:4]} {characters[4:]}"


def _first_line(error: BaseException) -> str:
    return str(error).partition("\n")[0][:200]


def _fail(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
    sys.exit(1)


if __name__ == "__main__":
    main()
